"""Bundles in BentoML's store: versions that rise, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from modelyard.errors import BundleError
from modelyard.packaging import building
from modelyard_runtime.bundle_format import MANIFEST, MODEL_FOLDER, bundle_digest


def store_folder() -> Path:
    """Return the folder of BentoML's store (``BENTOML_HOME``, by default ``~/bentoml``)."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml") / "bentos"


@dataclass(frozen=True)
class Stored:
    """One version in the store."""

    name: str
    version: int
    path: Path

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def model_folder(self) -> Path:
        return self.path / "src" / MODEL_FOLDER


def versions(name: str) -> list[Stored]:
    """Return the versions of a bundle that stand in the store, lowest first."""
    folder = store_folder() / name
    found = [
        Stored(name, int(path.name), path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.isdigit() and (path / "src" / MODEL_FOLDER / MANIFEST).is_file()
    ]
    return sorted(found, key=lambda stored: stored.version)


def names() -> list[str]:
    """Return the names of all bundles in the store; other Bentos are passed over."""
    folder = store_folder()
    return sorted(p.name for p in folder.iterdir() if versions(p.name)) if folder.is_dir() else []


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the store's lock for one name, so that two builds never take the same number."""
    folder = store_folder().parent / "modelyard-locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield


def with_digest(name: str, digest: str) -> Stored | None:
    """Return the version of `name` that has this digest, if there is one."""
    for stored in versions(name):
        manifest = json.loads((stored.model_folder / MANIFEST).read_bytes())
        if bundle_digest(manifest) == digest:
            return stored
    return None


def build(name: str, source: Path, labels: dict[str, str], packages: list[str]) -> Stored:
    """Let BentoML build the Bento of `source` as the next version of `name`; call it inside `locked`.

    The build runs in a process and a home of its own, and the finished Bento is renamed into the store: a
    build that is interrupted leaves nothing there.

    Raises
    ------
    BundleError
        BentoML refused; its last words follow.
    """
    number = max((stored.version for stored in versions(name)), default=0) + 1
    home = store_folder().parent
    home.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".modelyard-", dir=home))
    try:
        spec = {
            "service": "service:Model",
            "name": name,
            "version": str(number),
            "labels": labels,
            "build_ctx": str(source),
            "description": (source / MODEL_FOLDER / "card.md").read_text(encoding="utf-8"),
            "python": {"packages": packages, "lock_packages": False},
        }
        refused = building.build(spec, scratch)
        built = scratch / "bentos" / name / str(number)
        if refused or not built.is_dir():
            raise BundleError(f"BentoML could not build {name}: {refused or 'it made nothing'}")
        target = store_folder() / name / str(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        built.rename(target)
        latest = target.parent / "latest"
        fresh = scratch / "latest"
        fresh.write_text(str(number), encoding="utf-8")
        fresh.rename(latest)
        return Stored(name, number, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
