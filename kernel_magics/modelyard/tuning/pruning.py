"""When a trial stops before its last fold: it is compared with the best one, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rival:
    """The best trial so far, and how far the differences to it stray from fold to fold.

    Attributes
    ----------
    folds : tuple of float
        Its score in every fold.
    spread : float
        The standard deviation, within one trial, of the difference to the best in the same fold.
    freedom : int
        The degrees of freedom behind `spread`.
    greater_is_better : bool
    """

    folds: tuple[float, ...]
    spread: float
    freedom: int
    greater_is_better: bool

    def beats(self, done: Sequence[float], count: int) -> bool:
        """Whether a trial with the scores `done` will not win with the other ``count - len(done)`` folds either.

        The mean of the paired differences over all ``n`` folds, given the first ``k``, is predicted as their mean
        with the standard deviation ``spread * sqrt((n - k) / (n * k))``: the prediction of a finite population's
        mean from a part of it (Cochran, Sampling Techniques, 3rd ed. 1977, section 2.6). The trial is beaten where
        even the upper end of Student's one-sided 95 % interval is below 0, and nothing is left to chance
        where folds do not stray at all.
        """
        gains = self.gains(done)
        if not len(gains):
            return False
        known = len(gains)
        strays = self.spread * math.sqrt((count - known) / (count * known))
        return bool(gains.mean() + float(stdtrit(self.freedom, CONFIDENCE)) * strays < 0)

    def gains(self, done: Sequence[float]) -> NDArray[np.float64]:
        """Return by how much the first folds are better than the rival's, without undefined ones."""
        differences = np.asarray(done, dtype=float) - np.asarray(self.folds[: len(done)], dtype=float)
        signed: NDArray[np.float64] = differences if self.greater_is_better else -differences
        return signed[~np.isnan(signed)]

    def value_of(self, done: Sequence[float]) -> float:
        """Return what the mean over all folds of a trial that stopped is expected to be; NaN if unknown.

        The rival's mean, moved by the mean difference so far: folds differ in how hard they are.
        """
        gains = self.gains(done)
        if not len(gains):
            return math.nan
        return float(np.nanmean(self.folds) + (gains.mean() if self.greater_is_better else -gains.mean()))


def rival_of(complete: Sequence[Sequence[float]], greater_is_better: bool) -> Rival | None:
    """Return the best of the trials whose folds are all known, or ``None`` while there are not two of them.

    The spread is pooled over the better half of the others, at least one: how far a hopeless trial strays says
    nothing of those that may win.

    Parameters
    ----------
    complete : sequence of fold scores
        All of the same number of folds.
    greater_is_better : bool
    """
    table = np.asarray(complete, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2 or np.isnan(table).any():
        return None
    order = np.argsort(table.mean(axis=1), kind="stable")
    order = order[::-1] if greater_is_better else order
    best, others = table[order[0]], table[order[1 : 1 + max(1, len(order) // 2)]]
    differing = others[(others != best).any(axis=1)]  # the same scores by other parameters show nothing
    if not len(differing):
        return None
    differences = differing - best
    freedom = differences.shape[0] * (differences.shape[1] - 1)
    spread = math.sqrt(((differences - differences.mean(axis=1, keepdims=True)) ** 2).sum() / freedom)
    return Rival(tuple(best.tolist()), spread, freedom, greater_is_better)
