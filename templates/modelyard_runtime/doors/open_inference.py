"""The Open Inference Protocol v2 over HTTP, as clients of Triton, KServe and MLServer speak it.

A column is an input tensor of shape [rows] or [rows, 1]; where one datatype suits all columns, one tensor of shape
[rows, columns] in the contract's order holds them all. A missing value is ``null`` in JSON and NaN in binary
floats. The request's parameter ``null_text`` names the text that stands for a missing one, for clients that can
send neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np

from modelyard_runtime.contract import ColumnType
from modelyard_runtime.doors.exchange import JSON, Answered, Asked, Headers, Route, Routes, page
from modelyard_runtime.doors.signature import Signature, signature
from modelyard_runtime.predictor import Answer, Predictor, RequestError

_HEADER = b"inference-header-content-length"
_BINARY = "application/octet-stream"

_NUMPY = {
    "FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "i1",
    "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "u1", "BOOL": "?",
}  # fmt: skip
_GIVEN: dict[ColumnType, str] = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}
_NUMBERS = tuple(name for name in _NUMPY if name != "BOOL")
_TAKEN: dict[ColumnType, tuple[str, ...]] = {
    "number": _NUMBERS, "integer": _NUMBERS, "boolean": ("BOOL",), "string": ("BYTES",),
}  # fmt: skip


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1, max_length=2)]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[_Output] | None = None


def routes(predictor: Predictor) -> Routes:
    """Return the protocol's paths: health, metadata and inference."""
    encode = msgspec.json.encode
    decode = msgspec.json.Decoder(_Request).decode
    model = signature(predictor)
    server = encode(
        {
            "name": "modelyard",
            "version": str(predictor.manifest["format"]),
            "extensions": ["binary_tensor_data"],
        }
    )
    metadata = encode(_metadata(model, predictor.manifest["model"]["kind"]))
    ready = encode({"name": model.name, "ready": True})

    def infer(asked: Asked) -> Answered:
        head, tail = _parts(asked)
        request = decode(head)
        wanted = _wanted(request, model)
        table, rows = _table(list(_read(request, tail)), model)
        return _answered(request, wanted, model, predictor.answer_table(table, rows))

    stem = "/v2/models"
    return {
        "/v2": page(lambda: Answered(server)),
        "/v2/health/live": page(lambda: Answered(b'{"live":true}')),
        "/v2/health/ready": page(lambda: Answered(b'{"ready":true}')),
        **dict.fromkeys(model.paths(stem), page(lambda: Answered(metadata))),
        **dict.fromkeys(model.paths(stem, "/ready"), page(lambda: Answered(ready))),
        **dict.fromkeys(model.paths(stem, "/infer"), Route(("POST",), infer, is_work=True)),
    }


def _metadata(model: Signature, kind: str) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = [{"name": "predict", "datatype": _GIVEN[model.label], "shape": [-1]}]
    if model.classes is not None:
        classes = msgspec.json.encode(model.classes).decode()  # a parameter is a text, a number or a boolean
        probabilities = {"name": "predict_proba", "datatype": "FP64", "shape": [-1, len(model.classes)]}
        outputs.append({**probabilities, "parameters": {"classes": classes}})
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnxruntime_onnx" if kind == "onnx" else f"modelyard_{kind}",
        "inputs": [
            {"name": name, "datatype": _GIVEN[column], "shape": [-1]}
            for name, column in model.columns.items()
        ],
        "outputs": outputs,
    }


def _parts(asked: Asked) -> tuple[bytes, bytes]:
    """Return the JSON of a body, and the binary data after it."""
    stated = asked.headers.get(_HEADER)
    if stated is None:
        return asked.body, b""
    length = int(stated) if stated.isdigit() and len(stated) < 12 else -1
    if not 0 <= length <= len(asked.body):
        raise RequestError("Inference-Header-Content-Length is not the length of the JSON in the body")
    return asked.body[:length], asked.body[length:]


def _wanted(request: _Request, model: Signature) -> dict[str, bool]:
    """Return the outputs to give, and whether each goes as binary data."""
    known = ["predict"] if model.classes is None else ["predict", "predict_proba"]
    by_default = request.parameters.get("binary_data_output") is True
    wanted = {}
    for output in request.outputs or [_Output(name) for name in known]:
        if output.name not in known:
            raise RequestError(f"no output {output.name!r}; there is {' and '.join(known)}")
        if "classification" in output.parameters:
            raise RequestError("the classification extension is not spoken; ask for predict_proba")
        wanted[output.name] = output.parameters.get("binary_data", by_default) is True
    return wanted


