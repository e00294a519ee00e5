"""Figures of groups of rows, how far they are apart, and how sure both are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.intervals import share_interval
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.slicing import slices_of
from modelyard.progress import track

#: A smaller group is shown, and not compared.
LEAST_ROWS = 30
_DRAWS = 200
_QUANTILES = [0.025, 0.975]
_GROUPS = ["by", "group", "rows", "metric", "value", "ci_low", "ci_high"]
_DISPARITIES = [
    "by", "metric", "lowest", "highest", "difference", "difference_low", "difference_high",
    "ratio", "ratio_low", "ratio_high",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class GroupFigures:
    """What was measured; the columns are those of `modelyard.explanation.fairness.Fairness`."""

    groups: pd.DataFrame
    disparities: pd.DataFrame
    notes: tuple[str, ...]


def group_figures(
    found: Mapping[str, NDArray[Any]],
    samples: Samples,
    metrics: Sequence[Metric],
    positive: Any,
    columns: Sequence[Any],
    seed: int,
) -> GroupFigures:
    """Measure the groups of each of `columns`.

    Parameters
    ----------
    found : mapping
        What was answered, row by row: ``labels``, and what else the metrics want.
    samples : Samples
        The rows that were answered, and their targets.
    positive : object
        The class that counts as being selected; ``None`` where there is no such class.
    columns : sequence
        Each one the name of a column, or one value per row.

    Raises
    ------
    UsageError, InvalidInputError
        There is no such column, or it has one group only.
    """
    measures = _measures(found, samples, metrics, positive)
    groups: list[tuple[Any, ...]] = []
    disparities: list[tuple[Any, ...]] = []
    notes: list[str] = []
    with track("fairness", len(columns), "column") as tracker:
        for by in columns:
            name, labels = _labels(samples, by)
            measured, apart = _compared(name, labels, samples.y, measures, seed)
            groups += measured
            disparities += apart
            notes += _small(name, labels)
            tracker.advance()
    return GroupFigures(
        pd.DataFrame(groups, columns=_GROUPS), pd.DataFrame(disparities, columns=_DISPARITIES), tuple(notes)
    )


def named_columns(given: Any, known: Sequence[str]) -> list[Any]:
    """Return the columns whose groups are compared, where they are given as ``sex,region``, as a list, or as values."""
    if isinstance(given, str) and given not in known:
        return [name.strip() for name in given.split(",") if name.strip()]
    if (
        isinstance(given, list | tuple)
        and all(isinstance(each, str) for each in given)
        and set(given) <= set(known)
    ):
        return list(given)
    if isinstance(given, pd.DataFrame):
        return [given[name] for name in given.columns]
    return [given]


def group_values(given: Any, total: int) -> pd.Series[Any]:
    """Return the group of each of `total` rows, where groups are given as values and not by a column's name.

    Raises
    ------
    UsageError
        They are no values.
    InvalidInputError
        They are not one for each row.
    """
    if np.ndim(given) != 1:
        raise UsageError(f"by is a column or one value per row, found {given!r}; type by='sex'")
    values = given if isinstance(given, pd.Series) else pd.Series(np.asarray(given))
    if len(values) != total:
        raise InvalidInputError(
            f"the groups are {len(values)} values, X has {total} rows; give one for each row"
        )
    return values


@dataclass(frozen=True, eq=False)
class Measure:
    """One figure of some rows: takes their targets and their places.

    Attributes
    ----------
    value : callable
        Returns the figure; NaN where it is undefined.
    of : callable or None
        Of a share, which of the places it is a share of.
    """

    value: Callable[[NDArray[Any], NDArray[np.intp]], float]
    of: Callable[[NDArray[Any], NDArray[np.intp]], NDArray[np.intp]] | None = None

    def __call__(self, y: Any, places: Any) -> float:
        return self.value(np.asarray(y), np.asarray(places))

    def ends(
        self, y: NDArray[Any], places: NDArray[np.intp], drawn: NDArray[np.float64]
    ) -> tuple[float, float]:
        """Return the 95 % interval: Wilson's of a share, else the percentiles of what was drawn."""
        if self.of is None:
            return _ends(drawn)
        count = len(self.of(y, places))
        return share_interval(self(y, places), count) if count else (math.nan, math.nan)


def _labels(samples: Samples, by: Any) -> tuple[str, NDArray[Any]]:
    """Return the name of a column, and the group of each row."""
    labels = np.full(samples.rows, "", dtype=object)
    for group, held in slices_of(samples, by):
        labels[held] = group
    name = by if isinstance(by, str) else str(getattr(by, "name", None) or "by")
    return name, labels


