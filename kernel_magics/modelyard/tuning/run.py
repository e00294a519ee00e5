"""The run of a search: ask for a point, score it, tell, and leave everything resumable at any moment."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone

from modelyard.errors import InterruptedRunError, InvalidInputError
from modelyard.evaluation.cross_validation import score_folds
from modelyard.evaluation.inputs import Samples, describe_model
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.splitters import Folds, first_line
from modelyard.presentation import number
from modelyard.progress import hush, track
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.storage import OpenStorage
from modelyard.tuning.studies import StudyRecord
from modelyard.tuning.study import Study, trials_table
from modelyard.tuning.takeover import OWNER, REASON, Owner, counts, fail_running, owning, take_over


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

    @property
    def wanted(self) -> int | None:
        """The total of trials: what was asked for, but never more than the points there are."""
        if self.trials is not None and self.trials <= self.points:
            return self.trials
        return None if math.isinf(self.points) else int(self.points)


def run(search: Search) -> Study:
    """Spend the budget, refit the best, and write the record; what is stopped stays resumable.

    Raises
    ------
    InterruptedRunError
        Ctrl-C: the running trial is FAIL, every finished one is kept.
    InvalidInputError
        Every trial failed; gives the first reason.
    """
    study, completed = search.study, False
    with owning() as owner:
        try:
            _try_points(search, owner)
            result = _result(search)
            completed = True
        except KeyboardInterrupt as stop:
            total = "" if search.wanted is None else f" of {search.wanted}"
            raise InterruptedRunError(
                f"tuning stopped: {_done(study)}{total} trials finished and kept; to go on, type resume=True "
                f"(--resume) and name={study.study_name!r} (--name {study.study_name})"
            ) from stop
        finally:
            if not completed:
                fail_running(study, owner.run, "interrupted", "the run was stopped")
            _write_record(search, "finished" if completed or _spent(search) else "interrupted")
    return result


def _try_points(search: Search, owner: Owner) -> None:
    study = search.study
    with track("tuning", search.wanted, "trial") as tracker:
        with search.storage.lock:
            take_over(study, search.space, shared=not search.storage.in_yard)
        if search.existed:
            tracker.advance(search.existed, _note(search))
        while (trial := _asked(search, owner)) is not None:
            _score(search, trial)
            tracker.advance(1, _note(search))


def _asked(search: Search, owner: Owner) -> optuna.Trial | None:
    """Return the next trial, signed by its owner, or None when the search is over."""
    with search.storage.lock:
        if _spent(search, running=True) or (time.perf_counter() >= search.deadline and _done(search.study)):
            return None
        trial = search.study.ask({name: part.distribution() for name, part in search.space.items()})
        trial.set_user_attr(OWNER, owner.attribute())
        return trial


def _score(search: Search, trial: optuna.Trial) -> None:
    params = {name: search.space[name].value(label) for name, label in trial.params.items()}
    try:
        candidate = clone(search.model).set_params(**params)
        with hush():
            scored = score_folds(candidate, search.samples, search.folds, (search.metric,))
        value = float(scored.summary["mean"].iloc[0])
        reason = "" if math.isfinite(value) else f"its {search.metric.name} is {value}"
    except ValueError as error:
        value, reason = math.nan, first_line(error)
    if reason:
        trial.set_user_attr(REASON, reason)
        search.study.tell(trial, state=TrialState.FAIL)
    else:
        search.study.tell(trial, value)


def _done(study: optuna.Study) -> int:
    return sum(map(counts, study.get_trials(deepcopy=False)))


def _spent(search: Search, running: bool = False) -> bool:
    """Whether the budget is used up; `running` trials are those of other processes that live."""
    trials = search.study.get_trials(deepcopy=False)
    used = sum(counts(trial) or (running and trial.state == TrialState.RUNNING) for trial in trials)
    return search.wanted is not None and used >= search.wanted


def _best(search: Search) -> FrozenTrial | None:
    complete = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    chosen = max if search.metric.greater_is_better else min
    return chosen(complete, key=lambda trial: float(trial.value or 0.0), default=None)


def _note(search: Search) -> str:
    best = _best(search)
    return "" if best is None or best.value is None else f"best {search.metric.name} {number(best.value)}"


def _write_record(search: Search, state: Literal["finished", "interrupted"]) -> None:
    best = _best(search)
    search.record.write(
        state,
        finished=_done(search.study),
        best_score=best.value if best else None,
        best_params=dict(best.params) if best else None,
        seconds=round(time.perf_counter() - search.began, 3),
    )


def _result(search: Search) -> Study:
    best = _best(search)
    trials = trials_table(search.study, search.space)
    if best is None or best.value is None:
        reasons = [reason for reason in trials["reason"] if reason]
        raise InvalidInputError(
            f"all {len(trials)} trials failed, the first because {reasons[0] if reasons else 'it was stopped'}"
        )
    params = {name: search.space[name].value(label) for name, label in best.params.items()}
    try:
        estimator = clone(search.model).set_params(**params)
        estimator.fit(search.samples.X, search.samples.y)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{type(search.model).__name__} cannot be fitted on all rows with the best parameters: "
            f"{first_line(error)}"
        ) from error
    return Study(
        name=search.study.study_name,
        method=search.method,
        metric=search.metric.name,
        direction="maximize" if search.metric.greater_is_better else "minimize",
        best_params=params,
        best_score=float(best.value),
        best_estimator=estimator,
        trials=trials,
        storage=search.storage.shown,
        seconds=time.perf_counter() - search.began,
        resumed_from=search.existed,
        model=describe_model(search.model),
        cv=search.folds.label,
        remarks=tuple(_remarks(search, trials)),
    )


def _remarks(search: Search, trials: pd.DataFrame) -> Iterator[str]:
    if search.trials is not None and search.points < search.trials:
        yield f"the space holds only {int(search.points)} points; {search.trials} trials were not needed"
    failed = trials[trials["state"] == "FAIL"]
    if len(failed):
        reasons = failed["reason"].value_counts()
        yield f"{len(failed)} of {len(trials)} trials failed, most often because {reasons.index[0]}"
