"""AWS Lambda: a function that starts when somebody asks, from a zip file or an image, behind a URL of its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import modelyard_lambda
from modelyard.errors import UsageError, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.targets import policies
from modelyard.targets.artifact import Artifact, Component, components_in, copy_parts, files_in
from modelyard.targets.aws_lambda_calls import Wanted, create, log_policy, update
from modelyard.targets.aws_lambda_code import HANDLER
from modelyard.targets.aws_lambda_events import UrlFunction
from modelyard.targets.aws_lambda_package import MIB, PACKAGES, ROOT, Options, Package
from modelyard.targets.aws_lambda_traffic import RoutedFunction
from modelyard.targets.aws_lambda_versions import TOKEN_HASH
from modelyard.targets.calls import Call, Send
from modelyard.targets.carrying_out import carry_out
from modelyard.targets.container_engine import BUILDERS
from modelyard.targets.cost import Cost, always_on, per_request, price_table
from modelyard.targets.installing import (
    Platform,
    bare_python,
    compile_all,
    compiling_python,
    install,
    own_machine,
    own_python,
)
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, Endpoint, Live, State
from modelyard.targets.slimming import BALLAST, BESIDE_A_GRAPH
from modelyard_lambda import HASHES, MOST_BYTES
from modelyard_runtime.access import SWITCH, token_hash
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER
from modelyard_templates import render

_WHOLE_CPU = 1769  # MB of memory with which Lambda gives one whole processor

_ARCHITECTURES = ("x86_64", "arm64")
_PREFIX = "modelyard-"  # of a function's name

_LIMITS = Limits(
    source="https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
    as_of="2026-11-30",
    memory_bytes=10_240 * MIB,
    request_bytes=MOST_BYTES,
    response_bytes=MOST_BYTES,
    timeout_s=900.0,
    startup_s=10.0,
    architectures=_ARCHITECTURES,
    read_only_disk=True,
    writable=("/tmp",),
    network=True,
    name_length=64 - len(_PREFIX),
)
_ANSWER_S = 0.005  # what the cost assumes; the least that is paid for is 0.001
_LEAST_MEMORY, _MOST_MEMORY = 128, 10_240
_MOST_SECONDS = 900
_MOST_INSTANCES = 100_000
_USUAL_INSTANCES = "as many as the account allows (1,000 unless it was raised)"


@dataclass(frozen=True)
class LambdaTarget(RoutedFunction):
    """A function of AWS Lambda, from a zip file or an image."""

    acts_at_once: ClassVar[bool] = False

    memory: int = field(
        default=_WHOLE_CPU,
        metadata={
            "help": f"MB, {_LEAST_MEMORY} to {_MOST_MEMORY}; the processor comes with it, a whole one at {_WHOLE_CPU}"
        },
    )
    timeout: float = field(
        default=30.0, metadata={"help": f"how long an answer may take, 1 to {_MOST_SECONDS} s", "unit": "s"}
    )
    package: str = field(
        default="zip",
        metadata={
            "help": f"{listing(PACKAGES)}: what it is sent as; an image may be larger, and is built here"
        },
    )
    python: str = field(
        default="",
        metadata={
            "help": "; ".join(f"{listing(each.pythons)} as {name}" for name, each in PACKAGES.items())
            + "; the kernel's where it is one of them"
        },
    )
    architecture: str = field(
        default_factory=lambda: own_machine(_ARCHITECTURES),
        metadata={"help": f"{listing(_ARCHITECTURES)}; this machine's by default"},
    )

    region: str | None = field(
        default=None, metadata={"help": "such as eu-central-1; the profile's by default"}
    )
    role: str | None = field(
        default=None,
        metadata={
            "help": "the ARN of an execution role; one is made by default, which may write its log only"
        },
    )
    concurrency: int | None = field(
        default=None,
        metadata={
            "help": "the most instances that answer at once, kept for it; the account's limit by default"
        },
    )
    base: str | None = field(
        default=None, metadata={"help": "the image to build on, with python3; Docker's own of it by default"}
    )
    engine: str | None = field(
        default=None, metadata={"help": f"what builds an image: {listing(BUILDERS)}; the first that is there"}
    )
    load: int = field(
        default=1_000_000, metadata={"help": "requests a month, for the cost", "plan_only": True}
    )
    price_table: str | None = field(
        default=None, metadata={"help": "a file with newer prices (JSON)", "plan_only": True}
    )

    def __post_init__(self) -> None:
        if type(self.memory) is not int or not _LEAST_MEMORY <= self.memory <= _MOST_MEMORY:
            raise UsageError(
                f"memory {self.memory!r} cannot be; choose {_LEAST_MEMORY} to {_MOST_MEMORY} (MB), "
                "a whole number, or leave it out"
            )
        if self.timeout != int(self.timeout) or not 1 <= self.timeout <= _MOST_SECONDS:
            raise UsageError(
                f"timeout {self.timeout:g} cannot be; choose whole seconds from 1 to {_MOST_SECONDS}, or leave it out"
            )
        if self.concurrency is not None and not 1 <= self.concurrency <= _MOST_INSTANCES:
            raise UsageError(
                f"concurrency {self.concurrency} cannot be; choose 1 to {_MOST_INSTANCES}, or leave it out"
            )
        if self.package not in PACKAGES:
            raise UsageError(f"package {self.package!r} cannot be; choose {listing(PACKAGES)}")
        if self.package == "zip" and (self.base or self.engine):
            raise UsageError(
                "a zip file has no base and wants no engine; add --package image, or leave them out"
            )
        object.__setattr__(self, "python", self.python or own_python(self._package.pythons))
        for option, known in (("python", self._package.pythons), ("architecture", _ARCHITECTURES)):
            value = getattr(self, option)
            if value not in known:
                image = self.package != "image" and value in PACKAGES["image"].pythons
                raise UsageError(
                    f"Lambda has no {option} {value!r} that serves bundles; it has: {listing(known)}"
                    f"{'; or add --package image' if image else ''}"
                )

    @property
    def _package(self) -> Package:
        return PACKAGES[self.package]

    @property
    def _options(self) -> Options:
        return Options(self.python, self.architecture, self.base, self.engine)

    @property
    def limits(self) -> Limits:
        return replace(
            _LIMITS, memory_bytes=self.memory * MIB, timeout_s=float(self.timeout),
            unpacked_bytes=self._package.unpacked_bytes, packed_bytes=self._package.packed_bytes,
            pythons=tuple(self._package.pythons),
        )  # fmt: skip

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        if live is not None:
            self._check_replacing(live.state)
        where = f"Python {self.python} on {self.architecture}"
        calls = (
            ()
            if artifact is None
            else self._calls(bundle, name, artifact, None if live is None else live.state)
        )
        return Plan(
            target="aws-lambda",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                f"install the pins of its lock for {where}, without what answering does not read",
                self._package.says,
                f"make of it a function with {self.memory} MB and {self.timeout:g} s for an answer",
                "give it a URL; the function gets the hash of a bearer token",
            ),
            cost=self._cost(),
            scaling=f"from no instance to {self.concurrency or _USUAL_INSTANCES} at once, by AWS itself",
            security=(
                "reached from everywhere over HTTPS; every path but the health checks wants the token",
                "the function's environment holds the SHA-256 of the token, not the token",
                "AWS encrypts code, environment and log at rest by keys of its own; none of yours is named",
                *(
                    ()
                    if self.role
                    else (
                        f"role: {json.dumps(log_policy(_called(name)))}: it may write its log, and nothing else",
                    )
                ),
            ),
            files={
                "app.py": _handler(bundle),
                "model/": str(bundle.model_folder),
                "role-policy.json": json.dumps(log_policy(_called(name)), indent=1),
            },
            calls=calls,
            changes=() if live is None else (f"what answers: {live.bundle}, then {bundle.tag}",),
            undo=tuple(call.undo.says for call in reversed(calls) if call.undo is not None),
        )

    def _cost(self) -> Cost:
        table = price_table(self.price_table)
        container = always_on(table, "aws-fargate", architecture=self.architecture, vcpus=0.25, memory_gb=0.5)
        return per_request(
            table, "aws-lambda", architecture=self.architecture, memory_gb=self.memory / 1024,
            requests=float(self.load), seconds=_ANSWER_S, always_on=container.monthly,
        )  # fmt: skip

    def _calls(
        self, bundle: Bundle, name: str, artifact: Artifact, previous: State | None
    ) -> tuple[Call, ...]:
        """Return the calls of a plan; what the token's hash is, is known when they are made."""
        wanted = self.wanted(bundle, _called(name), artifact)
        return create(wanted) if previous is None or "version" not in previous else update(wanted)

    def _check_replacing(self, state: State) -> None:
        self.in_region_of(state.get("region"))
        there = state.get("package", "zip")
        if there != self.package:
            raise UsageError(
                f"it was made from {there} and AWS changes that of no function; for {self.package} choose another "
                "--name, or --undo it first"
            )

    def wanted(self, bundle: Bundle, function: str, artifact: Artifact) -> Wanted:
        return Wanted(
            function, self.architecture, self.memory, int(self.timeout),
            self._package.code(artifact.folder, self._options), bundle.tag, bundle.digest,
            {HASHES: f"${{{TOKEN_HASH}}}"}, self.role, self.concurrency,
        )  # fmt: skip

    def reach(self, send: Send, artifact: Artifact) -> Send:
        return self._package.reach(send, artifact.folder, self._options)

    def apply(
        self,
        bundle: Bundle,
        name: str,
        folder: Path,
        token: str,
        previous: State | None,
        artifact: Artifact | None,
    ) -> Endpoint:
        assert artifact is not None  # it has limits
        if previous is not None:
            self._check_replacing(previous)
        kept = folder / STATE_KEPT
        kept.mkdir(mode=0o700, exist_ok=True)
        state: dict[str, Any] = {
            "folder": str(folder), "function": _called(name), "region": self.settle_region(kept),
            "digest": bundle.digest, "package": self.package,
        }  # fmt: skip
        named = carry_out(
            self._calls(bundle, name, artifact, previous), self.reach(self.sender(state), artifact), kept,
            lambda content: (artifact.folder / content.path).read_bytes(), {TOKEN_HASH: token_hash(token)},
        )  # fmt: skip
        policies.note_first(folder, bundle, named["version"])
        url = str(named["url"]).rstrip("/")
        return Endpoint(url, {**state, "version": named["version"], "url": url})

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        interpreter = compiling_python(self.python, "what goes to Lambda")
        content = folder / self._package.content
        site = content / "site"
        site.mkdir(parents=True)
        place = Platform(self.python, self.architecture)
        is_graph = bundle.manifest["model"]["kind"] == "onnx"
        leaving_out = BESIDE_A_GRAPH if is_graph else BALLAST
        lock = [*bundle.lock, *self._package.beside]
        install(lock, site, place, interpreter, f"{ROOT}/site", leaving_out)
        copy_parts(bundle.path / "src", content)
        (content / "app.py").write_text(_handler(bundle), encoding="utf-8")
        door = content / modelyard_lambda.__name__
        shutil.copytree(
            Path(modelyard_lambda.__file__).parent, door, ignore=shutil.ignore_patterns("__pycache__")
        )
        own = [content / MODEL_FOLDER, content / RUNTIME_FOLDER, content / "app.py", door]
        compile_all(own, interpreter, content, ROOT)
        return Artifact(
            folder=folder,
            components=(*_own_parts(content), *components_in(site)),
            handler=UrlFunction(
                HANDLER.replace(".", ":"), (content,), bare_python(interpreter, folder / "python"),
                env=self._environment(content),
            ),
            python=self.python,
            architecture=self.architecture,
            packed_bytes=self._package.close(folder, self._options),
            system="linux",
        )  # fmt: skip

    def _environment(self, content: Path) -> dict[str, str]:
        """Return what Lambda tells a function, and that whoever rehearses it needs no token."""
        return {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{self.python}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "LAMBDA_TASK_ROOT": str(content),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            SWITCH: "off",
        }


def _called(name: str) -> str:
    """Return the function's name."""
    return f"{_PREFIX}{name}"


def _handler(bundle: Bundle) -> str:
    return render("aws_lambda/app.py.j2", tag=bundle.tag, variant=f"v{bundle.version}")


def _own_parts(content: Path) -> list[Component]:
    parts: dict[str, dict[str, int]] = {MODEL_FOLDER: {}, RUNTIME_FOLDER: {}, "handler": {}}
    for path, size in files_in(content).items():
        first = path.partition("/")[0]
        if first != "site":
            parts[first if first in parts else "handler"][path] = size
    return [Component(name, files) for name, files in parts.items()]
