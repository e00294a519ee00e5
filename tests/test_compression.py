"""Compressing through its public doors: what is measured, what is chosen, what is shown, and being stopped."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import modelyard
from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.compression import Compression, compress, kept_candidates
from modelyard.compression.candidates import COLUMNS
from modelyard.compression.choosing import Tolerance
from modelyard.compression.clock import OutOfTimeError, until
from modelyard.compression.fitting import fitted, quiet_fits
from modelyard.compression.judging import Verdict
from modelyard.errors import (
    BudgetError,
    InterruptedRunError,
    InvalidInputError,
    NameTakenError,
    NotFittedError,
    UnknownNameError,
    UsageError,
)
from modelyard_widgets.charts import chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X, y


@pytest.fixture(scope="module")
def forest(cancer: Any) -> Any:
    return RandomForestClassifier(40, random_state=0).fit(*cancer)


@pytest.fixture(scope="module")
def pruned(cancer: Any, forest: Any, tmp_path_factory: pytest.TempPathFactory) -> Compression:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("compression")
        (folder / ".modelyard").mkdir()
        patch.chdir(folder)
        return compress(
            forest, *cancer, techniques=["pruning", "quantization"], scoring="accuracy", by="mean radius"
        )


def test_every_candidate_is_measured_beside_the_original(pruned: Compression) -> None:
    table = pruned.candidates
    assert list(table.columns) == list(COLUMNS)
    assert table["technique"].iloc[0] == "original"
    assert (table["technique"] == "original").sum() == 1
    assert {"pruning", "quantization"} <= set(table["technique"])
    assert (table[["size_bytes", "latency_us", "latency_1k_us"]] > 0).all(axis=None)
    assert (table["ci_low"] <= table["score"]).all()
    assert (table["score"] <= table["ci_high"]).all()
    original = table.iloc[0]
    assert original["drop"] == 0
    assert original["agreement"] == 1
    assert table["drop"].to_numpy() == pytest.approx(original["score"] - table["score"].to_numpy())


def test_the_smallest_that_loses_little_is_chosen(pruned: Compression) -> None:
    table = pruned.candidates
    allowed = table[table["drop"] + table["drop_se"] <= 0.005 + 1e-9]
    assert table["chosen"].sum() == 1
    assert pruned.chosen["size_bytes"] == allowed["size_bytes"].min()


def test_what_is_beaten_in_everything_is_not_on_the_front(pruned: Compression) -> None:
    table = pruned.candidates
    for row in table[table["on_front"]].itertuples():
        better = table[
            (table["size_bytes"] < row.size_bytes)
            & (table["latency_us"] < 0.9 * row.latency_us)
            & (table["score"] > row.score)
        ]
        assert better.empty
    assert table["on_front"].any()


def test_scores_are_of_rows_that_no_candidate_has_seen(cancer: Any) -> None:
    """A forest remembers its training rows: with labels drawn by chance it would be right on them, and is not here."""
    X, y = cancer[0], pd.Series(np.random.default_rng(0).permutation(cancer[1]))
    found = compress(
        RandomForestClassifier(20, random_state=0).fit(X, y), X, y, techniques="pruning", scoring="accuracy"
    )
    assert found.candidates["score"].max() < 0.75


def test_the_best_is_made_of_the_given_model_and_smaller(
    pruned: Compression, forest: Any, cancer: Any
) -> None:
    X, _ = cancer
    assert pruned.best.size_bytes < 0.5 * pruned.original_cost.size_bytes
    assert pruned.best.size_bytes == pytest.approx(pruned.best_cost.size_bytes, rel=0.1)
    assert list(pruned.best.classes_) == [0, 1]
    assert pruned.best.predict_proba(X).shape == (len(X), 2)
    assert np.mean(pruned.best.predict(X) == forest.predict(X)) > 0.97
    assert not hasattr(forest, "size_bytes")
    assert forest.n_estimators == len(forest.estimators_) == 40


def test_the_best_goes_into_a_bundle_whose_golden_rows_are_its_own(pruned: Compression, cancer: Any) -> None:
    X, y = cancer
    bundle = modelyard.package(pruned.best, X, y, name="small")
    assert bundle.manifest["model"]["kind"] == "onnx"
    size = (bundle.path / "src" / "model" / "model.onnx").stat().st_size
    assert size == pytest.approx(pruned.best_cost.size_bytes, rel=0.05)
    rows = [
        json.loads(line) for line in (bundle.path / "src" / "model" / "golden.jsonl").read_text().splitlines()
    ]
    assert rows
    assert bundle.verify().tag == bundle.tag


def test_a_pipeline_keeps_its_first_steps(cancer: Any) -> None:
    X, y = cancer
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(X, y)
    found = compress(model, X, y, max_drop=1, techniques="pruning")
    assert found.best.steps[0][1] is model.steps[0][1]
    assert type(found.best.steps[-1][1]) is RandomForestClassifier


def test_numbers_are_judged_by_r2_and_agree_by_r2() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(30, random_state=0).fit(X, y)
    found = compress(model, X, y, max_drop=0.02, techniques="pruning")
    assert found.metric == "r2"
    fewer = found.candidates[found.candidates["settings"] == "15 trees"].iloc[0]
    assert 0.9 < fewer["agreement"] < 1
    assert not hasattr(found.best, "predict_proba")


def test_of_a_metric_of_which_less_is_better_a_drop_is_a_rise(cancer: Any, forest: Any) -> None:
    found = compress(forest, *cancer, techniques="pruning", scoring="log_loss", max_drop=0.05)
    table = found.candidates
    assert table["drop"].to_numpy() == pytest.approx(table["score"].to_numpy() - table["score"].iloc[0])


def test_the_fastest_is_chosen_where_a_latency_is_asked(cancer: Any, forest: Any) -> None:
    found = compress(
        forest, *cancer, techniques="pruning", target_latency="1s", max_drop=0.02, scoring="accuracy"
    )
    allowed = found.candidates[found.candidates["drop"] + found.candidates["drop_se"] <= 0.02 + 1e-9]
    assert found.chosen["latency_us"] == allowed["latency_us"].min()
    assert "within latency <= 1 s" in repr(found)


def test_a_budget_that_nothing_meets_says_how_close_it_came(cancer: Any, forest: Any) -> None:
    with pytest.raises(
        BudgetError, match=r"no candidate of \d+ keeps to size <= 100 B .*the nearest .* x the 100 B"
    ) as raised:
        compress(forest, *cancer, techniques="pruning", target_size="100B", name="tight")
    table = raised.value.candidates
    assert len(table) > 5
    assert table["size_bytes"].tolist() == kept_candidates("tight")["size_bytes"].tolist()
    found = compress(forest, *cancer, techniques="pruning", target_size="1MB", name="tight", resume=True)
    assert found.candidates["latency_us"].tolist() == table["latency_us"].tolist()


def test_a_budget_met_only_with_too_large_a_drop_names_that_drop(cancer: Any) -> None:
    X, y = cancer
    model = RandomForestClassifier(30, random_state=0).fit(X, y)
    with pytest.raises(BudgetError, match=r"the best within the budget is .*, with a drop of 0\.0\d"):
        compress(
            model, X, y, techniques="distillation:tree", scoring="roc_auc", max_drop=0, target_size="3kB"
        )


def test_a_model_that_cannot_be_smaller_stays(cancer: Any) -> None:
    X, y = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    found = compress(model, X, y, techniques="pruning")
    assert found.chosen["technique"] == "original"
    assert found.best is not model
    assert "stays as it is" in repr(found)
    assert any("nothing to do for this model: pruning" in note for note in found.notes())


def test_a_model_without_probabilities_is_compressed_and_scored_by_its_labels(cancer: Any) -> None:
    X, y = cancer
    model = make_pipeline(StandardScaler(), RidgeClassifier()).fit(X, y)
    found = compress(
        model, X, y, techniques=["quantization", "distillation:tree"], scoring="accuracy", max_drop=0.02
    )
    assert {"quantization", "distillation"} <= set(found.candidates["technique"])
    assert found.chosen["size_bytes"] <= found.candidates["size_bytes"].iloc[0]


def test_slices_say_for_whom_the_score_fell(pruned: Compression) -> None:
    assert [part.drop for part in pruned.slices] == sorted(
        (part.drop for part in pruned.slices), reverse=True
    )
    assert sum(part.rows for part in pruned.slices) == pruned.held_out
    assert any("mean radius" in note or "fell in none" in note for note in pruned.notes())


def test_the_notes_tell_agreement_and_the_interval_of_the_drop(pruned: Compression) -> None:
    notes = "\n".join(pruned.notes())
    assert "agrees with the original" in notes
    assert "95 % interval" in notes


def test_the_same_seed_gives_the_same_candidates(cancer: Any, forest: Any) -> None:
    one, two = (compress(forest, *cancer, techniques="pruning", seed=3) for _ in range(2))
    columns = ["technique", "settings", "size_bytes", "score", "ci_low", "ci_high", "drop", "agreement"]
    pd.testing.assert_frame_equal(one.candidates[columns], two.candidates[columns])


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


def test_a_candidate_keeps_a_standard_error_away_from_what_may_be_lost() -> None:
    verdict = Verdict(0.95, 0.9, 1.0, 0.004, -0.01, 0.02, 0.003, 0.99)
    assert not Tolerance(0.005).allows(verdict)
    assert Tolerance(0.005, caution=0).allows(verdict)
    assert Tolerance(0.007).allows(verdict)
    assert Tolerance(0.005).allows(replace(verdict, drop_se=math.nan))
    assert Tolerance(0.005).text("accuracy") == "a drop of accuracy and its standard error of at most 0.005"


def test_the_standard_error_of_a_drop_is_that_of_the_paired_rows(pruned: Compression) -> None:
    """Of n rows of which `worse` became wrong and `better` right it is sqrt(p - d²) / sqrt(n), p being their share."""
    table, rows = pruned.candidates, pruned.held_out
    same = table[table["agreement"] == 1]
    assert (same["drop_se"] == 0).all()
    changed = table[table["agreement"] < 1]
    share = 1 - changed["agreement"]  # of two classes, a changed answer is right once
    wanted = np.sqrt((share - changed["drop"] ** 2) / rows)
    np.testing.assert_allclose(changed["drop_se"], wanted, rtol=0.2)


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


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"max_drop": -1}, UsageError, "max_drop is 0 or more, found -1; type max_drop=0.005"),
        ({"max_drop": "much"}, UsageError, "found 'much'"),
        ({"caution": -1}, UsageError, "caution is 0 or more, found -1; type caution=1"),
        ({"timeout": 0}, UsageError, "timeout is in seconds and above 0"),
        (
            {"techniques": "prunning"},
            UnknownNameError,
            r"no compression technique named 'prunning'.*did you mean 'pruning'",
        ),
        ({"techniques": []}, UsageError, "techniques are names"),
        (
            {"techniques": "distillation:tre"},
            UsageError,
            r"distillation knows no 'tre'; there: .*did you mean 'tree'",
        ),
        ({"techniques": "pruning:tree"}, UsageError, "pruning knows no 'tree'; there: none"),
        ({"scoring": "r2"}, UsageError, "does not fit a target of classes"),
        ({"target_size": "12 apples"}, UsageError, "target_size has the unit 'apples'"),
        ({"for_": "mars"}, UnknownNameError, "no deployment target named 'mars'"),
        ({"by": "nothing"}, UsageError, "nothing"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_fitted(
    cancer: Any, forest: Any, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        compress(forest, *cancer, **options)


def test_bad_models_and_rows_are_told(cancer: Any, forest: Any) -> None:
    X, y = cancer
    with pytest.raises(NotFittedError, match="not fitted; call its fit"):
        compress(RandomForestClassifier(), X, y)
    with pytest.raises(InvalidInputError, match="X has 10; give 20 rows or more"):
        compress(forest, X.iloc[15:25], y.iloc[15:25])
    with pytest.raises(InvalidInputError, match="no estimator"):
        compress("model.onnx", X, y)
    several = np.column_stack([y, 1 - y])
    with pytest.raises(InvalidInputError, match="one target, y has 2 columns"):
        compress(MultiOutputClassifier(LogisticRegression(max_iter=5000)).fit(X, several), X, several)


def test_the_payload_is_json_with_every_candidate(pruned: Compression) -> None:
    data = pruned._repr_mimebundle_()["application/vnd.modelyard.compression+json"]
    json.dumps(data, allow_nan=False)
    assert len(data["candidates"]) == len(pruned.candidates)
    assert sum(each["chosen"] for each in data["candidates"]) == 1
    assert data["best"]["size_bytes"] < data["original"]["size_bytes"]


def test_the_table_shows_the_front_and_brackets_what_is_beaten(pruned: Compression) -> None:
    rows = pruned.table().rows
    plain = [row for row in rows if not row[1].startswith("(")]
    assert len(plain) >= int(pruned.candidates["on_front"].sum())
    assert [row[0] for row in rows].count("chosen") == 1
    assert rows[-1][1].startswith("(")


def test_the_picture_names_what_was_chosen(pruned: Compression) -> None:
    data = pruned._repr_mimebundle_()["application/vnd.modelyard.compression+json"]
    picture = chart("compression", data)
    assert picture is not None
    root = ElementTree.fromstring(picture.svg)
    texts = {node.text for node in root.iter(f"{SVG}text")}
    assert {"accuracy", "size of the ONNX file (kB), log scale", "original", "pruning"} <= texts
    assert "currentColor" in picture.svg
    assert not re.findall(r"https?://(?!www\.w3\.org)", picture.svg)
    assert picture.alt.startswith(f"accuracy of {len(pruned.candidates)} models")
    assert str(pruned.chosen["settings"]) in picture.alt


def test_the_magic_is_the_same_call(shell: InteractiveShell, cancer: Any, forest: Any) -> None:
    shell.user_ns.update(X=cancer[0], y=cancer[1], model=forest)
    line = "%compress model X y --max-drop 1% --technique pruning --score accuracy --budget 90s --seed 2"
    line += " --by 'mean area' --caution 2 --name mine --resume"
    shown = shell.run_cell(f"{line} --target-size 2MB --show-code").result
    assert repr(shown) == (
        "modelyard.compress(model, X, y, max_drop=0.01, techniques=['pruning'], scoring='accuracy', seed=2, "
        "target_size='2MB', timeout=90.0, by=['mean area'], caution=2.0, "
        "name='mine', resume=True)"
    )
    outcome = shell.run_cell(f"{line.removesuffix(' --resume')} -o small")
    outcome.raise_error()
    assert isinstance(shell.user_ns["small"], Compression)
    assert "usage: %compress" in repr(shell.run_cell("%compress -h").result)
    for wrong, words in (
        ("--budget 3trials", "a budget of time"),
        ("--max-drop much", "--max-drop is a number"),
    ):
        with pytest.raises(UsageError, match=words):
            shell.run_cell(f"%compress model X y {wrong}").raise_error()


def test_digits_are_ten_classes_and_arrays() -> None:
    X, y = load_digits(return_X_y=True)
    model = RandomForestClassifier(40, random_state=0).fit(X[:900], y[:900])
    found = compress(model, X[:900], y[:900], techniques="quantization")
    assert found.metric == "accuracy"
    assert found.best.predict(X[900:]).shape == (len(X) - 900,)
    assert found.original_cost.size_bytes > 3 * found.best_cost.size_bytes
