"""A bundle asked from here, as its endpoint would ask it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from modelyard.errors import BundleError
from modelyard.packaging import Bundle
from modelyard.packaging.sites import locked_site
from modelyard_runtime import bundle_format
from modelyard_runtime.child import ModelError
from modelyard_runtime.predictor import Predictor

#: What a model that runs in Python may raise on rows that keep the contract.
MODEL_ERRORS = (ModelError, ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)


@contextmanager
def opened(bundle: Bundle) -> Iterator[Predictor]:
    """Check a bundle and load it: a graph in this process, what is Python in a child with only its lock to import from.

    Raises
    ------
    BundleError
        It is gone, damaged or not trusted, or cannot be loaded here.
    """
    bundle.check()
    with ExitStack() as stack:
        site = None
        if bundle.manifest["model"]["kind"] != "onnx":
            site = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelyard-")))
            locked_site(bundle.lock, site, bundle.tag)
        try:
            predictor = Predictor(bundle.model_folder, f"v{bundle.version}", site=site)
        except (bundle_format.BundleError, ImportError) as error:
            raise BundleError(f"bundle {bundle.tag} cannot be loaded here: {error}") from None
        stack.callback(predictor.close)
        yield predictor