def _read(request: _Request, tail: bytes) -> Iterator[tuple[_Tensor, list[Any]]]:
    """Yield each tensor with its values, row by row; a missing one is None."""
    null_text = request.parameters.get("null_text")
    start = 0
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values = _flat(tensor)
        elif type(size) is not int or not 0 <= size <= len(tail) - start:
            raise RequestError(f"input {tensor.name!r}: not as many bytes follow as binary_data_size says")
        else:
            values = _unpacked(tensor, tail[start : start + size])
            start += size
        if len(values) != math.prod(tensor.shape):
            raise RequestError(f"input {tensor.name!r}: {len(values)} values for the shape {tensor.shape}")
        if isinstance(null_text, str):
            values = [None if value == null_text else value for value in values]
        yield tensor, values
    if start != len(tail):
        raise RequestError(f"{len(tail) - start} bytes of binary data belong to no input")


def _flat(tensor: _Tensor) -> list[Any]:
    if tensor.data is None:
        raise RequestError(f"input {tensor.name!r} has neither data nor binary_data_size")
    nested = len(tensor.shape) == 2 and all(isinstance(row, list) for row in tensor.data)
    return list(chain.from_iterable(tensor.data)) if nested else tensor.data


def _unpacked(tensor: _Tensor, data: bytes) -> list[Any]:
    if tensor.datatype == "BYTES":
        return list(_texts(tensor, data))
    dtype = np.dtype(_NUMPY.get(tensor.datatype, "V"))
    if dtype.itemsize == 0:
        raise RequestError(f"input {tensor.name!r}: no datatype {tensor.datatype!r} is known here")
    if len(data) % dtype.itemsize:
        raise RequestError(f"input {tensor.name!r}: {len(data)} bytes are no whole values")
    if tensor.datatype == "BOOL":
        return [byte != 0 for byte in data]
    values: list[Any] = np.frombuffer(data, dtype).tolist()
    return [None if value != value else value for value in values] if dtype.kind == "f" else values


def _texts(tensor: _Tensor, data: bytes) -> Iterator[str]:
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "little")
        start += 4 + length
        if start > len(data):
            raise RequestError(f"input {tensor.name!r}: its last text is cut off")
        yield data[start - length : start].decode()


def _table(tensors: list[tuple[_Tensor, list[Any]]], model: Signature) -> tuple[dict[str, list[Any]], int]:
    """Return the values by column, and the number of rows."""
    if not tensors or not tensors[0][0].shape[0]:
        raise RequestError("no rows; send at least one")
    rows = tensors[0][0].shape[0]
    first, values = tensors[0]
    width = len(model.columns)
    if (
        len(tensors) == 1
        and first.name not in model.columns
        and first.shape in ([rows, width], [rows][:width])
    ):
        for name, kind in model.columns.items():
            _check_datatype(first, name, kind)
        return {name: values[place::width] for place, name in enumerate(model.columns)}, rows
    table: dict[str, list[Any]] = {}
    for tensor, column in tensors:
        if tensor.shape not in ([rows], [rows, 1]):
            raise RequestError(f"input {tensor.name!r} has shape {tensor.shape}; a column has [{rows}] here")
        if tensor.name in table:
            raise RequestError(f"input {tensor.name!r} is given twice")
        if tensor.name in model.columns:
            _check_datatype(tensor, tensor.name, model.columns[tensor.name])
        table[tensor.name] = column
    return table, rows


def _check_datatype(tensor: _Tensor, column: str, kind: ColumnType) -> None:
    if tensor.datatype not in _TAKEN[kind]:
        raise RequestError(
            f"input {tensor.name!r} is of {tensor.datatype}, column {column!r} of {_GIVEN[kind]}"
        )


def _answered(request: _Request, wanted: dict[str, bool], model: Signature, answer: Answer) -> Answered:
    parameters = {k: v for k, v in request.parameters.items() if k != "binary_data_output"}
    parameters["prediction_id"] = answer.id  # what POST /feedback wants
    if answer.flags:
        parameters["flags"] = msgspec.json.encode(answer.flags).decode()
    outputs, parts = [], []
    for name, binary in wanted.items():
        of_labels = name == "predict"
        kind: ColumnType = model.label if of_labels else "number"
        data = model.predictions(answer) if of_labels else model.probabilities(answer)
        shape = [len(data)] if of_labels else [len(data), len(model.classes or ())]
        output = {"name": name, "datatype": _GIVEN[kind], "shape": shape}
        if binary:
            parts.append(_packed(kind, data))
            outputs.append({**output, "parameters": {"binary_data_size": len(parts[-1])}})
        else:
            outputs.append({**output, "data": data if of_labels else list(chain.from_iterable(data))})
    head = msgspec.json.encode(
        {
            "model_name": model.name,
            "model_version": model.version,
            "id": request.id or answer.id,
            "parameters": parameters,
            "outputs": outputs,
        }
    )
    headers: Headers = ((_HEADER, b"%d" % len(head)),) if parts else ()
    return Answered(b"".join([head, *parts]), _BINARY if parts else JSON, headers=headers)


def _packed(kind: ColumnType, data: list[Any]) -> bytes:
    if kind != "string":
        return np.array(data, _NUMPY[_GIVEN[kind]]).tobytes()
    texts = [text.encode() for text in data]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
