"""Where the Bento door finds the router: ``MODELYARD_ROUTER`` names the deployment's folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from modelyard_router.app import RouterApp
from modelyard_router.policy import PolicyFile
from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import Application, PredictorApp
from modelyard_runtime.predictor import Predictor


def application(
    predictor: Predictor, gate: Gate, folder: Path, beyond: Application | None = None
) -> Application:
    """Return the application of a deployment: by its policy, or without one the bundle that was started alone."""
    with contextlib.suppress(ImportError):  # without httptools uvicorn goes its own way
        from modelyard_router import wire

        wire.install()
    if PolicyFile(folder).stamp() is None:
        return PredictorApp(predictor, gate, beyond)
    return RouterApp(predictor, gate, folder, beyond)
