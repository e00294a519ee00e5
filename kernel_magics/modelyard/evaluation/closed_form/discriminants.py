"""Discriminant analysis: leaving a row out takes one product away from a scatter matrix, and moves one mean.

With d the row less its class's mean, n_c rows in the class and f = n_c / (n_c - 1), the scatter loses f d d', and the
row less the new mean is f d. The inverse follows by Sherman and Morrison, the determinant by the matrix determinant
lemma: K. Fukunaga, "Introduction to Statistical Pattern Recognition", 2nd edition 1990, section 5.3 (leave-one-out of
linear and quadratic classifiers). Scatters are divided by the number of rows, as scikit-learn does since 1.9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.spatial.distance import cdist

from modelyard.evaluation.closed_form.held_out import Floats, HeldOut, from_class_scores


def linear_discriminants(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``LinearDiscriminantAnalysis`` without shrinkage, of columns that have full rank within the classes."""
    given = None if model.priors is None else np.asarray(model.priors, dtype=float)
    if (
        model.solver not in ("svd", "lsqr")
        or model.shrinkage is not None
        or model.covariance_estimator is not None
    ):
        return None
    if given is not None and (model.solver != "svd" or (given <= 0).any() or abs(given.sum() - 1) > 1e-12):
        return None
    X = X[:, np.ptp(X, axis=0) > 0]  # a constant column separates nothing, and scikit-learn drops it too
    (rows, features), k = X.shape, len(classes)
    codes = np.searchsorted(classes, y)
    counts = np.bincount(codes, minlength=k).astype(float)
    if features == 0 or rows - k <= features:
        return None
    means = _class_means(X, codes, counts)
    spread = np.sqrt(np.mean((X - means[codes]) ** 2, axis=0))
    if not (spread > 0).all():
        return None
    X, means = X / spread, means / spread
    root = linalg.qr(X - means[codes], mode="r", check_finite=False)[0][:features]
    smallest = linalg.svd(root, compute_uv=False)[-1] / np.sqrt(rows)
    if not smallest > 10 * model.tol:
        return None
    center = X.mean(axis=0)
    X, means = _whitened(X - center, root), _whitened(means - center, root)
    if not _means_span_enough(means * np.sqrt(rows), counts, given, model.tol):
        return None
    away = X - means[codes]
    grown = (counts / np.maximum(counts - 1, 1))[codes]
    own = np.einsum("ij,ij->i", away, away)
    rest = 1.0 - grown * own
    with np.errstate(divide="ignore", invalid="ignore"):
        distances = cdist(X, means, "sqeuclidean")
        along = np.einsum("ij,ij->i", away, X)[:, None] - away @ means.T
        distances += (grown / rest)[:, None] * along**2
        distances[np.arange(rows), codes] = grown**2 * own / rest
        scores = -0.5 * (rows - 1) * distances + _log_priors(given, counts, codes)
    unsure = ~(smallest * np.sqrt(np.maximum(rest, 0)) > 10 * model.tol)
    return from_class_scores(scores, classes, unsure, delicate=-rest)


def quadratic_discriminants(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``QuadraticDiscriminantAnalysis`` with the SVD solver; `reg_param` mixes in the unit matrix."""
    reg = float(model.reg_param)
    others = (getattr(model, "shrinkage", None), getattr(model, "covariance_estimator", None))
    if getattr(model, "solver", "svd") != "svd" or others != (None, None) or not 0 <= reg < 1:
        return None
    given = None if model.priors is None else np.asarray(model.priors, dtype=float)
    if given is not None and (given <= 0).any():
        return None
    (rows, features), k = X.shape, len(classes)
    codes = np.searchsorted(classes, y)
    counts = np.bincount(codes, minlength=k).astype(float)
    scores = np.empty((rows, k))
    unsure, nearest = np.zeros(rows, dtype=bool), np.zeros(rows)
    for place, count in enumerate(counts):
        members = codes == place
        if count - 1 <= features:
            return None
        mean = X[members].mean(axis=0)
        away = X - mean
        scatter = away[members].T @ away[members]
        whole = (1 - reg) / count * scatter + reg * np.eye(features)
        less = scatter + reg * (count - 1) / (1 - reg) * np.eye(features)
        smallest = linalg.eigvalsh(less)[0] * (1 - reg) / (count - 1)
        if not min(linalg.eigvalsh(whole)[0], smallest) > 1.01 * model.tol:
            return None
        root = linalg.cholesky(whole)
        scores[:, place] = -0.5 * (_squares(_whitened(away, root)) + 2 * np.log(root.diagonal()).sum())
        root, grown = linalg.cholesky(less), count / (count - 1)
        own = _squares(_whitened(away[members], root))
        rest = 1.0 - grown * own
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (count - 1) / (1 - reg) * grown**2 * own / rest
            size = 2 * np.log(root.diagonal()).sum() + np.log(rest)
        size += features * np.log((1 - reg) / (count - 1))
        scores[members, place] = -0.5 * (distance + size)
        unsure[members] = ~(smallest * rest > 1.01 * model.tol)
        nearest[members] = -rest
    scores += _log_priors(given, counts, codes)
    return from_class_scores(scores, classes, unsure, delicate=nearest)


def _class_means(X: Floats, codes: NDArray[np.intp], counts: Floats) -> Floats:
    return np.stack([X[codes == place].mean(axis=0) for place in range(len(counts))])


def _whitened(rows: Floats, root: Floats) -> Floats:
    """Return ``rows @ root^-1`` for an upper triangle."""
    return np.asarray(linalg.solve_triangular(root, rows.T, trans="T", check_finite=False).T)


def _squares(rows: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _log_priors(given: Floats | None, counts: Floats, codes: NDArray[np.intp]) -> Floats:
    """Return the log of the priors without each row, of shape (rows, k)."""
    if given is not None:
        return np.broadcast_to(np.log(given), (len(codes), len(counts)))
    left = np.repeat(counts[None, :], len(codes), axis=0)
    left[np.arange(len(codes)), codes] -= 1
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(left / (len(codes) - 1)))


def _means_span_enough(means: Floats, counts: Floats, given: Floats | None, tolerance: float) -> bool:
    """Whether scikit-learn keeps all directions between the means, of which it drops those below its tolerance."""
    priors = counts / counts.sum() if given is None else given
    apart = np.sqrt(priors)[:, None] * (means - priors @ means)
    values = linalg.svd(apart, compute_uv=False)[: min(len(counts) - 1, means.shape[1])]
    return bool(values[0] > 0 and values[-1] > 10 * tolerance * values[0])
