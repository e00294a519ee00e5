"""Estimators that look at distances to points that they keep, and constant ones, which look at nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from modelyard.conversion._graph import Graph
from modelyard.conversion._support_vectors import kernel

Array = np.ndarray[Any, Any]


def squared_distances(graph: Graph, matrix: str, points: Array) -> str:
    """Return the squares of the distances, shape ``(n, points)``, by differences: 0 where two are the same."""
    rows = graph.node("Unsqueeze", [matrix, graph.constant(np.array([1]))])
    differences = graph.node("Sub", [rows, graph.constant(np.asarray(points, dtype=np.float64)[None])])
    squares = graph.node("Mul", [differences, differences])
    return graph.node("ReduceSum", [squares, graph.constant(np.array([2]))], keepdims=0)


def nearest_centroid(scope: Any, operator: Any, container: Any) -> None:
    """Write ``NearestCentroid``: eq. (18.2) of Hastie, Tibshirani & Friedman 2009, and its softmax.

    With equal priors the label is that of the nearest centroid, whatever the deviations of the features.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    if model.metric != "euclidean":
        raise NotImplementedError(f"the metric {model.metric!r} is not supported")
    label, probabilities = (output.full_name for output in operator.outputs)
    matrix, spread = graph.matrix(operator.inputs), np.array(model.within_class_std_dev_, dtype=np.float64)
    spread[spread == 0] = 1.0
    scaled = graph.node("Div", [matrix, graph.constant(spread.reshape(1, -1))])
    distances = squared_distances(graph, scaled, model.centroids_ / spread)
    priors = graph.constant(2.0 * np.log(np.asarray(model.class_prior_)).reshape(1, -1))
    scores = graph.node("Sub", [priors, distances])
    graph.node("Softmax", [scores], probabilities, axis=1)
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        scores = graph.node("Neg", [squared_distances(graph, matrix, model.centroids_)])
    graph.labels(graph.node("ArgMax", [scores], axis=1, keepdims=0), model.classes_, label)


def _within(graph: Graph, operator: Any) -> str:
    """Return 1 for every point within the radius, else 0, shape ``(n, points)``."""
    model = operator.raw_operator
    if model.effective_metric_ != "euclidean" or model.weights not in (None, "uniform"):
        raise NotImplementedError("radius neighbours by another metric, or weighted, are not supported")
    if not isinstance(model._fit_X, np.ndarray):
        raise NotImplementedError("radius neighbours of sparse rows are not supported")
    distances = squared_distances(graph, graph.matrix(operator.inputs), model._fit_X)
    limit = graph.constant(np.array([float(model.radius) ** 2]))
    return graph.double(graph.node("LessOrEqual", [distances, limit]))


def radius_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``RadiusNeighborsClassifier``: the shares of the classes among the points within the radius."""
    graph, model = Graph(scope, container), operator.raw_operator
    if model.outlier_label is not None:
        raise NotImplementedError("outlier_label is not supported")
    label, probabilities = (output.full_name for output in operator.outputs)
    of_class = np.asarray(model._y).reshape(-1, 1) == np.arange(len(model.classes_))
    counts = graph.node("MatMul", [_within(graph, operator), graph.constant(of_class.astype(np.float64))])
    total = graph.node("ReduceSum", [counts, graph.constant(np.array([1]))], keepdims=1)
    graph.node("Div", [counts, total], probabilities)
    graph.labels(graph.node("ArgMax", [counts], axis=1, keepdims=0), model.classes_, label)


def radius_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``RadiusNeighborsRegressor``: the mean over the points within the radius, NaN without any."""
    graph, model = Graph(scope, container), operator.raw_operator
    values = np.asarray(model._y, dtype=np.float64).reshape(len(model._y), -1)
    if values.shape[1] != 1:
        raise NotImplementedError("several outputs are not supported")
    near = _within(graph, operator)
    total = graph.node("MatMul", [near, graph.constant(values)])
    count = graph.node("ReduceSum", [near, graph.constant(np.array([1]))], keepdims=1)
    graph.node("Div", [total, count], operator.outputs[0].full_name)


def label_propagation(scope: Any, operator: Any, container: Any) -> None:
    """Write ``LabelPropagation`` or ``LabelSpreading``: label distributions weighted by the kernel."""
    graph, model = Graph(scope, container), operator.raw_operator
    if model.kernel != "rbf":
        raise NotImplementedError(f"the kernel {model.kernel!r} is not supported")
    label, probabilities = (output.full_name for output in operator.outputs)
    weights = kernel(
        graph,
        SimpleNamespace(kernel="rbf", _gamma=model.gamma),
        graph.matrix(operator.inputs),
        np.asarray(model.X_, dtype=np.float64),
    )
    sums = graph.node("MatMul", [weights, graph.constant(np.asarray(model.label_distributions_))])
    total = graph.node("ReduceSum", [sums, graph.constant(np.array([1]))], keepdims=1)
    graph.node("Div", [sums, total], probabilities)
    graph.labels(graph.node("ArgMax", [probabilities], axis=1, keepdims=0), model.classes_, label)


def kernel_ridge(scope: Any, operator: Any, container: Any) -> None:
    """Write ``KernelRidge``: ``kernel(X, X_fit_) @ dual_coef_``."""
    graph, model = Graph(scope, container), operator.raw_operator
    dual = np.asarray(model.dual_coef_, dtype=np.float64).reshape(len(model.dual_coef_), -1)
    if dual.shape[1] != 1:
        raise NotImplementedError("several outputs are not supported")
    name = {"polynomial": "poly"}.get(model.kernel, model.kernel)
    points = np.asarray(model.X_fit_, dtype=np.float64)
    gamma = 1.0 / points.shape[1] if model.gamma is None else model.gamma
    like = SimpleNamespace(kernel=name, _gamma=gamma, degree=model.degree, coef0=model.coef0)
    products = kernel(graph, like, graph.matrix(operator.inputs), points)
    graph.node("MatMul", [products, graph.constant(dual)], operator.outputs[0].full_name)


def _repeated(graph: Graph, operator: Any, row: Array, out: str | None = None) -> str:
    """Return a row ``(1, k)`` once for every row of the input."""
    shape = graph.node("Shape", [operator.inputs[0].full_name])
    count = graph.node("Gather", [shape, graph.constant(np.array([0]))])
    wanted = graph.node("Concat", [count, graph.constant(np.array([1]))], axis=0)
    return graph.node("Expand", [graph.constant(np.asarray(row, dtype=np.float64)), wanted], out)


def dummy_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``DummyClassifier``, unless it draws its labels."""
    graph, model = Graph(scope, container), operator.raw_operator
    if model.strategy not in ("most_frequent", "prior", "constant"):
        raise NotImplementedError(f"DummyClassifier draws its labels with strategy={model.strategy!r}")
    label, probabilities = (output.full_name for output in operator.outputs)
    row = model.predict_proba(np.zeros((1, 1)))
    shares = _repeated(graph, operator, row, probabilities)
    graph.labels(graph.node("ArgMax", [shares], axis=1, keepdims=0), model.classes_, label)


def dummy_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``DummyRegressor``: its constant."""
    graph, model = Graph(scope, container), operator.raw_operator
    if model.n_outputs_ != 1:
        raise NotImplementedError("several outputs are not supported")
    _repeated(graph, operator, model.constant_, operator.outputs[0].full_name)
