"""The example notebooks in a real kernel, and what survives when a kernel ends."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import nbformat
import optuna
import pytest
from nbclient.exceptions import DeadKernelError

import modelyard
from kernels import NOTEBOOKS, executed, kernel, payloads
from modelyard.catalog import open_yard


@pytest.mark.thorough
def test_notebook_01_takes_a_model_from_a_cell_to_a_served_prediction(project: Path) -> None:
    notebook = executed("01_from_cell_to_endpoint.ipynb", project)
    endpoint = modelyard.deployment("breast-cancer")
    try:
        shown = payloads(notebook)
        assert {"evaluation", "study", "bundle", "verification", "deployment", "yard"} <= set(shown)
        assert shown["bundle"]["form"] == "onnx"
        assert shown["yard"]["deployments"][0]["health"] == "ready"
        assert endpoint.status().health == "ready"  # the kernel that made it is gone
    finally:
        endpoint.remove()


@pytest.mark.thorough
def test_notebook_01_can_be_run_again(project: Path) -> None:
    executed("01_from_cell_to_endpoint.ipynb", project)
    first = modelyard.deployment("breast-cancer")
    executed("01_from_cell_to_endpoint.ipynb", project)
    try:
        again = modelyard.deployment("breast-cancer")
        assert (again.url, again.bundle) == (first.url, "breast-cancer:1")
        assert again.status().health == "ready"
    finally:
        first.remove()


def test_notebook_02_serves_a_transformer_from_a_cell_with_texts_and_nulls(project: Path) -> None:
    notebook = executed("02_mixed_columns.ipynb", project)
    assert {record.name: record.payload["form"] for record in modelyard.yard().bundles} == {
        "penguins:1": "hybrid",
        "penguins-plain:1": "onnx",
    }
    assert modelyard.bundle("penguins").manifest["captured"]["names"] == ["BillShape"]
    assert modelyard.yard().deployments == ()
    assert payloads(notebook)["bundle"]["name"] == "penguins-plain"


@pytest.mark.thorough
def test_notebook_03_serves_with_two_workers_and_scores_a_file(project: Path) -> None:
    notebook = executed("03_serve_and_score.ipynb", project)
    assert modelyard.yard().deployments == ()
    shown = payloads(notebook)
    assert shown["scoring"]["rows"] == 50 * 344
    assert (project / "scored" / "by_endpoint.parquet").is_file()


@pytest.mark.thorough
def test_notebook_04_rolls_a_broken_version_back_and_promotes_the_mended_one(project: Path) -> None:
    notebook = executed("04_ab_test.ipynb", project)
    assert modelyard.yard().deployments == ()
    shown = payloads(notebook)["traffic"]
    assert shown["policy"]["weights"] == {"v1": 1.0}
    whys = [policy["why"] for policy in shown["history"] if policy["by"] == "rollout"]
    assert whys[0].startswith("v2 is rolled back: errors ")
    assert whys[-1].startswith("v3 is promoted: ")
    replayed = payloads(notebook)["replay"]
    assert replayed["rows"] + replayed["refused"] == 2000
    assert replayed["refused"] > 0


@pytest.mark.thorough
def test_notebook_05_finds_the_leak_and_packages_the_model_that_serving_allows(project: Path) -> None:
    notebook = executed("05_tune_for_serving.ipynb", project)
    shown = payloads(notebook)
    words = "\n".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    assert "column 'card' alone gives the target away" in words
    assert "no trial of 'gym' keeps to latency <= 1 ms" in words
    assert "PerVisit has no ONNX converter" in words
    serving = shown["study"]["serving"]
    assert serving["objectives"] == ["roc_auc", "latency", "size"]
    assert {finalist["form"] for finalist in serving["finalists"]} == {"onnx"}
    assert shown["bundle"]["form"] == "onnx"


def test_the_committed_notebooks_hold_no_output() -> None:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")], (
            path.name
        )


SETUP = """
%load_ext modelyard
import modelyard
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeClassifier
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = DecisionTreeClassifier(random_state=0)
"""
SLOW = """
import time
class Slow(DecisionTreeClassifier):
    def fit(self, X, y, **more):
        time.sleep(0.2)
        return super().fit(X, y, **more)
