"""``CalibratedClassifierCV``: skl2onnx feeds calibrators of decision functions with probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.isotonic import IsotonicRegression

from modelyard.conversion._graph import Graph
from modelyard.conversion._meta import inside


def calibrated_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write the mean of the calibrated members' probabilities."""
    graph, model = Graph(scope, container), operator.raw_operator
    members = [_member(graph, scope, container, operator, member) for member in model.calibrated_classifiers_]
    total = graph.node("Sum", members) if len(members) > 1 else members[0]
    label, probabilities = (output.full_name for output in operator.outputs)
    graph.node("Div", [total, graph.constant(np.array([float(len(members))]))], probabilities)
    graph.labels(graph.node("ArgMax", [probabilities], axis=1, keepdims=0), model.classes_, label)


def _member(graph: Graph, scope: Any, container: Any, operator: Any, member: Any) -> str:
    """Return the probabilities of one calibrated estimator, shape ``(n, classes)``."""
    estimator, count = member.estimator, len(member.classes)
    if len(estimator.classes_) != count:
        raise NotImplementedError("a member that has not seen every class is not supported")
    raw = hasattr(estimator, "decision_function")  # which scikit-learn prefers to predict_proba
    _, scores = inside(scope, container, operator, estimator, raw=raw)
    columns = [
        graph.node("Gather", [graph.double(scores), graph.constant(np.array([place]))], axis=1)
        for place in ([1] if count == 2 else range(count))
    ]
    parts = [_calibrate(graph, *pair) for pair in zip(columns, member.calibrators, strict=True)]
    one = graph.constant(np.array([1.0]))
    if count == 2:
        return graph.node("Concat", [graph.node("Sub", [one, parts[0]]), parts[0]], axis=1)
    each = graph.node("Concat", parts, axis=1)
    axis = graph.constant(np.array([1]))
    nothing = graph.node(
        "Equal", [graph.node("ReduceSum", [each, axis], keepdims=1), graph.constant(np.array([0.0]))]
    )
    each = graph.node("Where", [nothing, one, each])  # equal shares where every class has none
    return graph.node("Div", [each, graph.node("ReduceSum", [each, axis], keepdims=1)])


def _calibrate(graph: Graph, scores: str, calibrator: Any) -> str:
    if isinstance(calibrator, IsotonicRegression):
        return _isotonic(graph, scores, calibrator)
    if not hasattr(calibrator, "a_"):
        raise NotImplementedError(f"calibration by {type(calibrator).__name__.strip('_')} is not supported")
    # Platt's sigmoid: 1 / (1 + exp(a * score + b))
    scaled = graph.node("Mul", [scores, graph.constant(np.array([-float(calibrator.a_)]))])
    return graph.node(
        "Sigmoid", [graph.node("Add", [scaled, graph.constant(np.array([-float(calibrator.b_)]))])]
    )


def _isotonic(graph: Graph, scores: str, calibrator: IsotonicRegression) -> str:
    """Interpolate between the thresholds; outside them, the value at the nearer end, or NaN."""
    if calibrator.out_of_bounds == "raise":
        raise NotImplementedError("isotonic regression that refuses values out of its range is not supported")
    x = np.asarray(calibrator.X_thresholds_, dtype=np.float64)
    y = np.asarray(calibrator.y_thresholds_, dtype=np.float64)
    if len(y) == 1:
        x, y = np.repeat(x, 2) + np.array([0.0, 1.0]), np.repeat(y, 2)
    low, high = graph.constant(np.array(x[0])), graph.constant(np.array(x[-1]))
    clipped = graph.node("Clip", [scores, low, high])
    if len(x) == 2:
        segment = graph.node(
            "Cast", [graph.node("Mul", [clipped, graph.constant(np.array([0.0]))])], to=TensorProto.INT64
        )
    else:
        passed = graph.double(graph.node("Greater", [clipped, graph.constant(x[1:-1].reshape(1, -1))]))
        count = graph.node("ReduceSum", [passed, graph.constant(np.array([1]))], keepdims=1)
        segment = graph.node("Cast", [count], to=TensorProto.INT64)
    start, value, slope = (
        graph.node("Gather", [graph.constant(table), segment])
        for table in (x[:-1], y[:-1], np.diff(y) / np.diff(x))
    )
    inside = graph.node("Add", [graph.node("Mul", [slope, graph.node("Sub", [clipped, start])]), value])
    if calibrator.out_of_bounds == "clip":
        return inside
    return graph.node(
        "Where", [graph.node("Equal", [clipped, scores]), inside, graph.constant(np.array([np.nan]))]
    )


def isotonic_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``IsotonicRegression`` of one column."""
    graph = Graph(scope, container)
    result = _isotonic(graph, graph.matrix(operator.inputs), operator.raw_operator)
    graph.node("Identity", [result], operator.outputs[0].full_name)
