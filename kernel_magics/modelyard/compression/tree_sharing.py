"""Tree ensembles of which what is the same is kept once: equal leaves, and identical subtrees.

``TreeEnsemble`` (ai.onnx.ml opset 5) names the children of a node by number, so that several nodes, also of several
trees, may name the same child; ONNX Runtime lays each tree out again as it loads the graph, so that this saves bytes of
the file, and no time.
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from modelyard.compression.graphs import DOUBLE, FLOAT, Edited

ML = "ai.onnx.ml"
TREES = "TreeEnsemble"


@dataclass(frozen=True, eq=False)
class Trees:
    """The attributes of a ``TreeEnsemble``; a child is the number of a leaf or of an inner node."""

    features: NDArray[np.int64]
    thresholds: NDArray[np.float32]
    missing_left: NDArray[np.int64]
    children: NDArray[np.int64]  # (2, nodes): where the split is true, and where it is not
    is_leaf: NDArray[np.bool_]  # (2, nodes)
    roots: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]
    count: int

    def saying(self, targets: NDArray[Any], weights: NDArray[Any], count: int) -> Trees:
        """Return the same trees with other leaves."""
        return replace(
            self, targets=targets.astype(np.int64), weights=weights.astype(np.float64), count=count
        )


class _Shared:
    """Numbers leaves and inner nodes so that equal ones have the same number.

    ONNX Runtime lets trees share inner nodes, but refuses a tree that comes to one of them twice: within a tree equal
    nodes have numbers of their own, and the second of one tree is shared with the second of another.
    """

    def __init__(self) -> None:
        self.leaves: dict[tuple[int, float], int] = {}
        self.rows: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], list[int]] = {}

    def leaf(self, target: int, weight: float) -> int:
        return self.leaves.setdefault((target, weight), len(self.leaves))

    def node(self, row: tuple[Any, ...], used: set[int]) -> int:
        """Return the number of a node that the tree, which has `used` others, does not come to yet."""
        numbers = self._numbers.setdefault(row, [])
        free = next((number for number in numbers if number not in used), None)
        if free is None:
            free = len(self.rows)
            self.rows.append(row)
            numbers.append(free)
        used.add(free)
        return free

    def leaves_in_order(self) -> tuple[list[tuple[int, float]], list[int]]:
        """Return the leaves, those first that most nodes name, and the place of each number there.

        A file takes a byte for a number below 128, and two for most others.
        """
        named = Counter(
            number for row in self.rows for number, leaf in ((row[3], row[4]), (row[5], row[6])) if leaf
        )
        order = sorted(range(len(self.leaves)), key=lambda number: -named[number])
        places = [0] * len(order)
        for place, number in enumerate(order):
            places[number] = place
        leaves = list(self.leaves)
        return [leaves[number] for number in order], places


def _shared(trees: Trees) -> tuple[_Shared, list[int]]:
    """Return the nodes and leaves that are left, and the numbers of the roots."""
    kept = _Shared()
    features, missing = trees.features.tolist(), trees.missing_left.tolist()
    thresholds = trees.thresholds.tolist()
    yes, no = trees.children.tolist()
    yes_leaf, no_leaf = trees.is_leaf.tolist()
    targets, weights = trees.targets.tolist(), trees.weights.astype(np.float32).tolist()
    numbers: dict[int, int] = {}
    roots: list[int] = []

    def child(number: int, leaf: bool) -> int:
        return kept.leaf(targets[number], weights[number]) if leaf else numbers[number]

    for root in trees.roots.tolist():
        waiting, used = [(root, False)], set[int]()
        while waiting:
            place, below_done = waiting.pop()
            if place in numbers:
                continue
            if not below_done:
                waiting.append((place, True))
                waiting += [
                    (below, False)
                    for below, leaf in ((yes[place], yes_leaf[place]), (no[place], no_leaf[place]))
                    if not leaf
                ]
                continue
            row = (
                features[place], thresholds[place], missing[place], child(yes[place], yes_leaf[place]),
                yes_leaf[place], child(no[place], no_leaf[place]), no_leaf[place],
            )  # fmt: skip
            numbers[place] = kept.node(row, used)
        roots.append(numbers[root])
    return kept, roots


def write_trees(edited: Edited, node: Any, trees: Trees, out: str) -> str:
    """Write an ensemble in float32 between two casts; return its sums in double, shape (rows, targets)."""
    kept, roots = _shared(trees)
    features, thresholds, missing, yes, yes_leaf, no, no_leaf = map(list, zip(*kept.rows, strict=True))
    leaves, places = kept.leaves_in_order()
    targets, weights = map(list, zip(*leaves, strict=True))
    sums = edited.node(
        TREES,
        [edited.cast(node.input[0], FLOAT)],
        domain=ML,
        n_targets=trees.count,
        aggregate_function=1,
        post_transform=0,
        tree_roots=roots,
        nodes_featureids=features,
        nodes_splits=numpy_helper.from_array(np.array(thresholds, dtype=np.float32)),
        nodes_modes=numpy_helper.from_array(np.zeros(len(features), dtype=np.uint8)),
        nodes_missing_value_tracks_true=missing,
        nodes_truenodeids=_placed(yes, yes_leaf, places),
        nodes_trueleafs=[int(each) for each in yes_leaf],
        nodes_falsenodeids=_placed(no, no_leaf, places),
        nodes_falseleafs=[int(each) for each in no_leaf],
        leaf_targetids=targets,
        leaf_weights=numpy_helper.from_array(np.array(weights, dtype=np.float32)),
    )
    return edited.cast(sums, DOUBLE, out)


def _placed(numbers: list[int], are_leaves: list[bool], places: list[int]) -> list[int]:
    return [places[number] if leaf else number for number, leaf in zip(numbers, are_leaves, strict=True)]
