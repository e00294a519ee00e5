"""What ONNX operators become that put numbers elsewhere: pick, join, reshape, look up, and code categories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.conversion._tflite_codes import Codes
from modelyard.conversion._tflite_columns import Columns
from modelyard.conversion._tflite_file import ROWS, Array, Tensor
from modelyard.conversion._tflite_reading import (
    ML,
    Given,
    Handler,
    Labels,
    LeafNumbers,
    LeafRows,
    NodeError,
    Reading,
    Value,
)
from modelyard.conversion._tflite_trees import leaf_rows


def _same(reading: Reading, node: Any, given: Given) -> Value:
    return reading.value(node.input[0])


def _concatenated(reading: Reading, node: Any, given: Given) -> Value:
    if given["axis"] not in (1, -1):
        raise NodeError("of rows")
    found = [reading.values.get(name) for name in node.input]
    columns = [each for each in found if isinstance(each, Columns)]
    if columns and len(columns) < len(found):  # what is computed stands beside the table from here on
        columns = [
            each if isinstance(each, Columns) else _beside(reading, name)
            for each, name in zip(found, node.input, strict=True)
        ]
    if columns:
        return Columns(
            tuple(place for each in columns for place in each.places),
            tuple(chain for each in columns for chain in each.chains),
        )
    parts = [reading.tensor(name) for name in node.input]
    if any(len(each.shape) != 2 or each.shape[0] != ROWS for each in parts):
        raise NodeError("of constants")
    if len(parts) == 1:
        return parts[0]
    kind = parts[0].kind
    if any(each.kind != kind for each in parts):
        raise NodeError("of several types")
    shape = (ROWS, sum(each.shape[1] for each in parts))
    return reading.draft.step("CONCATENATION", parts, shape, kind, axis=1)


def _beside(reading: Reading, name: str) -> Columns:
    tensor = reading.tensor(name)
    if len(tensor.shape) != 2 or tensor.shape[0] != ROWS or tensor.kind != "float32":
        raise NodeError("of several types")
    places = reading.draft.beside(tensor)
    return Columns(places, (((("single", 0.0),) if tensor.is_single else ()),) * len(places))


def _gathered(reading: Reading, node: Any, given: Given) -> Value:
    table, wanted = node.input
    if table in reading.constants:
        return _looked_up(reading, reading.constants[table], wanted, given.get("axis", 0))
    if given.get("axis", 0) not in (1, -1):
        raise NodeError("of rows")
    return _picked(reading, table, reading.constant(wanted))


def _looked_up(reading: Reading, table: Array, wanted: str, axis: int) -> Value:
    index = reading.value(wanted)
    if axis != 0:
        raise NodeError("of a constant's columns")
    if isinstance(index, LeafNumbers):
        rows = leaf_rows(index.ensemble, table) if table.ndim == 2 else None
        if rows is None:
            raise NodeError("by something else than the numbers of leaves")
        return LeafRows(index.reached, rows)
    if isinstance(index, Codes):
        return index.looked_up(table)
    if not isinstance(index, Tensor) or index.kind != "int32":
        raise NodeError("by something that is no place")
    if table.ndim == 1:
        return Labels(_flat(reading, index), tuple(table.tolist()))
    if len(index.shape) != 1 or table.dtype.kind not in "biuf":
        raise NodeError(f"of a table of {table.ndim} axes")
    shape = (ROWS, *table.shape[1:])
    return reading.draft.step("GATHER", [reading.draft.constant(table), index], shape, axis=0)


def _picked(reading: Reading, name: str, places: Array) -> Value:
    value = reading.value(name)
    if isinstance(value, Columns):
        return value.picked(places)
    tensor = reading.tensor(name)
    chosen = reading.draft.constant(places.reshape(-1), "int32")
    shape = (ROWS, places.size)
    if len(tensor.shape) != 2 or tensor.shape[0] != ROWS:
        raise NodeError("of something that is no matrix of rows")
    made = reading.draft.step("GATHER", [tensor, chosen], shape, tensor.kind, axis=1)
    return made.rounded() if tensor.is_single else made


def _extracted(reading: Reading, node: Any, given: Given) -> Value:
    table, wanted = node.input
    if table in reading.constants:
        return _looked_up(reading, reading.constants[table].reshape(-1), wanted, 0)
    return _picked(reading, table, reading.constant(wanted))


def _flat(reading: Reading, tensor: Tensor) -> Tensor:
    return tensor if len(tensor.shape) == 1 else shaped(reading, tensor, (ROWS,))


def shaped(reading: Reading, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tensor.shape == shape:
        return tensor
    size = int(np.prod([each for each in tensor.shape if each != ROWS]))
    if shape.count(ROWS) != 1 or shape[0] != ROWS or ROWS not in tensor.shape or int(-np.prod(shape)) != size:
        raise NodeError(f"of {tensor.shape} to {shape}")
    wanted = reading.draft.constant(np.array(shape), "int32")
    return reading.draft.step("RESHAPE", [tensor, wanted], shape, tensor.kind, newShape=list(shape))


def _reshaped(reading: Reading, node: Any, given: Given) -> Value:
    shape = tuple(int(each) for each in reading.constant(node.input[1]).reshape(-1))
    return _as(reading, node.input[0], shape)


def _as(reading: Reading, name: str, shape: tuple[int, ...]) -> Value:
    value = reading.value(name)
    if isinstance(value, Codes) and shape in ((ROWS,), (ROWS, 1)):
        return value
    if isinstance(value, Labels):
        if shape not in ((ROWS,), (ROWS, 1)):
            raise NodeError("of labels")
        return replace(value, shape=shape)
    if isinstance(value, Columns) and value.shape == shape:
        return value
    return shaped(reading, reading.tensor(name), shape)


def axes_of(reading: Reading, node: Any, given: Given) -> list[int]:
    if len(node.input) > 1 and node.input[1]:
        return [int(each) for each in reading.constant(node.input[1]).reshape(-1)]
    return list(given.get("axes", ()))


def _squeezed(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.value(node.input[0])
    if isinstance(value, Codes):
        return value
    shape = (
        value.shape if isinstance(value, Columns | Tensor | Labels) else reading.tensor(node.input[0]).shape
    )
    axes = {axis % len(shape) for axis in axes_of(reading, node, given)} or {
        axis for axis, size in enumerate(shape) if size == 1
    }
    return _as(reading, node.input[0], tuple(size for axis, size in enumerate(shape) if axis not in axes))


def _unsqueezed(reading: Reading, node: Any, given: Given) -> Value:
    shape = list(reading.tensor(node.input[0]).shape)
    axes = axes_of(reading, node, given)
    for axis in sorted(axis % (len(shape) + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return _as(reading, node.input[0], tuple(shape))


def _flattened(reading: Reading, node: Any, given: Given) -> Value:
    value = reading.value(node.input[0])
    if given.get("axis", 1) == 1 and isinstance(value, Columns | Tensor) and len(value.shape) == 2:
        return value
    raise NodeError("of more than a matrix")


def _coded(reading: Reading, node: Any, given: Given) -> Value:
    from onnx import numpy_helper

    value = reading.value(node.input[0])
    if not isinstance(value, Columns):
        raise NodeError("of something that is computed")
    found = {
        name: np.asarray(numpy_helper.to_array(each)) for name, each in given.items() if name in _TENSORS
    }
    if len(found) < len(_TENSORS):
        raise NodeError("of text")
    keys, values, default = (found[name] for name in _TENSORS)
    if default.dtype.kind not in "biuf":
        raise NodeError("of text")
    return Codes.of(value, keys, values, float(default.reshape(-1)[0]))


_TENSORS = ("keys_tensor", "values_tensor", "default_tensor")


def _one_hot(reading: Reading, node: Any, given: Given) -> Value:
    codes, off_on = reading.value(node.input[0]), reading.constant(node.input[2])
    depth = int(reading.constant(node.input[1]).reshape(-1)[0])
    if not isinstance(codes, Codes) or off_on.tolist() != [0, 1] or given.get("axis", -1) not in (1, -1):
        raise NodeError("of something else than categories")
    return codes.one_hot(reading.draft, depth)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Concat"): _concatenated,
    ("", "Flatten"): _flattened,
    ("", "Gather"): _gathered,
    ("", "Identity"): _same,
    ("", "OneHot"): _one_hot,
    ("", "Reshape"): _reshaped,
    ("", "Squeeze"): _squeezed,
    ("", "Unsqueeze"): _unsqueezed,
    (ML, "ArrayFeatureExtractor"): _extracted,
    (ML, "LabelEncoder"): _coded,
}
