"""Which trial wins where serving counts: the front of several objectives, or the best score within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from modelyard.errors import BudgetError
from modelyard.evaluation.inputs import Samples
from modelyard.tuning.budget import ServingBudget
from modelyard.tuning.cost import Cost, cost_of
from modelyard.tuning.finalists import (
    Candidate,
    Finalist,
    Fit,
    best_within,
    distance,
    measured_finalists,
    no_finalist,
)
from modelyard.tuning.front import front_of, non_dominated
from modelyard.tuning.gauge import OVER_BUDGET, Gauge
from modelyard.tuning.objectives import Objective
from modelyard.tuning.serving import Rows
from modelyard.tuning.takeover import REASON

Values = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Serving:
    """What a search knows of serving.

    Attributes
    ----------
    objectives : tuple of Objective
    budget : ServingBudget
    gauge : Gauge
    """

    objectives: tuple[Objective, ...]
    budget: ServingBudget
    gauge: Gauge

    @classmethod
    def of(cls, objectives: tuple[Objective, ...], budget: ServingBudget, samples: Samples) -> Serving | None:
        """Return ``None`` where nothing but one score counts."""
        if len(objectives) == 1 and not budget:
            return None
        measures = any(objective.of_serving for objective in objectives)
        return cls(objectives, budget, Gauge(Rows.of(samples), budget.without_memory(), always=measures))

    @property
    def several(self) -> bool:
        return len(self.objectives) > 1

    def figures_of(self, cost: Cost | None) -> dict[str, float]:
        """Return the value of each objective that is no metric; NaN where the cost is not known."""
        of_serving = [objective.figure for objective in self.objectives if objective.of_serving]
        return {figure: float(getattr(cost, figure, float("nan"))) for figure in of_serving}

    def stopped_in_vain(self, trials: Sequence[FrozenTrial]) -> Iterator[int]:
        """Yield the numbers of trials that were stopped for an earlier budget, and that this one allows."""
        for trial in trials:
            over = trial.user_attrs.get(REASON, "").startswith(OVER_BUDGET)
            cost = cost_of(trial) if over and trial.state == TrialState.PRUNED else None
            if cost is not None and not self.budget.is_plainly_broken(cost):
                yield trial.number


def chosen_finalists(
    serving: Serving, study: optuna.Study, values: Values, fit: Fit
) -> tuple[Finalist, tuple[Finalist, ...]]:
    """Return the winner of a study, and the finalists, or the front of them where there are several objectives.

    Parameters
    ----------
    serving : Serving
    study : optuna.Study
        With a complete trial at least.
    values : callable
        From a trial's parameters in the storage to Python values.
    fit : callable
        From these to an estimator that was fitted on all rows.

    Raises
    ------
    BudgetError
        No finalist keeps to the budget.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    rows, budget, objectives = serving.gauge.rows, serving.budget, serving.objectives
    if not serving.several:
        ranked = sorted(trials, key=lambda t: t.values[0], reverse=objectives[0].greater_is_better)
        found = [_candidate(trial, objectives, values) for trial in ranked]
        return best_within(found, fit, rows, budget, study.study_name)
    found = [_candidate(trial, objectives, values) for trial in _front_of_trials(trials, objectives)]
    finalists = measured_finalists(found, fit, rows, budget)
    front = front_of(finalists, objectives)
    winner = next((finalist for finalist in front if budget.is_met(finalist.cost)), None)
    if winner is None:
        raise no_finalist(front or finalists, budget, study.study_name)
    return winner, front


def over_budget(serving: Serving, study: optuna.Study) -> BudgetError | None:
    """Return the error of a study of which no trial is complete because all that were measured broke the budget."""
    costs = {trial.number: cost for trial in study.get_trials(deepcopy=False) if (cost := cost_of(trial))}
    if not costs or not serving.budget:
        return None
    number = min(costs, key=lambda each: distance(serving.budget, costs[each]))
    return BudgetError(
        f"no trial of {study.study_name!r} keeps to {serving.budget.text()}; the nearest is trial {number}: "
        f"{serving.budget.broken(costs[number])}, after one fold; allow more, or widen the space towards smaller models"
    )


def _front_of_trials(trials: Sequence[FrozenTrial], objectives: Sequence[Objective]) -> Iterator[FrozenTrial]:
    table = np.array([trial.values for trial in trials], dtype=float)
    on_front = non_dominated(table, [objective.greater_is_better for objective in objectives])
    return (trial for trial, on in zip(trials, on_front, strict=True) if on)


def _candidate(trial: FrozenTrial, objectives: Sequence[Objective], values: Values) -> Candidate:
    pairs = zip(objectives, trial.values, strict=True)
    scores = {objective.figure: float(value) for objective, value in pairs if not objective.of_serving}
    return Candidate(trial.number, values(trial.params), scores, cost_of(trial))
