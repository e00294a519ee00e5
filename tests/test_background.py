"""A study beside the cells: steered while it runs, ended with its kernel, and never losing a trial."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from optuna.trial import TrialState
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeClassifier

from clusters import until
from kernels import kernel
from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.errors import EngineError, InterruptedRunError, InvalidInputError, UnknownNameError, UsageError
from modelyard.tuning import Study, StudyRun, tune

pytestmark = pytest.mark.alone

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as what is written in a cell

TREE = DecisionTreeClassifier(random_state=0)
SPACE = "max_depth: int 1..4\ncriterion: gini | entropy"
DEPTHS = {"depth": (1, 1000)}


class Slow(ClassifierMixin, BaseEstimator):
    """Takes its time; one depth raises what it is told to, or ends its process."""

    def __init__(self, depth: int = 0, seconds: float = 0.1, bad: str = "") -> None:
        self.depth = depth
        self.seconds = seconds
        self.bad = bad

    def fit(self, X: Any, y: Any) -> Slow:
        print("a model that talks")
        time.sleep(self.seconds)
        if self.bad == "raises":
            raise ZeroDivisionError("a bug of the model")
        if self.bad == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:150, :6], y.iloc[:150]


def _slow(data: Any, trials: int = 1000, **more: Any) -> StudyRun:
    model = more.pop("model", Slow())
    asked = {"method": "random", "cv": "kfold:2", "scoring": "accuracy", "trials": trials, "bg": True}
    found = tune(model, *data, DEPTHS, **asked | more)
    assert isinstance(found, StudyRun)
    return found


def test_a_run_is_there_at_once_and_its_result_is_the_study(data: Any, capfd: Any) -> None:
    run = _slow(data, trials=4, name="beside")
    assert not run.wait(0)
    assert (run.name, run.state, run.done, run.wanted) == ("beside", "running", 0, 4)
    with pytest.raises(TimeoutError, match="has not ended after 0 s"):
        run.result(timeout=0)
    found = run.result(timeout=60)
    assert isinstance(found, Study)
    assert found.trials["state"].tolist() == ["COMPLETE"] * 4
    assert isinstance(found.best_estimator, Slow)
    assert (run.state, run.done, run.best) == ("finished", 4, found.best_score)
    assert run.best_params == found.best_params
    assert open_yard().get("study", "beside").payload["state"] == "finished"
    assert capfd.readouterr().out == ""


@pytest.mark.thorough
def test_it_finds_what_the_foreground_finds(data: Any) -> None:
    here = tune(TREE, *data, SPACE, method="grid", cv="stratified:3")
    run = tune(TREE, *data, SPACE, method="grid", cv="stratified:3", bg=True)
    found = run.result(timeout=60)
    columns = ["state", "value", "params_max_depth", "params_criterion"]
    pd.testing.assert_frame_equal(found.trials[columns], here.trials[columns], check_exact=True)
    assert found.best_params == here.best_params


def test_it_pauses_goes_on_takes_more_trials_and_stops(data: Any) -> None:
    run = _slow(data, trials=8)
    until(lambda: run.done >= 2, what="two trials")
    run.pause()
    time.sleep(1.0)
    paused_at = run.done
    assert run.state == "paused"
    time.sleep(1.0)
    assert run.done == paused_at < 8
    run.add_trials(2)
    run.resume()
    assert run.state == "running"
    assert run.wait(60)
    found = run.result()
    assert len(found.trials) == run.wanted == run.done == 10
    assert open_yard().get("study", run.name).payload["trials"] == 10

    more = tune(
        Slow(),
        *data,
        DEPTHS,
        method="random",
        cv="kfold:2",
        scoring="accuracy",
        name=run.name,
        resume=True,
        trials=500,
        bg=True,
    )
    until(lambda: more.done >= 12, what="two more trials")
    more.stop()
    stopped = more.result(timeout=60)
    assert more.state == "finished"
    assert 12 <= len(stopped.trials) < 500
    assert set(stopped.trials["state"]) == {"COMPLETE"}
    for word in (more.pause, more.resume, more.stop, lambda: more.add_trials(1)):
        with pytest.raises(UsageError, match=r"has ended .finished.; type modelyard.tune.*resume=True"):
            word()
    with pytest.raises(UsageError, match="add_trials wants a whole number from 1 up, found 0"):
        more.add_trials(0)


@pytest.mark.thorough
def test_stopping_at_once_is_as_ctrl_c(data: Any) -> None:
    run = _slow(data, model=Slow(seconds=30))
    until(lambda: _states(run.name) == ["RUNNING"], what="a running trial")
    run.stop(now=True)
    with pytest.raises(
        InterruptedRunError, match=r"tuning stopped: 0 of 1000 trials finished and kept; to go on"
    ):
        run.result(timeout=20)
    assert run.state == "failed"
    assert _states(run.name) == ["FAIL"]
    assert open_yard().get("study", run.name).payload["state"] == "interrupted"


def test_errors_come_where_they_belong(data: Any) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'depth'"):
        tune(Slow(), *data, {"dpth": (1, 9)}, bg=True)
    with pytest.raises(InvalidInputError, match=r"cannot be sent to another process .*leave bg=True"):
        tune(
            Slow(bad=(number for number in (1, 2))), *data, DEPTHS, cv="kfold:2", scoring="accuracy", bg=True
        )  # type: ignore[arg-type]
    run = _slow(data, model=Slow(bad="raises"))
    with pytest.raises(ZeroDivisionError, match="a bug of the model") as caught:
        run.result(timeout=60)
    assert "in fit" in "".join(caught.value.__notes__)
    assert run.state == "failed"


def test_a_run_whose_process_dies_says_so_and_is_resumed(data: Any) -> None:
    run = _slow(data, model=Slow(bad="dies"), name="deadly")
    with pytest.raises(
        EngineError, match=r"the process of study 'deadly' was killed by signal 9 \(SIGKILL\).*resume=True"
    ) as caught:
        run.result(timeout=60)
    assert "\n" not in str(caught.value)
    assert open_yard().get("study", "deadly").payload["state"] == "interrupted"


@pytest.mark.thorough
def test_it_shows_itself_as_it_is_now(data: Any) -> None:
    run = _slow(data, trials=3)
    assert repr(run).startswith(f"study {run.name} in the background: running, 0 of 3 trials done")
    run.wait(60)
    shown = run._repr_mimebundle_()
    assert "finished, 3 of 3 trials done, best accuracy 0." in shown["text/plain"]
    payload = shown["application/vnd.modelyard.study-run+json"]
    assert (payload["state"], payload["done"], payload["wanted"]) == ("finished", 3, 3)
    assert payload["best_params"] == run.best_params


@pytest.mark.thorough
def test_progress_is_told_in_the_kernel(data: Any) -> None:
    told: list[Any] = []

    class Telling:
        def advance(self, steps: int = 1, note: str = "") -> None:
            told.append((steps, note))

        def close(self) -> None:
            told.append("closed")

    progress.install(lambda *opened: (told.append(opened), Telling())[1])
    try:
        run = _slow(data, trials=3, name="told")
        run.wait(60)
        until(lambda: told[-1] == "closed", 5)
    finally:
        progress.install(None)
    assert told[0] == ("tuning told", 3, "trial")
    assert sum(step for step, _ in told[1:-1]) == 3
    assert told[-2][1].startswith("best accuracy 0.")


def _states(name: str) -> list[str]:
    try:
        study = optuna.load_study(study_name=name, storage=open_yard().studies_url)
    except KeyError:
        return []
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


CELL = """
%load_ext modelyard
import numpy as np, time
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer

