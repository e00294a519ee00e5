"""How good a smaller model is on rows that none of its makers has seen, beside the original on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from modelyard.errors import InvalidInputError
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.responses import answers
from modelyard.evaluation.slicing import slices_of

HELD_OUT = 0.3
_LEAST_ROWS = 20
_DRAWS = 400
_MOST_DRAWN = 20_000
_LEAST_IN_SLICE = 10


@dataclass(frozen=True, eq=False)
class Parted:
    """The rows that candidates are made of, and those that they are judged on.

    Attributes
    ----------
    training, held_out : Samples
    held_rows : ndarray of int
        The places of the held-out rows in X.
    """

    training: Samples
    held_out: Samples
    held_rows: NDArray[np.intp]


def parted(samples: Samples, seed: int) -> Parted:
    """Put 30 % of the rows aside, of each class alike where every class has two rows or more.

    Raises
    ------
    InvalidInputError
        There are fewer than 20 rows.
    """
    if samples.rows < _LEAST_ROWS:
        raise InvalidInputError(
            f"compressing judges on 30 % of the rows, X has {samples.rows}; give {_LEAST_ROWS} rows or more"
        )
    strata = None
    if samples.classes is not None and np.unique(samples.y, return_counts=True)[1].min() > 1:
        strata = samples.y if len(samples.classes) <= HELD_OUT * samples.rows else None
    learned, held = train_test_split(
        np.arange(samples.rows), test_size=HELD_OUT, random_state=seed, stratify=strata
    )
    learned, held = np.sort(learned), np.sort(held)
    return Parted(_part(samples, learned), _part(samples, held), held)


def _part(samples: Samples, rows: NDArray[np.intp]) -> Samples:
    return Samples(
        samples.take(rows), samples.y[rows], len(rows), samples.features, samples.classes, samples.columns
    )


@dataclass(frozen=True, eq=False)
class Judged:
    """What one model says of the held-out rows.

    Attributes
    ----------
    labels : ndarray of shape (rows,)
    response : ndarray or None
        What the metric is measured on; ``None`` where it asks the model itself.
    score : float
    drawn : ndarray of shape (draws,)
        The score on bootstrap draws of the rows, the same draws for every model; empty where there are none.
    """

    labels: NDArray[Any]
    response: NDArray[Any] | None
    score: float
    drawn: NDArray[Any]


@dataclass(frozen=True)
class Verdict:
    """How a model compares with the original.

    Attributes
    ----------
    score, ci_low, ci_high : float
        With its 95 % interval, from the quantiles of the bootstrap.
    drop, drop_low, drop_high : float
        How much worse it is than the original, above 0 where it is worse whatever the metric's direction; paired:
        both are measured on the same draws.
    drop_se : float
        The standard error of the drop, from the same draws; NaN where there are none.
    agreement : float
        The share of rows with the original's label; of numbers R² between the two models' answers.
    """

    score: float
    ci_low: float
    ci_high: float
    drop: float
    drop_low: float
    drop_high: float
    drop_se: float
    agreement: float


class Judge:
    """Judges models on the held-out rows by one metric.

    Source of the intervals: B. Efron & R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """

    def __init__(self, held_out: Samples, metric: Metric, seed: int) -> None:
        self._held = held_out
        self._seed = seed
        self.metric = metric

    @cached_property
    def _draws(self) -> NDArray[np.int32]:
        size = min(self._held.rows, _MOST_DRAWN)
        drawn = np.random.default_rng(self._seed).integers(
            self._held.rows, size=(_DRAWS, size), dtype=np.int32
        )
        return np.asarray(drawn)

    def judged(self, model: Any) -> Judged:
        """Ask a model about the held-out rows."""
        held, metric = self._held, self.metric
        wanted = {"labels", metric.response} - {"model"}
        found = answers(model, held.X, held, wanted, held.rows)
        labels = found["labels"]
        if metric.response == "model":
            return Judged(labels, None, float(metric.measure(model, held.X, held.y)), np.empty(0))
        response = found[metric.response]
        score = float(metric.measure(held.y, response, held.classes))
        return Judged(labels, response, score, self._drawn(response))

    def _drawn(self, response: NDArray[Any]) -> NDArray[Any]:
        held, metric = self._held, self.metric
        if metric.per_row is not None:
            each = np.asarray(metric.per_row(held.y, response, held.classes), dtype=np.float64)
            return np.asarray(each[self._draws].mean(axis=1))
        return np.array(
            [metric.measure(held.y[draw], response[draw], held.classes) for draw in self._draws],
            dtype=np.float64,
        )

    def verdict(self, original: Judged, found: Judged) -> Verdict:
        sign = 1 if self.metric.greater_is_better else -1
        drop = sign * (original.score - found.score)
        drops = sign * (original.drawn - found.drawn)
        return Verdict(
            found.score,
            *self._interval(found.score, found.drawn),
            drop + 0.0,  # no -0
            *self._interval(drop, drops),
            self._standard_error(drops),
            self._agreement(original.labels, found.labels),
        )

    @property
    def _narrower(self) -> float:
        """What a spread of draws is multiplied by: fewer rows than there are scatter more."""
        return math.sqrt(min(1.0, _MOST_DRAWN / self._held.rows))

    def _interval(self, value: float, drawn: NDArray[Any]) -> tuple[float, float]:
        known = _known(drawn)
        if known is None:
            return math.nan, math.nan
        low, high = np.quantile(known, [0.025, 0.975])
        return value - (value - float(low)) * self._narrower, value + (float(high) - value) * self._narrower

    def _standard_error(self, drawn: NDArray[Any]) -> float:
        known = _known(drawn)
        return math.nan if known is None else float(known.std(ddof=1)) * self._narrower

    def _agreement(self, one: NDArray[Any], other: NDArray[Any]) -> float:
        if self._held.classes is not None:
            return float(np.mean(one == other))
        return float(r2_score(one, other)) if np.ptp(one) else float(np.allclose(one, other))

    def fallen(
        self, samples: Samples, by: Any, rows: NDArray[np.intp], one: Judged, other: Judged
    ) -> list[Slice]:
        """Return what became of each slice of the held-out rows, the largest drop first.

        Parameters
        ----------
        samples : Samples
            All rows.
        by : str, array, Series, DataFrame or list of them
            See `modelyard.evaluation.slicing.slices_of`.
        rows : ndarray of int
            The places of the held-out rows.
        one, other : Judged
            The original and the smaller model.
        """
        if one.response is None or other.response is None:
            return []
        sign, held = (1 if self.metric.greater_is_better else -1), self._held
        found = []
        for name, mask in slices_of(samples, by):
            inside = mask[rows]
            if inside.sum() < _LEAST_IN_SLICE:
                continue
            before, after = (
                float(self.metric.measure(held.y[inside], said.response[inside], held.classes))
                for said in (one, other)
                if said.response is not None
            )
            if before == before and after == after:
                found.append(Slice(name, int(inside.sum()), before, after, sign * (before - after) + 0.0))
        return sorted(found, key=lambda part: -part.drop)


def _known(drawn: NDArray[Any]) -> NDArray[Any] | None:
    known = drawn[~np.isnan(drawn)]
    return known if len(known) >= _DRAWS / 2 else None


@dataclass(frozen=True)
class Slice:
    """The score of the original and of the smaller model in a part of the held-out rows, and the difference."""

    name: str
    rows: int
    before: float
    after: float
    drop: float
