"""What a trial's model would cost once served, measured on the model of its first fold while the search runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from modelyard.evaluation.metrics import Metric
from modelyard.tuning.budget import ServingBudget
from modelyard.tuning.cost import Cost, kept
from modelyard.tuning.serving import Rows, measured, served, warm_up

OVER_BUDGET = "after one fold"  # how the reason of a trial begins that was stopped for what it would cost

_SHARE = 0.05  # of the search's time may go into conversions that only serve to stop a trial early,
_FREE_S = 1.0  # and a second in any case: a short search is led to small models, too
_SECONDS = 0.03


@dataclass
class Gauge:
    """Measures the first fold's model of each trial.

    Attributes
    ----------
    rows : Rows
    budget : ServingBudget
        A trial that breaks it plainly is stopped after its first fold.
    always : bool
        Whether each trial must be measured, as where latency or size is an objective, and none is stopped. Else
        trials are measured as long as that takes a second, or a twentieth of the search's time.
    """

    rows: Rows
    budget: ServingBudget
    always: bool
    _began: float = field(default_factory=time.perf_counter)
    _spent: float = 0.0
    _last: float = 0.0

    def of_trial(self) -> TrialGauge:
        return TrialGauge(self)

    def measure(self, fitted: Any) -> Cost | None:
        """Return what a fitted model costs, or ``None`` where measuring it would cost the search too much."""
        if not (self.always or self.budget):
            return None
        searched = time.perf_counter() - self._began
        if not self.always and self._spent and self._spent + self._last > max(_FREE_S, _SHARE * searched):
            return None
        warm_up()
        started = time.perf_counter()
        cost = measured([served(fitted, self.rows, proven=False)], _SECONDS)[0]
        self._last = time.perf_counter() - started
        self._spent += self._last
        return cost


class TrialGauge:
    """The gauge of one trial: a metric among its metrics, which sees the fitted models and scores nothing.

    Attributes
    ----------
    cost : Cost or None
        Of the first model that it saw.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._seen = False
        self.cost: Cost | None = None

    @property
    def metric(self) -> Metric:
        return Metric("modelyard:cost", False, "model", True, self.look)

    def look(self, fitted: Any, X: Any = None, y: Any = None) -> float:
        """Measure a fitted model, unless one was seen before."""
        if not self._seen:
            self._seen = True
            self.cost = self._gauge.measure(fitted)
        return float("nan")

    @property
    def reason(self) -> str:
        """Why the trial is not worth going on with; empty where it is."""
        gauge = self._gauge
        if self.cost is None or gauge.always or not gauge.budget.is_plainly_broken(self.cost):
            return ""
        return f"{OVER_BUDGET}, {gauge.budget.broken(self.cost)}"

    def facts(self) -> dict[str, Any] | None:
        """Return what is kept of the trial's cost; ``None`` where it was not measured."""
        return None if self.cost is None else kept(self.cost, self._gauge.budget.excess(self.cost))
