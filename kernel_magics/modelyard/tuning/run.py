"""The run of a search: spend the budget, refit the best, keep the record, and leave everything resumable."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import optuna
import pandas as pd

from modelyard.engines import Engine, Workers
from modelyard.errors import InterruptedRunError, InvalidInputError
from modelyard.evaluation.inputs import Samples, describe_model
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.splitters import Folds, first_line
from modelyard.presentation import number
from modelyard.progress import track
from modelyard.tuning.control import Control
from modelyard.tuning.cost import Cost
from modelyard.tuning.finalists import Finalist
from modelyard.tuning.gauge import OVER_BUDGET
from modelyard.tuning.history import trials_table
from modelyard.tuning.loop import STOPPED, Asked, Loop, total_of
from modelyard.tuning.parallel import PointsOnWorkers
from modelyard.tuning.parameter import Label, Parameter
from modelyard.tuning.samplers import Drawer
from modelyard.tuning.selection import Serving, chosen_finalists, over_budget
from modelyard.tuning.storage import OpenStorage
from modelyard.tuning.studies import StudyRecord
from modelyard.tuning.study import Study
from modelyard.tuning.takeover import Owner, fail_running, owning, take_over, try_again, worker_lost
from modelyard.tuning.trial import PointScorer, TrialOutcome, with_params


@dataclass(frozen=True, eq=False)
class Search:
    """Everything that one run holds on to."""

    model: Any
    samples: Samples
    folds: Folds
    metric: Metric
    space: Mapping[str, Parameter]
    method: str
    trials: int | None
    points: float
    began: float
    deadline: float
    existed: int
    study: optuna.Study
    storage: OpenStorage
    record: StudyRecord
    drawer: Drawer
    scorer: PointScorer
    engine: Engine | None = None
    control: Control = field(default_factory=Control)
    prune: bool = False
    min_gain: float | None = None
    remarks: tuple[str, ...] = ()
    serving: Serving | None = None

    @property
    def wanted(self) -> int | None:
        """The total of trials, `None` without an end."""
        return total_of(self.trials, self.points)

    def values_of(self, labels: Mapping[str, Label]) -> dict[str, Any]:
        """Return a trial's parameters as Python values."""
        return {name: self.space[name].value(label) for name, label in labels.items()}

    def loop(self) -> Loop:
        return Loop(
            study=self.study,
            lock=self.storage.lock,
            space=self.space,
            drawer=self.drawer,
            wanted=self.wanted,
            deadline=self.deadline,
            prune=self.prune,
            greater_is_better=self.metric.greater_is_better,
            min_gain=self.min_gain,
            points=self.points,
            control=self.control,
        )


def run(search: Search) -> Study:
    """Spend the budget, refit the best, and write the record; what is stopped stays resumable.

    Raises
    ------
    InterruptedRunError
        Ctrl-C: the running trial is FAIL, every finished one is kept.
    InvalidInputError
        Every trial failed; gives the first reason.
    """
    study, loop, completed = search.study, search.loop(), False
    result: Study | None = None
    with owning(None if search.storage.in_yard else study) as owner:
        try:
            _try_points(search, loop, owner)
            result = _result(search, loop)
            completed = True
        except KeyboardInterrupt as stop:
            total = "" if loop.limit is None else f" of {loop.limit}"
            raise InterruptedRunError(
                f"tuning stopped: {loop.done()}{total} trials finished and kept; to go on, type resume=True "
                f"(--resume) and name={study.study_name!r} (--name {study.study_name})"
            ) from stop
        finally:
            if not completed:
                fail_running(study, owner.run, "interrupted", "the run was stopped")
            spent = loop.limit is not None and loop.done() >= loop.limit
            _write_record(search, loop, "finished" if completed or spent else "interrupted", result)
    return result


def _try_points(search: Search, loop: Loop, owner: Owner) -> None:
    with track("tuning", search.wanted, "trial") as tracker:
        with search.storage.lock:
            take_over(search.study, search.space, shared=not search.storage.in_yard)
            if search.serving is not None:
                try_again(search.study, search.serving.stopped_in_vain(loop.trials()))
        if done := loop.look().done:
            tracker.advance(done, _note(search, loop))
        _report(search, loop)

        def told(asked: Asked, outcome: TrialOutcome) -> None:
            loop.tell(asked, outcome)
            tracker.advance(1, _note(search, loop))
            _report(search, loop, {"number": asked.number, "state": outcome.state, "value": _value(outcome)})

        if search.engine is None:
            while (asked := loop.ask(owner)) is not None:
                told(asked, search.scorer(asked.params, asked.rival))
        else:
            _try_on_workers(search, loop, owner, search.engine, told)


def _try_on_workers(
    search: Search, loop: Loop, owner: Owner, engine: Engine, told: Callable[[Asked, TrialOutcome], None]
) -> None:
    def asked() -> tuple[Asked, tuple[Any, ...]] | None:
        found = loop.ask(owner)
        return None if found is None else (found, (found.params, found.rival))

    def lost(found: Asked) -> None:
        with search.storage.lock:
            worker_lost(search.study, found.number, search.space)

    PointsOnWorkers(Workers(engine, search.scorer), asked, told, lost).work(search.control)


