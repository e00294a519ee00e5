"""Classifiers around a classifier that skl2onnx writes wrongly or in float32 only."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx._parse import _parse_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC, NuSVC

from modelyard.conversion._boosters import is_booster
from modelyard.conversion._graph import Graph, label_array, wants_scores, write_scores

RAW_SCORES = {
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    LinearSVC,
    LogisticRegression,
    LogisticRegressionCV,
    NuSVC,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
    SVC,
}
"""The classifiers whose converters here write their decision function where that is wanted."""


def inside(
    scope: Any, container: Any, operator: Any, estimator: Any, *, raw: bool = False
) -> tuple[str, str]:
    """Declare a classifier on the same inputs; return its labels ``(n,)`` and probabilities ``(n, classes)``.

    With `raw`, the second is its decision function, for two classes beside its negative: ``[-s, s]``.
    """
    variables = operator.inputs
    while isinstance(estimator, Pipeline):
        for _, step in estimator.steps[:-1]:
            variables = _parse_sklearn(scope, step, variables)
        estimator = estimator.steps[-1][1]
    if raw:
        if type(estimator) not in RAW_SCORES and not is_booster(estimator):
            raise NotImplementedError(f"the decision function of {type(estimator).__name__} is not supported")
        for place in (scope, container):
            place.add_options(id(estimator), options={"raw_scores": True})
    inner = scope.declare_local_operator(sklearn_operator_name_map[type(estimator)], estimator)
    inner.inputs = variables
    label = scope.declare_local_variable("inner_label", Int64TensorType())
    scores = scope.declare_local_variable("inner_scores", DoubleTensorType())
    inner.outputs.append(label)
    inner.outputs.append(scores)
    return label.full_name, scores.full_name


def ada_boost_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``AdaBoostClassifier``: weighted votes, and probabilities by eq. (15) of Zhu et al. 2009.

    A member's vote for a class counts its weight, and ``-weight / (classes - 1)`` for every other class.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    count = len(model.classes_)
    if count < 2:
        raise NotImplementedError("a single class is not supported")
    classes = graph.constant(label_array(model.classes_).reshape(1, -1))
    votes = []
    for estimator, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        label, _ = inside(scope, container, operator, estimator)
        column = graph.node("Reshape", [label, graph.constant(np.array([-1, 1]))])
        chosen = graph.node("Equal", [column, classes])
        weights = [graph.constant(np.array([value])) for value in (weight, -1 / (count - 1) * weight)]
        votes.append(graph.node("Where", [chosen, *weights]))
    total = graph.node("Sum", votes) if len(votes) > 1 else votes[0]
    weight_sum = graph.constant(np.array([float(model.estimator_weights_.sum())]))
    decision = graph.node("Div", [total, weight_sum])
    label_out, probabilities = (output.full_name for output in operator.outputs)
    if count == 2:
        # the decision is the second class's votes minus the first's, its halves face each other in softmax
        signed = graph.node("Mul", [decision, graph.constant(np.array([[-1.0, 1.0]]))])
        margin = graph.node("ReduceSum", [signed, graph.constant(np.array([1]))], keepdims=1)
        spread = graph.node("Mul", [margin, graph.constant(np.array([[-0.5, 0.5]]))])
        positive = graph.node("Greater", [margin, graph.constant(np.array([0.0]))])
        flat = graph.node("Squeeze", [positive, graph.constant(np.array([1]))])
        index = graph.node("Cast", [flat], to=TensorProto.INT64)
        decision = margin
    else:
        spread = graph.node("Div", [decision, graph.constant(np.array([count - 1.0]))])
        index = graph.node("ArgMax", [decision], axis=1, keepdims=0)
    if wants_scores(container, model):
        write_scores(graph, decision, count, probabilities)
    else:
        graph.node("Softmax", [spread], probabilities, axis=1)
    graph.labels(index, model.classes_, label_out)


def voting_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``VotingClassifier``: weighted votes, or the weighted mean of the probabilities.

    Its members were fitted on the places of the classes. Hard voting has no probabilities; the shares of
    the votes stand in for them and are dropped from the finished graph.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    weights = (
        np.ones(len(model.estimators_)) if model.weights is None else np.asarray(model._weights_not_none)
    )
    places = graph.constant(np.arange(len(model.classes_)).reshape(1, -1))
    parts = []
    for estimator, weight in zip(model.estimators_, weights, strict=True):
        label, shares = inside(scope, container, operator, estimator)
        if model.voting == "hard":
            column = graph.node("Reshape", [label, graph.constant(np.array([-1, 1]))])
            shares = graph.node("Equal", [column, places])
        scale = graph.constant(np.array([float(weight)]))
        parts.append(graph.node("Mul", [graph.double(shares), scale]))
    total = graph.node("Sum", parts) if len(parts) > 1 else parts[0]
    label_out, probabilities = (output.full_name for output in operator.outputs)
    graph.node("Div", [total, graph.constant(np.array([float(weights.sum())]))], probabilities)
    graph.labels(graph.node("ArgMax", [probabilities], axis=1, keepdims=0), model.classes_, label_out)


def threshold_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write a classifier with a decision threshold: positive where the probability is at least that."""
    graph, model = Graph(scope, container), operator.raw_operator
    estimator = getattr(model, "estimator_", model.estimator)
    tuned = hasattr(model, "best_threshold_")
    positive = model._curve_scorer._get_pos_label() if tuned else model.pos_label
    threshold = model.best_threshold_ if tuned else model.threshold
    if model.response_method == "decision_function" or not hasattr(estimator, "predict_proba"):
        raise NotImplementedError("a threshold on decision_function is not supported")
    classes = label_array(model.classes_).tolist()
    place = 1 if positive is None else classes.index(label_array([positive]).tolist()[0])
    _, inner = inside(scope, container, operator, estimator)
    label_out, probabilities = (output.full_name for output in operator.outputs)
    graph.double(inner, probabilities)
    score = graph.node("Gather", [probabilities, graph.constant(np.array(place))], axis=1)
    limit = graph.constant(np.array([0.5 if threshold == "auto" else float(threshold)]))
    above = graph.node("GreaterOrEqual", [score, limit])
    index = graph.node("Cast", [above], to=TensorProto.INT64)
    graph.labels(index, [classes[1 - place], classes[place]], label_out)
