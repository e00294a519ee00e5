"""The file of an ONNX model, read with its weights."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from modelyard.conversion._rewiring import tensors
from modelyard.errors import InvalidInputError, listing


def loaded(model: Any) -> tuple[str, Any]:
    """Return what to call a model, and the model with its weights inside.

    Raises
    ------
    InvalidInputError
        There is no such file, it is no ONNX model, or its weights are elsewhere.
    """
    if isinstance(model, (str, PurePath)):
        path = Path(model).expanduser()
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "does not exist"
            raise InvalidInputError(
                f"{str(model)!r} {found}; give a fitted estimator, or the path of an ONNX model"
            )
        name, content, folder = path.name, path.read_bytes(), path.parent
    elif isinstance(model, bytes):
        name, content, folder = "the ONNX model", model, None
    elif isinstance(model, onnx.ModelProto):
        name, content, folder = "the ONNX model", model.SerializeToString(deterministic=True), None
    else:
        raise InvalidInputError(f"{type(model).__name__} of onnx is no whole model; give an onnx.ModelProto")
    try:
        proto = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise InvalidInputError(
            f"{name} is not an ONNX model; give a file that an ONNX exporter wrote"
        ) from error
    if not proto.graph.output:
        raise InvalidInputError(f"{name} is not an ONNX model: it has no outputs")
    _fetch_weights(name, proto, folder)
    return name, proto


def _fetch_weights(name: str, proto: Any, folder: Path | None) -> None:
    outside = {
        entry.value
        for tensor in tensors(proto)
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if not outside:
        return
    if folder is None:
        raise InvalidInputError(f"{name} keeps its weights in {listing(outside)}; give the path of the model")
    try:
        load_external_data_for_model(proto, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InvalidInputError(
            f"{name} keeps its weights in {listing(outside)}, which cannot be read; put it beside the model"
        ) from error
