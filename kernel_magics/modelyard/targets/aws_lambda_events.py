"""What a function's URL makes of a request, and what it makes of the function's answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.targets.artifact import Function


def url_event(
    body: bytes, method: str = "POST", path: str = "/predict", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the event that a function URL makes of a request (payload format 2.0)."""
    try:
        text, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(body).decode(), True
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": text,
        "isBase64Encoded": is_base64,
    }


@dataclass(frozen=True)
class UrlFunction(Function):
    """A function behind its URL."""

    def asked(self, body: bytes) -> Any:
        return url_event(body)

    def answered(self, answer: Any) -> tuple[int, Any]:
        return int(answer["statusCode"]), json.loads(answer["body"])
