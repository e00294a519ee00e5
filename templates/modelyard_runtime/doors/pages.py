"""What an endpoint says of itself: schema, document, metrics, health."""

from __future__ import annotations

import msgspec

from modelyard_runtime.doors.exchange import Answered, Routes, page
from modelyard_runtime.metrics import CONTENT_TYPE
from modelyard_runtime.predictor import Predictor
from modelyard_runtime.schema import openapi, request_schema


def routes(predictor: Predictor) -> Routes:
    """Return the paths under which an endpoint describes itself."""
    encode = msgspec.json.encode
    manifest = predictor.manifest
    schema = encode(request_schema(predictor.contract))
    document = encode(openapi(predictor.contract, manifest))
    state = {"bundle": manifest["name"], "variant": predictor.variant, "digest": manifest["digest"]}
    ready = encode({"status": "ready", **state})
    return {
        "/healthz": page(lambda: Answered(b'{"status":"alive"}')),
        "/readyz": page(lambda: Answered(ready)),
        "/schema": page(lambda: Answered(schema)),
        "/openapi.json": page(lambda: Answered(document)),
        "/metrics": page(lambda: Answered(predictor.metrics.text(), CONTENT_TYPE)),
    }
