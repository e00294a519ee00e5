"""What a target makes of a bundle: files, of what they consist, and how the place starts and asks them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER


@dataclass(frozen=True)
class Component:
    """A part whose size people can do something about: the model, the runtime, one distribution.

    Attributes
    ----------
    name : str
    files : mapping of str to int
        Each file, by its path within the part, and its size in bytes.
    is_distribution : bool
        Whether it was installed, rather than being of the bundle.
    """

    name: str
    files: Mapping[str, int]
    is_distribution: bool = False

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(self.files.values())


@dataclass(frozen=True)
class Function:
    """A place that calls a function with one event at a time.

    Attributes
    ----------
    entry : str
        ``module:function``; it gets the event and a context.
    paths : tuple of Path
        What is put before everything else where modules are looked for.
    python : str
        The interpreter.
    env : mapping of str to str
        The environment that the place gives it; nothing else of this session's.
    """

    entry: str
    paths: tuple[Path, ...]
    python: str = sys.executable
    env: Mapping[str, str] = field(default_factory=dict)

    def asked(self, body: bytes) -> Any:
        """Return the event that brings the body of a request; the body as JSON, unless a target knows better."""
        return json.loads(body)

    def answered(self, answer: Any) -> tuple[int, Any]:
        """Return status and body of what the function returned."""
        return 200, answer


@dataclass(frozen=True)
class Server:
    """A place that starts a server and sends it requests over HTTP.

    Attributes
    ----------
    module, arguments : str, tuple of str
        What ``python -m`` runs.
    port : int
        Where it listens, on loopback.
    paths, python, env
        As of `Function`.
    ready, predict : str
        The paths that say that it can answer, and that answer.
    """

    module: str
    arguments: tuple[str, ...]
    port: int
    paths: tuple[Path, ...] = ()
    python: str = sys.executable
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/readyz"
    predict: str = "/predict"

    def asked(self, body: bytes) -> Any:
        """Return what is posted."""
        return body.decode()

    def answered(self, answer: Any) -> tuple[int, Any]:
        """Return status and body of the server's answer."""
        return int(answer["status"]), json.loads(answer["body"])


@dataclass(frozen=True)
class Artifact:
    """What goes to a place, made and lying in a folder of its own.

    Attributes
    ----------
    folder : Path
        The one that `Target.make` was given.
    components : tuple of Component
        Of what its size consists.
    handler : Function or Server
        How the place runs it.
    python, architecture, system : str
        What it was made for: ``3.13``, ``x86_64``, and ``linux`` as `sys.platform` has it.
    packed_bytes : int or None
        Its size as it is sent, where it is packed.
    model_bytes : int or None
        The size of the model's own file, where the place limits that.
    is_emulated : bool
        Whether the handler's interpreter is one that runs here what was made for another machine.
    is_made : bool
        Whether it was made; where a size that was known beforehand is beyond a limit, nothing is.
    prepare : callable
        What must be done before its handler can run here, and is not needed where it goes.
    golden : Path or None
        A ``model/`` with golden rows of its own, where another model than the bundle's goes there.
    remedies : tuple of str
        What else than less of everything would make it fit, in words.
    """

    folder: Path
    components: tuple[Component, ...]
    handler: Function | Server
    python: str
    architecture: str
    packed_bytes: int | None = None
    system: str = sys.platform
    model_bytes: int | None = None
    is_emulated: bool = False
    is_made: bool = True
    prepare: Callable[[], object] = lambda: None
    golden: Path | None = None
    remedies: tuple[str, ...] = ()

    @property
    def unpacked_bytes(self) -> int:
        """The size of all files."""
        return sum(component.bytes for component in self.components)


def copy_parts(source: Path, folder: Path) -> None:
    """Copy what answers from a bundle's ``src/``, the model and the runtime, without what was compiled meanwhile."""
    for part in (MODEL_FOLDER, RUNTIME_FOLDER):
        shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))


def files_in(folder: Path) -> dict[str, int]:
    """Return every file beneath `folder`, by its path there, and its size in bytes."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def bundle_components(bento: Path) -> tuple[Component, ...]:
    """Return the parts of a Bento: the model with its papers, the runtime, and what BentoML wants of it."""
    parts: dict[str, dict[str, int]] = {"model": {}, "runtime": {}, "Bento": {}}
    for path, size in files_in(bento).items():
        words = path.split("/")
        part = words[1] if words[0] == "src" and words[1] in (MODEL_FOLDER, RUNTIME_FOLDER) else "Bento"
        parts[part][path] = size
    return tuple(Component(name, files) for name, files in parts.items() if files)


def installed_components(names: Iterable[str]) -> tuple[Component, ...]:
    """Return the distributions `names` as they are installed in this environment."""
    return tuple(_installed(name) for name in names)


def _installed(name: str) -> Component:
    found = distribution(name)
    paths = [(str(file), Path(str(found.locate_file(file)))) for file in found.files or ()]
    return Component(
        canonicalize_name(name),
        {
            short: path.stat().st_size
            for short, path in paths
            if path.is_file() and not short.startswith("..") and not short.endswith(".pyc")
        },
        is_distribution=True,
    )


def components_in(site: Path) -> tuple[Component, ...]:
    """Return the distributions that were installed into the folder `site`, and what is there besides them."""
    left = files_in(site)
    found = []
    for record in sorted(site.glob("*.dist-info/RECORD")):
        with record.open(encoding="utf-8", newline="") as lines:
            named = [line[0] for line in csv.reader(lines) if line]
        files = {path: left.pop(path) for path in named if path in left}
        found.append(Component(canonicalize_name(record.parent.name.partition("-")[0]), files, True))
    return (*found, Component("other files", left)) if left else tuple(found)
