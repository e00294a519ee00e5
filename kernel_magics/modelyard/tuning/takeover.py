"""Whose a running trial is, and what becomes of it when its process is gone.

Every trial carries its owner: host, process id, when that process began, and the run inside it. A trial
that is RUNNING although its owner is dead becomes FAIL, and its parameters wait in line once more.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import optuna
import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from modelyard.tuning.parameter import Parameter

OWNER = "modelyard:owner"
ENDED = "modelyard:ended"  # 'killed' or 'interrupted': the trial does not count, its point is tried again
REASON = "modelyard:reason"
RETRY_OF = "modelyard:retry_of"

_SAME_START_S = 2.0  # the clock that process start times are read from can be adjusted
_LONGEST_UNSEEN = timedelta(hours=1)
_JUST_ASKED = timedelta(minutes=1)
_runs_here: set[str] = set()


@dataclass(frozen=True)
class Owner:
    """One run of `tune` in one process."""

    host: str
    pid: int
    began: float
    run: str

    def attribute(self) -> dict[str, Any]:
        return asdict(self)


@contextmanager
def owning() -> Iterator[Owner]:
    """Be the owner of trials inside the block."""
    process = psutil.Process()
    owner = Owner(socket.gethostname(), os.getpid(), process.create_time(), uuid.uuid4().hex)
    _runs_here.add(owner.run)
    try:
        yield owner
    finally:
        _runs_here.discard(owner.run)


def is_void(trial: FrozenTrial) -> bool:
    """Whether a trial failed because its process was killed or interrupted, so that it does not count."""
    return trial.state == TrialState.FAIL and trial.user_attrs.get(ENDED) is not None


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is done: complete, or failed by its own fault."""
    return trial.state.is_finished() and not is_void(trial)


def fail_running(study: optuna.Study, run: str, ended: Literal["interrupted"], reason: str) -> None:
    """Make the trials that one run left RUNNING fail, wherever between ask and tell it was stopped."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner = trial.user_attrs.get(OWNER)
        if owner is not None and owner["run"] == run:
            _end(study, trial, ended, reason)


def take_over(study: optuna.Study, space: Mapping[str, Parameter], shared: bool) -> int:
    """Fail the trials of dead processes, and line up again what was killed or interrupted.

    A point whose process was killed twice is given up: it would end the next process too. Call this, like
    ``study.ask``, under the lock of the yard.

    Parameters
    ----------
    study : optuna.Study
    space : dict
        The parameters; a trial that had not drawn all of them is not lined up.
    shared : bool
        Whether other machines may work on the storage, beyond the reach of the lock.

    Returns
    -------
    int
        How many trials were lined up.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_stale(trial, shared):
            if _killed_before(study, trial):
                _end(study, trial, None, "its process was killed twice")
            else:
                _end(study, trial, "killed", "its process was killed")
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    lined_up = 0
    for trial in trials:
        params = (
            trial.params if len(trial.params) == len(space) else trial.system_attrs.get("fixed_params", {})
        )
        if is_void(trial) and trial.number not in retried and set(params) == set(space):
            study.enqueue_trial(dict(params), user_attrs={RETRY_OF: trial.number})
            lined_up += 1
    return lined_up


def _killed_before(study: optuna.Study, trial: FrozenTrial) -> bool:
    trials = study.get_trials(deepcopy=False)
    first = trial.user_attrs.get(RETRY_OF)
    while first is not None:
        if trials[first].user_attrs.get(ENDED) == "killed":
            return True
        first = trials[first].user_attrs.get(RETRY_OF)
    return False


def _end(study: optuna.Study, trial: FrozenTrial, ended: str | None, reason: str) -> None:
    storage = study._storage  # no public door leads to a trial that this process did not ask for
    try:
        if ended is not None:
            storage.set_trial_user_attr(trial._trial_id, ENDED, ended)
        storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return  # another process was faster


def _is_stale(trial: FrozenTrial, shared: bool) -> bool:
    owner = trial.user_attrs.get(OWNER)
    age = datetime.now() - (trial.datetime_start or datetime.now())
    if owner is None:  # asked for, not yet signed: both happen under the lock, which other machines lack
        return age > _JUST_ASKED if shared else True
    if owner["host"] != socket.gethostname():
        return age > _LONGEST_UNSEEN
    if owner["pid"] == os.getpid() and abs(owner["began"] - psutil.Process().create_time()) < _SAME_START_S:
        return owner["run"] not in _runs_here
    try:
        process = psutil.Process(owner["pid"])
        same = abs(process.create_time() - owner["began"]) < _SAME_START_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
