"""The same paths in a FastAPI application, for those who add routes of their own.

``uvicorn --factory modelyard_runtime.doors.api:application --app-dir BENTO/src/runtime`` serves a bundle. ``/docs``
shows the runtime's paths and those that were added; all of them, ``/docs`` too, want the token.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import Application, PredictorApp, opened
from modelyard_runtime.predictor import Predictor
from modelyard_runtime.schema import openapi


class PredictorAPI(FastAPI):
    """A FastAPI application in front of which a `PredictorApp` stands: it checks tokens and answers its own paths."""

    def __init__(self, predictor: Predictor, gate: Gate) -> None:
        self._document = openapi(predictor.contract, predictor.manifest)
        info: dict[str, str] = self._document["info"]
        super().__init__(title=info["title"], version=info["version"], openapi_url="/docs/openapi.json")

        def in_front(beyond: Application) -> PredictorApp:
            return PredictorApp(predictor, gate, beyond)

        self.add_middleware(in_front)

    def openapi(self) -> dict[str, Any]:
        """Return one document of the runtime's paths and of those that were added."""
        added = super().openapi()
        schemas = added.get("components", {})
        return {
            **self._document,
            "paths": {**added["paths"], **self._document["paths"]},
            "components": {**schemas, **self._document["components"]},
        }


def create(predictor: Predictor, gate: Gate) -> FastAPI:
    """Return a FastAPI application that answers the runtime's paths; it takes routes as any other does."""
    return PredictorAPI(predictor, gate)


def application() -> FastAPI:
    """Return the application for the bundle that `modelyard_runtime.doors.asgi.opened` finds."""
    return create(opened(), Gate.from_environment())
