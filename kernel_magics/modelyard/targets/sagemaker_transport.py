"""Requests to an endpoint of SageMaker: each is one call of InvokeEndpoint, signed by the caller's own credentials."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import httpx

from modelyard.errors import MissingExtraError
from modelyard.targets.aws_calls import sender
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.sagemaker_modes import MODES

SCHEME = "sagemaker"

_EXTRA = "sagemaker"
_JSON = "application/json"
_PREDICT = "/predict"
_NOT_SO, _FAILED = 501, 502
_OF_MODEL = "ModelError"
# What AWS makes of a refusal: Received client error (422) from primary container with message "…". See …
_PASSED_ON = re.compile(r'error \((\d{3})\) from .*? with message "(.*)"(?:\. See .*)?', re.DOTALL)


def url_of(region: str, endpoint: str, mode: str) -> str:
    """Return the URL of an endpoint; one that answers elsewhere says so in it.

    >>> url_of("eu-central-1", "modelyard-churn", "endpoint"), url_of("eu-central-1", "modelyard-churn", "async")
    ('sagemaker://eu-central-1/modelyard-churn', 'sagemaker://async@eu-central-1/modelyard-churn')
    """
    who = f"{mode}@" if MODES[mode].answers else ""
    return f"{SCHEME}://{who}{region}/{endpoint}"


class SageMakerTransport(httpx.BaseTransport):
    """Answers requests by what an endpoint answers; a path other than ``/predict`` goes in the custom attributes."""

    @staticmethod
    def usage(url: str) -> str:
        found = httpx.URL(url)
        if mode := found.username:
            return MODES[mode].answers
        return (
            f"from the shell: aws sagemaker-runtime invoke-endpoint --region {found.host} --endpoint-name "
            f"{found.path.strip('/')} --custom-attributes GET:/schema --body {{}} --cli-binary-format "
            "raw-in-base64-out /dev/stdout"
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        mode, (endpoint, path) = request.url.username, _parts(request.url.path)
        if mode in MODES and MODES[mode].answers:
            return _said(request, _NOT_SO, MODES[mode].answers)
        meant = {} if path == _PREDICT else {"CustomAttributes": f"{request.method}:{path}"}
        parameters = {
            "EndpointName": endpoint, "ContentType": request.headers.get("content-type", _JSON),
            "Accept": request.headers.get("accept", _JSON), "Body": request.read() or b"{}", **meant,
        }  # fmt: skip
        try:
            answer = _sender(request.url.host)("sagemaker-runtime", "InvokeEndpoint", parameters)
        except CallFailed as failed:
            return _refused(request, failed)
        except MissingExtraError as error:
            return _said(request, _FAILED, str(error))
        content: bytes = answer["Body"].read()
        kind = {"content-type": answer.get("ContentType", _JSON)}
        return httpx.Response(200, headers=kind, content=content, request=request)


@lru_cache(8)
def _sender(region: str) -> Send:
    """Return what makes calls in a region; making a client takes as long as twenty answers."""
    return sender(region, _EXTRA)


def _parts(path: str) -> tuple[str, str]:
    """Return the endpoint's name, and the path of the request within it.

    >>> _parts("/modelyard-churn/v2/health/ready")
    ('modelyard-churn', '/v2/health/ready')
    """
    endpoint, _, rest = path.lstrip("/").partition("/")
    return endpoint, f"/{rest}"


def _refused(request: httpx.Request, failed: CallFailed) -> httpx.Response:
    found = _PASSED_ON.search(str(failed)) if failed.code == _OF_MODEL else None
    if found is None:
        return _said(request, _FAILED, f"{failed.code}: {failed}")
    return httpx.Response(
        int(found[1]), headers={"content-type": _JSON}, content=found[2].encode(), request=request
    )


def _said(request: httpx.Request, status: int, what: str) -> httpx.Response:
    body: dict[str, Any] = {"error": what}
    return httpx.Response(
        status, headers={"content-type": _JSON}, content=json.dumps(body).encode(), request=request
    )
