"""Compressing through its public doors: what is measured, what is chosen, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from compressions import breast_cancer, fitted_forest, pruned_forest
from modelyard.compression import Compression, compress, kept_candidates
from modelyard.compression.candidates import COLUMNS
from modelyard.compression.choosing import Tolerance
from modelyard.compression.judging import Verdict
from modelyard.errors import (
    BudgetError,
    InvalidInputError,
    NotFittedError,
    UnknownNameError,
    UsageError,
)


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    return breast_cancer()


@pytest.fixture(scope="module")
def forest() -> Any:
    return fitted_forest()


@pytest.fixture(scope="module")
def pruned() -> Compression:
    return pruned_forest()


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


def test_the_same_seed_gives_the_same_candidates(cancer: Any, forest: Any) -> None:
    one, two = (compress(forest, *cancer, techniques="pruning", seed=3) for _ in range(2))
    columns = ["technique", "settings", "size_bytes", "score", "ci_low", "ci_high", "drop", "agreement"]
    pd.testing.assert_frame_equal(one.candidates[columns], two.candidates[columns])


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


def test_digits_are_ten_classes_and_arrays() -> None:
    X, y = load_digits(return_X_y=True)
    model = RandomForestClassifier(40, random_state=0).fit(X[:900], y[:900])
    found = compress(model, X[:900], y[:900], techniques="quantization")
    assert found.metric == "accuracy"
    assert found.best.predict(X[900:]).shape == (len(X) - 900,)
    assert found.original_cost.size_bytes > 3 * found.best_cost.size_bytes
