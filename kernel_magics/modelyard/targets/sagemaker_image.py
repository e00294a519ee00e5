"""The image that SageMaker starts with the word ``serve``: the runtime, the bundle, and the door with its two paths."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import modelyard_sagemaker
from modelyard.packaging import Bundle
from modelyard.packaging.sites import needs_child
from modelyard.targets import processes
from modelyard.targets.artifact import Artifact, Component, Server, bundle_components, components_in, files_in
from modelyard.targets.container_doors import DOORS, image_ballast, image_lock
from modelyard.targets.container_engine import BASE, PLATFORMS
from modelyard.targets.installing import Platform, bare_python, compile_all, compiling_python, install
from modelyard_runtime.bundle_format import RUNTIME_FOLDER
from modelyard_runtime.child import SITE
from modelyard_sagemaker.door import INVOCATIONS, PING
from modelyard_templates import render

#: Within the folder that is filled: what the engine builds.
CONTEXT = "context"
PYTHONS = ("3.11", "3.12", "3.13")

_ROOT = "/opt/modelyard"
_DOOR = modelyard_sagemaker.__name__
_DOOR_FILES = Path(modelyard_sagemaker.__file__).parent
_ASGI = DOORS["asgi"]
_UNCOMPILED = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True)
class Recipe:
    """How an image is made.

    Attributes
    ----------
    python, architecture : str
        ``3.13``; ``x86_64`` or ``arm64``.
    base : str
        The image that it is built on.
    """

    python: str
    architecture: str
    base: str

    @classmethod
    def of(cls, python: str, architecture: str, base: str | None) -> Recipe:
        return cls(python, architecture, base or BASE.format(python=python))

    @property
    def platform(self) -> str:
        return PLATFORMS[self.architecture]

    def identity(self, bundle: Bundle) -> str:
        """Return what another bundle, another door or another recipe has another one of."""
        door = {
            path: hashlib.sha256((_DOOR_FILES / path).read_bytes()).hexdigest()
            for path in files_in(_DOOR_FILES)
            if path.endswith(".py")
        }
        told = [bundle.tag, bundle.digest, self.python, self.architecture, self.base, door]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:20]

    def containerfile(self, bundle: Bundle) -> str:
        """Return what the engine does."""
        return render(
            "sagemaker/Containerfile.j2", tag=bundle.tag, name=bundle.name, version=bundle.version,
            digest=bundle.digest, base=self.base, platform=self.platform, root=_ROOT, bento=_bento(bundle),
            door=_DOOR, environment=_environment(bundle, Path(_ROOT)),
        )  # fmt: skip

    def fill(self, bundle: Bundle, folder: Path) -> Artifact:
        """Make what the engine builds, in `folder`, which is empty.

        Raises
        ------
        DeploymentError
            That Python is not on this machine, or a distribution cannot be had for the platform.
        """
        interpreter = compiling_python(self.python, "what goes to SageMaker")
        context = folder / CONTEXT
        site, bento, door = context / "site", context / _bento(bundle), context / _DOOR
        site.mkdir(parents=True)
        _ASGI.copy(bundle, bento)
        shutil.copytree(_DOOR_FILES, door, ignore=_UNCOMPILED)
        (context / "Containerfile").write_text(self.containerfile(bundle), encoding="utf-8")
        own = (*bundle_components(bento), Component("door", files_in(door)))
        install(
            image_lock(bundle, _ASGI), site, Platform(self.python, self.architecture), interpreter, f"{_ROOT}/site",
            image_ballast(bundle, _ASGI),
        )  # fmt: skip
        compile_all([door, bento / "src" / RUNTIME_FOLDER], interpreter, context, _ROOT)
        port = processes.free_port()
        return Artifact(
            folder=folder,
            components=(*own, *components_in(site)),
            handler=Server(
                _DOOR, ("serve", "--host", "127.0.0.1", "--port", str(port)), port,
                (context, site, bento / "src" / RUNTIME_FOLDER), bare_python(interpreter, folder / "python"),
                _environment(bundle, context) | {"LANG": "C.UTF-8"}, PING, INVOCATIONS,
            ),
            python=self.python,
            architecture=self.architecture,
            system="linux",
        )  # fmt: skip


def _bento(bundle: Bundle) -> str:
    """Return where a bundle lies in the image; an answer names its variant by the last part."""
    return f"bento/{bundle.version}"


def _environment(bundle: Bundle, root: Path) -> dict[str, str]:
    """Return what the door is told where everything lies beneath `root`."""
    told = _ASGI.environment(str(root / _bento(bundle)), "/tmp")
    return told | ({SITE: str(root / "site")} if needs_child(bundle.manifest) else {})
