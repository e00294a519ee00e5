"""The bundle's format: one integer, the names of its files, and how its digest is made.

Raising the format
------------------
1. Add one to `FORMAT` and say below what changed.
2. Keep `read_manifest` able to read every older number; commit a bundle of the old format for its test.
3. A runtime reads every format up to its own, and refuses a newer one in one line.

Formats
-------
0 : a model as ONNX, or as skops, or (with a trust decision named in the manifest) pickled by value.
1 : a model as ONNX (kind ``onnx``), as skops (``skops``), or its first steps as skops and the rest as ONNX
    (``hybrid``: ``model.onnx`` is fed with what ``steps.skops`` makes of a row); never pickled.
    ``captured/MODULE.py`` holds the definitions of the notebook that a file of skops reaches, and nothing else of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FORMAT = 1

MANIFEST = "manifest.json"
CONTRACT = "contract.json"
GOLDEN = "golden.jsonl"
PROFILE = "profile.json"
MODEL_FOLDER = "model"
RUNTIME_FOLDER = "runtime"
CAPTURED_FOLDER = "captured"
SERVICE = "service.py"
SIGNATURE = "signature"

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


def read_golden(folder: Path) -> list[dict[str, Any]]:
    """Return the golden rows of a bundle: ``row`` (value by column), ``prediction`` and ``probabilities`` of each.

    A row is written as its values in the order of the contract's columns; in older bundles, by column.
    """
    names = [column["name"] for column in json.loads((folder / CONTRACT).read_bytes())["columns"]]
    lines = [json.loads(line) for line in (folder / GOLDEN).read_text(encoding="utf-8").splitlines()]
    return [{**line, "row": golden_row(line, names)} for line in lines]


def golden_row(line: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the row of one line of the golden rows, by column."""
    row = line["row"]
    return dict(row) if isinstance(row, dict) else dict(zip(names, row, strict=True))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of the bundle whose ``model/`` is `folder`, and check every file's digest.

    The folder holds the files that the manifest lists, the manifest and the signature, and nothing else.

    Raises
    ------
    BundleError
        The manifest is missing, unreadable or not in canonical form, its format is newer than this runtime's,
        or a file is missing, changed, not listed, or outside the folder. Nothing has been loaded by then.
    """
    manifest = _parsed(folder / MANIFEST)
    files, needed = _digests(manifest, folder / MANIFEST)
    for name in needed:
        if name not in files:
            raise BundleError(f"bundle file {name!r} has no digest in {MANIFEST}; package the model again")
    try:
        for name, wanted in files.items():
            _check_file(folder, name, wanted)
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            known = path.is_dir() or name in files or name in (MANIFEST, SIGNATURE) or _is_compiled(name)
            if path.is_symlink() or not known:
                raise BundleError(f"bundle file {name!r} is not of this bundle; move it out of {folder}")
    except OSError as error:
        raise BundleError(f"the bundle in {folder} cannot be read ({error})") from None
    return manifest


def _parsed(path: Path) -> dict[str, Any]:
    """Return what stands in a manifest, if it is of a format that can be read, and in canonical form."""
    if path.is_symlink():
        raise BundleError(f"bundle file {MANIFEST!r} lies outside the bundle; package the model again")
    try:
        content = path.read_bytes()
        manifest = json.loads(content)
        found = manifest["format"]
        # a key named twice, a byte order mark, a space: what another reader may take for something else
        is_canonical = canonical(manifest) == content
    except FileNotFoundError:
        raise BundleError(
            f"no bundle in {path.parent}: {MANIFEST} is missing; package the model again"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_manifest(path, error) from None
    if type(found) is not int:
        raise _no_manifest(path, "its format is not a whole number")
    if not 0 <= found <= FORMAT:
        shown = found if abs(found) < 1_000_000 else "of many digits"
        raise BundleError(f"bundle format {shown}, but this runtime reads formats 0 to {FORMAT}; update it")
    if not is_canonical:
        raise _no_manifest(path, "not in canonical form")
    return dict(manifest)


def _digests(manifest: dict[str, Any], path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the digest of each listed file, and the files that must be among them because they are loaded."""
    try:
        files = {name: str(entry["sha256"]) for name, entry in manifest["files"].items()}
        described = manifest["model"]
        parts = [described, *([described["steps"]] if "steps" in described else [])]
        needed = [CONTRACT, GOLDEN, *(str(part["file"]) for part in parts)]
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_manifest(path, error) from None
    return files, needed


def _no_manifest(path: Path, problem: object) -> BundleError:
    told = " ".join(str(problem).split())[:120]
    return BundleError(f"{path} is not a manifest ({told}); package the model again")


def _check_file(folder: Path, name: str, wanted: str) -> None:
    file = folder / name
    plain = name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
    if not plain or file.is_symlink() or not file.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"bundle file {name!r} lies outside the bundle; package the model again")
    if not file.is_file():
        raise BundleError(f"bundle file {name!r} is missing from {folder}; package the model again")
    if digest(file.read_bytes()) != wanted:
        raise BundleError(f"bundle file {name!r} was changed after packaging; package the model again")


def _is_compiled(name: str) -> bool:
    """Whether Python itself writes such a file, when it imports what was captured."""
    return name.startswith(f"{CAPTURED_FOLDER}/__pycache__/") and name.endswith(".pyc")
