"""An OCI image with the plain ASGI door or BentoML's, and a container of it on this machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from modelyard.errors import UsageError, listing
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.packaging.sites import needs_child
from modelyard.targets import processes
from modelyard.targets.answering import at
from modelyard.targets.artifact import Artifact, Server, bundle_components, components_in
from modelyard.targets.container_doors import DOORS, Door, image_ballast, image_lock
from modelyard.targets.container_engine import BASE, BUILDERS, PLATFORMS, builder, runner
from modelyard.targets.container_live import HASHES, SECRETS, LiveContainer, started
from modelyard.targets.cost import nothing
from modelyard.targets.installing import (
    Platform,
    bare_python,
    compiling_python,
    install,
    own_machine,
    own_python,
)
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import Endpoint, Live, State
from modelyard.targets.tokens import write_hash
from modelyard_runtime.access import HASHES_FILE, SWITCH
from modelyard_runtime.bundle_format import RUNTIME_FOLDER
from modelyard_runtime.child import SITE
from modelyard_runtime.metrics import STATE_FOLDER
from modelyard_templates import render

#: Within the folder that `ContainerTarget.make` fills: what the engine builds.
CONTEXT = "context"

_PYTHONS = ("3.11", "3.12", "3.13")
_ROOT = "/app"
_PORT = 3000
_USER = 65532  # nobody's; the number that images without users agreed on
_SECRETS = "/run/modelyard"
_STATE = "/tmp/modelyard"  # within the container: all that it can write is in memory
_NETWORKS = ("bridge", "host")


@dataclass(frozen=True)
class ContainerTarget(LiveContainer):
    """An image, built by docker, podman or buildah, and a container of it that can write nothing but ``/tmp``."""

    limits: ClassVar[Limits] = Limits(
        source="the container's own options: a read-only root, /tmp in memory",
        as_of="2026-11-30",
        architectures=tuple(PLATFORMS),
        pythons=_PYTHONS,
        read_only_disk=True,
        writable=("/tmp",),
    )
    acts_at_once: ClassVar[bool] = True

    door: str = field(default="asgi", metadata={"help": f"{listing(DOORS)}; asgi makes the smallest image"})
    engine: str | None = field(
        default=None, metadata={"help": f"{listing(BUILDERS)}; the first that is there by default"}
    )
    base: str | None = field(
        default=None, metadata={"help": f"the image to build on, with python3; {BASE} by default"}
    )
    python: str = field(
        default_factory=lambda: own_python(_PYTHONS),
        metadata={"help": f"the Python of the base, {listing(_PYTHONS)}; the kernel's by default"},
    )
    architecture: str = field(
        default_factory=lambda: own_machine(tuple(PLATFORMS)),
        metadata={"help": f"{listing(PLATFORMS)}; this machine's by default"},
    )
    port: int | None = field(default=None, metadata={"help": "loopback port; a free one by default"})
    network: str = field(
        default="bridge", metadata={"help": "bridge (the port is published on loopback), or host"}
    )
    timeout: float = field(default=60.0, metadata={"help": "how long to wait until it answers", "unit": "s"})

    def __post_init__(self) -> None:
        for what, value, known in (
            ("door", self.door, tuple(DOORS)), ("engine", self.engine, (None, *BUILDERS)),
            ("python", self.python, _PYTHONS), ("architecture", self.architecture, tuple(PLATFORMS)),
            ("network", self.network, _NETWORKS),
        ):  # fmt: skip
            if value not in known:
                raise UsageError(
                    f"a container has no {what} {value!r}; choose {listing(filter(None, known))}"
                )

    def plan(self, bundle: Bundle, name: str, artifact: Artifact | None, live: Live | None) -> Plan:
        return Plan(
            target="container",
            name=name,
            bundle=bundle.tag,
            steps=(
                f"check every digest of {bundle.tag}",
                f"install its lock and that of the {self.door} door for Python {self.python} on {self.architecture}",
                f"build {_image(bundle)} for linux/{PLATFORMS[self.architecture]} on {self._base}",
                "start a container of it on loopback: no root, no capabilities, a read-only disk",
                "wait until it answers that the model is loaded",
            ),
            cost=nothing("it runs on this machine"),
            scaling="one process, whoever asks; start more containers of the image behind a balancer for more",
            security=(
                "plain HTTP, reached from this machine only; every path but /healthz and /readyz wants the token",
                "the container reads the hash of the token from a file of this machine, which the image does not have",
                *(() if "@sha256:" in self._base else ("the base image is named, not pinned by its digest",)),
            ),
            files={
                f"{CONTEXT}/Containerfile": self._containerfile(bundle),
                f"{CONTEXT}/{_bento(bundle)}/": str(bundle.path),
                f"{CONTEXT}/site/": "the distributions of the locks",
            },
            changes=() if live is None else (f"what answers: {live.bundle}, then {bundle.tag}",),
            undo=("stop the container, and take it and its image away",)
            if live is None
            else (f"let {live.bundle} answer again, at the same URL",),
        )  # fmt: skip

    def make(self, bundle: Bundle, folder: Path) -> Artifact:
        interpreter = compiling_python(self.python, "what goes into an image")
        context = folder / CONTEXT
        site, bento = context / "site", context / _bento(bundle)
        site.mkdir(parents=True)
        self._door.copy(bundle, bento)
        (context / "Containerfile").write_text(self._containerfile(bundle), encoding="utf-8")
        own = bundle_components(bento)
        install(
            image_lock(bundle, self._door), site, Platform(self.python, self.architecture), interpreter,
            f"{_ROOT}/site", image_ballast(bundle, self._door),
        )  # fmt: skip
        port = processes.free_port()
        module, *words = self._door.words(str(bento))
        return Artifact(
            folder=folder,
            components=(*own, *components_in(site)),
            handler=Server(
                module, (*words, "--host", "127.0.0.1", "--port", str(port)), port,
                (site, bento / "src" / RUNTIME_FOLDER, context), bare_python(interpreter, folder / "python"),
                self._environment(bundle, context) | {SWITCH: "off", "LANG": "C.UTF-8"},
            ),
            python=self.python,
            architecture=self.architecture,
            system="linux",
        )  # fmt: skip

    @property
    def _door(self) -> Door:
        return DOORS[self.door]

    @property
    def _base(self) -> str:
        return self.base or BASE.format(python=self.python)

    def _containerfile(self, bundle: Bundle) -> str:
        told = self._environment(bundle, Path(_ROOT)) | {HASHES_FILE: f"{_SECRETS}/{HASHES}"}
        return render(
            "container/Containerfile.j2", tag=bundle.tag, name=bundle.name, version=bundle.version,
            digest=bundle.digest, base=self._base, platform=PLATFORMS[self.architecture], root=_ROOT,
            bento=_bento(bundle), user=_USER, port=_PORT, environment=told,
            words=self._door.words(f"{_ROOT}/{_bento(bundle)}"),
        )  # fmt: skip

    def _environment(self, bundle: Bundle, root: Path) -> dict[str, str]:
        """Return what the server is told where everything lies beneath `root`."""
        told = self._door.environment(str(root / _bento(bundle)), _STATE) | {STATE_FOLDER: _STATE}
        return told | ({SITE: str(root / "site")} if needs_child(bundle.manifest) else {})

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
        builds = builder(self.engine)
        runs = runner(builds.name)
        port, image = processes.chosen_port(self.port, previous), _image(bundle)
        builds.build(artifact.folder / CONTEXT, image, self._base, PLATFORMS[self.architecture])
        write_hash(folder / SECRETS / HASHES, token)
        state = started({
            "folder": str(folder), "port": port, "image": image, "container": _container(name, folder),
            "engine": builds.name, "digest": bundle.digest, "timeout": self.timeout,
            "options": self._options(folder, port), "arguments": self._arguments(port),
        })  # fmt: skip
        if previous is not None and previous.get("image") not in (None, image):
            runs.remove_image(previous["image"])
        return Endpoint(at(port), state)

    def _options(self, folder: Path, port: int) -> list[str]:
        where = (
            ["--network", "host"] if self.network == "host" else ["--publish", f"127.0.0.1:{port}:{_PORT}"]
        )
        return [
            *where, "--read-only", "--tmpfs", "/tmp:rw,mode=1777", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--volume", f"{folder / SECRETS}:{_SECRETS}:ro",
            "--env", f"PORT={self._inner_port(port)}",
        ]  # fmt: skip

    def _arguments(self, port: int) -> list[str]:
        """Return what the image's program is given: a container on the host's own network keeps to loopback."""
        host = "127.0.0.1" if self.network == "host" else "0.0.0.0"
        return ["--host", host, "--port", str(self._inner_port(port))]

    def _inner_port(self, port: int) -> int:
        return port if self.network == "host" else _PORT


def _bento(bundle: Bundle) -> str:
    """Return where a bundle lies in the image; an answer names its variant by the last part."""
    return f"bento/{bundle.version}"


def _image(bundle: Bundle) -> str:
    """Return the image's name; other projects may have another bundle of the same name and version."""
    return f"localhost/modelyard/{bundle.name}:{bundle.version}-{_short(bundle.digest.rpartition(':')[2])}"


def _container(name: str, folder: Path) -> str:
    """Return the container's name, which no other project's deployment has."""
    return f"modelyard-{name}-{_short(hashlib.sha256(str(folder).encode()).hexdigest())}"


def _short(digest: str) -> str:
    return digest[:12]
