"""A compression that is stopped: by Ctrl-C, a killed process or the clock; and taking it up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

import modelyard
from compressions import breast_cancer, fitted_forest
from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.compression import compress, kept_candidates
from modelyard.compression.clock import OutOfTimeError, until
from modelyard.compression.fitting import fitted, quiet_fits
from modelyard.errors import (
    InterruptedRunError,
    NameTakenError,
    UnknownNameError,
    UsageError,
)


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    return breast_cancer()


@pytest.fixture(scope="module")
def forest() -> Any:
    return fitted_forest()


class _Interrupting:
    """Presses Ctrl-C as soon as some candidates were measured."""

    def __init__(self, after: int) -> None:
        self._left = after

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._left -= steps
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def close(self) -> None:
        pass


def test_ctrl_c_keeps_the_candidates_so_far(cancer: Any, forest: Any) -> None:
    progress.install(lambda title, total, unit: _Interrupting(2))
    try:
        found = compress(forest, *cancer, techniques="pruning")
    finally:
        progress.install(None)
    assert 3 <= len(found.candidates) <= 4
    assert any(note.startswith("stopped (Ctrl-C) after ") for note in found.notes())
    assert found.best.predict(cancer[0]).shape == (len(cancer[0]),)


def test_a_resumed_run_measures_only_what_is_not_kept(cancer: Any, forest: Any) -> None:
    progress.install(lambda title, total, unit: _Interrupting(2))
    try:
        first = compress(forest, *cancer, techniques="pruning", name="mine")
    finally:
        progress.install(None)
    assert any("type resume=True, name='mine' (--resume --name mine)" in note for note in first.notes())
    assert open_yard().get("compression", "mine").payload["state"] == "interrupted"
    count = len(first.candidates)
    columns = [
        "technique",
        "settings",
        "size_bytes",
        "latency_us",
        "latency_1k_us",
        "score",
        "drop",
        "drop_se",
    ]
    pd.testing.assert_frame_equal(kept_candidates("mine")[columns], first.candidates[columns])

    whole = compress(forest, *cancer, techniques="pruning", name="mine", resume=True, by="mean radius")
    pd.testing.assert_frame_equal(whole.candidates[columns].head(count), first.candidates[columns])
    assert len(whole.candidates) > count
    assert f"{count - 1} candidates are as an earlier run of mine measured them" in whole.remarks
    assert open_yard().get("compression", "mine").payload["state"] == "finished"
    assert whole.slices

    again = compress(forest, *cancer, techniques="pruning", resume=True, max_drop=1, caution=0)
    assert again.name == "mine"
    pd.testing.assert_frame_equal(again.candidates[columns], whole.candidates[columns])
    assert again.chosen["size_bytes"] == again.candidates["size_bytes"].min()

    X, y = cancer
    for changed, words in (
        ({"seed": 1}, "made with seed=0, found 1"),
        ({"scoring": "f1"}, "made with scoring='roc_auc', found 'f1'"),
        ({"model": RandomForestClassifier(39, random_state=0).fit(X, y)}, "n_estimators = 40 in the model"),
        ({"X": X * 2}, "made with other data"),
    ):
        asked = {"model": forest, "X": X, "y": y, "techniques": "pruning", "name": "mine", "resume": True}
        with pytest.raises(UsageError, match=f"compression 'mine' was .*{words}"):
            compress(**{**asked, **changed})
    with pytest.raises(NameTakenError, match="a compression named 'mine' exists already; type resume=True"):
        compress(forest, X, y, name="mine")


def test_what_cannot_be_resumed_is_said_before_anything_is_fitted(cancer: Any, forest: Any) -> None:
    with pytest.raises(UnknownNameError, match="no compression of RandomForestClassifier to resume"):
        compress(forest, *cancer, resume=True)
    open_yard().record("study", "searched", {})
    with pytest.raises(UnknownNameError, match="'searched' is a study, which %tune resumes"):
        compress(forest, *cancer, resume=True, name="searched")
    with pytest.raises(UnknownNameError, match="no compression in "):
        kept_candidates()


def test_a_model_that_is_fitted_otherwise_each_time_is_not_resumed(cancer: Any) -> None:
    X, y = cancer
    model = RandomForestClassifier(5).fit(X, y)
    compress(model, X, y, techniques="quantization", name="loose", scoring="log_loss")
    with pytest.raises(
        UsageError, match=r"cannot be resumed: its model scored .* give the model a random_state"
    ):
        compress(model, X, y, techniques="quantization", name="loose", scoring="log_loss", resume=True)


KILLED = """
import os
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from modelyard import progress
from modelyard.compression import compress

