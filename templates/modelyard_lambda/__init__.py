"""The same application for AWS Lambda: one event of a function URL is one request (payload format 2.0).

An HTTP API in front of the function sends the same events. Event and answer are JSON, so a body that is no text goes
through them in base64.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from modelyard_runtime.access import SWITCH, Gate
from modelyard_runtime.doors.asgi import Application, PredictorApp
from modelyard_runtime.predictor import Predictor

#: The environment variable that holds the hashes of the tokens that are let in, with spaces between.
HASHES = "MODELYARD_TOKEN_SHA256"
#: The most bytes of an event, and of an answer, that a call which waits for its answer may have.
MOST_BYTES = 6 * 1024 * 1024

Event = Mapping[str, Any]
Handler = Callable[[Any, Any], dict[str, Any]]

_TEXTS = ("application/json", "text/")
_JSON = {"content-type": "application/json"}
_UNLIKELY_LARGE = MOST_BYTES // 8  # a quote takes two bytes in JSON, a control character six


def handler_of(app: Application) -> Handler:
    """Return the function that Lambda calls; it answers each event as `app` answers the request in it."""
    loop = asyncio.new_event_loop()

    def handler(event: Any, context: Any) -> dict[str, Any]:
        try:
            scope, body = _request(event)
        except (KeyError, TypeError, AttributeError, ValueError, binascii.Error):
            return _said(
                400, "not an event of a function URL (payload format 2.0); POST to the function's URL"
            )
        return loop.run_until_complete(_answered(app, scope, body))

    return handler


def opened(folder: Path, variant: str) -> Handler:
    """Return the function for the bundle whose ``model/`` is `folder`; everything is loaded before it returns.

    ``MODELYARD_TOKEN_SHA256`` says whose tokens are let in.

    Raises
    ------
    BundleError
        The bundle is damaged, or of a format that cannot be read.
    """
    return handler_of(PredictorApp(Predictor(folder, variant), gate()))


def gate() -> Gate:
    """Return who is let in, by the environment: a function has no disk of its own to hold the hashes."""
    return Gate(os.environ.get(HASHES, "").split(), is_open=os.environ.get(SWITCH) == "off")


def _request(event: Event) -> tuple[dict[str, Any], bytes]:
    """Return scope and body of the request in an event."""
    text = event.get("body") or ""
    body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    method = event["requestContext"]["http"]["method"]
    headers = {name.lower(): value for name, value in event["headers"].items()}
    scope = {
        "type": "http",
        "method": method.upper(),
        "path": event["rawPath"] or "/",
        "query_string": event.get("rawQueryString", "").encode(),
        "headers": [
            *(
                (k.encode("latin-1"), v.encode("latin-1"))
                for k, v in headers.items()
                if k != "content-length"
            ),
            (b"content-length", b"%d" % len(body)),  # that of the body as it is now
        ],
    }
    return scope, body


async def _answered(app: Application, scope: dict[str, Any], body: bytes) -> dict[str, Any]:
    parts: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        parts.append(message)

    await app(scope, receive, send)
    start, *rest = parts
    return _answer(start["status"], start["headers"], b"".join(part.get("body", b"") for part in rest))


def _answer(status: int, pairs: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in pairs if k != b"content-length"}
    is_text = headers.get("content-type", "").startswith(_TEXTS)
    answer = {
        "statusCode": status,
        "headers": headers,
        "body": body.decode() if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }
    if len(body) > _UNLIKELY_LARGE and (size := len(json.dumps(answer))) > MOST_BYTES:
        return _said(
            413, f"the answer has {size:,} bytes, and {MOST_BYTES:,} may leave; send the rows in parts"
        )
    return answer


def _said(status: int, what: str) -> dict[str, Any]:
    body = json.dumps({"error": what})
    return {"statusCode": status, "headers": _JSON, "body": body, "isBase64Encoded": False}
