"""All columns of numbers seen from a few random directions, in which equal rows meet and near rows stay near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.checks.columns import Columns, Floats

DIRECTIONS = 4


@dataclass(frozen=True, eq=False)
class Projections:
    """Rows of numbers and where they lie in each direction.

    Attributes
    ----------
    numbers : ndarray of shape (rows, columns)
        The columns of numbers, nulls filled with a number that is the same in a column.
    missing : ndarray of shape (rows, columns) or None
        Where nulls were.
    spread : ndarray of shape (columns,)
        Standard deviations, of a sample of the rows.
    seen : ndarray of shape (directions, rows)
        In each direction, with a standard deviation of 1.
    blur : float
        How far rounding may set equal rows apart in a direction.
    """

    numbers: Floats
    missing: NDArray[np.bool_] | None
    spread: Floats
    seen: Floats
    blur: float


def projected(columns: Columns) -> Projections | None:
    """Return the projections, or ``None`` where there are no columns of numbers."""
    numbers, missing = columns.numbers, None
    if not numbers.shape[1]:
        return None
    rng = np.random.default_rng(2)
    peek = columns.peek
    weights = rng.normal(size=(numbers.shape[1], DIRECTIONS))
    if not np.isfinite(numbers.sum()):
        missing = ~np.isfinite(numbers)
        known = np.where(missing, 0.0, numbers)
        middle = known.sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
        numbers = np.where(missing, middle, numbers)
    spread = numbers[peek].std(axis=0)
    constant = np.flatnonzero(spread == 0)  # in the sample
    spread[constant] = numbers[:, constant].std(axis=0)
    spread[spread == 0] = 1.0
    seen = (numbers @ (weights / spread[:, None])).T
    size = float(np.abs(seen).max())
    scale = np.maximum(seen[:, peek].std(axis=1), 1e-300)[:, None]
    return Projections(numbers, missing, spread, seen / scale, 1e-13 * size / float(scale.min()) + 1e-15)
