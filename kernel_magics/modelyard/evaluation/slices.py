"""How good a model is on parts of the table, measured on out-of-fold predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.intervals import share_interval, student_interval
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.predictions import OutOfFold
from modelyard.evaluation.slicing import slices_of
from modelyard.presentation import number

_LEAST_ROWS = 30  # a smaller slice is shown, and not compared
_DRAWS = 200
_MOST_DRAWN = 20_000
_NORMAL = 1.959963984540054

COLUMNS = ("slice", "rows", "metric", "value", "ci_low", "ci_high", "difference", "p")


class _Measured:
    """One metric on some of the rows: its value, standard error and 95 % interval."""

    def __init__(self, metric: Metric, found: OutOfFold, samples: Samples, rng: np.random.Generator) -> None:
        response = found.answer(metric.response)
        assert response is not None
        self.value = metric.measure(found.y, response, samples.classes)
        self.error = self.low = self.high = math.nan
        count = len(found.y)
        if count < 2 or math.isnan(self.value):
            return
        if metric.per_row is not None:
            each = metric.per_row(found.y, response, samples.classes)
            self.error = float(np.std(each, ddof=1)) / math.sqrt(count)
            shares = bool(np.isin(each, (0, 1)).all())
            ends = (
                share_interval(self.value, count)
                if shares
                else student_interval(self.value, self.error, count)
            )
            self.low, self.high = metric.within(ends)
        elif metric.name == "roc_auc" and samples.classes is not None and len(samples.classes) == 2:
            self.error = _error_of_area(found.y == samples.classes[1], response)
            self.low = max(0.0, self.value - _NORMAL * self.error)
            self.high = min(1.0, self.value + _NORMAL * self.error)
        else:
            self._drawn(metric, found, response, samples, rng)

    def _drawn(
        self,
        metric: Metric,
        found: OutOfFold,
        response: NDArray[Any],
        samples: Samples,
        rng: np.random.Generator,
    ) -> None:
        count = len(found.y)
        size = min(count, _MOST_DRAWN)
        draws = [rng.integers(count, size=size) for _ in range(_DRAWS)]
        values = np.array([metric.measure(found.y[d], response[d], samples.classes) for d in draws])
        values = values[~np.isnan(values)]
        if len(values) < _DRAWS / 2:
            return
        smaller = math.sqrt(size / count)  # fewer rows than there are scatter more
        self.error = float(np.std(values, ddof=1)) * smaller
        low, high = np.quantile(values, [0.025, 0.975])
        self.low = self.value - (self.value - low) * smaller
        self.high = self.value + (high - self.value) * smaller


def _error_of_area(truth: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Return the standard error of the area under a ROC curve.

    Source: DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44, 1988; by ranks as in Sun & Xu, IEEE Signal Processing Letters 21, 2014.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if min(positives, negatives) < 2:
        return math.nan
    ranks = rankdata(scores)
    above = (ranks[truth] - rankdata(scores[truth])) / negatives
    below = 1 - (ranks[~truth] - rankdata(scores[~truth])) / positives
    return math.sqrt(float(np.var(above, ddof=1)) / positives + float(np.var(below, ddof=1)) / negatives)


def sliced(
    found: OutOfFold, samples: Samples, metrics: tuple[Metric, ...], by: Any, seed: int = 0
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Measure every slice, and say which is the worst if that is more than chance.

    With repeats the first answer on each row counts. Intervals are exact where a metric is a mean over rows (Student's;
    Wilson's for shares) and for roc_auc of two classes (DeLong's), else from 200 bootstrap draws. `p` is two-sided, of
    the slice against all other rows by a normal test, times the slices compared (Bonferroni); NaN below 30 rows.

    Returns
    -------
    table : DataFrame
        ``slice, rows, metric, value, ci_low, ci_high, difference, p``; a row per slice and metric. The difference is
        from the value on all predicted rows.
    notes : tuple of str
        The worst slice of the first metric, slices that are too small, metrics that cannot be measured.
    """
    found = found.once()
    usable = [
        metric
        for metric in metrics
        if metric.response != "model" and found.answer(metric.response) is not None
    ]
    judged = {name: held[found.rows] for name, held in slices_of(samples, by)}
    judged = {name: held for name, held in judged.items() if held.any()}
    rng = np.random.default_rng(seed)
    compared = [
        name for name, held in judged.items() if held.sum() >= _LEAST_ROWS and (~held).sum() >= _LEAST_ROWS
    ]
    rows: list[tuple[Any, ...]] = []
    for metric in usable:
        whole = metric.measure(found.y, found.answer(metric.response), samples.classes)
        for name, held in judged.items():
            part = _Measured(metric, found.at(held), samples, rng)
            p = math.nan
            if name in compared:
                rest = _Measured(metric, found.at(~held), samples, rng)
                p = min(1.0, _chance(part, rest) * len(compared))
            rows.append(
                (name, int(held.sum()), metric.name, part.value, part.low, part.high, part.value - whole, p)
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    left = [metric.name for metric in metrics if metric not in usable]
    return table, tuple([*_worst(table, usable), *_small(judged), *_left_out(left)])


def _chance(part: _Measured, rest: _Measured) -> float:
    error = math.hypot(part.error, rest.error)
    if math.isnan(error):
        return math.nan
    apart = abs(part.value - rest.value)
    return (1.0 if apart == 0 else 0.0) if error == 0 else 2 * float(ndtr(-apart / error))


def _worst(table: pd.DataFrame, usable: list[Metric]) -> list[str]:
    if not usable or table.empty:
        return []
    metric = usable[0]
    sure = table[(table["metric"] == metric.name) & (table["p"] < 0.05)]
    sure = sure[sure["difference"] < 0] if metric.greater_is_better else sure[sure["difference"] > 0]
    if sure.empty:
        return [f"no slice is worse in {metric.name} than the other rows beyond chance"]
    worst = sure.iloc[int(np.argmax(sure["difference"].abs().to_numpy()))]
    way = "below" if metric.greater_is_better else "above"
    return [
        f"the worst slice is {worst['slice']}: {metric.name} {number(worst['value'])} in {worst['rows']} rows, "
        f"{number(abs(worst['difference']))} {way} the whole, beyond chance (p = {number(worst['p'])})"
    ]


def _small(judged: dict[str, NDArray[np.bool_]]) -> list[str]:
    small = [f"{name} ({int(held.sum())})" for name, held in judged.items() if held.sum() < _LEAST_ROWS]
    if not small:
        return []
    more = f" and {len(small) - 5} more" if len(small) > 5 else ""
    are = "slices are" if len(small) > 1 else "slice is"
    return [
        f"{len(small)} {are} too small to compare, with fewer than {_LEAST_ROWS} rows: {', '.join(small[:5])}{more}"
    ]


def _left_out(names: list[str]) -> list[str]:
    if not names:
        return []
    return [
        f"{', '.join(names)} cannot be measured by slice: out-of-fold predictions do not hold what it needs"
    ]