"""
TUNE = """%%tune Slow(random_state=0) X y --budget 12trials --cv kfold:3 --score accuracy --name killed {flags}
max_depth: int 1..40
min_samples_leaf: int 1..40
"""


@pytest.mark.thorough
def test_the_endpoint_outlives_its_kernel_and_the_next_one_finds_it(project: Path) -> None:
    with kernel(project) as first:
        first.run(SETUP + "model.fit(X, y)")
        first.run("%package model X y --name tree")
        url = first.text("dp = modelyard.deploy('tree'); print(dp.url)")
    with kernel(project) as second:
        try:
            second.run(SETUP + "model.fit(X, y)")
            shown = second.text("%yard")
            assert "ready: tree:1 at http://127.0.0.1:" in shown
            again = second.text(
                "dp = modelyard.deployment('tree'); print(dp.url, (dp.predict(X) == model.predict(X)).all())"
            )
            assert again.split() == [url.strip().splitlines()[-1], "True"]
        finally:
            second.run("modelyard.deployment('tree').remove()")


def test_a_kernel_killed_during_tune_loses_no_finished_trial_and_resume_repeats_none(project: Path) -> None:
    doomed = ExitStack()
    running = doomed.enter_context(kernel(project))
    running.run(SETUP + SLOW)
    killer = signalling("SIGKILL", running.pid)
    with pytest.raises(DeadKernelError):
        running.run(TUNE.format(flags=""))
    killer.wait(timeout=60)
    doomed.close()
    before = {t.number: t.params for t in trials() if t.state == optuna.trial.TrialState.COMPLETE}
    assert 4 <= len(before) < 12
    with kernel(project) as fresh:
        fresh.run(SETUP + SLOW)
        shown = fresh.text(TUNE.format(flags="--resume"))
    assert "12 finished trials" in shown
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    after = {t.number: t.params for t in trials() if t.state in ended}
    assert len(after) == 12
    assert {number: after[number] for number in before} == before
    assert not [t for t in trials() if t.state == optuna.trial.TrialState.RUNNING]
    assert open_yard().get("study", "killed").payload["state"] == "finished"


def signalling(name: str, pid: int) -> subprocess.Popen[str]:
    """Start, and wait for, a process that sends the kernel a signal as soon as four trials are complete."""
    code = _AFTER_FOUR.replace("SIGNAL", name)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(pid), str(open_yard().folder / "yard.sqlite")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


# reads the tables and makes none: Optuna itself would, and so race with the kernel
_AFTER_FOUR = """
import os, signal, sqlite3, sys, time
print("ready", flush=True)
while True:
    try:
        with sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True) as file:
            count = file.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
        if count >= 4:
            break
    except sqlite3.OperationalError:
        pass
    time.sleep(0.05)
os.kill(int(sys.argv[1]), signal.SIGNAL)
"""


def trials() -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="killed", storage=open_yard().studies_url).trials


def test_interrupting_a_magic_shows_one_line_and_leaves_the_yard_consistent(project: Path) -> None:
    with kernel(project) as running:
        running.run(SETUP + SLOW)
        killer = signalling("SIGINT", running.pid)
        with pytest.raises(Exception, match=r"InterruptedRunError: .*--resume"):
            running.run(TUNE.format(flags=""))
        killer.wait(timeout=60)
        assert open_yard().get("study", "killed").payload["state"] == "interrupted"
        assert "12 finished trials" in running.text(TUNE.format(flags="--resume"))
    assert not [t for t in trials() if t.state == optuna.trial.TrialState.RUNNING]
