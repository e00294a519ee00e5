"""What ONNX operators become that compute along a row: sums, layers, trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelyard.conversion._tflite_columns import Columns
from modelyard.conversion._tflite_file import ROWS, Array, Tensor
from modelyard.conversion._tflite_reading import (
    ML,
    Given,
    Handler,
    LeafNumbers,
    LeafRows,
    NodeError,
    Reading,
    Value,
)
from modelyard.conversion._tflite_shapes import axes_of, shaped
from modelyard.conversion._tflite_trees import Ensemble, rows_summed, summed, walked


def _reduced(operator: str, before: str = "", after: str = "") -> Handler:
    def write(reading: Reading, node: Any, given: Given) -> Value:
        axes, keep = axes_of(reading, node, given), bool(given.get("keepdims", 1))
        value = reading.value(node.input[0])
        if isinstance(value, LeafRows):
            if operator != "SUM" or before or axes != [1] or keep:
                raise NodeError("of leaves")
            return rows_summed(reading.draft, value.reached, value.rows)
        tensor = reading.tensor(node.input[0])
        axes = [axis % len(tensor.shape) for axis in axes]
        if not axes or 0 in axes:
            raise NodeError("over rows")
        if before:
            tensor = reading.draft.step("MUL", [tensor, tensor], tensor.shape)
        made = over(reading, operator, tensor, axes, keep)
        return reading.draft.step(after, [made], made.shape) if after else made

    return write


def over(reading: Reading, operator: str, tensor: Tensor, axes: list[int], keep: bool) -> Tensor:
    shape = tuple(
        1 if axis in axes else size for axis, size in enumerate(tensor.shape) if keep or axis not in axes
    )
    along = reading.draft.constant(np.array(axes), "int32")
    return reading.draft.step(operator, [tensor, along], shape, keepDims=keep)


def _log_sum_exp(reading: Reading, node: Any, given: Given) -> Value:
    tensor, axes = reading.tensor(node.input[0]), axes_of(reading, node, given)
    if axes not in ([1], [-1]) or len(tensor.shape) != 2:
        raise NodeError("over rows")
    draft = reading.draft
    largest = over(reading, "REDUCE_MAX", tensor, [1], True)
    shifted = draft.step("SUB", [tensor, largest], tensor.shape)
    total = over(reading, "SUM", draft.step("EXP", [shifted], tensor.shape), [1], True)
    found = draft.step("ADD", [draft.step("LOG", [total], total.shape), largest], total.shape)
    return found if given.get("keepdims", 1) else shaped(reading, found, (ROWS,))


def _best(operator: str) -> Handler:
    def write(reading: Reading, node: Any, given: Given) -> Value:
        tensor = reading.tensor(node.input[0])
        if len(tensor.shape) != 2 or given.get("axis", 0) not in (1, -1) or given.get("select_last_index", 0):
            raise NodeError("over rows")
        axis = reading.draft.constant(np.array([1]), "int32")
        place = reading.draft.step(operator, [tensor, axis], (ROWS,), "int32", outputType=2)
        readers = reading.readers.get(node.output[0], [])
        looked_up = all(each.op_type in ("ArrayFeatureExtractor", "Gather") for each in readers)
        keep = given.get("keepdims", 1) and not looked_up
        return shaped(reading, place, (ROWS, 1)) if keep else place

    return write


def _softmax(reading: Reading, node: Any, given: Given) -> Value:
    tensor = reading.tensor(node.input[0])
    if len(tensor.shape) != 2 or given.get("axis", -1) not in (1, -1):
        raise NodeError("over rows")
    return reading.draft.step("SOFTMAX", [tensor], tensor.shape, beta=1.0)


def _product(reading: Reading, node: Any, given: Given) -> Value:
    return layer(reading, node.input[0], reading.constant(node.input[1]), None)


def _general_product(reading: Reading, node: Any, given: Given) -> Value:
    if given.get("transA", 0):
        raise NodeError("of rows by rows")
    weights = np.asarray(reading.constant(node.input[1]), dtype=np.float64) * given.get("alpha", 1.0)
    bias = None
    if len(node.input) > 2 and node.input[2]:
        bias = np.asarray(reading.constant(node.input[2]), dtype=np.float64) * given.get("beta", 1.0)
    return layer(reading, node.input[0], weights.T if given.get("transB", 0) else weights, bias)


def layer(reading: Reading, name: str, weights: Array, bias: Array | None) -> Tensor:
    """Write a product with a constant; what is added behind it joins it when the file is finished."""
    value, rest = reading.apart(name)
    if weights.ndim != 2 or len(value.shape) != 2 or value.shape[1] != weights.shape[0]:
        raise NodeError("of other things than rows and a matrix")
    weights = np.asarray(weights, dtype=np.float64)
    width = weights.shape[1]
    total = np.broadcast_to(rest, (weights.shape[0],)) @ weights
    if bias is not None:
        if bias.size not in (1, width):
            raise NodeError("with more than one row added")
        total = total + bias.reshape(-1)
    inputs = [value, reading.draft.constant(weights.T)]
    if total.any():
        inputs.append(reading.draft.constant(total))
    return reading.draft.step("FULLY_CONNECTED", inputs, (ROWS, width))


def _trees(reading: Reading, node: Any, given: Given) -> Value:
    ensemble = Ensemble.of(given)
    value = reading.value(node.input[0])
    fed = value if isinstance(value, Columns) and value.is_rising else reading.tensor(node.input[0])
    reached = walked(reading.draft, ensemble, fed)
    if _tells_leaves(reading, node.output[0]) and ensemble.width == reached.count:
        return LeafNumbers(reached, ensemble)
    return summed(reading.draft, ensemble, reached)


def _tells_leaves(reading: Reading, name: str) -> bool:
    """Whether what trees tell is only cast and then looked up in a table."""
    reader = reading.single_reader(name)
    while reader is not None and reader.op_type == "Cast":
        name, reader = reader.output[0], reading.single_reader(reader.output[0])
    return reader is not None and reader.op_type == "Gather" and reader.input[0] in reading.constants


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "ArgMax"): _best("ARG_MAX"),
    ("", "ArgMin"): _best("ARG_MIN"),
    ("", "Gemm"): _general_product,
    ("", "MatMul"): _product,
    ("", "ReduceL2"): _reduced("SUM", before="MUL", after="SQRT"),
    ("", "ReduceLogSumExp"): _log_sum_exp,
    ("", "ReduceMax"): _reduced("REDUCE_MAX"),
    ("", "ReduceMean"): _reduced("MEAN"),
    ("", "ReduceMin"): _reduced("REDUCE_MIN"),
    ("", "ReduceSum"): _reduced("SUM"),
    ("", "ReduceSumSquare"): _reduced("SUM", before="MUL"),
    ("", "Softmax"): _softmax,
    (ML, "TreeEnsemble"): _trees,
}
