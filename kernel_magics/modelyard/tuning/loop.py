"""One trial after another: ask for a point, have it scored, tell; resumable at any moment in between."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from modelyard.tuning.beliefs import FOLDS
from modelyard.tuning.control import Control
from modelyard.tuning.cost import COST
from modelyard.tuning.ledger import Ledger
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.pruning import Rival, rival_of
from modelyard.tuning.samplers import Drawer
from modelyard.tuning.stopping import expects_less
from modelyard.tuning.takeover import OWNER, REASON, Owner, done_among
from modelyard.tuning.trial import TrialOutcome

STOPPED = "modelyard:stopped"


@dataclass(frozen=True)
class Asked:
    """A trial that runs.

    Attributes
    ----------
    number, trial_id : int
        In the study, and in the storage.
    params : dict
        Python values under the model's full names: what a scorer takes.
    rival : Rival or None
        What it must be able to beat to go on.
    labels : dict
        The parameters as they are stored.
    """

    number: int
    trial_id: int
    params: dict[str, Any]
    rival: Rival | None
    labels: Mapping[str, Label]


@dataclass(frozen=True)
class Progress:
    """How far a study is, as this process knows it: without reading the storage again.

    Attributes
    ----------
    done : int
        Finished trials.
    value : float or None
        The best one, by the first objective.
    params : dict
        Its labels.
    """

    done: int = 0
    value: float | None = None
    params: Mapping[str, Label] = field(default_factory=dict)


@dataclass(eq=False)
class Loop:
    """The trials of one run.

    Attributes
    ----------
    study : optuna.Study
    lock : context manager
        Held while a trial is asked for, so that processes never draw the same point.
    space : dict
    drawer : Drawer
    wanted : int or None
        The total of trials, before any are added.
    deadline : float
        On the clock of ``time.perf_counter``; no trial is begun after it, but the first one.
    prune : bool
    greater_is_better : bool
        Of the first objective.
    min_gain : float or None
    points : float
        How many different trials there can be.
    control : Control
        Who steers the run.
    """

    study: optuna.Study
    lock: AbstractContextManager[Any]
    space: Mapping[str, Parameter]
    drawer: Drawer
    wanted: int | None
    deadline: float
    prune: bool
    greater_is_better: bool
    min_gain: float | None = None
    points: float = math.inf
    control: Control = field(default_factory=Control)
    progress: Progress = field(default_factory=Progress)

    @property
    def limit(self) -> int | None:
        """The total of trials, with those that were added."""
        return None if self.wanted is None else int(min(self.wanted + self.control.added, self.points))

    def ask(self, owner: Owner) -> Asked | None:
        """Return the next trial, signed by its owner, or None when the search is over; waits while it is paused."""
        if not self.control.goes_on():
            return None
        with self.lock:
            trials = self.trials()
            used = done_among(trials) + sum(trial.state == TrialState.RUNNING for trial in trials)
            self._look_at(trials)
            if self.limit is not None and used >= self.limit:
                return None
            if time.perf_counter() - self.control.paused_seconds >= self.deadline and self.progress.done:
                return None
            if self._gains_too_little(trials):
                return None
            waiting = next((trial for trial in trials if trial.state == TrialState.WAITING), None)
            if waiting is not None:
                trial_id, number, labels = self._retried(waiting, owner)
            else:
                trial_id, number, labels = self._begun(self.drawer.draw(trials), owner)
        params = {name: self.space[name].value(label) for name, label in labels.items()}
        return Asked(number, trial_id, params, self._rival(trials), labels)

    def tell(self, asked: Asked, outcome: TrialOutcome) -> None:
        """Keep what came of a trial."""
        with contextlib.suppress(UpdateFinishedTrialError):  # another process took this one for dead
            self._keep(asked, outcome)
        best = self.progress
        if outcome.state == "complete" and self._is_better(outcome.values[0], best.value):
            best = Progress(best.done, outcome.values[0], asked.labels)
        self.progress = dataclasses.replace(best, done=best.done + 1)

    def _keep(self, asked: Asked, outcome: TrialOutcome) -> None:
        facts = {
            FOLDS: list(outcome.folds),
            COST: outcome.cost and dict(outcome.cost),
            REASON: outcome.reason,
        }
        state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        self._ledger.finish(
            asked.trial_id,
            state[outcome.state],
            outcome.values if outcome.state == "complete" else (),
            {name: value for name, value in facts.items() if value},
        )

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.study)

    def trials(self) -> list[FrozenTrial]:
        return self._ledger.trials()

    def look(self) -> Progress:
        """Read how far the study is."""
        self._look_at(self.trials())
        return self.progress

    def _look_at(self, trials: Sequence[FrozenTrial]) -> None:
        best = best_of(trials, self.greater_is_better)
        value, params = (None, {}) if best is None else (float(best.values[0]), best.params)
        self.progress = Progress(done_among(trials), value, params)

    def _is_better(self, value: float, than: float | None) -> bool:
        return than is None or (value > than if self.greater_is_better else value < than)

    def done(self) -> int:
        return done_among(self.trials())

    def best(self) -> FrozenTrial | None:
        """Return the best trial by the first objective; only those with all folds count."""
        return best_of(self.trials(), self.greater_is_better)

    def _begun(self, labels: Mapping[str, Label], owner: Owner) -> tuple[int, int, Mapping[str, Label]]:
        distributions = {name: self.space[name].distribution() for name in labels}
        trial_id, number = self._ledger.begin(labels, distributions, {OWNER: owner.attribute()})
        return trial_id, number, labels

    def _retried(self, waiting: FrozenTrial, owner: Owner) -> tuple[int, int, Mapping[str, Label]]:
        """Take up a trial that waits in line, such as one whose process was killed."""
        fixed = waiting.system_attrs.get("fixed_params", {})
        trial = self.study.ask(
            {name: self.space[name].distribution() for name in self.space if name in fixed}
        )
        trial.set_user_attr(OWNER, owner.attribute())
        self._ledger.forget()
        return trial._trial_id, trial.number, trial.params

    def _rival(self, trials: Sequence[FrozenTrial]) -> Rival | None:
        if not self.prune:
            return None
        complete = [trial.user_attrs.get(FOLDS, ()) for trial in trials if trial.state == TrialState.COMPLETE]
        return rival_of([folds for folds in complete if folds], self.greater_is_better)

    def _gains_too_little(self, trials: Sequence[FrozenTrial]) -> bool:
        if self.min_gain is None:
            return False
        stops = expects_less(trials, self.min_gain, self.greater_is_better)
        if stops and not self.study.user_attrs.get(STOPPED):
            self.study.set_user_attr(STOPPED, self.min_gain)
        return stops


def total_of(trials: int | None, points: float) -> int | None:
    """Return the total of trials: what was asked for, but never more than the points there are."""
    if trials is not None and trials <= points:
        return trials
    return None if math.isinf(points) else int(points)


def best_of(trials: Sequence[FrozenTrial], greater_is_better: bool) -> FrozenTrial | None:
    """Return the complete trial that is best by the first objective, the earliest of equal ones."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
    chosen = max if greater_is_better else min
    return chosen(complete, key=lambda trial: float(trial.values[0]), default=None)
