"""This machine: a detached ``bentoml serve`` on loopback, which outlives the kernel."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import yaml

from modelyard.errors import DeploymentError, UsageError, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.packaging.sites import child_lock, needs_child
from modelyard.targets import processes
from modelyard.targets.answering import at, lets_in, ready_digest, wait_until_ready
from modelyard.targets.artifact import Artifact, Server, bundle_components
from modelyard.targets.cost import nothing
from modelyard.targets.local_environment import ENVIRONMENTS, Environment
from modelyard.targets.local_traffic import (
    add_variant,
    first_policy,
    install_router,
    look,
    make_site,
    put_in_force,
    shares_told,
)
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, Endpoint, Live, State, Status
from modelyard.targets.tokens import write_hash
from modelyard.targets.traffic import Routed
from modelyard_router import workers
from modelyard_router.policy import Policy, PolicyFile, Variant
from modelyard_runtime.access import HASHES_FILE, SWITCH
from modelyard_runtime.bundle_format import MODEL_FOLDER
from modelyard_runtime.child import SITE
from modelyard_runtime.doors import ROUTER
from modelyard_runtime.metrics import STATE_FOLDER

_LOG_LINES = 3
_HASHES = "token_hashes"
_MOST_WORKERS = 64
_TOKEN_S = 2.0


@dataclass(frozen=True)
class LocalTarget:
    """Serve a copy of the Bento from the deployment's own folder, under the interpreter of this kernel."""

    limits: ClassVar[Limits] = Limits(source="this machine sets none", as_of="2026-11-22")
    acts_at_once: ClassVar[bool] = True
    #: Its endpoints are processes of this machine that nobody else looks after: the Lab server starts them again.
    supervised: ClassVar[bool] = True

    env: str = field(
        default="kernel",
        metadata={
            "help": "kernel (what is installed here), or lock (an environment of its own, made of the bundle's locks)"
        },
    )
    port: int | None = field(default=None, metadata={"help": "loopback port; a free one by default"})
    workers: int | None = field(
        default=None,
        metadata={"help": f"server processes, 1 to {_MOST_WORKERS}; 1, or as many as before, by default"},
    )
    timeout: float = field(default=60.0, metadata={"help": "how long to wait until it answers", "unit": "s"})

    def __post_init__(self) -> None:
        if self.env not in ENVIRONMENTS:
            raise UsageError(f"env {self.env!r} cannot be; choose {listing(ENVIRONMENTS)}")

    @property
    def _modules(self) -> Environment:
        return ENVIRONMENTS[self.env]

    def plan(
        self, bundle: Bundle, name: str, artifact: Artifact | None = None, live: Live | None = None
    ) -> Plan:
        where = f"127.0.0.1:{self.port}" if self.port else "a free port of 127.0.0.1"
        trust = bundle.manifest["trust"]
        in_child = needs_child(bundle.manifest)
        workers = self._workers(None)
        return Plan(
            target="local",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                f"copy the Bento ({bundle.size_bytes:,} bytes) into the deployment's folder",
                f"let the server import {self._modules.says}",
                "make a bearer token; the server gets its hash",
                f"start bentoml serve on {where}, with {workers} worker{'s' if workers > 1 else ''}, "
                "detached from the kernel",
                *([f"run {_in_python(bundle)} in a child of each worker, from its lock"] if in_child else []),
                "wait until it answers that the model is loaded",
            ),
            cost=nothing("it runs on this machine"),
            scaling=f"{workers} process{'es' if workers > 1 else ''}, whoever asks; --workers changes it",
            security=(
                "plain HTTP, reached from this machine only; every path but /healthz and /readyz wants the token",
                *(
                    [f"runs code under the trust decision {trust['decision']!r} of its manifest"]
                    if trust
                    else []
                ),
            ),
            files={
                "home/bentos/": str(bundle.path),
                _HASHES: "SHA-256 of the token",
                f"{STATE_KEPT}/": "counters, and the log of requests and answers; kept when it is replaced",
                **({"site/": "the distributions of the lock, for the child"} if in_child else {}),
            },
            changes=() if live is None else (f"what answers: {live.bundle}, then {bundle.tag}",),
            undo=("stop it and take everything of it away",)
            if live is None
            else (f"let {live.bundle} answer again, at the same URL",),
        )

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        home, port = _home(bundle, folder), processes.free_port()
        python = self._modules.python(bundle, folder)
        if needs_child(bundle.manifest):
            make_site(folder / "site", child_lock(bundle.model_folder), bundle.tag, self._modules)
        told = {SWITCH: "off", STATE_FOLDER: str(folder / STATE_KEPT)}
        (folder / STATE_KEPT).mkdir(mode=0o700)
        return Artifact(
            folder=folder,
            components=(*bundle_components(bundle.path), *self._modules.components(bundle, folder)),
            handler=Server(
                "bentoml", _serving(bundle, port), port, python=python,
                env=processes.environment(folder, _environment(bundle, folder, home, self._workers(None)) | told),
            ),
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            architecture=platform.machine(),
        )  # fmt: skip

    def apply(
        self,
        bundle: Bundle,
        name: str,
        folder: Path,
        token: str,
        previous: State | None,
        artifact: Artifact | None = None,
    ) -> Endpoint:
        port = processes.chosen_port(self.port, previous)
        home = _home(bundle, folder)
        write_hash(folder / _HASHES, token)
        install_router(folder)
        kept = folder / STATE_KEPT
        kept.mkdir(mode=0o700, exist_ok=True)
        workers = self._workers(previous)
        argv = [self._modules.python(bundle, folder), "-P", "-m", "bentoml", *_serving(bundle, port)]
        told = {HASHES_FILE: str(folder / _HASHES), STATE_FOLDER: str(kept), ROUTER: str(folder)}
        env = processes.environment(folder, _environment(bundle, folder, home, workers) | told)
        state = {
            "folder": str(folder),
            "port": port,
            "argv": argv,
            "env": env,
            "workers": workers,
            "tag": bundle.tag,
            "digest": bundle.digest,
            "timeout": self.timeout,
        }
        policy = first_policy(folder, bundle)
        try:
            return Endpoint(at(port), self.start(state))
        except BaseException:
            PolicyFile(folder).withdraw(policy)
            raise

    def _workers(self, previous: State | None) -> int:
        if self.workers is None:
            return int((previous or {}).get("workers", 1))
        if type(self.workers) is not int or not 1 <= self.workers <= _MOST_WORKERS:
            raise UsageError(
                f"workers {self.workers!r} cannot be; choose a number from 1 to {_MOST_WORKERS}, or leave it out"
            )
        return self.workers

    def status(self, state: State) -> Status:
        if "port" not in state:
            return Status("down", "it was never started")
        ready = ready_digest(state["port"])
        if ready == state["digest"]:
            return Status("ready", f"answers at {at(state['port'])}{shares_told(state)}")
        if ready is not None:
            return Status("down", f"something else answers on port {state['port']}")
        if _alive(state):
            return Status("starting", f"process {state['pid']} runs and does not answer yet")
        return Status("down", f"its process {state.get('pid')} is gone; start() makes it answer again")

    def start(self, state: State) -> State:
        if ready_digest(state["port"]) == state["digest"]:
            return state
        folder = Path(state["folder"])
        processes.stop(folder)
        workers.forget(folder)
        if not processes.is_free(state["port"]):
            raise DeploymentError(
                f"port {state['port']} of 127.0.0.1 is taken by something else; free it first"
            )
        _make_site(state, self._modules)
        log = folder / "server.log"
        try:
            started = processes.spawn(state["argv"], state["env"], folder, log)
            running = {**state, "pid": started.pid, "created": started.created}
            wait_until_ready(
                "bentoml serve", state["port"], state["digest"], state["timeout"],
                lambda: _alive(running), lambda: _last_words(log),
            )  # fmt: skip
        except BaseException:  # also Ctrl-C: no server without a record
            processes.stop(folder)
            raise
        return running

    def change_token(self, state: State, token: str) -> State:
        folder = Path(state["folder"])
        if not folder.is_dir():
            raise DeploymentError(f"nothing is deployed in {folder}; deploy it again with --replace")
        write_hash(folder / _HASHES, token)
        if "port" not in state or ready_digest(state["port"]) != state["digest"]:
            return state
        if lets_in(state["port"], token, _TOKEN_S):
            return state
        processes.stop(folder)  # a bundle whose runtime reads tokens at its start only
        return self.start(state)

    def check_policy(self, policy: Policy) -> None:
        """Refuse nothing: whatever a policy can say is done here."""

    def routed(self, state: State, token: str) -> Routed:
        url = at(state.get("port"))
        return look(Path(state["folder"]), url, token, runs=self._runs(state))

    def as_variant(self, state: State, bundle: Bundle) -> Variant:
        return add_variant(Path(state["folder"]), bundle, self._modules)

    def route(self, state: State, policy: Policy) -> None:
        put_in_force(Path(state["folder"]), policy, runs=self._runs(state))

    def _runs(self, state: State) -> bool:
        return "port" in state and ready_digest(state["port"]) == state["digest"]

    def stop(self, state: State) -> None:
        processes.stop(Path(state["folder"]))

    def remove(self, state: State) -> None:
        self.stop(state)


