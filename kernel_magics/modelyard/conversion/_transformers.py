"""Numeric transformers that skl2onnx writes in float32 only, or wrongly once inputs are double."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType

from modelyard.conversion._graph import Graph

Array = np.ndarray[Any, Any]


def named_shapes(operator: Any) -> None:
    """Declare as many double columns as the transformer has output names."""
    operator.outputs[0].type = DoubleTensorType([None, len(operator.raw_operator.get_feature_names_out())])


def _double(graph: Graph, values: Any) -> str:
    return graph.constant(np.asarray(values, dtype=np.float64))


def binarize(scope: Any, operator: Any, container: Any) -> None:
    """Write ``Binarizer``: 1 where the value is above the threshold."""
    graph = Graph(scope, container)
    above = graph.node(
        "Greater", [graph.matrix(operator.inputs), _double(graph, operator.raw_operator.threshold)]
    )
    graph.double(above, operator.outputs[0].full_name)


def polynomial(scope: Any, operator: Any, container: Any) -> None:
    """Write ``PolynomialFeatures``: each output is the product of as many columns as its degree."""
    graph, model = Graph(scope, container), operator.raw_operator
    powers = model.powers_
    width = powers.shape[1]
    degree = max(int(powers.sum(axis=1).max()), 1)
    factors = np.full((len(powers), degree), width)  # the column after the last holds ones
    for row, power in enumerate(powers):
        columns = np.repeat(np.arange(width), power)
        factors[row, : len(columns)] = columns
    matrix = graph.matrix(operator.inputs)
    one = graph.node("Gather", [matrix, graph.constant(np.array([0]))], axis=1)
    same = graph.node("Equal", [one, one])  # a row of trues, except for NaN
    ones = graph.double(graph.node("Or", [same, graph.constant(np.array([True]))]))
    extended = graph.node("Concat", [matrix, ones], axis=1)
    product = ""
    for column in factors.T:
        factor = graph.node("Gather", [extended, graph.constant(column)], axis=1)
        product = graph.node("Mul", [product, factor]) if product else factor
    graph.node("Identity", [product], operator.outputs[0].full_name)


def power(scope: Any, operator: Any, container: Any) -> None:
    """Write ``PowerTransformer``; the formulas are those of its user guide, NaN stays NaN."""
    graph, model = Graph(scope, container), operator.raw_operator
    matrix = graph.matrix(operator.inputs)
    lambdas = np.asarray(model.lambdas_, dtype=np.float64).reshape(1, -1)
    if model.method == "box-cox":
        result = _box_cox(graph, matrix, lambdas)
    else:
        zero, one = _double(graph, 0.0), _double(graph, 1.0)
        up = graph.node("Add", [graph.node("Max", [matrix, zero]), one])
        down = graph.node("Sub", [one, graph.node("Min", [matrix, zero])])
        negative = graph.node("Neg", [_box_cox(graph, down, 2.0 - lambdas)])
        positive = _box_cox(graph, up, lambdas)
        result = graph.node("Where", [graph.node("Less", [matrix, zero]), negative, positive])
        result = graph.node("Where", [graph.node("IsNaN", [matrix]), matrix, result])
    if model.standardize:
        result = graph.node("Sub", [result, _double(graph, model._scaler.mean_.reshape(1, -1))])
        result = graph.node("Div", [result, _double(graph, model._scaler.scale_.reshape(1, -1))])
    graph.node("Identity", [result], operator.outputs[0].full_name)


def _box_cox(graph: Graph, matrix: str, lambdas: Array) -> str:
    """Return ``(x ** lambda - 1) / lambda``, and its limit ``log(x)`` where lambda is 0."""
    logarithmic = np.abs(lambdas) < np.spacing(1.0)
    exponents = np.where(logarithmic, 1.0, lambdas)
    raised = graph.node("Sub", [graph.node("Pow", [matrix, _double(graph, exponents)]), _double(graph, 1.0)])
    divided = graph.node("Div", [raised, _double(graph, exponents)])
    if not logarithmic.any():
        return divided
    return graph.node("Where", [graph.constant(logarithmic), graph.node("Log", [matrix]), divided])


def discretize(scope: Any, operator: Any, container: Any) -> None:
    """Write ``KBinsDiscretizer``: a value's bin is the number of inner edges that it reaches."""
    graph, model = Graph(scope, container), operator.raw_operator
    parts = []
    for (column, _), edges in zip(graph.columns(operator.inputs), model.bin_edges_, strict=True):
        inner = np.asarray(edges[1:-1], dtype=np.float64).reshape(1, -1)
        if not inner.size:
            bins = graph.node("Mul", [column, _double(graph, 0.0)])
        else:
            reached = graph.double(graph.node("GreaterOrEqual", [column, _double(graph, inner)]))
            bins = graph.node("ReduceSum", [reached, graph.constant(np.array([1]))], keepdims=1)
        if model.encode != "ordinal":
            numbers = _double(graph, np.arange(inner.size + 1).reshape(1, -1))
            bins = graph.double(graph.node("Equal", [bins, numbers]))
        parts.append(bins)
    graph.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def select(scope: Any, operator: Any, container: Any) -> None:
    """Write the choice of columns that a selector has made."""
    graph = Graph(scope, container)
    kept = operator.raw_operator.get_support(indices=True).astype(np.int64)
    matrix = graph.matrix(operator.inputs)
    graph.node("Gather", [matrix, graph.constant(kept)], operator.outputs[0].full_name, axis=1)


def selected_shapes(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, int(operator.raw_operator.get_support().sum())])
