"""LightGBM's trees, whose thresholds and leaves are doubles.

What a node does with a missing value is `missing_type`, as in LightGBM's ``Tree::NumericalDecision``:
https://github.com/microsoft/LightGBM/blob/v4.6.0/include/LightGBM/tree.h
"""

from __future__ import annotations

from typing import Any

from lightgbm import LGBMClassifier, LGBMRegressor

from modelyard.conversion import _graph
from modelyard.conversion._boosters import (
    Converter,
    Split,
    beside_the_other,
    nested_tree,
    number,
    write_largest,
)
from modelyard.conversion._graph import Graph, wants_scores, write_scores
from modelyard.conversion._tree_ensembles import ensemble

IDENTITY = {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}
EXPONENTIAL = {"poisson", "gamma", "tweedie"}


def _read(node: Any) -> Split | float:
    if "leaf_value" in node:
        return float(node["leaf_value"])
    if node["decision_type"] != "<=":
        raise NotImplementedError("LightGBM's splits on categorical features have no exact ONNX form")
    threshold = float(node["threshold"])
    if node["missing_type"] == "Zero":
        raise NotImplementedError("LightGBM's zero_as_missing is not supported")
    # trees that were fitted without missing values take one for 0
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    return Split(node["split_feature"], threshold, missing_left, node["left_child"], node["right_child"])


def _raw(graph: Graph, operator: Any) -> tuple[str, list[str]]:
    """Return the raw scores, shape ``(n, classes or 1)``, and the objective's words (``binary sigmoid:1``)."""
    model = operator.raw_operator
    booster = model.booster_
    # without a number of iterations: those up to the best one, as predict takes
    described = booster.dump_model()
    objective = str(described.get("objective", "")).split()
    if callable(model.objective) or not objective or objective[0] == "custom":
        raise NotImplementedError("LightGBM with a custom objective is not supported")
    if described["pandas_categorical"]:
        raise NotImplementedError("LightGBM's categorical features have no exact ONNX form")
    if booster.params.get("linear_tree"):
        raise NotImplementedError("LightGBM's linear_tree is not supported")
    if model.get_params().get("pred_early_stop"):
        raise NotImplementedError("LightGBM's pred_early_stop is not supported")
    targets = described["num_tree_per_iteration"]
    trees = [
        nested_tree(entry["tree_structure"], _read, i % targets)
        for i, entry in enumerate(described["tree_info"])
    ]
    raw = ensemble(graph, graph.matrix(operator.inputs), trees, targets)
    if described["average_output"]:
        raw = graph.node("Div", [raw, number(graph, len(trees) // targets)])
    return raw, objective


def _logistic(graph: Graph, raw: str, objective: list[str]) -> str:
    slopes = [word.removeprefix("sigmoid:") for word in objective if word.startswith("sigmoid:")]
    slope = float(slopes[0]) if slopes else 1.0
    return graph.node("Sigmoid", [raw if slope == 1 else graph.node("Mul", [raw, number(graph, slope)])])


def classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``LGBMClassifier``: the class of the largest probability."""
    graph, model = Graph(scope, container), operator.raw_operator
    raw, objective = _raw(graph, operator)
    label, probabilities = (output.full_name for output in operator.outputs)
    if objective[0] in ("binary", "cross_entropy") and len(model.classes_) == 2:
        shares = beside_the_other(graph, _logistic(graph, raw, objective))
    elif objective[0] == "multiclass":
        shares = graph.node("Softmax", [raw], axis=1)
    elif objective[0] == "multiclassova":  # each against the rest, and not divided by their sum
        shares = _logistic(graph, raw, objective)
    else:
        raise NotImplementedError(
            f"the objective {objective[0]} with {len(model.classes_)} classes is not supported"
        )
    write_largest(graph, shares, model.classes_, label)
    if wants_scores(container, model):
        write_scores(graph, raw, len(model.classes_), probabilities)
    else:
        graph.node("Identity", [shares], probabilities)


def regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``LGBMRegressor``: the inverse link of the raw scores."""
    graph, out = Graph(scope, container), operator.outputs[0].full_name
    raw, objective = _raw(graph, operator)
    if objective[0] in IDENTITY and "sqrt" in objective:
        graph.node("Mul", [raw, graph.node("Abs", [raw])], out)
    elif objective[0] in IDENTITY:
        graph.node("Identity", [raw], out)
    elif objective[0] in EXPONENTIAL:
        graph.node("Exp", [raw], out)
    elif objective[0] == "cross_entropy":
        graph.node("Sigmoid", [raw], out)
    else:
        raise NotImplementedError(f"the objective {objective[0]} is not supported")


NOTE = "LightGBM's trees are written in double, with their own direction for missing values."

CONVERTERS: dict[type, Converter] = {
    LGBMClassifier: (classifier, _graph.classifier_shapes, NOTE),
    LGBMRegressor: (regressor, _graph.regressor_shapes, NOTE),
}
