"""Support vector machines in double: ONNX Runtime has their operators in float32 only."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from skl2onnx.common._registration import get_converter, get_shape_calculator

from modelyard.conversion import _graph
from modelyard.conversion._graph import Graph, wants_scores, write_scores


def support_vector_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``kernel(X, support_vectors_) @ dual_coef_.T + intercept_`` for scikit-learn's four kernels.

    The formulas are those of https://scikit-learn.org/stable/modules/svm.html#kernel-functions.
    """
    graph = Graph(scope, container)
    decision(graph, operator, operator.outputs[0].full_name)


def decision(graph: Graph, operator: Any, out: str | None = None) -> str:
    """Return the decision of a machine with one dual coefficient per support vector, shape ``(n, 1)``."""
    model = operator.raw_operator
    vectors = np.asarray(model.support_vectors_, dtype=np.float64)
    products = kernel(graph, model, graph.matrix(operator.inputs), vectors)
    dual = graph.constant(np.asarray(model.dual_coef_, dtype=np.float64).T)
    intercept = graph.constant(np.asarray(model.intercept_, dtype=np.float64).reshape(1, 1))
    return graph.node("Add", [graph.node("MatMul", [products, dual]), intercept], out)


def classifier_shapes(operator: Any) -> None:
    if hasattr(operator.raw_operator, "predict_proba"):
        get_shape_calculator("SklearnSVC")(operator)
    else:
        _graph.classifier_shapes(operator)


def support_vector_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``SVC`` without probabilities: each pair of classes decides, the class with most votes wins.

    The rows of ``dual_coef_`` hold, for the support vectors of class ``i``, the coefficients against every
    other class. Probabilities are left to skl2onnx: https://scikit-learn.org/stable/modules/svm.html#multi-class-classification.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    raw = wants_scores(container, model)
    if hasattr(model, "predict_proba") and not raw:
        get_converter("SklearnSVC")(scope, operator, container)
        return
    if raw and len(model.classes_) > 2:
        raise NotImplementedError("the decision function of SVC over several classes is not supported")
    if model.break_ties and len(model.classes_) > 2:
        raise NotImplementedError("break_ties is not supported")
    vectors = np.asarray(model.support_vectors_, dtype=np.float64)
    products = kernel(graph, model, graph.matrix(operator.inputs), vectors)
    dual = np.asarray(model._dual_coef_, dtype=np.float64)
    ends = np.cumsum(model._n_support)
    members = [slice(int(end - size), int(end)) for end, size in zip(ends, model._n_support, strict=True)]
    pairs = list(itertools.combinations(range(len(model.classes_)), 2))
    weights, votes = np.zeros((len(vectors), len(pairs))), np.zeros((2, len(pairs), len(model.classes_)))
    for column, (i, j) in enumerate(pairs):
        weights[members[i], column] = dual[j - 1, members[i]]
        weights[members[j], column] = dual[i, members[j]]
        votes[0, column, i] = votes[1, column, j] = 1.0
    product = graph.node("MatMul", [products, graph.constant(weights)])
    intercept = np.asarray(model._intercept_, dtype=np.float64).reshape(1, -1)
    decisions = graph.node("Add", [product, graph.constant(intercept)])  # above 0: the first of the pair
    won = graph.node("Greater", [decisions, graph.constant(np.zeros(1))])
    lost = graph.node("Not", [won])
    counts = [
        graph.node("MatMul", [graph.double(side), graph.constant(table)])
        for side, table in zip((won, lost), votes, strict=True)
    ]
    label, scores = (output.full_name for output in operator.outputs)
    total = graph.node("Add", counts)
    if raw:
        write_scores(graph, graph.node("Neg", [decisions]), 2, scores)
    else:
        graph.node("Identity", [total], scores)
    graph.labels(graph.node("ArgMax", [total], axis=1, keepdims=0), model.classes_, label)


def kernel(graph: Graph, model: Any, matrix: str, vectors: np.ndarray[Any, Any]) -> str:
    """Return the kernel of every row and vector; `model` has `kernel`, `_gamma`, `degree` and `coef0`."""

    def number(value: float) -> str:
        return graph.constant(np.array([float(value)]))

    products = graph.node("MatMul", [matrix, graph.constant(vectors.T)])
    if model.kernel == "linear":
        return products
    if model.kernel == "rbf":
        squares = graph.node(
            "ReduceSum", [graph.node("Mul", [matrix, matrix]), graph.constant(np.array([1]))], keepdims=1
        )
        # |x - v|^2 = x.x - 2 x.v + v.v, which rounding may take below 0
        crossed = graph.node("Sub", [squares, graph.node("Mul", [products, number(2)])])
        distances = graph.node("Add", [crossed, graph.constant((vectors**2).sum(axis=1).reshape(1, -1))])
        scaled = graph.node("Mul", [graph.node("Max", [distances, number(0)]), number(-model._gamma)])
        return graph.node("Exp", [scaled])
    scaled = graph.node("Add", [graph.node("Mul", [products, number(model._gamma)]), number(model.coef0)])
    if model.kernel == "poly":
        return graph.node("Pow", [scaled, number(model.degree)])
    if model.kernel == "sigmoid":
        return graph.node("Tanh", [scaled])
    raise NotImplementedError(f"the kernel {model.kernel!r} is not supported")
