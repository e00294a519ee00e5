"""Fairness: how much a model's figures differ between groups of rows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError, did_you_mean, listing
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.intervals import share_interval
from modelyard.evaluation.metrics import Metric, chosen_metrics
from modelyard.evaluation.responses import answers
from modelyard.evaluation.slicing import slices_of
from modelyard.explanation.question import Question
from modelyard.explanation.standing_in import Judged, judged_samples
from modelyard.explanation.used_rows import table_places
from modelyard.presentation import Result, Table, number
from modelyard.progress import track

_MOST_ROWS = 100_000
_LEAST_ROWS = 30  # a smaller group is shown, and not compared
_DRAWS = 200
_QUANTILES = [0.025, 0.975]
_GROUPS = ["by", "group", "rows", "metric", "value", "ci_low", "ci_high"]
_DISPARITIES = [
    "by", "metric", "lowest", "highest", "difference", "difference_low", "difference_high",
    "ratio", "ratio_low", "ratio_high",
]  # fmt: skip


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


@dataclass(frozen=True, repr=False, eq=False)
class Fairness(Result):
    """A model's figures by group, and how far they are apart.

    Attributes
    ----------
    model : str
        What was measured, in words.
    groups : DataFrame
        One line per group and metric: ``by, group, rows, metric, value, ci_low, ci_high``. The interval is Wilson's of
        a share of rows, and else the percentiles of the draws.
    disparities : DataFrame
        One line per column and metric: ``by, metric, lowest, highest`` (the groups), ``difference`` (the highest less
        the lowest) and ``ratio`` (the lowest over the highest), each with its ends ``_low`` and ``_high``: 95 %
        percentiles of 200 bootstrap draws within the groups. NaN where fewer than two groups have
        30 rows, or a value.
    positive : str
        The class that counts as being selected; empty for a regression, and where there are more than two classes.
    rows : int
        How many rows were measured.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "fairness"

    model: str
    groups: pd.DataFrame
    disparities: pd.DataFrame
    positive: str
    rows: int
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        known = self.disparities.dropna(subset=["difference"])
        if known.empty:
            return f"no two groups of {self.model} have {_LEAST_ROWS} rows each, so nothing can be compared"
        first = known.iloc[int(np.argmax(known["difference_low"].fillna(-1).to_numpy()))]
        return (
            f"{self.model} differs most in {first['metric']} by {first['by']}: {number(first['difference'])} "
            f"(95 % {number(first['difference_low'])} to {number(first['difference_high'])}) between "
            f"{first['lowest']} and {first['highest']}, over {self.rows} rows"
        )

    def notes(self) -> Sequence[str]:
        return (
            *self.remarks,
            "a difference between the ends of several groups is above 0 by chance alone: look at the intervals of the "
            "groups too",
        )

    def table(self) -> Table:
        rows = []
        for line in self.disparities.to_dict("records"):
            cells = [
                f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"
                for name in ("difference", "ratio")
            ]
            rows.append((line["by"], line["metric"], line["lowest"], line["highest"], *cells))
        return Table(("by", "metric", "lowest", "highest", "difference (95 %)", "ratio (95 %)"), rows)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "positive": self.positive,
            "rows": self.rows,
            "groups": _records(self.groups),
            "disparities": _records(self.disparities),
        }