def _home(bundle: Bundle, folder: Path) -> Path:
    """Copy the Bento into a BentoML home of its own, beneath `folder`; return that home."""
    home = folder / "home"
    shutil.copytree(bundle.path, home / "bentos" / bundle.name / str(bundle.version))
    (home / "bentos" / bundle.name / "latest").write_text(str(bundle.version), encoding="utf-8")
    return home


def _serving(bundle: Bundle, port: int) -> tuple[str, ...]:
    """Return what BentoML's command is given."""
    return "serve", bundle.tag, "--host", "127.0.0.1", "--port", str(port)


def _environment(bundle: Bundle, folder: Path, home: Path, workers: int) -> dict[str, str]:
    """Return what the server is told, whoever may ask it."""
    return {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_CONFIG_OVERRIDES": json.dumps({"services": {_service(bundle): {"workers": workers}}}),
        **({SITE: str(folder / "site")} if needs_child(bundle.manifest) else {}),
    }


def _in_python(bundle: Bundle) -> str:
    """Return what of a bundle runs in a process of its own."""
    found = ["what is Python of the model"] if bundle.manifest["model"]["kind"] != "onnx" else []
    return " and ".join(
        [*found, *(["its explainer, once it is asked,"] if "explainer" in bundle.manifest else [])]
    )


def _make_site(state: State, environment: Environment) -> None:
    """Make the folder from which a model's child imports; anew at each start where environments change.

    Raises
    ------
    DeploymentError
        What the lock names is not installed here, or cannot be.
    """
    if SITE not in state["env"]:
        return
    site, tag = Path(state["env"][SITE]), state["tag"]
    model_folder = Path(state["folder"], "home", "bentos", *tag.split(":"), "src", MODEL_FOLDER)
    if environment.changes:
        shutil.rmtree(site, ignore_errors=True)
    make_site(site, child_lock(model_folder), tag, environment)


def _service(bundle: Bundle) -> str:
    """Return the name that BentoML's configuration knows the service of a bundle by."""
    described = yaml.safe_load((bundle.path / "bento.yaml").read_text(encoding="utf-8"))
    return str(described["entry_service"])


def _alive(state: State) -> bool:
    return "pid" in state and processes.is_alive(processes.Started(state["pid"], state["created"]))


def _last_words(log: Path) -> str:
    try:
        lines = [
            line.strip()
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        ]
    except OSError:
        return "its log cannot be read"
    return " | ".join(lines[-_LOG_LINES:]) or "it said nothing"
