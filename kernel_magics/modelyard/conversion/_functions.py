"""``FunctionTransformer`` over the NumPy functions that people use it for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

from modelyard.conversion._graph import Graph


def function_shapes(operator: Any) -> None:
    widths = [variable.get_second_dimension() for variable in operator.inputs]
    width = None if None in widths else sum(widths)
    text = isinstance(operator.inputs[0].type, StringTensorType)
    operator.outputs[0].type = (StringTensorType if text else DoubleTensorType)([None, width])


def transform(scope: Any, operator: Any, container: Any) -> None:
    """Write the function of a ``FunctionTransformer``, if it is one of `FUNCTIONS`."""
    graph, model = Graph(scope, container), operator.raw_operator
    out = operator.outputs[0].full_name
    texts = {isinstance(variable.type, StringTensorType) for variable in operator.inputs}
    if model.func is None and texts == {True}:
        graph.node("Concat", [variable.full_name for variable in operator.inputs], out, axis=1)
        return
    known = [write for function, write in FUNCTIONS if function is model.func]
    if not known or model.kw_args or True in texts:
        raise NotImplementedError(
            f"FunctionTransformer({getattr(model.func, '__name__', model.func)}) has no ONNX form"
        )
    known[0](graph, graph.matrix(operator.inputs), out)


def _operator(op: str) -> Callable[[Graph, str, str], str]:
    return lambda graph, matrix, out: graph.node(op, [matrix], out)


def _log1p(graph: Graph, matrix: str, out: str) -> str:
    return graph.node("Log", [graph.node("Add", [matrix, graph.constant(np.array([1.0]))])], out)


def _expm1(graph: Graph, matrix: str, out: str) -> str:
    return graph.node("Sub", [graph.node("Exp", [matrix]), graph.constant(np.array([1.0]))], out)


def _square(graph: Graph, matrix: str, out: str) -> str:
    return graph.node("Mul", [matrix, matrix], out)


def _log10(graph: Graph, matrix: str, out: str) -> str:
    return graph.node("Div", [graph.node("Log", [matrix]), graph.constant(np.array([np.log(10.0)]))], out)


FUNCTIONS: tuple[tuple[Any, Callable[[Graph, str, str], str]], ...] = (
    (None, _operator("Identity")),
    (np.abs, _operator("Abs")),
    (np.exp, _operator("Exp")),
    (np.expm1, _expm1),
    (np.log, _operator("Log")),
    (np.log10, _log10),
    (np.log1p, _log1p),
    (np.sqrt, _operator("Sqrt")),
    (np.square, _square),
)
