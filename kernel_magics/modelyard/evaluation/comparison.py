"""Which of several models is better on the same folds, or that the data cannot tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from modelyard.errors import UsageError
from modelyard.evaluation.inputs import check_estimator, describe_model
from modelyard.evaluation.intervals import LEVEL, corrected_error, student_interval
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.result import Evaluation
from modelyard.presentation import Result, Table, number

CANNOT_TELL = "cannot tell"

_COLUMNS = ["a", "b", "difference", "ci_low", "ci_high", "p", "verdict", "rows_needed", "folds_needed"]
_MOST_FOLDS = 200  # beyond, more folds are no advice
_MOST_TIMES = 1_000  # as many rows as there are; beyond, more rows are no advice


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Result):
    """What cross-validation of several models on the same folds found.

    Attributes
    ----------
    evaluations : dict of str to Evaluation
        One per model, in the order given.
    pairs : DataFrame
        One row per pair of models: ``a`` and ``b``, the mean over the folds of a's figure less b's, its 95 % interval
        ``ci_low`` and ``ci_high``, ``p`` of the corrected resampled t-test, adjusted for the number of pairs (Holm),
        and the ``verdict``: the name of the better model, or ``cannot tell``. Where it cannot, ``rows_needed`` and
        ``folds_needed`` say with about how many rows, or folds of these rows, a difference of this size would show;
        NaN where no sensible number would do.
    metric : str
        What they were compared by: the first metric.
    best : str
        The name of the model whose mean is best, whether or not the data can tell it from the others.
    greater_is_better : bool
        The direction of `metric`.
    """

    kind: ClassVar[str] = "comparison"

    evaluations: Mapping[str, Evaluation]
    pairs: pd.DataFrame
    metric: str
    best: str
    greater_is_better: bool = True

    def sentence(self) -> str:
        first = next(iter(self.evaluations.values()))
        beaten, tied = self._against_best()
        where = f"in {len(first.scores)} folds ({first.cv}) of {first.rows} rows"
        mean = number(self._mean(self.best))
        if not beaten:
            others = _listed([row.other for row in tied])
            least = min(tied, key=lambda row: row.p if row.p == row.p else 2.0)
            return (
                f"the data cannot tell {self.best} ({self.metric} {mean}) from {others} {where}: "
                f"{_evidence(least)}"
            )
        best = f"{self.best} is better than {_listed([row.other for row in beaten])} by {self.metric}"
        worst = max(row.p for row in beaten)
        found = f"{best} {where}: {mean}, {_p_is(worst, several=len(beaten) > 1)}"
        if not tied:
            return found
        return f"{found}; the data cannot tell it from {_listed([row.other for row in tied])}"

    def notes(self) -> Sequence[str]:
        found = [self._advice(row) for row in self._against_best()[1]]
        shared = dict.fromkeys(line for each in self.evaluations.values() for line in each.warnings)
        return [*found, *shared]

    def table(self) -> Table:
        against = {row.other: row for part in self._against_best() for row in part}
        rows = []
        for name in self.evaluations:
            line = [name, number(self._mean(name)), self._interval(name)]
            if (row := against.get(name)) is None:
                rows.append((*line, "–", "–", "–", "best mean"))
            else:
                interval = f"{number(row.low)} to {number(row.high)}" if row.low == row.low else "–"
                rows.append((*line, number(row.difference), interval, p_text(row.p), row.verdict))
        return Table(
            ("model", self.metric, "95 % interval", f"{self.best} less it", "95 % interval", "p", "better"),
            tuple(rows),
        )

    def payload(self) -> dict[str, Any]:
        first = next(iter(self.evaluations.values()))
        return {
            "metric": self.metric,
            "greater_is_better": self.greater_is_better,
            "best": self.best,
            "cv": first.cv,
            "rows": first.rows,
            "models": {
                name: {"name": each.name, "model": each.model} for name, each in self.evaluations.items()
            },
            "scores": {
                name: _plain(each.scores[self.metric].tolist()) for name, each in self.evaluations.items()
            },
            "summary": {
                name: {
                    str(column): _plain([each.summary[column].loc[self.metric]])[0]
                    for column in each.summary.columns
                }
                for name, each in self.evaluations.items()
            },
            "pairs": [
                {key: _plain([value])[0] if isinstance(value, float) else value for key, value in row.items()}
                for row in self.pairs.to_dict("records")
            ],
            "warnings": list(self.notes()),
        }

    def _mean(self, name: str) -> float:
        return float(self.evaluations[name].summary["mean"].loc[self.metric])

    def _interval(self, name: str) -> str:
        low, high = (float(self.evaluations[name].summary[c].loc[self.metric]) for c in ("ci_low", "ci_high"))
        return f"{number(low)} to {number(high)}" if low == low else "–"

    def _against_best(self) -> tuple[list[_Against], list[_Against]]:
        """Return the pairs with the best model: those that it wins, and those that the data cannot tell."""
        rows = [_Against.of(row, self.best) for row in self.pairs.to_dict("records")]
        mine = [row for row in rows if row is not None]
        return [r for r in mine if r.verdict != CANNOT_TELL], [r for r in mine if r.verdict == CANNOT_TELL]

    def _advice(self, row: _Against) -> str:
        names = f"{self.best} and {row.other}"
        if row.p != row.p:
            return (
                f"{names} cannot be tested: {self.metric} has no value in single folds; "
                "type cv='stratified:5', or scoring= a metric that has one"
            )
        ways = []
        if row.rows_needed == row.rows_needed:
            ways.append(f"about {rounded_up(row.rows_needed)} rows")
        if row.folds_needed == row.folds_needed:
            ways.append(f"about {int(row.folds_needed)} folds of these rows (type cv='repeated')")
        if not ways:
            return f"{names} are too close for more rows or folds to be worth it: {_evidence(row)}"
        return f"a difference as between {names} would show with {' or '.join(ways)}, if it is real: {_evidence(row)}"


@dataclass(frozen=True)
class _Against:
    """One pair, seen from the best model."""

    other: str
    difference: float
    low: float
    high: float
    p: float
    verdict: str
    rows_needed: float
    folds_needed: float

    @classmethod
    def of(cls, row: Mapping[Any, Any], best: str) -> _Against | None:
        if best not in (row["a"], row["b"]):
            return None
        found = (row["difference"], row["ci_low"], row["ci_high"])
        if row["a"] != best:
            found = (-found[0], -found[2], -found[1])
        other = row["b"] if row["a"] == best else row["a"]
        return cls(other, *found, row["p"], row["verdict"], row["rows_needed"], row["folds_needed"])


def named_models(model: Any) -> dict[str, Any] | None:
    """Return several models by name, or ``None`` for a single one.

    Models in a list are called by what they are, with a number where two are called the same.

    Raises
    ------
    UsageError
        There are fewer than two.
    InvalidInputError
        One is no estimator.
    """
    if not isinstance(model, list | tuple | dict):
        return None
    models = list(model.values()) if isinstance(model, dict) else list(model)
    if len(models) < 2:
        raise UsageError(f"a comparison takes two models or more, found {len(models)}; give the model itself")
    for each in models:
        check_estimator(each)
    if isinstance(model, dict):
        return {str(name): each for name, each in model.items()}
    words = [describe_model(each) for each in models]
    named: dict[str, Any] = {}
    for each, word in zip(models, words, strict=True):
        count = sum(name == word or name.startswith(f"{word} (") for name in named) + 1
        named[f"{word} ({count})" if words.count(word) > 1 else word] = each
    return named


def compared(evaluations: Mapping[str, Evaluation], metric: Metric, test_over_train: float) -> Comparison:
    """Compare models by their scores in the same folds.

    The test is Student's on the differences per fold, their variance of the mean being (1/J + n_test / n_train) σ²
    in place of σ²/J, because training parts overlap: C. Nadeau and Y. Bengio, "Inference for the generalization error",
    Machine Learning 52, 2003, section 3; J - 1 degrees of freedom. Where all differences are the same but not 0 that
    test has no denominator, and the p of the sign test, 2^(1-J), stands in. P values of several pairs are adjusted
    after S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6, 1979.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        Two or more, on the same folds.
    metric : Metric
        What to compare by.
    test_over_train : float
        Rows that a fold judges over rows that it learns from.
    """
    values = {name: each.scores[metric.name].to_numpy(dtype=float) for name, each in evaluations.items()}
    rows = next(iter(evaluations.values())).rows
    tests = [(a, b, _tested(values[a] - values[b], test_over_train)) for a, b in combinations(evaluations, 2)]
    adjusted = _holm([found.p for *_, found in tests])
    lines = []
    for (a, b, found), p in zip(tests, adjusted, strict=True):
        won = p == p and p < 1 - LEVEL
        first = (found.mean > 0) == metric.greater_is_better
        needed = (math.nan, math.nan) if won else _needed(found, test_over_train, rows, len(tests))
        verdict = (a if first else b) if won else CANNOT_TELL
        lines.append((a, b, found.mean, found.low, found.high, p, verdict, *needed))
    means = {name: float(each.summary["mean"].loc[metric.name]) for name, each in evaluations.items()}
    known = {name: mean for name, mean in means.items() if mean == mean} or means
    best = (max if metric.greater_is_better else min)(known, key=lambda name: known[name])
    pairs = pd.DataFrame(lines, columns=_COLUMNS)
    return Comparison(dict(evaluations), pairs, metric.name, best, metric.greater_is_better)


@dataclass(frozen=True)
class _Test:
    mean: float
    error: float
    low: float
    high: float
    p: float
    count: int


def _tested(differences: NDArray[np.float64], test_over_train: float) -> _Test:
    known = differences[np.isfinite(differences)]
    count = len(known)
    if count < 2:
        return _Test(math.nan, math.nan, math.nan, math.nan, math.nan, count)
    mean, error = float(known.mean()), corrected_error(known, test_over_train)
    low, high = student_interval(mean, error, count)
    if error <= 1e-12 * max(abs(mean), 1e-12):
        return _Test(mean, 0.0, low, high, 1.0 if mean == 0 else 2.0 ** (1 - count), count)
    p = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return _Test(mean, error, low, high, p, count)


def _holm(values: Sequence[float]) -> list[float]:
    """Return adjusted p values; those that are NaN were no tests, and count for nothing."""
    adjusted = [math.nan] * len(values)
    tested = sorted((place for place, p in enumerate(values) if p == p), key=lambda place: values[place])
    highest = 0.0
    for rank, place in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def _needed(found: _Test, test_over_train: float, rows: int, pairs: int) -> tuple[float, float]:
    """Return the rows, and the folds of these rows, with which this mean difference would be told from 0.

    The variance of a fold's difference is taken to fall as 1 / rows; with more folds of the same rows it stays, and
    only 1/J falls. Both assume that the difference seen is the real one, which is what nobody knows.
    """
    if found.p != found.p or found.mean == 0 or found.error == 0:
        return math.nan, math.nan
    level = 1 - (1 - LEVEL) / (2 * pairs)
    factor = (float(stdtrit(found.count - 1, level)) * found.error / abs(found.mean)) ** 2
    variance = found.error**2 / (1 / found.count + test_over_train)
    needed_rows = rows * factor if 1 < factor <= _MOST_TIMES else math.nan
    for folds in range(found.count + 1, _MOST_FOLDS + 1):
        error = math.sqrt((1 / folds + test_over_train) * variance)
        if float(stdtrit(folds - 1, level)) * error < abs(found.mean):
            return needed_rows, float(folds)
    return needed_rows, math.nan


def _evidence(row: _Against) -> str:
    if row.p != row.p:
        return "single folds have no value to test"
    return (
        f"difference {number(row.difference)} (95 % {number(row.low)} to {number(row.high)}), {_p_is(row.p)}"
    )


def p_text(value: float | None) -> str:
    """Return a p value with two digits, as people read it; a dash where there is none.

    >>> p_text(0.04321), p_text(0.00001), p_text(1.0)
    ('0.043', '<0.001', '1')
    """
    if value is None or value != value:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def _p_is(value: float, *, several: bool = False) -> str:
    """Return a p value as part of a sentence; the greatest of several bounds them all."""
    text = p_text(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p {'≤' if several else '='} {text}"


def rounded_up(value: float) -> str:
    """Return a number of rows, or of folds, with two digits.

    >>> rounded_up(12345.0)
    '13,000'
    """
    digits = max(0, math.floor(math.log10(value)) - 1)
    return f"{int(math.ceil(value / 10**digits) * 10**digits):,}" if digits else f"{math.ceil(value):,}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _plain(values: Sequence[float]) -> list[float | None]:
    return [value if value == value and abs(value) != float("inf") else None for value in map(float, values)]