def _measures(
    found: Mapping[str, NDArray[Any]], samples: Samples, metrics: Sequence[Metric], positive: Any
) -> dict[str, Measure]:
    """Return each measure as a function of targets and of the places of their rows, whose answers are known."""

    def measured(metric: Metric) -> Measure:
        known = found[metric.response]
        share = metric.name == "accuracy"
        return Measure(
            lambda y, rows: metric.measure(y, known[rows], samples.classes), _all if share else None
        )

    measures = {metric.name: measured(metric) for metric in metrics}
    if positive is None:
        if samples.regression:
            measures["mean prediction"] = Measure(lambda y, rows: float(found["labels"][rows].mean()))
        return measures
    said = found["labels"] == positive

    def selected(of: Callable[[NDArray[Any], NDArray[np.intp]], NDArray[np.intp]]) -> Measure:
        def share(y: NDArray[Any], rows: NDArray[np.intp]) -> float:
            among = of(y, rows)
            return float(said[among].mean()) if len(among) else math.nan

        return Measure(share, of)

    return {
        **measures,
        "selection rate": selected(_all),
        "true positive rate": selected(lambda y, rows: rows[y == positive]),
        "false positive rate": selected(lambda y, rows: rows[y != positive]),
    }


def _all(y: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows


def _compared(
    name: str, labels: NDArray[Any], y: NDArray[Any], measures: Mapping[str, Measure], seed: int
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the lines of the groups, and those of how far they are apart."""
    counts = pd.Series(labels).value_counts()
    large = sorted(group for group in counts.index if counts[group] >= LEAST_ROWS)
    every = _frame(measures, y, labels, np.ones(len(y), dtype=bool))
    drawn = _drawn(measures, y, labels, large, np.random.default_rng(seed))
    groups = []
    for group in sorted(counts.index):
        places = np.flatnonzero(labels == group)
        for metric, measure in measures.items():
            ends = (math.nan, math.nan)
            if group in large:
                ends = measure.ends(y[places], places, drawn[metric][:, large.index(group)])
            value = float(every.by_group.loc[group, metric])
            groups.append((name, group, len(places), metric, value, *ends))
    if len(large) < 2:
        return groups, [_nothing(name, metric) for metric in measures]
    sure = _frame(measures, y, labels, np.isin(labels, large))
    return groups, [_apart(name, metric, sure, large, drawn[metric]) for metric in measures]


def _frame(
    measures: Mapping[str, Measure], y: NDArray[Any], labels: NDArray[Any], held: NDArray[np.bool_]
) -> Any:
    return MetricFrame(
        metrics=dict(measures),
        y_true=y[held],
        y_pred=np.flatnonzero(held),
        sensitive_features=pd.Series(labels[held], name="group"),
    )


def _drawn(
    measures: Mapping[str, Measure],
    y: NDArray[Any],
    labels: NDArray[Any],
    large: list[str],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Return each measure of shape (draws, groups); fairlearn's own bootstrap takes a hundred times as long."""
    found = {metric: np.full((_DRAWS, len(large)), math.nan) for metric in measures}
    of_group = [np.flatnonzero(labels == group) for group in large]
    for draw in range(_DRAWS):
        for place, held in enumerate(of_group):
            rows = held[rng.integers(len(held), size=len(held))]
            for metric, measure in measures.items():
                found[metric][draw, place] = measure(y[rows], rows)
    return found


def _ends(drawn: NDArray[np.float64]) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if len(known) < _DRAWS / 2:
        return math.nan, math.nan
    low, high = np.quantile(known, _QUANTILES)
    return float(low), float(high)


def _nothing(name: str, metric: str) -> tuple[Any, ...]:
    return (name, metric, "–", "–", *[math.nan] * 6)


def _apart(
    name: str, metric: str, frame: Any, large: list[str], drawn: NDArray[np.float64]
) -> tuple[Any, ...]:
    """Return the line of one measure, of the groups in which it has a value."""
    values = frame.by_group[metric].astype(float).dropna()
    if len(values) < 2:
        return _nothing(name, metric)
    known = drawn[:, [large.index(group) for group in values.index]]
    low, high = known.min(axis=1), known.max(axis=1)
    ratios = np.divide(low, high, out=np.full(len(low), math.nan), where=high != 0)
    ends = (str(values.idxmin()), str(values.idxmax())) if values.min() < values.max() else ("–", "–")
    difference, ratio = float(frame.difference()[metric]), float(frame.ratio()[metric])
    return (name, metric, *ends, difference, *_ends(high - low), ratio, *_ends(ratios))


def _small(name: str, labels: NDArray[Any]) -> Iterator[str]:
    counts = pd.Series(labels).value_counts()
    small = [f"{group} ({counts[group]})" for group in sorted(counts.index) if counts[group] < LEAST_ROWS]
    if small:
        some = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        yield f"too few rows to compare, fewer than {LEAST_ROWS}: {some}"
    if len(counts) < 2:
        raise InvalidInputError(
            f"{name} has one group only, {counts.index[0]}; name a column with two or more in by="
        )
