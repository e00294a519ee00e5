"""The BentoML door: a genuine Bento whose hot path is the runtime's own application."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import attrs
from _bentoml_sdk import Service

from modelyard_runtime.doors import ROUTER, ROUTER_FOLDER

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
        # Here, since the process that starts the workers makes this service, too, and needs none of it.
        from modelyard_runtime.access import Gate
        from modelyard_runtime.bundle_format import MODEL_FOLDER
        from modelyard_runtime.doors.asgi import PredictorApp
        from modelyard_runtime.predictor import Predictor

        predictor = Predictor(SOURCE / MODEL_FOLDER, variant=f"v{version}" if version else "v1")
        gate, beyond = Gate.from_environment(), super().to_asgi(is_main=is_main)
        if folder := os.environ.get(ROUTER):
            return _routed(predictor, gate, Path(folder), beyond)
        return PredictorApp(predictor, gate, beyond)


def _routed(predictor: Any, gate: Any, folder: Path, beyond: Any) -> Any:
    """Return the application of a deployment that can serve several bundles; it brings the package for that."""
    sys.path.append(str(folder / ROUTER_FOLDER))
    app: Any = importlib.import_module("modelyard_router.entry").application(predictor, gate, folder, beyond)
    return app
