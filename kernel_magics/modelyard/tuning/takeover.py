"""Whose a running trial is, and what becomes of it when its process is gone.

Every trial carries its owner: host, process id, when that process began, and the run inside it. A trial
that is RUNNING although its owner is dead becomes FAIL, and its parameters wait in line once more. Of a
process on another machine nobody here can tell; it leaves a sign of life in the study every minute.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import optuna
import psutil
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from modelyard.tuning.parameter import Parameter
from modelyard.tuning.space import is_point

OWNER = "modelyard:owner"
ENDED = "modelyard:ended"  # 'killed' or 'interrupted': the trial does not count, its point is tried again
REASON = "modelyard:reason"
RETRY_OF = "modelyard:retry_of"

_SEEN = "modelyard:seen:"
_SIGN_EVERY_S = 60.0
_LONGEST_SILENT_S = 300.0  # the clocks of two machines may differ by less
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
def owning(shared: optuna.Study | None = None) -> Iterator[Owner]:
    """Be the owner of trials inside the block.

    Parameters
    ----------
    shared : optuna.Study, optional
        A study that other machines may work on; signs of life go there.
    """
    process = psutil.Process()
    owner = Owner(socket.gethostname(), os.getpid(), process.create_time(), uuid.uuid4().hex)
    _runs_here.add(owner.run)
    over = threading.Event()
    if shared is not None:
        shared.set_user_attr(_SEEN + owner.run, time.time())
        threading.Thread(target=_sign, args=(shared, owner.run, over), daemon=True).start()
    try:
        yield owner
    finally:
        over.set()
        _runs_here.discard(owner.run)


def _sign(study: optuna.Study, run: str, over: threading.Event) -> None:
    while not over.wait(_SIGN_EVERY_S):
        with contextlib.suppress(SQLAlchemyError, StorageInternalError):  # the next sign may get through
            study.set_user_attr(_SEEN + run, time.time())


def is_void(trial: FrozenTrial) -> bool:
    """Whether a trial failed because its process was killed or interrupted, so that it does not count."""
    return trial.state == TrialState.FAIL and trial.user_attrs.get(ENDED) is not None


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is done: complete, or failed by its own fault."""
    return trial.state.is_finished() and not is_void(trial)


def done_among(trials: Iterable[FrozenTrial]) -> int:
    """Return how many trials are done; one whose point was lined up again is not."""
    trials = list(trials)
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return sum(counts(trial) and trial.number not in again for trial in trials)


def try_again(study: optuna.Study, numbers: Iterable[int]) -> None:
    """Line up the points of finished trials once more, unless they were. Call this under the lock of the yard."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for number in numbers:
        if number not in again:
            study.enqueue_trial(dict(trials[number].params), user_attrs={RETRY_OF: number})


def worker_lost(study: optuna.Study, number: int, space: Mapping[str, Parameter]) -> None:
    """Fail a running trial of this process whose worker died, and line its point up again, unless it is the second.

    Call this under the lock of the yard.
    """
    trial = study.get_trials(deepcopy=False)[number]
    if _killed_before(study, trial):
        _end(study, trial, None, "its worker was killed twice")
    else:
        _end(study, trial, "killed", "its worker was killed")
        _line_up(study, space)


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
    signs = study.user_attrs if shared else {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_stale(trial, shared, signs):
            if _killed_before(study, trial):
                _end(study, trial, None, "its process was killed twice")
            else:
                _end(study, trial, "killed", "its process was killed")
    return _line_up(study, space)


def _line_up(study: optuna.Study, space: Mapping[str, Parameter]) -> int:
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    lined_up = 0
    for trial in trials:
        params = trial.params if is_point(space, trial.params) else trial.system_attrs.get("fixed_params", {})
        if is_void(trial) and trial.number not in retried and is_point(space, params):
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


def _is_stale(trial: FrozenTrial, shared: bool, signs: Mapping[str, Any]) -> bool:
    owner = trial.user_attrs.get(OWNER)
    age = datetime.now() - (trial.datetime_start or datetime.now())
    if owner is None:  # asked for, not yet signed: both happen under the lock, which other machines lack
        return age > _JUST_ASKED if shared else True
    if owner["host"] != socket.gethostname():
        seen = signs.get(_SEEN + owner["run"])
        return age > _LONGEST_UNSEEN if seen is None else time.time() - seen > _LONGEST_SILENT_S
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
