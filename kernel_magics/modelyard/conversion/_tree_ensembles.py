"""Decision trees, forests and boosted trees as ``TreeEnsemble`` in double precision.

skl2onnx writes the older operators, whose thresholds and leaf values are float32 and which it does not
tell where a missing value goes. ``TreeEnsemble`` (ai.onnx.ml opset 5) takes doubles and
``nodes_missing_value_tracks_true``: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.dummy import DummyClassifier, DummyRegressor

from modelyard.conversion._graph import ML, Graph, tensor, wants_scores, write_scores

Array = np.ndarray[Any, Any]

BRANCH_LEQ = 0
SUM = 1
NO_TRANSFORM = 0


@dataclass(frozen=True)
class Tree:
    """One tree; every array has one entry per node, leaves included.

    A row goes left if ``x[feature] <= threshold``, or if that value is missing and `missing_left` is set.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    leaf: Array
    missing_left: Array
    value: Array
    target: int = 0


def tree(estimator: Any, value: Array, target: int = 0, features: Array | None = None) -> Tree:
    """Read a fitted tree; `value` has one entry per node, `features` the columns that it was given."""
    nodes = estimator.tree_
    leaf = nodes.children_left < 0
    missing = np.asarray(nodes.missing_go_to_left, dtype=bool)
    feature = nodes.feature if features is None else features[np.where(leaf, 0, nodes.feature)]
    return Tree(
        feature, nodes.threshold, nodes.children_left, nodes.children_right, leaf, missing, value, target
    )


def _boosted_tree(predictor: Any, target: int) -> Tree:
    nodes = predictor.nodes
    if nodes["is_categorical"].any():
        raise NotImplementedError("splits on categorical features have no exact ONNX form")
    return Tree(
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        nodes["is_leaf"].astype(bool),
        nodes["missing_go_to_left"].astype(bool),
        nodes["value"],
        target,
    )


def ensemble(graph: Graph, matrix: str, trees: Sequence[Tree], targets: int) -> str:
    """Sum the leaves that each row reaches, per target: double, shape ``(n, targets)``."""
    features, splits, missing, weights, target_ids, roots = [], [], [], [], [], []
    branches: dict[str, list[Array]] = {"truenode": [], "trueleaf": [], "falsenode": [], "falseleaf": []}
    node_count = leaf_count = 0
    for one in trees:
        inner = ~one.leaf
        # where each node ends up: inner nodes in one list, leaves in another
        place = np.where(inner, node_count + np.cumsum(inner) - 1, leaf_count + np.cumsum(one.leaf) - 1)
        if inner.any():
            left, right = one.left[inner], one.right[inner]
            features.append(one.feature[inner])
            splits.append(one.threshold[inner])
            missing.append(one.missing_left[inner])
        else:  # a root that is a leaf is written as a split with that leaf on both sides
            left = right = np.zeros(1, dtype=np.int64)
            features.append(np.zeros(1))
            splits.append(np.zeros(1))
            missing.append(np.zeros(1))
        roots.append(node_count)  # node 0 of a tree is its root
        for side, child in (("true", left), ("false", right)):
            branches[f"{side}node"].append(place[child])
            branches[f"{side}leaf"].append(one.leaf[child])
        weights.append(one.value[one.leaf])
        target_ids.append(np.full(int(one.leaf.sum()), one.target))
        node_count += len(left)
        leaf_count += int(one.leaf.sum())

    def integers(parts: Sequence[Array]) -> list[int]:
        return [int(number) for number in np.concatenate(parts)]

    return graph.node(
        "TreeEnsemble",
        [matrix],
        domain=ML,
        n_targets=targets,
        aggregate_function=SUM,
        post_transform=NO_TRANSFORM,
        tree_roots=roots,
        nodes_featureids=integers(features),
        nodes_splits=tensor(np.concatenate(splits).astype(np.float64)),
        nodes_modes=tensor(np.full(node_count, BRANCH_LEQ, dtype=np.uint8)),
        nodes_missing_value_tracks_true=integers(missing),  # int, since protobuf 7 refuses a bool
        nodes_truenodeids=integers(branches["truenode"]),
        nodes_trueleafs=integers(branches["trueleaf"]),
        nodes_falsenodeids=integers(branches["falsenode"]),
        nodes_falseleafs=integers(branches["falseleaf"]),
        leaf_targetids=integers(target_ids),
        leaf_weights=tensor(np.concatenate(weights).astype(np.float64)),
    )


def as_trees_see(graph: Graph, operator: Any) -> str:
    """Return the features rounded to float32, as scikit-learn's trees round them, in double."""
    single = graph.node("Cast", [graph.matrix(operator.inputs)], to=TensorProto.FLOAT)
    return graph.double(single)


def _members(model: Any) -> list[Any]:
    members = list(model.estimators_) if hasattr(model, "estimators_") else [model]
    if members[0].n_outputs_ != 1:
        raise NotImplementedError("several outputs are not supported")
    return members


def _divided(graph: Graph, total: str, count: int, out: str) -> None:
    graph.node("Div", [total, graph.constant(np.array([float(count)]))], out)


def forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write a tree or forest: the mean of the class frequencies in the leaves.

    A leaf of ``TreeEnsemble`` has one target, so each tree answers the number of the leaf, and a table
    holds the frequencies: summing in scikit-learn's order keeps even its ties.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    trees, tables = [], []
    leaves = 0
    for target, member in enumerate(_members(model)):
        leaf = member.tree_.children_left < 0
        trees.append(tree(member, leaves + np.cumsum(leaf) - 1.0, target))
        tables.append(member.tree_.value[leaf, 0, : len(model.classes_)])
        leaves += int(leaf.sum())
    reached = ensemble(graph, as_trees_see(graph, operator), trees, len(trees))
    index = graph.node("Cast", [reached], to=TensorProto.INT64)
    frequencies = graph.node("Gather", [graph.constant(np.concatenate(tables)), index], axis=0)
    total = graph.node("ReduceSum", [frequencies, graph.constant(np.array([1]))], keepdims=0)
    probabilities = operator.outputs[1].full_name
    _divided(graph, total, len(trees), probabilities)
    best = graph.node("ArgMax", [probabilities], axis=1, keepdims=0)
    graph.labels(best, model.classes_, operator.outputs[0].full_name)


def forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write a tree or forest: the mean of the values in the leaves."""
    graph = Graph(scope, container)
    members = _members(operator.raw_operator)
    trees = [tree(member, member.tree_.value[:, 0, 0]) for member in members]
    total = ensemble(graph, as_trees_see(graph, operator), trees, 1)
    _divided(graph, total, len(trees), operator.outputs[0].full_name)


def _gradient_boosting(graph: Graph, operator: Any) -> str:
    """Return the raw predictions, shape ``(n, classes or 1)``."""
    model = operator.raw_operator
    if not isinstance(model.init_, (DummyClassifier, DummyRegressor, str)):
        raise NotImplementedError(f"init={type(model.init_).__name__} is not supported")
    trees = [
        tree(member, model.learning_rate * member.tree_.value[:, 0, 0], k)
        for stage in model.estimators_
        for k, member in enumerate(stage)
    ]
    total = ensemble(graph, as_trees_see(graph, operator), trees, model.estimators_.shape[1])
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    return graph.node("Add", [total, graph.constant(start)])


def _hist_gradient_boosting(graph: Graph, operator: Any) -> str:
    model = operator.raw_operator
    if model._preprocessor is not None:
        raise NotImplementedError("categorical features have no exact ONNX form")
    trees = [_boosted_tree(predictor, k) for stage in model._predictors for k, predictor in enumerate(stage)]
    total = ensemble(graph, graph.matrix(operator.inputs), trees, model.n_trees_per_iteration_)
    start = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1, -1)
    return graph.node("Add", [total, graph.constant(start)])


RAW = {
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _hist_gradient_boosting,
    "HistGradientBoostingRegressor": _hist_gradient_boosting,
}


def boosting_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write boosted trees: the logistic function or the softmax of the raw predictions.

    The exponential loss estimates half the log-odds (Friedman, Hastie & Tibshirani 2000, section 2).
    """
    graph, model = Graph(scope, container), operator.raw_operator
    raw = RAW[type(model).__name__](graph, operator)
    label, probabilities = (output.full_name for output in operator.outputs)
    loss, scores = type(model._loss).__name__, wants_scores(container, model)
    if loss == "HalfMultinomialLoss":
        if not scores:
            graph.node("Softmax", [raw], probabilities, axis=1)
        index = graph.node("ArgMax", [raw], axis=1, keepdims=0)
    elif loss in ("HalfBinomialLoss", "ExponentialLoss"):
        zero = graph.constant(np.array([0.0]))
        # at exactly 0 the two families of scikit-learn decide differently
        compare = "Greater" if "Hist" in type(model).__name__ else "GreaterOrEqual"
        positive = graph.node(compare, [raw, zero])
        index = graph.node(
            "Cast", [graph.node("Squeeze", [positive, graph.constant(np.array([1]))])], to=TensorProto.INT64
        )
        odds = raw
        if loss == "ExponentialLoss":
            odds = graph.node("Mul", [raw, graph.constant(np.array([2.0]))])
        second = graph.node("Sigmoid", [odds])
        first = graph.node("Sub", [graph.constant(np.array([1.0])), second])
        if not scores:
            graph.node("Concat", [first, second], probabilities, axis=1)
    else:
        raise NotImplementedError(f"the loss {loss} is not supported")
    if scores:
        write_scores(graph, raw, len(model.classes_), probabilities)
    graph.labels(index, model.classes_, label)


def boosting_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write boosted trees: the inverse link of the raw predictions."""
    graph, model = Graph(scope, container), operator.raw_operator
    raw = RAW[type(model).__name__](graph, operator)
    link = type(model._loss.link).__name__
    inverse = {"IdentityLink": "Identity", "LogLink": "Exp"}.get(link)
    if inverse is None:
        raise NotImplementedError(f"the link {link} is not supported")
    graph.node(inverse, [raw], operator.outputs[0].full_name)
