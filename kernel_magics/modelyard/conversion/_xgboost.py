"""XGBoost's trees, which compare float32 features with float32 thresholds: ``x < threshold`` goes left.

The model is read from its JSON: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from onnx import TensorProto
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from modelyard.conversion import _graph
from modelyard.conversion._boosters import Converter, beside_the_other, number, write_above, write_largest
from modelyard.conversion._graph import Graph
from modelyard.conversion._tree_ensembles import Tree, as_trees_see, ensemble

Array = np.ndarray[Any, Any]

LINKS = {
    "binary:logistic": "logistic",
    "count:poisson": "log",
    "multi:softmax": "softmax",
    "multi:softprob": "softmax",
    "reg:absoluteerror": "identity",
    "reg:gamma": "log",
    "reg:logistic": "logistic",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:tweedie": "log",
}
"""Objective: what turns its predictions into raw scores."""


def _tree(described: dict[str, Any], target: int, weight: float) -> Tree:
    if any(described["split_type"]):
        raise NotImplementedError("XGBoost's splits on categorical features have no exact ONNX form")
    if described["tree_param"]["size_leaf_vector"] not in ("0", "1"):
        raise NotImplementedError("XGBoost's trees with several outputs are not supported")
    left = np.asarray(described["left_children"], dtype=np.int64)
    # a leaf keeps its value where a split keeps its threshold
    numbers = np.asarray(described["split_conditions"], dtype=np.float32)
    below = np.nextafter(numbers, np.float32(-np.inf))  # x < t is x <= the float32 before t
    return Tree(
        np.asarray(described["split_indices"], dtype=np.int64),
        below.astype(np.float64),
        left,
        np.asarray(described["right_children"], dtype=np.int64),
        left < 0,
        np.asarray(described["default_left"], dtype=bool),
        numbers.astype(np.float64) * np.float32(weight),
        target,
    )


def _base(learner: dict[str, Any], link: str) -> Array:
    """Return what the raw scores start from, shape ``(1, classes or 1)``: `base_score` is a prediction."""
    stored = json.loads(learner["learner_model_param"]["base_score"])
    score = np.atleast_2d(np.asarray(stored, dtype=np.float32)).astype(np.float64)
    if link == "logistic":
        return -np.log(1 / score - 1)
    return np.log(score) if link == "log" else score


def _raw(graph: Graph, operator: Any, container: Any) -> tuple[str, str]:
    """Return the raw scores rounded to float32, as doubles ``(n, classes or 1)``, and the link."""
    model = operator.raw_operator
    learner = json.loads(model.get_booster().save_raw("json"))["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if callable(model.objective):
        raise NotImplementedError("XGBoost with a custom objective is not supported")
    if objective not in LINKS:
        raise NotImplementedError(f"XGBoost's objective {objective} is not supported")
    if booster["name"] not in ("gbtree", "dart"):
        raise NotImplementedError(f"XGBoost's booster {booster['name']} is not supported")
    if learner["learner_model_param"]["num_target"] != "1":
        raise NotImplementedError("several outputs are not supported")
    if "c" in learner["feature_types"]:
        raise NotImplementedError("XGBoost's categorical features have no exact ONNX form")
    stored = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    weights = booster.get("weight_drop", [1.0] * len(stored["trees"]))
    end = stored["iteration_indptr"][_iterations(model, len(stored["iteration_indptr"]) - 1)]
    trees = [
        _tree(described, target, weight)
        for described, target, weight in zip(
            stored["trees"][:end], stored["tree_info"][:end], weights[:end], strict=True
        )
    ]
    matrix = as_trees_see(graph, operator)
    gaps = [] if model.missing is None or np.isnan(model.missing) else [float(np.float32(model.missing))]
    if (container.get_options(model, {"sparse": False}, fail=False) or {}).get("sparse"):
        gaps.append(0.0)
    for value in gaps:
        gap = graph.node("Equal", [matrix, number(graph, value)])
        matrix = graph.node("Where", [gap, number(graph, np.nan), matrix])
    classes = int(learner["learner_model_param"]["num_class"])
    total = ensemble(graph, matrix, trees, max(classes, 1))
    raw = graph.node("Add", [total, graph.constant(_base(learner, LINKS[objective]))])
    return graph.double(_single(graph, raw)), LINKS[objective]


def _iterations(model: Any, fitted: int) -> int:
    best = model.get_booster().attr("best_iteration")
    return fitted if best is None else int(best) + 1


def _single(graph: Graph, value: str) -> str:
    return graph.node("Cast", [value], to=TensorProto.FLOAT)


def classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write a classifier; labels are decided in float32, which is where XGBoost's ties come from."""
    graph, model = Graph(scope, container), operator.raw_operator
    raw, link = _raw(graph, operator, container)
    label, probabilities = (output.full_name for output in operator.outputs)
    if link == "logistic":
        second = graph.double(_single(graph, graph.node("Sigmoid", [raw])))
        beside_the_other(graph, second, probabilities)
        write_above(graph, second, 0.5, model.classes_, label)
    elif link == "softmax" and len(model.classes_) > 2:
        graph.double(_single(graph, graph.node("Softmax", [raw], axis=1)), probabilities)
        write_largest(graph, probabilities, model.classes_, label)
    else:
        raise NotImplementedError(
            f"XGBoost's objective {model.objective} with {len(model.classes_)} classes is not supported"
        )


def regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write a regressor: the inverse link of the raw scores."""
    graph = Graph(scope, container)
    raw, link = _raw(graph, operator, container)
    inverse = {"identity": "Identity", "log": "Exp", "logistic": "Sigmoid"}.get(link)
    if inverse is None:
        raise NotImplementedError("several outputs are not supported")
    graph.node(inverse, [raw], operator.outputs[0].full_name)


NOTE = "XGBoost's trees are written with float32 features, with their own direction for missing values."

_CLASSIFIER: Converter = (classifier, _graph.classifier_shapes, NOTE)
_REGRESSOR: Converter = (regressor, _graph.regressor_shapes, NOTE)

CONVERTERS: dict[type, Converter] = {
    XGBClassifier: _CLASSIFIER,
    XGBRFClassifier: _CLASSIFIER,
    XGBRegressor: _REGRESSOR,
    XGBRFRegressor: _REGRESSOR,
}
