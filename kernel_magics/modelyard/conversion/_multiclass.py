"""Several classes made of classifiers of two, which skl2onnx does not write, or not for labels of strings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from modelyard.conversion._distances import squared_distances
from modelyard.conversion._graph import Graph
from modelyard.conversion._meta import inside

CONSTANT = "_ConstantPredictor"
"""What scikit-learn puts where a classifier of two would see one class only."""


def _answer(graph: Graph, scope: Any, container: Any, operator: Any, member: Any) -> tuple[str, str]:
    """Return the labels ``(n,)`` of a classifier of two, and its score or second probability ``(n, 1)``."""
    if not is_classifier(member) or len(member.classes_) != 2:
        raise NotImplementedError(
            f"{type(member).__name__.strip('_')} as one of two classes is not supported"
        )
    raw = hasattr(member, "decision_function")  # which scikit-learn prefers to predict_proba
    label, scores = inside(scope, container, operator, member, raw=raw)
    second = graph.node("Gather", [graph.double(scores), graph.constant(np.array([1]))], axis=1)
    return label, second


def output_code_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``OutputCodeClassifier``: the class whose code is nearest to what the members answer.

    A bit that is the same in every code adds the same to every distance, and is left out.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    used = [i for i, member in enumerate(model.estimators_) if type(member).__name__ != CONSTANT]
    if not used:
        raise NotImplementedError("codes that are the same for every class are not supported")
    answers = [_answer(graph, scope, container, operator, model.estimators_[i])[1] for i in used]
    found = graph.node("Concat", answers, axis=1)
    label, scores = (output.full_name for output in operator.outputs)
    distances = squared_distances(graph, found, model.code_book_[:, used])
    graph.node("Neg", [distances], scores)
    graph.labels(graph.node("ArgMin", [distances], axis=1, keepdims=0), model.classes_, label)


def one_vs_one_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write ``OneVsOneClassifier``: a vote per pair of classes, and for ties the sums of their scores.

    The sums are squeezed into (-1/3, 1/3), so that they decide between equal votes only.
    """
    graph, model = Graph(scope, container), operator.raw_operator
    if model.pairwise_indices_ is not None:
        raise NotImplementedError("pairwise kernels are not supported")
    pairs = list(itertools.combinations(range(len(model.classes_)), 2))
    first, second = np.zeros((2, len(pairs), len(model.classes_)))
    for row, (i, j) in enumerate(pairs):
        first[row, i] = second[row, j] = 1.0
    answers = [_answer(graph, scope, container, operator, member) for member in model.estimators_]
    columns = [graph.node("Reshape", [label, graph.constant(np.array([-1, 1]))]) for label, _ in answers]
    won = graph.double(graph.node("Concat", columns, axis=1))  # 1 where the second of the pair wins
    lost = graph.node("Sub", [graph.constant(np.array([1.0])), won])
    votes = graph.node(
        "Add",
        [
            graph.node("MatMul", [won, graph.constant(second)]),
            graph.node("MatMul", [lost, graph.constant(first)]),
        ],
    )
    confidence = graph.node("Concat", [score for _, score in answers], axis=1)
    sums = graph.node("MatMul", [confidence, graph.constant(second - first)])
    size = graph.node("Add", [graph.node("Abs", [sums]), graph.constant(np.array([1.0]))])
    squeezed = graph.node("Div", [sums, graph.node("Mul", [size, graph.constant(np.array([3.0]))])])
    label, scores = (output.full_name for output in operator.outputs)
    graph.node("Add", [votes, squeezed], scores)
    graph.labels(graph.node("ArgMax", [scores], axis=1, keepdims=0), model.classes_, label)
