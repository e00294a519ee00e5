"""The folder of a device: what it holds, and the predictor of its model, in whichever form that is there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard_runtime.bundle_format import MODEL_FOLDER, BundleError
from modelyard_runtime.child import load
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import Model
from modelyard_runtime.predictor import Predictor

#: The environment variable that names the folder to what is called as a function.
FOLDER = "MODELYARD_DEVICE"
#: What a folder says of itself.
ABOUT = "about.json"
#: The hashes of the tokens that are let in, one a line.
HASHES = "token_hashes"


@dataclass(frozen=True)
class About:
    """Whose folder it is.

    Attributes
    ----------
    tag, digest : str
        Of the bundle that it was made of.
    name : str
        Of the deployment.
    variant : str
        Under which it answers: ``v3``.
    """

    tag: str
    digest: str
    name: str
    variant: str

    def write(self, folder: Path) -> None:
        (folder / ABOUT).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def about(folder: Path) -> About:
    """Read what a folder says of itself.

    Raises
    ------
    BundleError
        It is none of ours, or half of one.
    """
    try:
        return About(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        told = " ".join(str(error).split())[:120]
        raise BundleError(f"{folder} is no device's folder ({told}); copy it again, all of it") from None


def opened(folder: Path) -> Predictor:
    """Return the predictor of a device's folder; every digest is checked before anything is loaded.

    Raises
    ------
    BundleError
        A file is missing or changed, or nothing here runs a model of that kind.
    """
    known = about(folder)
    return Predictor(folder / MODEL_FOLDER, known.variant, load=_loaded)


def _loaded(folder: Path, manifest: dict[str, Any], contract: Contract, site: Path | None) -> Model:
    """Load a model, also of the kind that the runtime itself does not know."""
    if manifest["model"]["kind"] != "tflite":
        return load(folder, manifest, contract, site)
    from modelyard_device.flatbuffer import FlatbufferModel

    return FlatbufferModel(folder, manifest["model"])
