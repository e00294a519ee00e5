"""MUNGE: rows that look like the training rows, for a teacher to label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

_SWAPPED = 0.5  # the chance of a value to be taken from the neighbour
_LOCAL_VARIANCE = 1.0
_FEW_VALUES = 3  # a column with no more is one of classes
_MOST_ROWS = 5000


def munged(X: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return as many new rows as there are, up to 5,000.

    Each row and its nearest neighbour exchange values: a column of classes is swapped, a number is drawn from a
    normal distribution around the neighbour's, as wide as the two are apart.

    Source: C. Buciluǎ, R. Caruana & A. Niculescu-Mizil, "Model compression", KDD 2006, algorithm 1, with
    p = 0.5 and s = 1. Columns are scaled before distances are taken.

    Parameters
    ----------
    X : ndarray of shape (rows, columns)
        Without NaN.
    """
    rng = np.random.default_rng(seed)
    if len(X) > _MOST_ROWS:
        X = X[np.sort(rng.choice(len(X), _MOST_ROWS, replace=False))]
    if len(X) < 2:
        return X.copy()
    spread = X.std(axis=0)
    scaled = X / np.where(spread > 0, spread, 1)
    nearest = NearestNeighbors(n_neighbors=2).fit(scaled).kneighbors(scaled, return_distance=False)
    own = np.arange(len(X))
    beside = X[np.where(nearest[:, 0] == own, nearest[:, 1], nearest[:, 0])]
    drawn = rng.normal(beside, np.abs(X - beside) / _LOCAL_VARIANCE)
    drawn = np.clip(drawn, X.min(axis=0), X.max(axis=0))
    classes = np.array([len(np.unique(column)) <= _FEW_VALUES for column in X.T])
    drawn = np.where(classes, beside, drawn)
    whole = (np.round(X) == X).all(axis=0)
    drawn = np.where(whole, np.round(drawn), drawn)
    return np.asarray(np.where(rng.random(X.shape) < _SWAPPED, drawn, X))


def dense_numbers(X: Any) -> NDArray[np.float64] | None:
    """Return a matrix of numbers without NaN, or ``None`` where rows are something else."""
    if hasattr(X, "tocsr"):
        return None
    try:
        values = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.ndim == 2 and np.isfinite(values).all() else None
