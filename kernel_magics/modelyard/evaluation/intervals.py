"""How sure a mean over folds is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

LEVEL = 0.95


def corrected_error(values: NDArray[Any], test_over_train: float) -> float:
    """Return the standard error of the mean of scores whose training parts overlap; NaN for fewer than two.

    The square root of (1/J + n_test / n_train) · σ², the corrected resampled variance of Nadeau & Bengio,
    "Inference for the generalization error", Machine Learning 52, 2003, equation 9. The plain 1/J takes the J scores
    for independent, which they are not: any two folds share most of what they learned from.

    Parameters
    ----------
    values : array of shape (J,)
        One score per fold; repeats follow each other.
    test_over_train : float
        Rows that a fold judges over rows that it learns from, such as 0.25 in five folds; 0 is the plain error.
    """
    count = len(values)
    if count < 2:
        return math.nan
    return float(np.std(values, ddof=1)) * math.sqrt(1 / count + test_over_train)


def student_interval(mean: float, error: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval mean ± t(0.975, count - 1) · error."""
    if count < 2 or math.isnan(error):
        return math.nan, math.nan
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return mean - half, mean + half


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count` rows.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927; it
    keeps a width where all rows are right.
    """
    z2 = 1.959963984540054**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)
