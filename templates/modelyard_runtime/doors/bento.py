"""The BentoML door: a genuine Bento whose hot path is the runtime's own application."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import attrs
from _bentoml_sdk import Service

from modelyard_runtime.access import Gate
from modelyard_runtime.bundle_format import MODEL_FOLDER
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.predictor import Predictor

SOURCE = Path(__file__).resolve().parents[3]  # <bento>/src: this file is in runtime/modelyard_runtime/doors


@attrs.define(eq=False)
class PredictorService(Service):  # type: ignore[misc, type-arg, unused-ignore]
    """A BentoML service that answers our paths itself and leaves the others to BentoML."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that one worker runs; the model is checked and loaded here."""
        logging.getLogger(
            "uvicorn.access"
        ).propagate = False  # else each request would make a line for nobody
        version = self.bento.tag.version if self.bento is not None else None
        with contextlib.suppress(ImportError):  # without httptools uvicorn goes its own way
            from modelyard_runtime.doors import wire

            wire.install()
        predictor = Predictor(SOURCE / MODEL_FOLDER, variant=f"v{version}" if version else "v1")
        return PredictorApp(predictor, Gate.from_environment(), beyond=super().to_asgi(is_main=is_main))
