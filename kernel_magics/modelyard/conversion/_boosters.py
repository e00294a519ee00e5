"""Boosting libraries: which of our modules writes an estimator of which library, and what those share.

A library is known by the root of a class's module name, so that none of them is imported before one of
its estimators is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from onnx import TensorProto

from modelyard.conversion._graph import Graph
from modelyard.conversion._tree_ensembles import Tree

Converter = tuple[Callable[..., None], Callable[..., None], str]

MODULES = {"catboost": "_catboost", "lightgbm": "_lightgbm", "xgboost": "_xgboost"}
"""Import name of a library: the module beside this one that writes its estimators."""


def is_booster(value: Any) -> bool:
    """Return whether the class of `value` belongs to one of the libraries."""
    return type(value).__module__.partition(".")[0] in MODULES


def converters(parts: Iterable[Any]) -> dict[type, Converter]:
    """Return the converters of the libraries that any of `parts` comes from."""
    roots = sorted({type(part).__module__.partition(".")[0] for part in parts if is_booster(part)})
    found: dict[type, Converter] = {}
    for root in roots:
        found |= import_module(f"modelyard.conversion.{MODULES[root]}").CONVERTERS
    return found


@dataclass(frozen=True)
class Split:
    """An inner node of a tree of nested nodes: rows with ``x[feature] <= threshold`` go left."""

    feature: int
    threshold: float
    missing_left: bool
    left: Any
    right: Any


def nested_tree(root: Any, read: Callable[[Any], Split | float], target: int = 0) -> Tree:
    """Lay a tree of nested nodes out; `read` tells what a node is: a split, or the value of a leaf."""
    waiting, places = [root], [0]
    rows: list[list[float]] = [[]]
    while waiting:
        node, place = read(waiting.pop()), places.pop()
        if isinstance(node, Split):
            left, right = len(rows), len(rows) + 1
            rows[place] = [node.feature, node.threshold, left, right, 0, node.missing_left, 0.0]
            rows += [[], []]
            waiting += [node.left, node.right]
            places += [left, right]
        else:
            rows[place] = [0, 0.0, -1, -1, 1, 0, node]
    feature, threshold, left_, right_, leaf, missing, value = np.asarray(rows, dtype=np.float64).T
    return Tree(
        feature.astype(np.int64),
        threshold,
        left_.astype(np.int64),
        right_.astype(np.int64),
        leaf.astype(bool),
        missing.astype(bool),
        value,
        target,
    )


def number(graph: Graph, value: float) -> str:
    return graph.constant(np.array([float(value)]))


def beside_the_other(graph: Graph, second: str, out: str | None = None) -> str:
    """Return the probabilities of both classes from those of the second, shape ``(n, 1)``."""
    return graph.node("Concat", [graph.node("Sub", [number(graph, 1), second]), second], out, axis=1)


def write_largest(graph: Graph, scores: str, classes: Sequence[Any], out: str) -> None:
    """Write the class of the largest score; the first, where several are."""
    graph.labels(graph.node("ArgMax", [scores], axis=1, keepdims=0), classes, out)


def write_above(graph: Graph, score: str, limit: float, classes: Sequence[Any], out: str) -> None:
    """Write the second class where the score, shape ``(n, 1)``, is above the limit; else the first."""
    above = graph.node("Greater", [score, number(graph, limit)])
    flat = graph.node("Squeeze", [above, graph.constant(np.array([1]))])
    graph.labels(graph.node("Cast", [flat], to=TensorProto.INT64), classes, out)
