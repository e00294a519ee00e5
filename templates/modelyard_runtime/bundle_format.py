"""The bundle's format: one integer, the names of its files, and how its digest is made.

Raising the format
------------------
1. Add one to `FORMAT` and say below what changed.
2. Keep `read_manifest` able to read every older number; commit a bundle of the old format for its test.
3. A runtime reads every format up to its own, and refuses a newer one in one line.

Formats
-------
0 : a model as ONNX, or as skops, or (with a trust decision named in the manifest) pickled by value.
1 : a model as ONNX or as skops, never pickled; ``captured/MODULE.py`` holds the definitions of the notebook that a
    skops model reaches, and nothing else of it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

FORMAT = 1

MANIFEST = "manifest.json"
CONTRACT = "contract.json"
GOLDEN = "golden.jsonl"
MODEL_FOLDER = "model"
RUNTIME_FOLDER = "runtime"
CAPTURED_FOLDER = "captured"
SERVICE = "service.py"

#: The only decision under which format 0 unpickles anything.
TRUST_BY_VALUE = "code-by-value"


class BundleError(ValueError):
    """A bundle that is damaged, or of a format that this runtime cannot read."""


def canonical(value: Any) -> bytes:
    """Return the one byte string that stands for a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def bundle_digest(manifest: dict[str, Any]) -> str:
    """Return a bundle's identity: the digest of its canonical manifest, which holds every file's digest."""
    return digest(canonical(manifest))


def tree_digest(folder: Path) -> str:
    """Return one digest over the names and contents of all files below `folder`, compiled ones left out."""
    return digest(
        canonical(
            {
                path.relative_to(folder).as_posix(): digest(path.read_bytes())
                for path in folder.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts
            }
        )
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of the bundle whose ``model/`` is `folder`, and check every file's digest.

    Raises
    ------
    BundleError
        The manifest is missing or unreadable, its format is newer than this runtime's, or a file is
        missing, changed, or outside the folder. Nothing has been loaded by then.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        found = int(manifest["format"])
        files = dict(manifest["files"])
    except FileNotFoundError:
        raise BundleError(f"no bundle in {folder}: {MANIFEST} is missing; package the model again") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is not a manifest ({error}); package the model again") from None
    if found > FORMAT or found < 0:
        raise BundleError(f"bundle format {found}, but this runtime reads formats 0 to {FORMAT}; update it")
    inside = folder.resolve()
    for name, wanted in files.items():
        file = folder / name
        if file.is_symlink() or not file.resolve().is_relative_to(inside):
            raise BundleError(f"bundle file {name!r} lies outside the bundle; package the model again")
        if not file.is_file():
            raise BundleError(f"bundle file {name!r} is missing from {folder}; package the model again")
        if digest(file.read_bytes()) != wanted["sha256"]:
            raise BundleError(f"bundle file {name!r} was changed after packaging; package the model again")
    return dict(manifest)
