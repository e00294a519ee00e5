"""ONNX Runtime Web from npm's registry, pinned, in the user's cache: fetched once, checked each time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from modelyard.errors import DeploymentError

#: The environment variable that names another folder for what is fetched.
CACHE = "MODELYARD_CACHE_DIR"

_MOST_S = 600
_PACKED = ".gz"


@dataclass(frozen=True)
class NpmPackage:
    """A pinned package, and the files that are wanted of it.

    Attributes
    ----------
    integrity : str
        As a lock of npm has it.
    files : mapping of str to str
        The SHA-256 of each, by its path in the package.
    """

    name: str
    version: str
    integrity: str
    files: Mapping[str, str]

    @property
    def pin(self) -> str:
        return f"{self.name}@{self.version}"


# Without WebGPU and WebGL, which no tree and no text runs on: ``npm view onnxruntime-web@VERSION dist.integrity``
WEB = NpmPackage(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    {
        "dist/ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "dist/ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
)
#: The package with the same API for Node; no part of what is made, a sample's ``package.json`` names it.
NODE_PIN = ("onnxruntime-node", "1.30.0")


def fetched(package: NpmPackage) -> dict[str, Path]:
    """Return where the wanted files of a package lie, by their names; those in the cache are not fetched again.

    Beside each lies the same file compressed, as NAME.gz.

    Raises
    ------
    DeploymentError
        There is no npm, the registry cannot be reached, or it gives something else than what is pinned.
    """
    folder = _cache() / f"{package.name}-{package.version}"
    if not _is_whole(package, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetched-", dir=folder.parent) as name:
            made = Path(name, "made")
            made.mkdir()
            _extract(package, _downloaded(package, Path(name)), made)
            shutil.rmtree(folder, ignore_errors=True)
            try:
                made.rename(folder)
            except OSError:  # another kernel was quicker
                if not _is_whole(package, folder):
                    raise
    return {Path(path).name: folder / Path(path).name for path in package.files}


def compressed(file: Path) -> Path:
    """Return the compressed form of a fetched file."""
    return file.with_name(f"{file.name}{_PACKED}")


def _cache() -> Path:
    chosen = os.environ.get(CACHE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("modelyard")


def _is_whole(package: NpmPackage, folder: Path) -> bool:
    files = [(folder / Path(path).name, wanted) for path, wanted in package.files.items()]
    return all(
        file.is_file() and compressed(file).is_file() and _sha256(file.read_bytes()) == wanted
        for file, wanted in files
    )


def _downloaded(package: NpmPackage, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise DeploymentError(
            f"the page needs {package.pin}, and npm, which fetches it, is not on this machine; install Node 20, or "
            "leave the page out: --page none"
        )
    asked = [npm, "pack", package.pin, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_MOST_S, cwd=folder)
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = " ".join((done.stderr or done.stdout).split())[:300] or "it said nothing"
        raise DeploymentError(
            f"npm cannot fetch {package.pin}: {said}; try again with a network, or leave the page out: --page none"
        )
    kind, _, wanted = package.integrity.partition("-")
    digest = base64.b64encode(hashlib.new(kind, found[0].read_bytes()).digest()).decode()
    if digest != wanted:
        raise DeploymentError(
            f"npm's registry gives another {package.pin} than the one that modelyard knows ({kind}-{digest[:16]}…); "
            "ask who runs the registry, or leave the page out: --page none"
        )
    return found[0]


def _extract(package: NpmPackage, archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        for path in package.files:
            member = packed.extractfile(f"package/{path}")
            assert member is not None  # the archive is the pinned one
            content = member.read()
            file = folder / Path(path).name
            file.write_bytes(content)
            compressed(file).write_bytes(gzip.compress(content, 9, mtime=0))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