class Slow(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=0, seconds=0.1):
        self.depth = depth
        self.seconds = seconds
    def fit(self, X, y):
        time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return np.full(len(X), self.classes_[0])

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = Slow()
"""
TUNE = (
    "%%tune model X y --method random --cv kfold:2 --score accuracy --budget {}trials --name cells {}\n"
    "depth: int 1..1000"
)


@pytest.mark.thorough
def test_cells_run_on_while_a_study_runs_and_interrupting_them_does_not_reach_it(project: Path) -> None:
    with kernel(project) as running:
        running.run(CELL)
        shown = running.text(TUNE.format(6, "--bg -o run"))
        assert "study cells in the background: running" in shown
        os.killpg(os.getpgid(running.pid), signal.SIGINT)
        assert "finished 6" in running.text("found = run.result(60); print(run.state, len(found.trials))")
        assert "True" in running.text("print(type(found.best_estimator) is Slow)")


def test_a_run_ends_with_its_kernel_and_is_resumed(project: Path) -> None:
    with kernel(project) as running:
        running.run(CELL)
        running.run(TUNE.format(12, "--bg -o run"))
        until(lambda: _states("cells").count("COMPLETE") >= 2, what="two trials")
        (child,) = [
            each
            for each in psutil.Process(running.pid).children()
            if "background_process" in " ".join(each.cmdline())
        ]
        psutil.Process(running.pid).kill()
        until(
            lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 20, "the end of the run"
        )
    done = _states("cells").count("COMPLETE")
    assert set(_states("cells")) <= {"COMPLETE", "FAIL"}
    assert open_yard().get("study", "cells").payload["state"] == "interrupted"
    with kernel(project) as running:
        running.run(CELL)
        running.run(TUNE.format(12, "--resume -o found --quiet"))
        assert f"{done} 12" in running.text(
            "print(found.resumed_from, (found.trials['state'] == 'COMPLETE').sum())"
        )


# Killed at any moment


SCRIPT = """
import sys, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Quick(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=0):
        self.depth = depth
    def fit(self, X, y):
        with open("diary", "a") as diary:
            diary.write(f"{self.depth}\\n")
        time.sleep(0.01)
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return np.full(len(X), self.classes_[0])

