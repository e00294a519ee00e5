"""Linear classifiers whose labels or probabilities skl2onnx refuses or gets wrong in double."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from modelyard.conversion._graph import Graph, wants_scores, write_scores


def linear_labels(scope: Any, operator: Any, container: Any) -> None:
    """Write a classifier without probabilities; its scores, one per class, stand in for them."""
    graph, model = Graph(scope, container), operator.raw_operator
    write_scores(graph, _decide(graph, operator), len(model.classes_), operator.outputs[1].full_name)


def logistic_regression(scope: Any, operator: Any, container: Any) -> None:
    """Write the logistic function of the score of two classes, or the softmax of the scores of more.

    Where scikit-learn before 1.8 fitted one class against the rest, the logistic functions are divided by
    their sum.
    """
    graph, model, out = Graph(scope, container), operator.raw_operator, operator.outputs[1].full_name
    raw = _decide(graph, operator)
    if wants_scores(container, model):
        write_scores(graph, raw, len(model.classes_), out)
    elif len(model.classes_) == 2:
        second = graph.node("Sigmoid", [raw])
        graph.node(
            "Concat", [graph.node("Sub", [graph.constant(np.array([1.0])), second]), second], out, axis=1
        )
    elif getattr(model, "multi_class", "") == "ovr" or model.solver == "liblinear":
        each = graph.node("Sigmoid", [raw])
        graph.node(
            "Div", [each, graph.node("ReduceSum", [each, graph.constant(np.array([1]))], keepdims=1)], out
        )
    else:
        graph.node("Softmax", [raw], out, axis=1)


def stochastic_gradient_descent(scope: Any, operator: Any, container: Any) -> None:
    """Write ``SGDClassifier``: one against the rest, with the probabilities of its loss.

    For ``modified_huber`` they are ``(clip(score, -1, 1) + 1) / 2`` (Zadrozny & Elkan 2002), and equal
    where all of them are 0.
    """
    model = operator.raw_operator
    if model.loss not in ("log_loss", "modified_huber") or wants_scores(container, model):
        linear_labels(scope, operator, container)
        return
    graph, out = Graph(scope, container), operator.outputs[1].full_name
    raw = _decide(graph, operator)
    one = graph.constant(np.array([1.0]))
    if model.loss == "log_loss":
        each = graph.node("Sigmoid", [raw])
    else:
        clipped = graph.node("Clip", [raw, graph.constant(np.array(-1.0)), graph.constant(np.array(1.0))])
        each = graph.node("Div", [graph.node("Add", [clipped, one]), graph.constant(np.array([2.0]))])
    if len(model.classes_) == 2:
        graph.node("Concat", [graph.node("Sub", [one, each]), each], out, axis=1)
        return
    axis = graph.constant(np.array([1]))
    total = graph.node("ReduceSum", [each, axis], keepdims=1)
    nothing = graph.node("Equal", [total, graph.constant(np.array([0.0]))])
    each = graph.node("Where", [nothing, one, each])
    graph.node("Div", [each, graph.node("ReduceSum", [each, axis], keepdims=1)], out)


def _decide(graph: Graph, operator: Any) -> str:
    """Write the labels; return the scores ``X @ coef_.T + intercept_``, one column if there are two classes.

    The second of two classes is chosen where the score is above 0; else the class of the largest score.
    """
    model = operator.raw_operator
    coefficients = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercepts = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64).ravel(), len(coefficients))
    product = graph.node("MatMul", [graph.matrix(operator.inputs), graph.constant(coefficients.T)])
    raw = graph.node("Add", [product, graph.constant(intercepts.reshape(1, -1))])
    if len(coefficients) == 1:
        positive = graph.node("Greater", [raw, graph.constant(np.array([0.0]))])
        flat = graph.node("Squeeze", [positive, graph.constant(np.array([1]))])
        index = graph.node("Cast", [flat], to=TensorProto.INT64)
    else:
        index = graph.node("ArgMax", [raw], axis=1, keepdims=0)
    graph.labels(index, model.classes_, operator.outputs[0].full_name)
    return raw


def latent_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``CCA`` or ``PLSCanonical``: ``(X - mean) @ coef_.T + intercept_``."""
    graph, model = Graph(scope, container), operator.raw_operator
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    if len(coefficients) != 1:
        raise NotImplementedError("several outputs are not supported")
    mean = graph.constant(np.asarray(model._x_mean, dtype=np.float64).reshape(1, -1))
    centred = graph.node("Sub", [graph.matrix(operator.inputs), mean])
    product = graph.node("MatMul", [centred, graph.constant(coefficients.T)])
    intercept = graph.constant(np.asarray(model.intercept_, dtype=np.float64).reshape(1, -1))
    graph.node("Add", [product, intercept], operator.outputs[0].full_name)
