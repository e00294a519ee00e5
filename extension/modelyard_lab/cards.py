"""The card of a file or folder in the file browser: what a model is, read without loading or running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelyard.errors import InvalidInputError
from modelyard_lab.detail import card_text
from modelyard_lab.listing import SCHEMA
from modelyard_runtime.bundle_format import MANIFEST, MODEL_FOLDER

#: A larger file is not read: its size is all that is told.
MOST_ONNX_BYTES = 200_000_000

_MOST_MANIFEST_BYTES = 20_000_000
_MOST_CHILDREN = 2_000
_MODEL_FOLDERS = (Path("src", MODEL_FOLDER), Path(MODEL_FOLDER), Path())
_ONNX = ".onnx"


def card(path: Path, told: str) -> dict[str, Any]:
    """Return the card of an ``.onnx`` file or of a bundle's folder.

    Parameters
    ----------
    told : str
        The path as the page knows it.

    Raises
    ------
    FileNotFoundError
        There is nothing.
    InvalidInputError
        It is neither of the two, or damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no {told!r} any more")
    if path.is_dir():
        found = _of_bundle(path, told)
    elif path.suffix.lower() == _ONNX:
        found = _of_onnx(path, told)
    else:
        raise InvalidInputError(f"{told!r} is no .onnx file and no folder of a bundle")
    return {"schema": SCHEMA, "name": path.name, "path": told} | found


def bundles_in(folder: Path) -> list[str]:
    """Return the names of the folders in `folder` that are bundles, or in which one's ``model/`` is."""
    found = []
    try:
        children = sorted(folder.iterdir())[:_MOST_CHILDREN]
    except OSError:
        return []
    for child in children:
        if child.is_dir() and _manifest_in(child) is not None:
            found.append(child.name)
    return found


def _manifest_in(folder: Path) -> Path | None:
    return next((p for each in _MODEL_FOLDERS if (p := folder / each / MANIFEST).is_file()), None)


def _of_bundle(folder: Path, told: str) -> dict[str, Any]:
    path = _manifest_in(folder)
    if path is None:
        raise InvalidInputError(f"{told!r} is no bundle: there is no {MANIFEST} in it")
    if path.stat().st_size > _MOST_MANIFEST_BYTES:
        raise InvalidInputError(
            f"{told!r} has a {MANIFEST} of {path.stat().st_size:,} bytes: that is none of a bundle"
        )
    try:
        manifest = json.loads(path.read_bytes())
        model, name = manifest["model"], str(manifest["name"])
        facts = {
            "bundle": name,
            "format": manifest["format"],
            "estimator": manifest.get("estimator"),
            "task": model.get("task"),
            "form": model.get("kind"),
            "rows": manifest.get("rows"),
            "trust": (manifest.get("trust") or {}).get("decision"),
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidInputError(
            f"{told!r} is no bundle, or a damaged one: its {MANIFEST} cannot be read"
        ) from None
    text = card_text(path.with_name("card.md"))
    return {
        "kind": "bundle",
        "name": f"{name}:{folder.name}" if folder.name.isdigit() else name,
        "facts": {key: value for key, value in facts.items() if isinstance(value, str | int | float)},
        "tables": [],
        "texts": [{"key": "card", "text": text}] if text else [],
    }


def _of_onnx(path: Path, told: str) -> dict[str, Any]:
    size = path.stat().st_size
    found: dict[str, Any] = {"kind": "onnx", "facts": {"size_bytes": size}, "tables": [], "texts": []}
    if size > MOST_ONNX_BYTES:
        return found | {"texts": [{"key": "too-large", "text": f"{MOST_ONNX_BYTES:,}"}]}
    # not above: a server in which nobody looks at a model is spared it
    from modelyard_lab.onnx_graph import described

    try:
        facts, tables = described(path)
    except ValueError as error:
        raise InvalidInputError(f"{told!r} is no ONNX model: {error}") from None
    return found | {"facts": {"size_bytes": size, **facts}, "tables": tables}
