"""One point of a search scored, here or in any other process: parameters in, a value out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.base import clone

from modelyard.evaluation.cross_validation import measure_fold, score_folds
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.splitters import Folds, first_line
from modelyard.progress import hush
from modelyard.tuning.gauge import TrialGauge
from modelyard.tuning.prefixes import PrefixCache
from modelyard.tuning.pruning import Rival
from modelyard.tuning.selection import Serving

#: Libraries whose own errors, which derive from `Exception` alone, mean that they refuse the parameters.
_REFUSING = ("catboost", "lightgbm", "xgboost")


@dataclass(frozen=True)
class TrialOutcome:
    """What came of one point.

    Attributes
    ----------
    state : {'complete', 'pruned', 'failed'}
    values : tuple of float
        One for each objective, the metric's mean over the folds first; empty unless complete.
    folds : tuple of float
        The metric in every fold that was done, in the order of the folds.
    reason : str
        Why it is not complete.
    cost : dict or None
        What the model of the first fold would cost once served, as JSON, where that counts and was measured.
    """

    state: Literal["complete", "pruned", "failed"]
    values: tuple[float, ...] = ()
    folds: tuple[float, ...] = ()
    reason: str = ""
    cost: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class PointScorer:
    """Cross-validates the model with the parameters of a point; can be pickled.

    Attributes
    ----------
    model : estimator
    samples : Samples
    folds : Folds
    metrics : tuple of Metric
        The first one is searched by, and decides whether a trial goes on.
    prefixes : PrefixCache or None
        What the first steps of a pipeline made of each fold; stays in its process.
    serving : Serving or None
        Where latency and size count, what to measure of the first fold's model.
    """

    model: Any
    samples: Samples
    folds: Folds
    metrics: tuple[Metric, ...]
    prefixes: PrefixCache | None = None
    serving: Serving | None = None

    def __call__(self, params: Mapping[str, Any], rival: Rival | None = None) -> TrialOutcome:
        """Score a point fold by fold, and stop where it can no longer beat `rival`.

        Parameters
        ----------
        params : dict
            Python values under the model's full parameter names.
        rival : Rival, optional
            The best trial so far; without one every fold is done.
        """
        try:
            candidate = with_params(self.model, params)
            with hush():
                if self.folds.one_row_each:
                    return self._left_out(candidate)
                return self._fold_by_fold(candidate, params, rival)
        except Exception as error:
            if not _refuses(error):
                raise
            return TrialOutcome("failed", reason=first_line(error))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "prefixes": None}

    def _left_out(self, candidate: Any) -> TrialOutcome:
        scored = score_folds(candidate, self.samples, self.folds, self.metrics)
        gauge = self._gauge()
        if gauge is not None:
            gauge.look(candidate.fit(self.samples.X, self.samples.y))
        return self._judged(
            [float(scored.summary["mean"].loc[metric.name]) for metric in self.metrics], (), gauge
        )

    def _fold_by_fold(self, candidate: Any, params: Mapping[str, Any], rival: Rival | None) -> TrialOutcome:
        count = len(self.folds.splits)
        figures: list[list[float]] = []
        done: list[float] = []
        gauge = self._gauge()
        metrics = self.metrics if gauge is None else (*self.metrics, gauge.metric)
        for place, split in enumerate(self.folds.splits):
            model, samples, part = (
                (candidate, self.samples, split)
                if self.prefixes is None
                or (gauge is not None and place == 0)  # which wants the whole pipeline
                else self.prefixes.shortened(candidate, params, self.samples, place, split)
            )
            outcome = measure_fold(model, samples, part, metrics, False)
            if outcome.failure is not None:
                name = type(self.model).__name__
                reason = f"{name} failed in fold {place + 1} of {count}: {first_line(outcome.failure)}"
                return TrialOutcome("failed", folds=tuple(done), reason=reason)
            figures.append([outcome.figures[metric.name] for metric in self.metrics])
            done.append(figures[-1][0])
            if gauge is not None and gauge.reason:
                return TrialOutcome("pruned", folds=tuple(done), reason=gauge.reason, cost=gauge.facts())
            if rival is not None and len(done) < count and rival.beats(done, count):
                reason = f"it cannot win any more after {len(done)} of {count} folds"
                return TrialOutcome("pruned", folds=tuple(done), reason=reason)
        return self._judged([mean_of(each) for each in zip(*figures, strict=True)], tuple(done), gauge)

    def _gauge(self) -> TrialGauge | None:
        return None if self.serving is None else self.serving.gauge.of_trial()

    def _judged(
        self, values: Sequence[float], folds: tuple[float, ...], gauge: TrialGauge | None
    ) -> TrialOutcome:
        figures = {metric.name: value for metric, value in zip(self.metrics, values, strict=True)}
        if self.serving is not None and gauge is not None:
            figures |= self.serving.figures_of(gauge.cost)
        cost = None if gauge is None else gauge.facts()
        for name, value in figures.items():
            if not math.isfinite(value):
                return TrialOutcome("failed", folds=folds, reason=f"its {name} is {value}", cost=cost)
        return TrialOutcome("complete", tuple(figures.values()), folds, cost=cost)


def with_params(model: Any, params: Mapping[str, Any]) -> Any:
    """Return an unfitted clone of a model with these parameters; estimators among them are cloned, too.

    Steps come before what is inside of them, so that ``clf`` and ``clf__C`` may be set together.
    """
    values = {
        name: clone(value, safe=False) if hasattr(value, "get_params") else value
        for name, value in params.items()
    }
    fresh = clone(model)
    for depth in sorted({name.count("__") for name in values}):
        fresh.set_params(**{name: value for name, value in values.items() if name.count("__") == depth})
    return fresh


def mean_of(folds: Sequence[float]) -> float:
    """Return the mean over the folds in which the metric is defined, NaN without any."""
    defined = [value for value in folds if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _refuses(error: Exception) -> bool:
    """Whether an error is the model's answer to its parameters or its data, and no bug."""
    return isinstance(error, ValueError | TypeError) or type(error).__module__.partition(".")[0] in _REFUSING
