"""CatBoost's trees, which compare float32 features with float32 borders: ``x > border`` goes right.

They are read from the JSON that CatBoost exports, since its own ONNX export has float32 leaves, no pipeline
around it and no direction for missing values: https://github.com/catboost/catboost/blob/master/catboost/docs/en/concepts/json-model-format.md
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor  # type: ignore[import-untyped]

from modelyard.conversion import _graph
from modelyard.conversion._boosters import (
    Converter,
    Split,
    beside_the_other,
    nested_tree,
    number,
    write_above,
    write_largest,
)
from modelyard.conversion._graph import Graph
from modelyard.conversion._tree_ensembles import Tree, as_trees_see, ensemble

IDENTITY = {
    "Expectile",
    "Huber",
    "LogCosh",
    "LogLinQuantile",
    "Lq",
    "MAE",
    "MAPE",
    "Quantile",
    "RMSE",
}
"""Losses whose predictions are the raw scores (of ``LogLinQuantile`` too, other than its name says)."""

NODES_AT_MOST = 10_000_000
"""ONNX holds a model of up to 2 GB."""

EXPONENTIAL = {"Poisson", "Tweedie"}
LOGISTIC = {"CrossEntropy", "Focal", "Logloss"}


def _exported(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        exported: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return exported


class _Columns:
    """What a split of an exported model means: the column, and where its missing values go."""

    def __init__(self, exported: dict[str, Any]) -> None:
        kinds = set(exported["features_info"]) - {"float_features"}
        if kinds:
            raise NotImplementedError(
                f"CatBoost's {', '.join(sorted(kinds)).replace('_', ' ')} have no exact ONNX form"
            )
        self._features = {
            entry["feature_index"]: (
                entry["flat_feature_index"],
                entry["nan_value_treatment"] != "AsTrue",  # a missing value is below every border
            )
            for entry in exported["features_info"]["float_features"]
        }

    def __call__(self, split: dict[str, Any]) -> tuple[int, float, bool]:
        if split["split_type"] != "FloatFeature":
            raise NotImplementedError(f"CatBoost's splits by {split['split_type']} are not supported")
        column, missing_left = self._features[split["float_feature_index"]]
        return column, float(np.float32(split["border"])), missing_left


def _oblivious(described: dict[str, Any], columns: _Columns, targets: int) -> list[Tree]:
    """Lay a symmetric tree out level by level, per target; the last split is the root's.

    The ``i``-th split is the ``i``-th bit of a leaf's number, so the leaves come in their order.
    """
    splits = [columns(split) for split in reversed(described.get("splits") or [])]
    inner = 2 ** len(splits) - 1
    level = np.floor(np.log2(np.arange(1, inner + 1))).astype(int)
    place = np.arange(2 * inner + 1)
    leaf = place >= inner

    def spread(values: list[Any], dtype: Any) -> Any:
        return np.concatenate([np.asarray(values, dtype=dtype)[level], np.zeros(inner + 1, dtype=dtype)])

    values = np.asarray(described["leaf_values"], dtype=np.float64).reshape(inner + 1, targets)
    return [
        Tree(
            spread([column for column, _, _ in splits], np.int64),
            spread([border for _, border, _ in splits], np.float64),
            np.where(leaf, -1, 2 * place + 1),
            np.where(leaf, -1, 2 * place + 2),
            leaf,
            spread([missing_left for _, _, missing_left in splits], bool),
            np.concatenate([np.zeros(inner), values[:, target]]),
            target,
        )
        for target in range(targets)
    ]


def _grown(root: dict[str, Any], columns: _Columns, targets: int) -> list[Tree]:
    """Lay a tree of ``grow_policy`` Depthwise or Lossguide out, per target."""

    def read(target: int, node: dict[str, Any]) -> Split | float:
        if "split" in node:
            return Split(*columns(node["split"]), node["left"], node["right"])
        return float(np.ravel(node["value"])[target])

    return [
        nested_tree(root, lambda node, target=target: read(target, node), target)  # type: ignore[misc]
        for target in range(targets)
    ]


def _raw(graph: Graph, operator: Any) -> tuple[str, str, int, dict[str, Any]]:
    """Return the raw scores, shape ``(n, targets)``, the loss, `targets` and the exported model."""
    exported = _exported(operator.raw_operator)
    loss = str(exported["model_info"]["params"]["loss_function"]["type"])
    if not loss or "UserDefined" in loss:
        raise NotImplementedError("CatBoost with a custom objective is not supported")
    columns = _Columns(exported)
    scale, bias = exported["scale_and_bias"]
    targets = len(bias)
    if "trees" in exported:
        layouts = [_grown(root, columns, targets) for root in exported["trees"]]
    else:
        layouts = [_oblivious(entry, columns, targets) for entry in exported["oblivious_trees"]]
    trees = [tree for layout in layouts for tree in layout]
    if sum(len(tree.leaf) for tree in trees) > NODES_AT_MOST:
        raise NotImplementedError(
            f"CatBoost's trees with more than {NODES_AT_MOST:,} nodes are not supported"
        )
    total = ensemble(graph, as_trees_see(graph, operator), trees, targets)
    scaled = graph.node("Mul", [total, number(graph, scale)])
    raw = graph.node("Add", [scaled, graph.constant(np.asarray([bias], dtype=np.float64))])
    return raw, loss, targets, exported


def classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``CatBoostClassifier``, with its probability threshold for two classes."""
    graph, model = Graph(scope, container), operator.raw_operator
    raw, loss, targets, exported = _raw(graph, operator)
    label, probabilities = (output.full_name for output in operator.outputs)
    if loss in LOGISTIC and targets == 1 and len(model.classes_) == 2:
        beside_the_other(graph, graph.node("Sigmoid", [raw]), probabilities)
        threshold = float(exported["model_info"].get("binclass_probability_threshold", 0.5))
        write_above(graph, raw, -np.log(1 / threshold - 1), model.classes_, label)
        return
    if targets != len(model.classes_) or loss not in ("MultiClass", "MultiClassOneVsAll"):
        raise NotImplementedError(
            f"CatBoost's loss {loss} with {len(model.classes_)} classes is not supported"
        )
    if loss == "MultiClass":
        graph.node("Softmax", [raw], probabilities, axis=1)
    else:  # each against the rest, and not divided by their sum
        graph.node("Sigmoid", [raw], probabilities)
    write_largest(graph, raw, model.classes_, label)


def regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write ``CatBoostRegressor``: the inverse link of the raw scores."""
    graph = Graph(scope, container)
    raw, loss, targets, _ = _raw(graph, operator)
    if targets != 1:
        raise NotImplementedError("several outputs are not supported")
    if loss not in IDENTITY | EXPONENTIAL:
        raise NotImplementedError(f"CatBoost's loss {loss} is not supported")
    graph.node("Exp" if loss in EXPONENTIAL else "Identity", [raw], operator.outputs[0].full_name)


NOTE = "CatBoost's trees are written with float32 features, with their own direction for missing values."

CONVERTERS: dict[type, Converter] = {
    CatBoostClassifier: (classifier, _graph.classifier_shapes, NOTE),
    CatBoostRegressor: (regressor, _graph.regressor_shapes, NOTE),
}
