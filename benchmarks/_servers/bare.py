"""A bare ASGI loop around a bundle's ``model.onnx``: the most that one process of uvicorn could give.

No contract, no token, no metrics, no log. ``MODEL_FOLDER`` is the bundle's ``src/model``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime

_folder = Path(os.environ["MODEL_FOLDER"])
_model = json.loads((_folder / "manifest.json").read_bytes())["model"]
(_input,) = _model["inputs"]
_name, _columns, _dtype = _input["name"], _input["columns"], np.dtype(_input["dtype"])
_wanted = [_model["label_output"], _model["probability_output"]]
_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
_session = onnxruntime.InferenceSession(
    str(_folder / _model["file"]), _options, providers=["CPUExecutionProvider"]
)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def application(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    if not body:  # a look at whether it is up
        await send({"type": "http.response.start", "status": 405, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    rows = _decode(body)["rows"]
    table = np.array([[row[column] for column in _columns] for row in rows], dtype=_dtype)
    labels, probabilities = _session.run(_wanted, {_name: table})
    answer = _encode({"predictions": labels.tolist(), "probabilities": probabilities.tolist()})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
