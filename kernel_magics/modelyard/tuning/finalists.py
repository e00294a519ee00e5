"""The trials that may win: fitted again on all rows, converted, and measured against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelyard.errors import BudgetError
from modelyard.tuning.budget import ServingBudget
from modelyard.tuning.cost import Cost
from modelyard.tuning.serving import Rows, measured, peak_bytes, served

_AT_ONCE = 3
_SECONDS = 0.3

Fit = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Candidate:
    """A finished trial.

    Attributes
    ----------
    number : int
    params : dict
        As Python values, under the model's full names.
    scores : dict
        Its mean over the folds, by metric.
    cost : Cost or None
        What was measured during the search, on the model of one fold.
    """

    number: int
    params: dict[str, Any]
    scores: dict[str, float]
    cost: Cost | None


@dataclass(frozen=True, eq=False)
class Finalist:
    """A trial whose model was fitted on all rows, converted and measured.

    Attributes
    ----------
    number, params, scores
        As of `Candidate`.
    estimator : estimator
        Fitted on all rows.
    cost : Cost
    """

    number: int
    params: dict[str, Any]
    scores: dict[str, float]
    estimator: Any
    cost: Cost

    def figure(self, name: str) -> float:
        """Return a metric, ``latency_us`` or ``size_bytes``."""
        return self.scores[name] if name in self.scores else float(getattr(self.cost, name))


def measured_finalists(
    candidates: Sequence[Candidate], fit: Fit, rows: Rows, budget: ServingBudget
) -> tuple[Finalist, ...]:
    """Fit each candidate on all rows and measure all of them in turn."""
    fitted = [fit(candidate.params) for candidate in candidates]
    models = [served(estimator, rows, proven=True) for estimator in fitted]
    costs = measured(models, _SECONDS)
    if budget.asks_memory:
        costs = [
            replace(cost, peak_bytes=peak_bytes(model)) for cost, model in zip(costs, models, strict=True)
        ]
    return tuple(
        Finalist(candidate.number, candidate.params, candidate.scores, estimator, cost)
        for candidate, estimator, cost in zip(candidates, fitted, costs, strict=True)
    )


def best_within(
    ranked: Sequence[Candidate], fit: Fit, rows: Rows, budget: ServingBudget, study: str
) -> tuple[Finalist, tuple[Finalist, ...]]:
    """Return the first candidate that keeps to the budget, and all that were measured to find it.

    Candidates are taken three at a time, the best scores first, until one keeps to it. Those that broke it
    plainly during the search are not fitted again.

    Raises
    ------
    BudgetError
        None does; names the nearest.
    """
    tried: list[Finalist] = []
    hopeful = [each for each in ranked if each.cost is None or not budget.is_plainly_broken(each.cost)]
    nearest = min(ranked, key=lambda each: distance(budget, each.cost))
    left = hopeful or [nearest]
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        found = measured_finalists(some, fit, rows, budget)
        tried += found
        winner = next((finalist for finalist in found if budget.is_met(finalist.cost)), None)
        if winner is not None:
            return winner, tuple(tried)
    raise no_finalist(tried, budget, study)


def no_finalist(tried: Sequence[Finalist], budget: ServingBudget, study: str) -> BudgetError:
    """Return the error that says how near the nearest of the finalists came."""
    nearest = min(tried, key=lambda each: distance(budget, each.cost))
    scores = ", ".join(f"{name} {value:.4g}" for name, value in nearest.scores.items())
    served = f" (served in Python: {nearest.cost.why})" if nearest.cost.why else ""
    return BudgetError(
        f"no trial of {study!r} keeps to {budget.text()}; the nearest is trial {nearest.number} ({scores}): "
        f"{budget.broken(nearest.cost)}{served}; allow more, or widen the space towards smaller models"
    )


def distance(budget: ServingBudget, cost: Cost | None) -> float:
    """Return how far a cost is over a budget, the worst first; infinite where it is not known."""
    excess = budget.excess(cost) if cost is not None else float("nan")
    return excess if excess == excess else float("inf")