class Killing:
    left = 3
    def advance(self, steps=1, note=""):
        Killing.left -= 1
        if not Killing.left:
            os.kill(os.getpid(), 9)
    def close(self):
        pass

X, y = load_breast_cancer(return_X_y=True)
progress.install(lambda *shown: Killing())
compress(RandomForestClassifier(40, random_state=0).fit(X, y), X, y, techniques="pruning", name="killed")
"""


def test_a_killed_process_leaves_its_candidates() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    left = kept_candidates()
    assert len(left) == 4
    assert not left["chosen"].any()
    X, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(40, random_state=0).fit(X, y)
    found = compress(model, X, y, techniques="pruning", resume=True, timeout=1e-3, caution=0)
    assert found.candidates["size_bytes"].tolist() == left["size_bytes"].tolist()
    assert "compression" in {row[0] for row in modelyard.yard().table().rows}


def test_a_network_is_given_up_in_the_middle_when_the_time_is_over(cancer: Any) -> None:
    X, y = cancer
    endless = {"max_iter": 10**6, "tol": 0.0, "n_iter_no_change": 10**6}
    network = MLPClassifier((8,), random_state=0, **endless)
    before = vars(network).copy()
    began = time.perf_counter()
    with until(began + 0.3), pytest.raises(OutOfTimeError):
        fitted(network, X, y)
    assert time.perf_counter() - began < 20
    assert not set(vars(network)) & {"_update_no_improvement_count"}
    assert {name: getattr(network, name) for name in before} == before


def test_ctrl_c_is_not_swallowed_by_a_network(cancer: Any) -> None:
    X, y = cancer
    network = MLPClassifier((8,), max_iter=10**6, tol=0.0, n_iter_no_change=10**6)
    alarm = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    alarm.start()
    with pytest.raises(KeyboardInterrupt), quiet_fits():
        fitted(network, X, y)
    alarm.join()


def test_what_is_fitted_by_the_clock_is_what_fit_makes(cancer: Any) -> None:
    X, y = cancer
    for model in (
        RandomForestClassifier(60, random_state=0, max_leaf_nodes=5),
        MLPClassifier((5,), random_state=0, max_iter=15, early_stopping=True),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, two = clone(model).fit(X, y), fitted(clone(model), X, y)
        assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
        assert one.get_params() == two.get_params()


ENDLESS = """
from modelyard.compression import Recipe, look_at_clock

def endless(model, samples):
    while True:
        look_at_clock()

class Endless:
    order, combines, options = 0, False, ()

    def fits(self, model):
        return True

    def candidates(self, asked):
        yield Recipe("endless", "no end", endless)
"""


def test_a_candidate_that_is_given_up_is_named(
    cancer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "endless_technique-0.dist-info").mkdir(parents=True)
    (plugin / "endless_technique.py").write_text(ENDLESS)
    facts = plugin / "endless_technique-0.dist-info"
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: endless-technique\nVersion: 0\n")
    (facts / "entry_points.txt").write_text("[modelyard.compressions]\nendless = endless_technique:Endless\n")
    monkeypatch.syspath_prepend(plugin)
    X, y = cancer
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
    compress(model, X, y, techniques="features", name="slow")
    found = compress(model, X, y, techniques="endless", timeout=5, name="slow", resume=True)
    assert any(
        "stopped (the time was over) after 0 candidates, in the middle of endless (no end)" in note
        for note in found.notes()
    )
    assert found.chosen["technique"] == "original"


def test_ctrl_c_before_anything_was_measured_is_one_line(cancer: Any) -> None:
    class Stopped(RandomForestClassifier):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            if getattr(Stopped, "armed", False):
                raise KeyboardInterrupt
            return super().fit(X, y, sample_weight)

    model = Stopped(5).fit(*cancer)
    Stopped.armed = True  # type: ignore[attr-defined]
    with pytest.raises(InterruptedRunError, match="before anything was measured"):
        compress(model, *cancer)


def test_no_candidate_is_begun_after_the_time(cancer: Any, forest: Any) -> None:
    found = compress(forest, *cancer, timeout=1e-3)
    assert len(found.candidates) == 1
    assert any("the time was over" in note for note in found.notes())