def run(**more):
    from modelyard.tuning import tune
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    space = {"depth": list(range(1, 41))}
    return tune(Quick(), X, y, space, method="grid", cv="kfold:2", scoring="accuracy", name="quick", **more)

if __name__ == "__main__":
    run(resume="resume" in sys.argv, engine="local:2" if "two" in sys.argv else "local")
"""


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["one", "two"])
def test_sigkill_at_any_moment_loses_nothing_that_finished_and_repeats_nothing(
    project: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "quick_tuning.py").write_text(SCRIPT)
    rng = np.random.default_rng(7)
    kept: dict[int, tuple[Any, ...]] = {}
    argv = [sys.executable, "quick_tuning.py", engine]
    for attempt in range(6):
        process = subprocess.Popen(
            [*argv, *(["resume"] if _states("quick") or attempt else [])], cwd=project, stderr=subprocess.PIPE
        )
        begun = len(_diary(project))
        until(lambda begun=begun, process=process: len(_diary(project)) > begun or process.poll() is not None)
        time.sleep(float(rng.uniform(0, 0.25)))
        process.kill()
        process.communicate()
        trials = optuna.load_study(study_name="quick", storage=open_yard().studies_url).get_trials(
            deepcopy=False
        )
        complete = {
            trial.number: (trial.params["depth"], trial.value)
            for trial in trials
            if trial.state == TrialState.COMPLETE
        }
        assert kept.items() <= complete.items()
        kept = complete
    monkeypatch.syspath_prepend(str(project))
    import quick_tuning

    before = len(_diary(project))
    found = quick_tuning.run(resume=True)
    sys.modules.pop("quick_tuning")
    complete_now = found.trials[found.trials["state"] == "COMPLETE"]
    assert found.resumed_from >= len(kept)
    assert complete_now["params_depth"].is_unique
    given_up = found.trials["reason"].str.endswith("killed twice").sum()
    assert len(complete_now) + given_up == 40
    again = set(_diary(project)[before:]) & {str(depth) for depth, _ in kept.values()}
    assert again <= {str(found.best_params["depth"])}  # which is fitted on all rows in the end


def _diary(project: Path) -> list[str]:
    path = project / "diary"
    return path.read_text().split() if path.exists() else []
