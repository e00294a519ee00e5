"""A variant's bundle, where the deployment has it, checked and loaded."""

from __future__ import annotations

from pathlib import Path

from modelyard_router.policy import Variant
from modelyard_runtime.bundle_format import MODEL_FOLDER
from modelyard_runtime.predictor import Predictor


def model_folder(folder: Path, variant: Variant) -> Path:
    """Return the bundle's ``model/`` folder; `folder` is the deployment's own."""
    return folder / variant.path / "src" / MODEL_FOLDER


def load(folder: Path, name: str, variant: Variant) -> Predictor:
    """Load the variant `name` of the deployment in `folder`, from its own lock where it holds Python.

    Raises
    ------
    BundleError
        It is damaged, or cannot be loaded.
    """
    site = None if variant.site is None else folder / variant.site
    return Predictor(model_folder(folder, variant), name, site=site)