def _report(search: Search, loop: Loop, trial: Mapping[str, Any] | None = None) -> None:
    """Tell whoever steers the run how far it is, and what came of the `trial` that is done."""
    now = loop.progress
    search.control.tell(
        done=now.done, wanted=loop.limit, best=now.value, params=dict(now.params), trial=trial
    )


def _value(outcome: TrialOutcome) -> float | None:
    """Return the first objective of a complete trial."""
    return float(outcome.values[0]) if outcome.state == "complete" else None


def _note(search: Search, loop: Loop) -> str:
    best = loop.progress.value
    return "" if best is None else f"best {search.metric.name} {number(best)}"


def _write_record(
    search: Search, loop: Loop, state: Literal["finished", "interrupted"], result: Study | None
) -> None:
    best = loop.best()
    if result is not None and result.best_number is not None:
        best = next(trial for trial in loop.trials() if trial.number == result.best_number)
    search.record.write(
        state,
        trials=None if search.trials is None else search.trials + search.control.added,
        finished=loop.done(),
        best_score=float(best.values[0]) if best else None,
        best_params=dict(best.params) if best else None,
        seconds=round(time.perf_counter() - search.began, 3),
    )


def _result(search: Search, loop: Loop) -> Study:
    best = loop.best()
    aims = search.serving.objectives if search.serving else ()
    trials = trials_table(search.study, search.space, aims)
    if best is None:
        if search.serving and (broken := over_budget(search.serving, search.study)):
            raise broken
        reasons = [reason for reason in trials["reason"] if reason]
        raise InvalidInputError(
            f"all {len(trials)} trials failed, the first because {reasons[0] if reasons else 'it was stopped'}"
        )
    finalists: tuple[Finalist, ...] = ()
    if search.serving is None:
        params = search.values_of(best.params)
        score, estimator, cost = float(best.values[0]), fitted_on_all(search, params), None
    else:
        winner, finalists = chosen_finalists(
            search.serving, search.study, search.values_of, partial(fitted_on_all, search)
        )
        params, score = winner.params, winner.scores[search.metric.name]
        estimator, cost = winner.estimator, winner.cost
    return Study(
        name=search.study.study_name,
        method=search.method,
        metric=search.metric.name,
        direction="maximize" if search.metric.greater_is_better else "minimize",
        best_params=params,
        best_score=score,
        best_estimator=estimator,
        trials=trials,
        storage=search.storage.shown,
        seconds=time.perf_counter() - search.began,
        resumed_from=search.existed,
        model=describe_model(search.model),
        cv=search.folds.label,
        remarks=(*_remarks(search, trials), *search.remarks, *_of_serving(search, cost, trials)),
        objectives=tuple(dataclasses.replace(aim, metric=None) for aim in aims),
        finalists=finalists,
        budget=search.serving.budget.text() if search.serving else "",
        cost=cost,
        space=dict(search.space),
    )


def _of_serving(search: Search, cost: Cost | None, trials: pd.DataFrame) -> Iterator[str]:
    if search.serving is None or cost is None:
        return
    over = int(trials["reason"].str.startswith(OVER_BUDGET).sum())
    if over:
        yield f"{over} of {len(trials)} trials ended {OVER_BUDGET}, their models plainly over the budget"
    yield from search.serving.budget.remarks_on(cost)


def fitted_on_all(search: Search, params: Mapping[str, Any]) -> Any:
    """Return the model with these parameters, fitted on all rows.

    Raises
    ------
    InvalidInputError
        It cannot be fitted on all of them.
    """
    try:
        return with_params(search.model, params).fit(search.samples.X, search.samples.y)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{type(search.model).__name__} cannot be fitted on all rows with the best parameters: "
            f"{first_line(error)}"
        ) from error


def _remarks(search: Search, trials: pd.DataFrame) -> Iterator[str]:
    if search.trials is not None and search.points < search.trials:
        yield f"the space holds only {int(search.points)} points; {search.trials} trials were not needed"
    failed = trials[trials["state"] == "FAIL"]
    if len(failed):
        reasons = failed["reason"].value_counts()
        yield f"{len(failed)} of {len(trials)} trials failed, most often because {reasons.index[0]}"
    hopeless = (trials["state"] == "PRUNED") & ~trials["reason"].str.startswith(OVER_BUDGET)
    pruned = int(hopeless.sum())
    if pruned:
        yield (
            f"{pruned} of {len(trials)} trials were stopped before their last fold, since they could not win any more; "
            "prune=False (--no-prune) does all folds"
        )
    if search.min_gain is not None and search.study.user_attrs.get(STOPPED) is not None:
        yield (
            f"the search ended early: ten more trials were expected to gain less than {number(search.min_gain)} "
            f"{search.metric.name}"
        )