class FairnessMethod:
    """Measures groups with fairlearn's ``MetricFrame``, of anything that answers rows.

    Source of the measures: the difference and the ratio between groups of selection rates (demographic parity) and of
    true and false positive rates (equalized odds) of M. Hardt, E. Price and N. Srebro, "Equality of opportunity in
    supervised learning", NeurIPS 2016.
    """

    options: ClassVar[Mapping[str, str]] = {
        "by": "the columns whose groups are compared: sex,region; numbers are cut into quarters",
        "scoring": "the metric to compare, by its name in cross_validate (accuracy or mae)",
        "positive": "the class that counts as being selected (the second of two)",
    }

    def explain(self, question: Question) -> Fairness:
        """Measure each group of the rows with targets.

        Raises
        ------
        UsageError
            There are no targets, no columns to group by, or an option makes no sense.
        """
        options = question.options
        judged, samples = judged_samples(question, "fairness")
        metrics = _metrics(options.get("scoring"), judged, samples)
        positive = _positive(options.get("positive"), samples)
        columns = _columns(options.get("by"), list(question.frame.columns))
        places, notes = table_places(question, _MOST_ROWS)
        part = Samples(
            samples.take(places), samples.y[places], len(places), samples.features, samples.classes
        )
        measures = _measures(judged, part, metrics, positive)
        groups: list[tuple[Any, ...]] = []
        disparities: list[tuple[Any, ...]] = []
        with track("fairness", len(columns), "column") as tracker:
            for by in columns:
                chosen = by if isinstance(by, str) else pd.Series(by).iloc[places]
                name, labels = _labels(part, chosen)
                measured, apart = _compared(name, labels, part.y, measures, question.seed)
                groups += measured
                disparities += apart
                notes += _small(name, labels)
                tracker.advance()
        return Fairness(
            model=question.explained.name,
            groups=pd.DataFrame(groups, columns=_GROUPS),
            disparities=pd.DataFrame(disparities, columns=_DISPARITIES),
            positive="" if positive is None else str(positive),
            rows=len(places),
            remarks=tuple(notes),
        )


def _metrics(scoring: Any, judged: Judged, samples: Samples) -> tuple[Metric, ...]:
    usual = "mae" if samples.regression else "accuracy"
    metrics, _ = chosen_metrics(usual if scoring is None else scoring, judged, samples)
    for metric in metrics:
        if metric.response == "model":
            raise UsageError(f"{metric.name} takes the whole model, and no groups; type scoring={usual!r}")
    return metrics


def _positive(given: Any, samples: Samples) -> Any:
    if samples.classes is None:
        if given is not None:
            raise UsageError("positive is a class, and the model predicts numbers; leave it out")
        return None
    known = {str(each): each for each in samples.classes.tolist()}
    if given is None:
        return samples.classes.tolist()[1] if len(known) == 2 else None
    if str(given) not in known:
        raise UsageError(
            f"positive is a class of the model, found {given!r}; there are {listing(known)}"
            f"{did_you_mean(str(given), known)}"
        )
    return known[str(given)]


def _columns(given: Any, known: list[str]) -> list[Any]:
    if given is None:
        raise UsageError("fairness compares groups; name the columns that hold them, type by='sex'")
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


def _labels(samples: Samples, by: Any) -> tuple[str, NDArray[Any]]:
    """Return the name of a column, and the group of each row."""
    labels = np.full(samples.rows, "", dtype=object)
    for group, held in slices_of(samples, by):
        labels[held] = group
    name = by if isinstance(by, str) else str(getattr(by, "name", None) or "by")
    return name, labels


def _measures(
    judged: Judged, samples: Samples, metrics: Sequence[Metric], positive: Any
) -> dict[str, Measure]:
    """Return each measure as a function of targets and of the places of their rows, whose answers are known."""
    wanted = {metric.response for metric in metrics} | {"labels"}
    found = answers(judged, samples.X, samples, wanted, samples.rows)

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
    large = sorted(group for group in counts.index if counts[group] >= _LEAST_ROWS)
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
    small = [f"{group} ({counts[group]})" for group in sorted(counts.index) if counts[group] < _LEAST_ROWS]
    if small:
        some = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
        yield f"too few rows to compare, fewer than {_LEAST_ROWS}: {some}"
    if len(counts) < 2:
        raise InvalidInputError(
            f"{name} has one group only, {counts.index[0]}; name a column with two or more in by="
        )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): (value if math.isfinite(value) else None) if isinstance(value, float) else value
            for key, value in line.items()
        }
        for line in frame.to_dict("records")
    ]
