"""Tree ensembles with smaller tables: float32 thresholds, leaves of few values, and class frequencies told once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from modelyard.compression.graphs import DOUBLE, FLOAT, Edited
from modelyard.compression.tree_sharing import ML, TREES, Trees, write_trees
from modelyard.errors import ConversionError


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
    if not any(node.op_type == TREES and node.domain == ML for node in original):
        raise ConversionError("there are no trees in its ONNX form")
    skipped: set[int] = set()
    for place, node in enumerate(original):
        if place in skipped:
            continue
        if node.op_type != TREES or node.domain != ML:
            edited.nodes.append(node)
            continue
        trees = _read(node, single=_is_single(original, node.input[0]))
        follows = _frequencies(edited, original, place, trees)
        if follows is None:
            write_trees(edited, node, _rounded(trees, levels), node.output[0])
        else:
            skipped |= follows.places
            _write_frequencies(edited, node, trees, follows, levels)
    return edited.finished()


def _is_single(nodes: list[Any], value: str) -> bool:
    """Whether a tensor holds nothing but float32 values, in double: two casts after each other."""
    made_by = {output: node for node in nodes for output in node.output}
    kinds: list[int] = []
    while value in made_by and made_by[value].op_type == "Cast" and len(kinds) < 2:
        kinds.append(helper.get_attribute_value(made_by[value].attribute[0]))
        value = made_by[value].input[0]
    return kinds == [DOUBLE, FLOAT]


def _read(node: Any, single: bool) -> Trees:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    modes = numpy_helper.to_array(given["nodes_modes"])
    if modes.any() or given.get("aggregate_function", 1) != 1 or given.get("post_transform", 0):
        raise ConversionError("its trees have splits other than <=, or are not summed")
    nodes = len(modes)
    exact = np.asarray(numpy_helper.to_array(given["nodes_splits"]), dtype=np.float64)
    return Trees(
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


def _frequencies(edited: Edited, nodes: list[Any], place: int, trees: Trees) -> _Frequencies | None:
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
    edited: Edited, node: Any, trees: Trees, follows: _Frequencies, levels: int | None
) -> None:
    """Write a forest whose leaves name a class, or a share of the second one, or, of more classes, a row of a table."""
    said = follows.table[trees.weights.astype(np.int64)]
    if levels:
        said = np.round(said * (levels - 1)) / (levels - 1)
    if (said.max(axis=1) == 1).all() and (said.sum(axis=1) == 1).all():
        votes = trees.saying(said.argmax(axis=1), np.ones(len(said)), said.shape[1])
        write_trees(edited, node, votes, follows.total)
    elif said.shape[1] == 2 and np.allclose(follows.table.sum(axis=1), 1):
        shares = trees.saying(np.zeros(len(said), dtype=np.int64), said[:, 1], 1)
        second = write_trees(edited, node, shares, edited.fresh("shares"))
        whole = edited.constant(np.array([[float(len(trees.roots))]]))
        edited.node("Concat", [edited.node("Sub", [whole, second]), second], follows.total, axis=1)
    else:
        rows, places = np.unique(said.astype(np.float32), axis=0, return_inverse=True)
        numbered = trees.saying(trees.targets, places.reshape(-1).astype(np.float64), trees.count)
        reached = write_trees(edited, node, numbered, edited.fresh("reached"))
        index = edited.cast(reached, helper.np_dtype_to_tensor_dtype(np.dtype(np.int32)))
        found = edited.node("Gather", [edited.constant(rows), index], axis=0)
        total = edited.node("ReduceSum", [found, edited.constant(np.array([1]))], keepdims=0)
        edited.cast(total, DOUBLE, follows.total)


def _rounded(trees: Trees, levels: int | None) -> Trees:
    if not levels or not len(trees.weights):
        return trees
    weights = trees.weights.copy()
    for target in np.unique(trees.targets):
        own = trees.targets == target
        low, high = weights[own].min(), weights[own].max()
        step = (high - low) / (levels - 1)
        if step > 0:
            weights[own] = low + step * np.round((weights[own] - low) / step)
    return trees.saying(trees.targets, weights, trees.count)
