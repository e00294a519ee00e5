"""Nearest neighbours: all rows are asked for their neighbours once, without themselves.

Which of several equally distant rows is the k-th depends on the order in which scikit-learn looks at them. Where those
rows have different targets the answer is left to a real fit; where they have the same, it does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from modelyard.evaluation.closed_form.held_out import Flags, Floats, HeldOut, near_ties

_MORE = 8  # neighbours looked at beyond k, to see whether the k-th is tied
_SQUARED = ("euclidean", "l2", "minkowski")
_METRICS = (*_SQUARED, "chebyshev", "cityblock", "l1", "manhattan")
_EPSILON = float(np.finfo(float).eps)


def neighbors(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any] | None) -> HeldOut | None:
    """Answer as ``KNeighborsClassifier`` or ``KNeighborsRegressor``, weights uniform or by distance."""
    rows, k = len(X), model.n_neighbors
    if (
        model.metric not in _METRICS
        or model.metric_params is not None
        or model.weights not in ("uniform", "distance")
        or not k < rows
    ):
        return None
    targets = y.astype(float) if classes is None else np.searchsorted(classes, y)
    fitted = clone(model).fit(X, targets)
    distances, nearest = fitted.kneighbors(None, n_neighbors=min(k + _MORE, rows - 1))
    blur = _blur(X, nearest, distances)
    unsure = _order_decides(distances, targets[nearest], k, blur, seen_all=k + _MORE >= rows - 1)
    distances, near = distances[:, :k], targets[nearest[:, :k]]
    weights = np.ones_like(distances)
    if model.weights == "distance":
        # a copy has distance 0 or what rounding left of it, and scikit-learn then counts nothing but copies
        unsure |= (blur[:, :k] > 1e-10 * distances).any(axis=1)
        weights = 1.0 / np.where(distances > 0, distances, 1.0)
    if classes is None:
        predicted = np.average(near, axis=1, weights=weights)
        return HeldOut(predicted, unsure)
    votes = np.zeros((rows, len(classes)))
    everyone = np.arange(rows)
    for place in range(k):
        votes[everyone, near[:, place]] += weights[:, place]
    if model.weights == "distance":
        unsure |= near_ties(votes)
    probabilities = votes / votes.sum(axis=1, keepdims=True)
    return HeldOut(classes[votes.argmax(axis=1)], unsure, probabilities=probabilities)


def _blur(X: Floats, nearest: NDArray[np.intp], distances: Floats) -> Floats:
    """Return how far rounding may move each distance: |x|² - 2xy + |y|² loses what its terms have in common."""
    squares = np.einsum("ij,ij->i", X, X)
    lost = 16 * _EPSILON * (squares[:, None] + squares[nearest])
    return np.asarray(lost / (2 * np.maximum(distances, np.sqrt(lost) + 1e-300)) + 8 * _EPSILON * distances)


def _order_decides(
    distances: Floats, targets: NDArray[Any], k: int, blur: Floats, *, seen_all: bool
) -> Flags:
    """Return the rows whose k-th neighbour is tied with later ones of other targets, or with some not seen."""
    edge = distances[:, k - 1 : k]
    tied = np.abs(distances - edge) <= 4 * (blur + blur[:, k - 1 : k])
    beyond = tied[:, k:].any(axis=1)
    greatest = np.where(tied, targets, -np.inf).max(axis=1)
    least = np.where(tied, targets, np.inf).min(axis=1)
    unseen = np.zeros(len(distances), dtype=bool) if seen_all else tied[:, -1]
    return np.asarray(beyond & ((greatest != least) | unseen))
