"""What a sampler believes of a space: a study in memory, beside the one that is kept.

In it, a trial that was stopped early has the value that its folds let expect, one that failed the worst value
there is, and the trials of an older study stand beside those of this one. So Optuna's samplers need no other
knowledge than finished trials, and drawing a point reads and writes no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from modelyard.tuning.cost import excess_of
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.pruning import rival_of
from modelyard.tuning.studies import Direction
from modelyard.tuning.takeover import is_void

FOLDS = "modelyard:folds"


class Beliefs:
    """A study in memory.

    Parameters
    ----------
    space : dict
        Parents first.
    directions : sequence of {'maximize', 'minimize'}
        One for each objective.
    """

    def __init__(self, space: Mapping[str, Parameter], directions: Sequence[Direction]) -> None:
        self._space = space
        self._distributions = {name: part.distribution() for name, part in space.items()}
        self.greater_is_better = directions[0] == "maximize"
        self.single = len(directions) == 1
        self._view = optuna.create_study(directions=list(directions))
        self._seen: set[int] = set()
        self._values: list[float] = []
        self._points: list[dict[str, Label]] = []

    def use(self, sampler: BaseSampler) -> None:
        """Draw from `sampler` from now on."""
        self._view.sampler = sampler

    @property
    def known(self) -> int:
        """How many trials there are."""
        return len(self._values)

    @property
    def values(self) -> Sequence[float]:
        """Their values by the first objective, in the order in which they were learned."""
        return self._values

    @property
    def points(self) -> Sequence[Mapping[str, Label]]:
        return self._points

    def remember(self, params: Mapping[str, Label], value: float) -> None:
        """Add a trial of an older study of one objective."""
        self._add(params, (value,))

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Add the trials that finished since the last time."""
        fresh = [t for t in trials if t.state.is_finished() and t.number not in self._seen]
        if not fresh:
            return
        rival = None
        if self.single:
            complete = [t.user_attrs.get(FOLDS, ()) for t in trials if t.state == TrialState.COMPLETE]
            rival = rival_of([folds for folds in complete if folds], self.greater_is_better)
        for trial in fresh:
            self._seen.add(trial.number)
            if trial.state == TrialState.COMPLETE:
                self._add(trial.params, tuple(trial.values), excess_of(trial))
            elif (
                trial.state == TrialState.PRUNED and (excess_of(trial) or 0) > 0
            ):  # over its budget of serving
                first = float(trial.user_attrs.get(FOLDS, [math.nan])[0])
                if math.isfinite(first):
                    self._add(trial.params, (first,), excess_of(trial))
            elif trial.state == TrialState.PRUNED and rival is not None:
                value = rival.value_of(trial.user_attrs.get(FOLDS, ()))
                if math.isfinite(value):
                    self._add(trial.params, (value,))
            elif trial.state == TrialState.FAIL and not is_void(trial) and self.single and self._values:
                self._add(trial.params, (min(self._values) if self.greater_is_better else max(self._values),))

    def proposed(self, running: Sequence[Mapping[str, Label]] = ()) -> dict[str, Label]:
        """Return the next point of the sampler, which keeps away from points that run."""
        waited_for = [self._running(params) for params in running]
        trial = self._view.ask()
        labels: dict[str, Label] = {}
        for name, part in self._space.items():
            if part.condition is None or part.condition.holds(labels):
                labels[name] = part.suggested(trial, name)
        for number in (trial.number, *waited_for):
            self._view.tell(number, state=TrialState.FAIL)  # samplers look past them
        return labels

    def whole_point(self) -> dict[str, Label]:
        """Return values for all parameters, also those that do not exist together, of a sampler of whole points."""
        several = {name: each for name, each in self._distributions.items() if not each.single()}
        drawn = self._view.sampler.sample_relative(
            self._view, create_trial(state=TrialState.RUNNING), several
        )
        return {name: drawn[name] if name in drawn else part.every()[0] for name, part in self._space.items()}

    def _running(self, params: Mapping[str, Label]) -> int:
        known = {name: label for name, label in params.items() if name in self._distributions}
        distributions = {name: self._distributions[name] for name in known}
        self._view.add_trial(
            create_trial(state=TrialState.RUNNING, params=dict(known), distributions=distributions)
        )
        return len(self._view.get_trials(deepcopy=False)) - 1

    def _add(self, params: Mapping[str, Label], values: Sequence[float], excess: float | None = None) -> None:
        """Add a finished trial; with an excess above 0 it breaks its budget, and Optuna avoids its like."""
        known = {name: label for name, label in params.items() if name in self._distributions}
        self._view.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=dict(known),
                distributions={name: self._distributions[name] for name in known},
                values=list(values),
                system_attrs={} if excess is None else {"constraints:serving": excess},
            )
        )
        self._points.append(known)
        self._values.append(float(values[0]))
