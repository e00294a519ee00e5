"""Classifiers that keep means and variances of each class: one row less moves one mean and one variance.

Source: T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The American
Statistician 37, 1983: a sum of squares about the mean loses n / (n - 1) (x - mean)² with a row x. Where that takes away
nearly all of it, few digits are left, and the row is fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from modelyard.evaluation.closed_form.held_out import Flags, Floats, HeldOut, from_class_scores, near_ties

_DIGITS = 1e-6  # the share of a sum of squares that has to be left
_AT_ONCE = 2_000_000  # numbers in one block of rows × classes × columns


def gaussian_bayes(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``GaussianNB``; its smoothing is a share of the greatest variance among the rows that are left."""
    codes, counts = _counted(y, classes)
    X = X - X.mean(axis=0)
    means, squares = _class_sums(X, codes, counts)
    total = np.einsum("ij,ij->j", X, X)
    rows = len(X)
    scores = np.empty((rows, len(classes)))
    unsure = np.zeros(rows, dtype=bool)
    for part in _blocks(rows, len(classes) * X.shape[1]):
        own, unsure[part] = _one_less(X[part], codes[part], counts, means, squares)
        left = np.maximum(total - X[part] ** 2 * rows / (rows - 1), 0) / (rows - 1)
        variances = np.repeat((squares / counts[:, None])[None], len(own.means), axis=0)
        centres = np.repeat(means[None], len(own.means), axis=0)
        each = np.arange(len(own.means))
        variances[each, codes[part]], centres[each, codes[part]] = own.variances, own.means
        variances += (model.var_smoothing * left.max(axis=1))[:, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.log(2 * np.pi * variances) + (X[part][:, None, :] - centres) ** 2 / variances
        scores[part] = -0.5 * terms.sum(axis=2)
    priors = None if model.priors is None else np.asarray(model.priors, dtype=float)
    if priors is None:
        left_counts = np.repeat(counts[None], rows, axis=0)
        left_counts[np.arange(rows), codes] -= 1
        priors = left_counts / (rows - 1)
    with np.errstate(divide="ignore"):
        scores += np.log(priors)
    found = from_class_scores(scores, classes, unsure)
    return HeldOut(found.labels, found.unsure, probabilities=found.probabilities)


def nearest_centroid(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``NearestCentroid`` of Euclidean distances, without shrinking, with equal priors."""
    if model.metric != "euclidean" or model.shrink_threshold or getattr(model, "priors", None) != "uniform":
        return None
    codes, counts = _counted(y, classes)
    rows, k = len(X), len(classes)
    if rows - 1 <= k:
        return None
    X = X - X.mean(axis=0)
    means, squares = _class_sums(X, codes, counts)
    within = squares.sum(axis=0)
    if not (within > 0).all():
        return None
    grown = (counts / np.maximum(counts - 1, 1))[codes][:, None]
    away = X - means[codes]
    left = within - grown * away**2
    scale = (rows - 1 - k) / np.where(left > 0, left, 1.0)
    scores, plain = np.empty((rows, k)), cdist(X, means, "sqeuclidean")
    for place in range(k):
        scores[:, place] = -np.einsum("ij,ij->i", (X - means[place]) ** 2, scale)
    own = np.arange(rows), codes
    scores[own] = -np.einsum("ij,ij->i", (grown * away) ** 2, scale)
    plain[own] = ((grown * away) ** 2).sum(axis=1)
    unsure = (left < _DIGITS * within).any(axis=1) | near_ties(-plain)
    # the prior is the same for all classes and falls out of differences and of probabilities
    answered = from_class_scores(scores, classes, unsure)
    return HeldOut(classes[plain.argmin(axis=1)], answered.unsure, answered.decision, answered.probabilities)


class _Own:
    """Mean and variance of each row's own class without that row, of shape (rows, columns)."""

    def __init__(self, means: Floats, variances: Floats) -> None:
        self.means, self.variances = means, variances


def _counted(y: NDArray[Any], classes: NDArray[Any]) -> tuple[NDArray[np.intp], Floats]:
    codes = np.searchsorted(classes, y)
    return codes, np.bincount(codes, minlength=len(classes)).astype(float)


def _class_sums(X: Floats, codes: NDArray[np.intp], counts: Floats) -> tuple[Floats, Floats]:
    parts = [X[codes == place] for place in range(len(counts))]
    means = np.stack([part.mean(axis=0) for part in parts])
    return means, np.stack(
        [((part - mean) ** 2).sum(axis=0) for part, mean in zip(parts, means, strict=True)]
    )


def _one_less(
    X: Floats, codes: NDArray[np.intp], counts: Floats, means: Floats, squares: Floats
) -> tuple[_Own, Flags]:
    left = np.maximum(counts - 1, 1)[codes][:, None]
    away = X - means[codes]
    rest = squares[codes] - away**2 * (left + 1) / left
    lost = (rest < _DIGITS * squares[codes]).any(axis=1)
    return _Own(means[codes] - away / left, np.maximum(rest, 0) / left), np.asarray(lost)


def _blocks(rows: int, numbers: int) -> Iterator[slice]:
    size = max(1, _AT_ONCE // max(numbers, 1))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
