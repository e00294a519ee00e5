"""Which columns of the training table feed which input of an ONNX model from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from onnx import TensorProto

from modelyard.conversion._inputs import describe
from modelyard.conversion._protocol import DType, ModelInput
from modelyard.conversion._rewiring import Slot
from modelyard.errors import ConversionError, InvalidInputError

# What ONNX Runtime calls the type of a tensor: its element type, and as what columns are fed to it.
_INPUT_TYPES: dict[str, tuple[int, DType]] = {
    "tensor(float)": (TensorProto.FLOAT, "float32"),
    "tensor(float16)": (TensorProto.FLOAT16, "float32"),
    "tensor(double)": (TensorProto.DOUBLE, "float64"),
    "tensor(int64)": (TensorProto.INT64, "int64"),
    "tensor(int32)": (TensorProto.INT32, "int64"),
    "tensor(bool)": (TensorProto.BOOL, "bool"),
    "tensor(string)": (TensorProto.STRING, "string"),
}


def slots_of(name: str, inputs: Sequence[Any], frame: pd.DataFrame) -> tuple[Slot, ...]:
    """Return which columns feed which input."""
    for value in inputs:
        if value.type not in _INPUT_TYPES or len(value.shape) not in (1, 2):
            raise ConversionError(
                f"{name} takes {value.type} of shape {_shape(value)} as {value.name!r}; a bundle feeds columns: "
                "one input (rows, columns), or one (rows, 1) for each column"
            )
    columns = [str(column) for column in frame.columns]
    if len(inputs) == 1:
        taken = {inputs[0].name: tuple(columns)}
        width = inputs[0].shape[1] if len(inputs[0].shape) == 2 else 1
        if isinstance(width, int) and width != len(columns):
            raise InvalidInputError(
                f"{name} takes {width} columns, X has {len(columns)}; give the table it was trained on"
            )
    else:
        taken = _by_name(name, inputs, columns)
    kinds = {entry.name: entry.dtype for entry in describe(frame, by_column=True)}
    slots = []
    for value in inputs:
        kind, dtype = _INPUT_TYPES[value.type]
        for column in taken[value.name]:
            _check_kind(name, column, kinds[column], dtype)
        entry = ModelInput("X" if len(inputs) == 1 else taken[value.name][0], dtype, taken[value.name])
        slots.append(Slot(value.name, kind, len(value.shape) == 1, entry))
    return tuple(slots)


def _shape(value: Any) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in value.shape)})"


def _by_name(name: str, inputs: Sequence[Any], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the column of each input: that of its name, or of its name as exporters write it."""
    found = {value.name: value.name for value in inputs if value.name in columns}
    plain: dict[str, list[str]] = {}
    for column in columns:
        if column not in found.values():
            plain.setdefault(_plain(column), []).append(column)
    for value in inputs:
        if len(value.shape) == 2 and value.shape[1] not in (1, None) and not isinstance(value.shape[1], str):
            raise ConversionError(
                f"{name} has {len(inputs)} inputs, and {value.name!r} takes {value.shape[1]} columns; "
                "export it with one input of all columns, or one for each column"
            )
        if value.name not in found:
            near = plain.get(_plain(value.name), [])
            if len(near) != 1:
                raise InvalidInputError(
                    f"{name} has an input {value.name!r} and X no such column; name columns as the inputs: "
                    f"{', '.join(v.name for v in inputs)}"
                )
            found[value.name] = near.pop()
    strange = [column for column in columns if column not in found.values()]
    if strange:
        raise InvalidInputError(f"{name} has no input for the column {strange[0]!r} of X; leave it out of X")
    return {key: (column,) for key, column in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _check_kind(name: str, column: str, kind: DType, taken: DType) -> None:
    fitting: dict[str, tuple[DType, ...]] = {
        "string": ("string",),
        "int64": ("int64", "bool"),
        "bool": ("bool",),
    }
    if kind in fitting.get(taken, ("float64", "int64", "bool")):
        return
    words = {"string": "text", "float64": "numbers", "int64": "whole numbers", "bool": "true and false"}
    advice = "encode it as it was before training" if kind == "string" else f"X[{column!r}].astype({taken!r})"
    raise InvalidInputError(
        f"{name} takes {taken} for the column {column!r}, which holds {words[kind]}; {advice}"
    )
