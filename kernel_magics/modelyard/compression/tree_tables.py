"""Tree ensembles with smaller tables: float32, leaves that are told once, and identical subtrees that are kept once.

``TreeEnsemble`` (ai.onnx.ml opset 5) names the children of a node by number, so that several nodes, also of several
trees, may name the same child; ONNX Runtime lays each tree out again as it loads the graph, so that this saves bytes of
the file, and no time.
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from modelyard.compression.graphs import DOUBLE, FLOAT, Edited
from modelyard.errors import ConversionError

_ML = "ai.onnx.ml"
_OP = "TreeEnsemble"


def smaller_tables(proto: Any, levels: int | None = None) -> Any:
    """Return a graph whose tree ensembles are in float32 and share what is the same.

    For features that are float32 already, as scikit-learn's forests see them, thresholds are rounded down, and no row
    goes another way. Other features are rounded to the nearest float32, and thresholds alike: a row that is not above a
    threshold stays so, and one may go another way where it is above by less than the last digit.

    Parameters
    ----------
    proto : onnx.ModelProto
        As `modelyard.conversion` writes it, in double.
    levels : int, optional
        Round what the leaves say to so many values, evenly between the least and the largest, of each target.

    Raises
    ------
    ConversionError
        There is no tree ensemble in it.
    """
    edited = Edited(proto)
    original = list(edited.graph.node)
    if not any(node.op_type == _OP and node.domain == _ML for node in original):
        raise ConversionError("there are no trees in its ONNX form")
    skipped: set[int] = set()
    for place, node in enumerate(original):
        if place in skipped:
            continue
        if node.op_type != _OP or node.domain != _ML:
            edited.nodes.append(node)
            continue
        trees = _read(node, single=_is_single(original, node.input[0]))
        follows = _frequencies(edited, original, place, trees)
        if follows is None:
            _write(edited, node, _rounded(trees, levels), node.output[0])
        else:
            skipped |= follows.places
            _write_frequencies(edited, node, trees, follows, levels)
    return edited.finished()


@dataclass(frozen=True, eq=False)
class _Trees:
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


def _is_single(nodes: list[Any], value: str) -> bool:
    """Whether a tensor holds nothing but float32 values, in double: two casts after each other."""
    made_by = {output: node for node in nodes for output in node.output}
    kinds: list[int] = []
    while value in made_by and made_by[value].op_type == "Cast" and len(kinds) < 2:
        kinds.append(helper.get_attribute_value(made_by[value].attribute[0]))
        value = made_by[value].input[0]
    return kinds == [DOUBLE, FLOAT]


def _read(node: Any, single: bool) -> _Trees:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    modes = numpy_helper.to_array(given["nodes_modes"])
    if modes.any() or given.get("aggregate_function", 1) != 1 or given.get("post_transform", 0):
        raise ConversionError("its trees have splits other than <=, or are not summed")
    nodes = len(modes)
    exact = np.asarray(numpy_helper.to_array(given["nodes_splits"]), dtype=np.float64)
    return _Trees(
        np.asarray(given["nodes_featureids"], dtype=np.int64),
        rounded_down(exact) if single else exact.astype(np.float32),
        np.asarray(given.get("nodes_missing_value_tracks_true") or [0] * nodes, dtype=np.int64),
        np.array([given["nodes_truenodeids"], given["nodes_falsenodeids"]], dtype=np.int64),
        np.array([given["nodes_trueleafs"], given["nodes_falseleafs"]], dtype=bool),
        np.asarray(given["tree_roots"], dtype=np.int64),
        np.asarray(given["leaf_targetids"], dtype=np.int64),
        np.asarray(numpy_helper.to_array(given["leaf_weights"]), dtype=np.float64),
        int(given["n_targets"]),
    )


def rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value.

    >>> [float(each) <= 0.1 for each in (rounded_down(np.array([0.1]))[0], np.float32(0.1))]
    [True, False]
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


# --------------------------------------------------------------------------------------------- class frequencies


@dataclass(frozen=True, eq=False)
class _Frequencies:
    """What a forest's leaves say: each tree answers the number of a row of a table, whose rows are added up.

    Attributes
    ----------
    places : set of int
        The nodes behind the trees that look the rows up and add them.
    table : ndarray of shape (leaves, classes)
    total : str
        The tensor of their sums, shape (rows, classes), in double.
    """

    places: set[int]
    table: NDArray[np.float64]
    total: str


def _frequencies(edited: Edited, nodes: list[Any], place: int, trees: _Trees) -> _Frequencies | None:
    """Return the table behind an ensemble, if its trees answer places in one."""
    places: set[int] = set()
    value, table = nodes[place].output[0], None
    for op in ("Cast", "Gather", "ReduceSum"):
        readers = [i for i, node in enumerate(nodes) if value in node.input]
        if len(readers) != 1 or nodes[readers[0]].op_type != op:
            return None
        if op == "Gather":
            table = edited.array(nodes[readers[0]].input[0])
        places.add(readers[0])
        value = nodes[readers[0]].output[0]
    if table is None or table.ndim != 2 or trees.count != len(trees.roots):
        return None
    return _Frequencies(places, table, value)


def _write_frequencies(
    edited: Edited, node: Any, trees: _Trees, follows: _Frequencies, levels: int | None
) -> None:
    """Write a forest whose leaves name a class, or a share of the second one, or, of more classes, a row of a table."""
    said = follows.table[trees.weights.astype(np.int64)]
    if levels:
        said = np.round(said * (levels - 1)) / (levels - 1)
    if (said.max(axis=1) == 1).all() and (said.sum(axis=1) == 1).all():
        votes = _changed(trees, said.argmax(axis=1), np.ones(len(said)), said.shape[1])
        _write(edited, node, votes, follows.total)
    elif said.shape[1] == 2 and np.allclose(follows.table.sum(axis=1), 1):
        shares = _changed(trees, np.zeros(len(said), dtype=np.int64), said[:, 1], 1)
        second = _write(edited, node, shares, edited.fresh("shares"))
        whole = edited.constant(np.array([[float(len(trees.roots))]]))
        edited.node("Concat", [edited.node("Sub", [whole, second]), second], follows.total, axis=1)
    else:
        rows, places = np.unique(said.astype(np.float32), axis=0, return_inverse=True)
        numbered = _changed(trees, trees.targets, places.reshape(-1).astype(np.float64), trees.count)
        reached = _write(edited, node, numbered, edited.fresh("reached"))
        index = edited.cast(reached, helper.np_dtype_to_tensor_dtype(np.dtype(np.int32)))
        found = edited.node("Gather", [edited.constant(rows), index], axis=0)
        total = edited.node("ReduceSum", [found, edited.constant(np.array([1]))], keepdims=0)
        edited.cast(total, DOUBLE, follows.total)


def _changed(trees: _Trees, targets: NDArray[Any], weights: NDArray[Any], count: int) -> _Trees:
    return _Trees(
        trees.features, trees.thresholds, trees.missing_left, trees.children, trees.is_leaf, trees.roots,
        targets.astype(np.int64), weights.astype(np.float64), count,
    )  # fmt: skip


def _rounded(trees: _Trees, levels: int | None) -> _Trees:
    if not levels or not len(trees.weights):
        return trees
    weights = trees.weights.copy()
    for target in np.unique(trees.targets):
        own = trees.targets == target
        low, high = weights[own].min(), weights[own].max()
        step = (high - low) / (levels - 1)
        if step > 0:
            weights[own] = low + step * np.round((weights[own] - low) / step)
    return _changed(trees, trees.targets, weights, trees.count)


# --------------------------------------------------------------------------------------------- sharing, writing


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


def _shared(trees: _Trees) -> tuple[_Shared, list[int]]:
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


def _write(edited: Edited, node: Any, trees: _Trees, out: str) -> str:
    """Write an ensemble in float32 between two casts; return its sums in double, shape (rows, targets)."""
    kept, roots = _shared(trees)
    features, thresholds, missing, yes, yes_leaf, no, no_leaf = map(list, zip(*kept.rows, strict=True))
    targets, weights = map(list, zip(*kept.leaves, strict=True))
    sums = edited.node(
        _OP,
        [edited.cast(node.input[0], FLOAT)],
        domain=_ML,
        n_targets=trees.count,
        aggregate_function=1,
        post_transform=0,
        tree_roots=roots,
        nodes_featureids=features,
        nodes_splits=numpy_helper.from_array(np.array(thresholds, dtype=np.float32)),
        nodes_modes=numpy_helper.from_array(np.zeros(len(features), dtype=np.uint8)),
        nodes_missing_value_tracks_true=missing,
        nodes_truenodeids=yes,
        nodes_trueleafs=[int(each) for each in yes_leaf],
        nodes_falsenodeids=no,
        nodes_falseleafs=[int(each) for each in no_leaf],
        leaf_targetids=targets,
        leaf_weights=numpy_helper.from_array(np.array(weights, dtype=np.float32)),
    )
    return edited.cast(sums, DOUBLE, out)
