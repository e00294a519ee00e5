"""A study as a tracking server keeps it: one entry, and a part for each trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from modelyard.tracking import Entry, Tracking, log_or_remark
from modelyard.tuning.study import Study
from modelyard.tuning.takeover import REASON

_STATES: Mapping[TrialState, Any] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "killed",
    TrialState.FAIL: "failed",
}


def tracked(study: Study, kept: optuna.Study, contract: Mapping[str, Any], tracking: Tracking) -> Study:
    """Tell a server of a study, and return it with a remark that says where, or why not."""
    entry = _entry(study, kept.get_trials(deepcopy=False), contract)
    return dataclasses.replace(study, remarks=(*study.remarks, log_or_remark(tracking, entry)))


def _entry(study: Study, trials: list[FrozenTrial], contract: Mapping[str, Any]) -> Entry:
    key = f"study {study.name} {contract['X']['digest'][:12]}"
    ended = [trial for trial in trials if trial.state.is_finished()]
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE and trial.values]
    better = max if study.direction == "maximize" else min
    best_so_far: list[float] = []
    for trial in complete:
        value = float(trial.values[0])
        best_so_far.append(better(best_so_far[-1], value) if best_so_far else value)
    return Entry(
        name=study.name,
        key=key,
        params={
            "model": study.model,
            "method": study.method,
            "cv": study.cv,
            "metric": study.metric,
            "direction": study.direction,
            **{f"space/{name}": spec for name, spec in contract["space"].items()},
        },
        metrics={
            f"best/{study.metric}": study.best_score,
            "trials": float(len(complete)),
            "seconds": study.seconds,
        },
        series={
            f"trial/{study.metric}": [float(trial.values[0]) for trial in complete],
            f"best_so_far/{study.metric}": best_so_far,
        },
        tags={
            "modelyard.kind": "study",
            **{f"best/{name}": str(value) for name, value in study.best_params.items()},
        },
        note="\n\n".join((study.sentence(), *study.remarks)),
        parts=tuple(_part(study, trial, key) for trial in ended),
        model=study.best_estimator,
    )


def _part(study: Study, trial: FrozenTrial, key: str) -> Entry:
    names = [study.metric, *(f"objective_{place}" for place in range(1, len(trial.values or ())))]
    return Entry(
        name=f"{study.name} trial {trial.number}",
        key=f"{key} trial {trial.number}",
        params=trial.params,
        metrics=dict(zip(names, trial.values or (), strict=False)),
        tags={"modelyard.kind": "trial", "modelyard.state": trial.state.name},
        note=str(trial.user_attrs.get(REASON, "")),
        began=trial.datetime_start,
        ended=trial.datetime_complete,
        state=_STATES[trial.state],
    )
