"""The ASGI application: SageMaker reaches two paths, and behind the second one are all of the predictor's own.

A request whose custom attributes are ``GET:/schema`` or ``POST:/explain`` is one to that path; any other one is to
``/predict``, unless it brings lines. SageMaker has checked who the caller is, so no token is asked for.
"""

from __future__ import annotations

import re

from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import Application, PredictorApp, Receive, Scope, Send, opened
from modelyard_runtime.doors.exchange import Answered, Route, page
from modelyard_runtime.doors.hot_path import PREDICT
from modelyard_runtime.predictor import Predictor
from modelyard_sagemaker.lines import KINDS, answering

PING, INVOCATIONS = "/ping", "/invocations"
#: The header in which SageMaker passes on what a caller says beside the body.
ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"

_MEANT = re.compile(rb"(GET|POST):(/[!-~]*)")
_KIND = b"content-type"


class SageMakerApp:
    """Passes each request on to the path that it means.

    Parameters
    ----------
    app : Application
        Answers ``/ping``, the predictor's paths, and ``/invocations`` where lines come.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == INVOCATIONS and scope["method"] == "POST":
            scope = {**scope, **_meant(scope)}
        await self._app(scope, receive, send)


def _meant(scope: Scope) -> dict[str, str]:
    """Return method and path that a request to ``/invocations`` means."""
    headers = dict(scope["headers"])
    if found := _MEANT.fullmatch(headers.get(ATTRIBUTES, b"").strip()):
        return {"method": found[1].decode(), "path": found[2].decode()}
    kind = headers.get(_KIND, b"").partition(b";")[0].strip().lower().decode("latin-1")
    return {} if kind in KINDS else {"path": PREDICT}


def application_of(predictor: Predictor) -> SageMakerApp:
    """Return the application for a predictor that is loaded."""
    routes = {
        PING: page(lambda: Answered(b"")),
        INVOCATIONS: Route(("POST",), answering(predictor), is_work=True),
    }
    return SageMakerApp(PredictorApp(predictor, Gate(is_open=True), routes=routes))


def application() -> SageMakerApp:
    """Return the application for the bundle that ``MODELYARD_BUNDLE`` names.

    Raises
    ------
    BundleError
        The bundle is damaged, or of a format that cannot be read.
    """
    return application_of(opened())
