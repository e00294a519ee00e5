"""Trees as a walk: all trees at once, a level a step, each step a handful of look-ups.

The usual form multiplies by a table of leaves by nodes for each tree, and grows with their product. Here a node takes
16 bytes, or 20 where thresholds are doubles: the feature, the threshold, where its two children stand, next to each
other, and what it says if it is a leaf. A leaf leads to itself, so that short trees wait for long ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.conversion._tflite_columns import Columns, nearest, rounded_down
from modelyard.conversion._tflite_file import ROWS, Array, Draft, Tensor

_LEQ = 0
_LARGEST_WHOLE = 2**24  # of float32
_SMALLEST = np.finfo(np.float32).tiny


class TreesError(ValueError):
    """Trees that do something else than compare with a threshold and add leaves up."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A ``TreeEnsemble``: for each inner node a split, for each leaf a target and a weight.

    Attributes
    ----------
    children, is_leaf : ndarray of shape (2, nodes)
        Where the split is true, and where it is not: the number of a node, or of a leaf.
    """

    features: Array
    thresholds: Array
    nan_left: Array
    children: Array
    is_leaf: Array
    roots: Array
    targets: Array
    weights: Array
    width: int

    @classmethod
    def of(cls, given: dict[str, Any]) -> Ensemble:
        """Read the attributes of an ONNX node.

        Raises
        ------
        TreesError
            They are not splits of the kind <= whose leaves are summed.
        """
        from onnx import numpy_helper

        modes = numpy_helper.to_array(given["nodes_modes"])
        if (modes != _LEQ).any():
            raise TreesError("splits other than <=")
        if given.get("aggregate_function", 1) != 1 or given.get("post_transform", 0):
            raise TreesError("leaves that are not summed")
        return cls(
            np.asarray(given["nodes_featureids"], dtype=np.int64),
            np.asarray(numpy_helper.to_array(given["nodes_splits"]), dtype=np.float64),
            np.asarray(given.get("nodes_missing_value_tracks_true") or [0] * len(modes), dtype=bool),
            np.array([given["nodes_truenodeids"], given["nodes_falsenodeids"]], dtype=np.int64),
            np.array([given["nodes_trueleafs"], given["nodes_falseleafs"]], dtype=bool),
            np.asarray(given["tree_roots"], dtype=np.int64),
            np.asarray(given["leaf_targetids"], dtype=np.int64),
            np.asarray(numpy_helper.to_array(given["leaf_weights"]), dtype=np.float64),
            int(given["n_targets"]),
        )


@dataclass(frozen=True, eq=False)
class Reached:
    """Where each row ends in each tree.

    Attributes
    ----------
    place : Tensor
        Numbers of nodes, shape (rows, trees).
    leaves : ndarray of shape (nodes,)
        The number of the leaf that a node is; -1 of an inner node.
    trees : ndarray of shape (nodes,)
        The tree that each node is of.
    """

    place: Tensor
    leaves: Array
    trees: Array
    count: int


@dataclass(frozen=True, eq=False)
class _Halves:
    """Numbers as a float32, and where that matters what it leaves, as a second one: 48 bits in all."""

    first: Array
    second: Array | None

    @classmethod
    def of(cls, values: Array) -> _Halves:
        first = nearest(values)
        with np.errstate(invalid="ignore"):
            second = np.where(np.isfinite(first), values - first, 0)
        return cls(first, nearest(second))

    def turned(self, where: Array) -> _Halves:
        """Return, for some, the negative of the next larger number: ``x <= limit`` is ``-x > -next``."""
        last = self.first if self.second is None else self.second
        above = np.nextafter(last, np.float32(np.inf))
        above = np.where(
            (above > 0) & (above < _SMALLEST), _SMALLEST, above
        )  # some processors take less for 0
        if self.second is None:
            return _Halves(np.where(where, -above, self.first), None)
        return _Halves(np.where(where, -self.first, self.first), np.where(where, -above, self.second))

    def taken(self, nodes: Array, inner: Array) -> _Halves:
        """Return those of nodes; no number is above that of a leaf."""
        second = None if self.second is None else np.where(inner, self.second[nodes], 0)
        return _Halves(np.where(inner, self.first[nodes], np.float32(np.inf)), second)


def walked(draft: Draft, ensemble: Ensemble, fed: Columns | Tensor) -> Reached:
    """Write the steps from the roots to the leaves."""
    features, limits, nan_left = _splits(draft, ensemble, fed)
    if isinstance(fed, Tensor):
        sources = [fed]
    else:
        asked_of, places = draft.joined(features)
        sources = [asked_of] if limits.second is None else [asked_of, draft.joined(features, is_rest=True)[0]]
        features = places
    if not nan_left.all():
        # a comparison with NaN is false, so that a missing value goes the first way: where that must be the
        # right one, the children stand the other way round, and the opposite is asked
        width = sources[0].shape[1]
        features = np.where(nan_left, features, features + width)
        limits = limits.turned(~nan_left)
        sources = [_with_negative(draft, each) for each in sources]
    nodes, first, leaves, trees, levels = _laid_out(ensemble, nan_left)
    inner = leaves < 0
    feature, limits = np.where(inner, features[nodes], 0), limits.taken(nodes, inner)
    count = len(ensemble.roots)
    shape = (ROWS, count)
    parts = [limits.first] if limits.second is None else [limits.first, limits.second]
    root = draft.constant(feature[:count], "int32")
    asked = [draft.step("GATHER", [each, root], shape, axis=1) for each in sources]
    against = [draft.constant(each[:count]) for each in parts]
    place = _next(draft, asked, against, draft.constant(first[:count], "int32"))
    which, to = draft.constant(feature, "int32"), draft.constant(first, "int32")
    tables = [draft.constant(each) for each in parts]
    for _ in range(levels - 1):
        feature_there = draft.step("GATHER", [which, place], shape, "int32")
        asked = [draft.step("GATHER", [each, feature_there], shape, axis=1, batchDims=1) for each in sources]
        against = [draft.step("GATHER", [each, place], shape) for each in tables]
        place = _next(draft, asked, against, draft.step("GATHER", [to, place], shape, "int32"))
    return Reached(place, leaves, trees, count)


def _with_negative(draft: Draft, source: Tensor) -> Tensor:
    negative = draft.step("NEG", [source], source.shape)
    return draft.step("CONCATENATION", [source, negative], (ROWS, 2 * source.shape[1]), axis=1)


def _next(draft: Draft, asked: list[Tensor], against: list[Tensor], first: Tensor) -> Tensor:
    """Write the place of the child: the first one, or the second where what is asked is above the limit."""
    shape = asked[0].shape
    if len(asked) == 1:
        above = draft.step("GREATER", [asked[0], against[0]], shape, "bool")
    else:  # near the limit the first difference is without error, and elsewhere it alone decides
        apart = [draft.step("SUB", each, shape) for each in zip(asked, against, strict=True)]
        total = draft.step("ADD", apart, shape)
        above = draft.step("GREATER", [total, draft.constant(np.zeros(1))], shape, "bool")
    return draft.step("ADD", [first, draft.step("CAST", [above], shape, "int32")], shape, "int32")


def _splits(draft: Draft, ensemble: Ensemble, fed: Columns | Tensor) -> tuple[Array, _Halves, Array]:
    """Return what nodes split on, where, and whether a missing value goes left."""
    features, thresholds, nan_left = ensemble.features, ensemble.thresholds, ensemble.nan_left
    if not isinstance(fed, Columns):
        single = rounded_down(thresholds) if fed.is_single else nearest(thresholds)
        return features, _Halves(single, None), nan_left
    columns, exact, goes_left = fed.split_limits(features, thresholds, nan_left)
    if fed.splits_in_single(features):
        return columns, _Halves(rounded_down(thresholds), None), goes_left
    limits = _Halves.of(exact)
    return columns, limits if draft.is_exact else _Halves(limits.first, None), goes_left


def _laid_out(ensemble: Ensemble, nan_left: Array) -> tuple[Array, Array, Array, Array, int]:
    """Give the nodes numbers, level by level, the two children of a node next to each other, the roots first.

    Returns
    -------
    nodes : ndarray
        The node of the ensemble that each is; 0 of a leaf.
    first : ndarray
        The number of its first child; of a leaf, its own.
    leaves, trees : ndarray
        As of `Reached`.
    levels : int
        How many steps lead to the lowest leaf.
    """
    count = len(ensemble.roots)
    numbers, is_leaf = ensemble.roots, np.zeros(count, dtype=bool)
    trees, start = np.arange(count), 0
    found: list[tuple[Array, Array, Array, Array]] = []
    while True:
        first = np.arange(start, start + len(numbers))
        inner = np.flatnonzero(~is_leaf)
        below = start + len(numbers)
        first[inner] = below + 2 * np.arange(len(inner))
        found.append((np.where(is_leaf, 0, numbers), first, np.where(is_leaf, numbers, -1), trees))
        if not len(inner):
            break
        start, split = below, numbers[inner]
        ways = np.where(nan_left[split], 0, 1)  # the first child is the one where NaN goes
        sides = np.stack([ways, 1 - ways])
        numbers = ensemble.children[sides, split].T.reshape(-1)
        is_leaf = ensemble.is_leaf[sides, split].T.reshape(-1)
        trees = np.repeat(trees[inner], 2)
    nodes, firsts, leaves, of_tree = (np.concatenate(each) for each in zip(*found, strict=True))
    return nodes, firsts, leaves, of_tree, len(found) - 1


# ------------------------------------------------------------------------------------------------ what leaves say


def summed(draft: Draft, ensemble: Ensemble, reached: Reached) -> Tensor:
    """Write the sums of the leaves' weights, shape (rows, targets)."""
    is_leaf = reached.leaves >= 0
    leaf = np.maximum(reached.leaves, 0)
    rounds = _in_rounds(ensemble.targets[leaf][is_leaf], reached.trees[is_leaf], ensemble.width)
    if rounds is None:
        rows = np.zeros((len(ensemble.weights), ensemble.width))
        rows[np.arange(len(rows)), ensemble.targets] = ensemble.weights
        return rows_summed(draft, reached, rows)
    table = draft.constant(np.where(is_leaf, ensemble.weights[leaf], 0))
    said = draft.step("GATHER", [table, reached.place], reached.place.shape)
    if ensemble.width == 1:
        return _sum(draft, said, (ROWS, 1), keepDims=True)
    if (rounds != np.arange(reached.count)).any():
        said = draft.step("GATHER", [said, draft.constant(rounds, "int32")], said.shape, axis=1)
    if reached.count == ensemble.width:
        return said
    shape = (ROWS, reached.count // ensemble.width, ensemble.width)
    said = draft.step("RESHAPE", [said, draft.constant(shape, "int32")], shape, newShape=list(shape))
    return _sum(draft, said, (ROWS, ensemble.width), keepDims=False)


def _in_rounds(targets: Array, trees: Array, width: int) -> Array | None:
    """Return the trees in the order first of all targets, second of all targets, and so on.

    Parameters
    ----------
    targets, trees : ndarray of shape (leaves,)
        Of each leaf.

    Returns
    -------
    ndarray of shape (trees,), or None
        ``None`` where a tree has several targets, or one target more trees than another.
    """
    of_tree = np.zeros(int(trees.max()) + 1, dtype=np.int64)
    of_tree[trees] = targets
    counts = np.bincount(of_tree, minlength=width)
    if (of_tree[trees] != targets).any() or (counts != counts[0]).any():
        return None
    return np.argsort(of_tree, kind="stable").reshape(width, -1).T.reshape(-1)


def rows_summed(draft: Draft, reached: Reached, rows: Array) -> Tensor:
    """Write the sums over trees of a row for each leaf, shape (rows, width); equal rows are kept once."""
    single = np.ascontiguousarray(rows.astype(np.float32)) + np.float32(0)  # no -0.0
    whole = single.view(np.dtype((np.void, single.dtype.itemsize * single.shape[1]))).reshape(-1)
    _, kept, places = np.unique(whole, return_index=True, return_inverse=True)
    number = draft.constant(np.where(reached.leaves < 0, 0, places[np.maximum(reached.leaves, 0)]), "int32")
    which = draft.step("GATHER", [number, reached.place], reached.place.shape, "int32")
    width = single.shape[1]
    said = draft.step("GATHER", [draft.constant(single[kept]), which], (ROWS, reached.count, width))
    return _sum(draft, said, (ROWS, width), keepDims=False)


def _sum(draft: Draft, value: Tensor, shape: tuple[int, ...], *, keepDims: bool) -> Tensor:
    axis = draft.constant(np.array([1]), "int32")
    return draft.step("SUM", [value, axis], shape, keepDims=keepDims)


def leaf_rows(ensemble: Ensemble, table: Array) -> Array | None:
    """Return the row of a table that each leaf names; ``None`` where its weights are no such numbers."""
    weights = ensemble.weights
    if len(table) > _LARGEST_WHOLE or (weights != np.floor(weights)).any():
        return None
    if weights.min() < 0 or weights.max() >= len(table):
        return None
    return table[weights.astype(np.int64)]
