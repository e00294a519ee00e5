"""A bundle's ``model/`` with the model in another form: the same contract and golden rows, and digests of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import modelyard_device
import modelyard_runtime
from modelyard.packaging import Bundle
from modelyard.packaging.sites import EXPLAIN_LOCK
from modelyard_runtime.bundle_format import (
    CAPTURED_FOLDER,
    MANIFEST,
    canonical,
    digest,
    read_manifest,
    tree_digest,
)

_OF_EXPLAINER = (f"{CAPTURED_FOLDER}/", "explainer/")  # a place that takes one graph takes none of it
_NOT_SAID = ("explainer", "service", "trust", "captured")


def converted(
    bundle: Bundle,
    to: Path,
    file: str,
    content: bytes,
    described: Mapping[str, Any],
    instead: Mapping[str, bytes] | None = None,
) -> None:
    """Write a bundle's ``model/`` into the folder `to`, which is not there yet, with its graph in another form.

    What becomes of it has a digest of its own, under ``converted_from`` the bundle's, and no signature: nobody signed
    this form of it.

    Parameters
    ----------
    bundle : Bundle
        Its model is one graph.
    to : Path
    file, content : str, bytes
        The new file of the model, instead of ``model.onnx``.
    described : mapping
        What the manifest says of the model and is otherwise than in the bundle, such as ``kind``.
    instead : mapping, optional
        Files that are otherwise than in the bundle, such as the golden rows of a model that is another one.
    """
    from modelyard.packaging.bill import BILL, bill_of_materials  # takes longer than all else here to import

    known = bundle.manifest
    before = known["model"]["file"]
    kept = {
        name: entry
        for name, entry in known["files"].items()
        if name not in (before, EXPLAIN_LOCK) and not name.startswith(_OF_EXPLAINER)
    }
    for name in kept:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.model_folder / name, to / name)
    bill = bill_of_materials(bundle.name, tuple(bundle.lock), {file: digest(content)})
    for name, written, made in (
        (file, content, f"{before} of {bundle.tag}, converted"),
        (BILL, bill, "the model and the lines of lock.txt"),
        *((name, other, f"made for {file}") for name, other in (instead or {}).items()),
    ):
        (to / name).write_bytes(written)
        kept[name] = {"sha256": digest(written), "source": made}
    manifest = {key: value for key, value in known.items() if key not in _NOT_SAID} | {
        "model": {**known["model"], **described, "file": file},
        "files": kept,
        "runtime": {"sha256": tree_digest(_folder(modelyard_runtime))},
        "converted_from": {"tag": bundle.tag, "digest": bundle.digest},
    }
    manifest = json.loads(canonical(manifest))
    (to / MANIFEST).write_bytes(canonical(manifest))
    read_manifest(to)  # what is wrong with it is said here, not on the device


def copy_runtime(to: Path) -> None:
    """Copy the runtime and what opens a device's folder into the folder `to`."""
    for package in (modelyard_runtime, modelyard_device):
        folder = _folder(package)
        shutil.copytree(folder, to / folder.name, ignore=shutil.ignore_patterns("__pycache__"))


def _folder(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent
