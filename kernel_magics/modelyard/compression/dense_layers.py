"""The layers of a network, or of a linear model, in float32 and with small weights; what stands before them stays.

Features are scaled in double, outside of what is quantized: a scaler folded into the first layer gives its weights so
wide a range that eight bits cannot hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from modelyard.compression.graphs import DOUBLE, FLOAT, Edited, types_of
from modelyard.errors import ConversionError

#: Operators that compute in the type that they are fed.
_COMPUTING = frozenset(
    (
        "Abs", "Add", "Clip", "Concat", "Div", "Exp", "Gather", "Gemm", "Identity", "MatMul", "Max", "Min", "Mul",
        "Neg", "ReduceSum", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Sub", "Tanh", "Unsqueeze",
    )
)  # fmt: skip
#: Operators that take either type, and answer another one.
_ANSWERING = frozenset(("ArgMax", "Cast", "Equal", "Greater", "GreaterOrEqual", "Less", "Shape"))

#: Takes the graph, the tensor that is fed to a layer, and its weights; returns the tensor of products.
Layer = Callable[[Edited, str, NDArray[np.float32]], str]

INT4_BLOCK = 32


def narrowed(proto: Any, layers: int, write: Layer) -> Any:
    """Return a graph whose last `layers` products with constant weights, and all behind them, are in float32.

    Parameters
    ----------
    proto : onnx.ModelProto
        In double, as `modelyard.conversion` writes it.
    layers : int
    write : callable
        How a product is written: `plain`, `half`, `four_bits` or `eight_bits`.

    Raises
    ------
    ConversionError
        There are fewer such products.
    """
    edited = Edited(proto)
    nodes, types = list(edited.graph.node), types_of(proto)
    dense = [place for place, node in enumerate(nodes) if _is_dense(edited, node)][-layers:]
    if len(dense) < layers:
        raise ConversionError(f"its ONNX form has {len(dense)} layers, not {layers}")
    single: dict[str, str] = {}  # what a tensor is called in float32
    for place, node in enumerate(nodes):
        if place in dense:
            weights = edited.array(node.input[1])
            assert weights is not None
            fed = _in_single(edited, single, node.input[0])
            single[node.output[0]] = write(edited, fed, weights.astype(np.float32))
        elif place > dense[0] and any(name in single for name in node.input):
            _follow(edited, single, types, node)
        else:
            edited.nodes.append(node)
    for value in edited.graph.output:
        if value.name in single:
            edited.cast(single[value.name], DOUBLE, value.name)
    return edited.finished()


def _is_dense(edited: Edited, node: Any) -> bool:
    if node.op_type != "MatMul":
        return False
    weights = edited.array(node.input[1])
    return weights is not None and weights.ndim == 2 and weights.dtype.kind == "f"


def _in_single(edited: Edited, single: dict[str, str], name: str) -> str:
    if name not in single:
        held = edited.array(name)
        single[name] = edited.cast(name, FLOAT) if held is None else edited.constant(held.astype(np.float32))
    return single[name]


def _follow(edited: Edited, single: dict[str, str], types: dict[str, int], node: Any) -> None:
    """Write a node that reads something in float32."""
    copied = type(node)()
    copied.CopyFrom(node)
    known = node.op_type in _COMPUTING or node.op_type in _ANSWERING
    for place, name in enumerate(node.input):
        if not known and name in single:
            copied.input[place] = edited.cast(single[name], DOUBLE)
        elif known and (name in single or types.get(name) == DOUBLE):
            copied.input[place] = _in_single(edited, single, name)
    if node.op_type in _COMPUTING:
        copied.output[0] = edited.fresh(node.op_type.lower())
        single[node.output[0]] = copied.output[0]
    edited.nodes.append(copied)


def rewritten(proto: Any, write: Layer) -> Any:
    """Return a graph of any library whose products with constant weights are written anew, and nothing else.

    A ``Gemm`` becomes a product and a sum, as torch writes a linear layer.

    Raises
    ------
    ConversionError
        There is no such product.
    """
    edited, types = Edited(proto), types_of(proto)
    nodes, count = list(edited.graph.node), 0
    for node in nodes:
        weights = _weights(edited, node)
        if weights is None:
            edited.nodes.append(node)
            continue
        count += 1
        double = types.get(node.input[0]) == DOUBLE
        fed = edited.cast(node.input[0], FLOAT) if double else node.input[0]
        found = write(edited, fed, weights.astype(np.float32))
        found = edited.cast(found, DOUBLE) if double else found
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
            edited.node("Add", [found, node.input[2]], node.output[0])
        else:
            edited.node("Identity", [found], node.output[0])
    if not count:
        raise ConversionError("its ONNX form has no layer with constant weights")
    return edited.finished()


def _weights(edited: Edited, node: Any) -> NDArray[Any] | None:
    """Return the constant weights of a product, inputs by outputs; ``None`` of every other node."""
    if _is_dense(edited, node):
        return edited.array(node.input[1])
    if node.op_type != "Gemm":
        return None
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    weights = edited.array(node.input[1])
    usual = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA", 0)
    if weights is None or weights.dtype.kind != "f" or not usual:
        return None
    return weights.T if given.get("transB", 0) else weights


def plain(edited: Edited, fed: str, weights: NDArray[np.float32]) -> str:
    """Write float32 weights."""
    return edited.node("MatMul", [fed, edited.constant(weights)])


def half(edited: Edited, fed: str, weights: NDArray[np.float32]) -> str:
    """Write float16 weights, which ONNX Runtime widens as it loads them: half the file, the same time."""
    limit = np.finfo(np.float16).max
    kept = edited.constant(np.clip(weights, -limit, limit).astype(np.float16))
    return edited.node("MatMul", [fed, edited.cast(kept, FLOAT)])


def four_bits(edited: Edited, fed: str, weights: NDArray[np.float32]) -> str:
    """Write weights of four bits, with a scale for each 32 inputs of a neuron, as ONNX has them since opset 21."""
    rows, columns = weights.shape
    blocks = -(-rows // INT4_BLOCK)
    padded = np.zeros((blocks * INT4_BLOCK, columns), dtype=np.float32)
    padded[:rows] = weights
    scales = np.abs(padded.reshape(blocks, INT4_BLOCK, columns)).max(axis=1) / 7
    scales[scales == 0] = 1
    whole = np.round(padded[:rows] / np.repeat(scales, INT4_BLOCK, axis=0)[:rows])
    kept = edited.store(
        helper.make_tensor("", TensorProto.INT4, weights.shape, np.clip(whole, -8, 7).astype(np.int8).ravel())
    )
    scale = edited.constant(scales.astype(np.float32))
    wide = edited.node("DequantizeLinear", [kept, scale], axis=0, block_size=INT4_BLOCK)
    return edited.node("MatMul", [fed, wide])


def eight_bits(edited: Edited, fed: str, weights: NDArray[np.float32]) -> str:
    """Write weights of eight bits, and round each row of inputs to eight bits by its own largest value.

    The scale of a row is its own, where ``onnxruntime.quantization.quantize_dynamic`` takes one scale for all rows of
    a request: there the answer to a row depends on the rows beside it, which no bundle may. Both are unsigned,
    since signed weights saturate on processors without VNNI:
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    scales = np.abs(weights).max(axis=0, keepdims=True) / 127
    scales[scales == 0] = 1
    kept = edited.constant((np.round(weights / scales) + 128).astype(np.uint8))
    middle = edited.constant(np.array(128, dtype=np.uint8))
    largest = edited.node(
        "ReduceMax", [edited.node("Abs", [fed]), edited.constant(np.array([1]))], keepdims=1
    )
    least = edited.constant(np.array(1e-30, dtype=np.float32))
    step = edited.node(
        "Div", [edited.node("Max", [largest, least]), edited.constant(np.array(127, dtype=np.float32))]
    )
    shifted = edited.node(
        "Add",
        [
            edited.node("Round", [edited.node("Div", [fed, step])]),
            edited.constant(np.array(128, dtype=np.float32)),
        ],
    )
    rounded = edited.cast(shifted, TensorProto.UINT8)
    product = edited.cast(edited.node("MatMulInteger", [rounded, kept, middle, middle]), FLOAT)
    return edited.node(
        "Mul", [edited.node("Mul", [product, step]), edited.constant(scales.astype(np.float32))]
    )
