"""Models that look at the targets only: their counts, mean or quantile without one row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.closed_form.held_out import Floats, HeldOut


def dummy_classifier(model: Any, X: Any, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``DummyClassifier`` of the strategies that draw nothing."""
    if model.strategy not in ("most_frequent", "prior"):
        return None
    codes = np.searchsorted(classes, y)
    left = np.repeat(np.bincount(codes, minlength=len(classes))[None], len(y), axis=0).astype(float)
    left[np.arange(len(y)), codes] -= 1
    chosen = left.argmax(axis=1)
    probabilities = left / (len(y) - 1) if model.strategy == "prior" else np.eye(len(classes))[chosen]
    return HeldOut(classes[chosen], np.zeros(len(y), dtype=bool), probabilities=probabilities)


def dummy_regressor(model: Any, X: Any, y: NDArray[Any], classes: None) -> HeldOut | None:
    """Answer as ``DummyRegressor``: mean, median, quantile or a constant."""
    numbers = y.astype(float)
    if model.strategy == "mean":
        mean = numbers.mean()
        predicted = mean - (numbers - mean) / (len(y) - 1)
    elif model.strategy == "median":
        predicted = _quantile_without_each(numbers, 0.5)
    elif model.strategy == "quantile" and isinstance(model.quantile, int | float):
        predicted = _quantile_without_each(numbers, float(model.quantile))
    elif model.strategy == "constant" and np.size(model.constant) == 1:
        predicted = np.full(len(y), float(np.ravel(model.constant)[0]))
    else:
        return None
    return HeldOut(predicted, np.zeros(len(y), dtype=bool))


def _quantile_without_each(y: Floats, level: float) -> Floats:
    """Return the quantile, interpolated as ``numpy.percentile`` does, of all numbers but one, for each one."""
    ordered, rank = np.sort(y), np.empty(len(y), dtype=np.intp)
    rank[np.argsort(y, kind="stable")] = np.arange(len(y))
    place = level * (len(y) - 2)
    below = int(np.floor(place))
    above = min(below + 1, len(y) - 2)
    low = ordered[below + (rank <= below)]  # what stands behind the missing number moves one place down
    high = ordered[above + (rank <= above)]
    return np.asarray(low + (high - low) * (place - below))
