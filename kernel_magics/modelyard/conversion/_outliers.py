"""Outlier detectors in double: 1 for what looks as before, -1 for an outlier."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.ensemble._iforest import _average_path_length

from modelyard.conversion._graph import Graph
from modelyard.conversion._support_vectors import decision
from modelyard.conversion._tree_ensembles import as_trees_see, ensemble, tree


def outlier_shapes(operator: Any) -> None:
    """Declare labels ``(n,)`` and scores ``(n, 1)``."""
    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = DoubleTensorType([None, 1])


def _labels(graph: Graph, operator: Any, scores: str, compare: str) -> None:
    inside = graph.node(compare, [scores, graph.constant(np.array([0.0]))])
    labels = graph.node("Where", [inside, graph.constant(np.array([1])), graph.constant(np.array([-1]))])
    label_out, scores_out = (output.full_name for output in operator.outputs)
    graph.node("Reshape", [labels, graph.constant(np.array([-1]))], label_out)
    graph.node("Identity", [scores], scores_out)


def isolation_forest(scope: Any, operator: Any, container: Any) -> None:
    """Write ``IsolationForest``: ``-2 ** (-mean depth / c(samples)) - offset_`` (Liu, Ting & Zhou 2008, eq. 2).

    The depth of a leaf is its own, and the mean depth of an unbuilt tree over the samples that it holds.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    trees = []
    for member, features, lengths, averages in zip(
        model.estimators_,
        model.estimators_features_,
        model._decision_path_lengths,
        model._average_path_length_per_tree,
        strict=True,
    ):
        trees.append(tree(member, np.asarray(lengths + averages - 1.0), features=np.asarray(features)))
    depths = ensemble(graph, as_trees_see(graph, operator), trees, 1)
    longest = len(trees) * float(_average_path_length([model._max_samples])[0])
    if longest == 0:
        raise NotImplementedError("a forest of single samples is not supported")
    share = graph.node("Div", [depths, graph.constant(np.array([-longest]))])
    score = graph.node("Neg", [graph.node("Pow", [graph.constant(np.array([2.0])), share])])
    decided = graph.node("Sub", [score, graph.constant(np.array([float(model.offset_)]))])
    _labels(graph, operator, decided, "GreaterOrEqual")


def one_class(scope: Any, operator: Any, container: Any) -> None:
    """Write ``OneClassSVM``: inside where the decision function is above 0."""
    graph = Graph(scope, container)
    _labels(graph, operator, decision(graph, operator), "Greater")
