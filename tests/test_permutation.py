"""Permutation importance: scikit-learn's own figures, with intervals, for whatever answers rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.explanation import explain
from modelyard.explanation.permutation import Importance
from people import FRAME, MODEL, TARGET


def measured(model: Any, X: Any, y: Any, **options: Any) -> Importance:
    found = explain(model, X, y, method="permutation", **options)
    assert isinstance(found, Importance)
    return found


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


def test_importance_is_scikit_learns(project: Any) -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X, y = X.iloc[:200, :6], y.iloc[:200]
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    for ours, theirs in (("roc_auc", "roc_auc"), ("accuracy", "accuracy"), ("log_loss", "neg_log_loss")):
        found = measured(model, X, y, scoring=ours, repeats=4, seed=3)
        expected = permutation_importance(model, X, y, scoring=theirs, n_repeats=4, random_state=3)
        means = pd.Series(expected.importances_mean, index=X.columns)
        np.testing.assert_allclose(found.importance[X.columns], means, rtol=1e-9, atol=1e-12)
        assert found.metric == ours
        assert found.importance.is_monotonic_decreasing
        assert found.baseline > 0


def test_intervals_are_students_over_the_shuffles() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = measured(LinearRegression().fit(X, y), X, y, repeats=5)
    line = found.intervals.loc["bmi"]
    half = 2.7764451051977987 * line["std"] / np.sqrt(5)  # t(0.975, 4)
    assert line["ci_high"] - line["mean"] == pytest.approx(half)
    assert line["mean"] - line["ci_low"] == pytest.approx(half)
    assert found.metric == "r2"
    assert any("Student's over 5 shuffles" in note for note in found.notes())
    assert "relies most on" in found.sentence()
    json.dumps(found.payload(), allow_nan=False)


def test_original_columns_of_texts_and_gaps_are_shuffled_whole() -> None:
    found = measured(MODEL, FRAME, TARGET)
    assert set(found.importance.index) == set(FRAME.columns)
    assert found.importance.index[0] == "age"
    assert found.intervals.loc["age", "ci_low"] > 0.2
    assert found.metric == "roc_auc"


def test_a_column_that_carries_nothing_is_not_surely_worth_anything() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["signal", "noise"])
    found = measured(LogisticRegression().fit(X, X["signal"] > 0), X, X["signal"] > 0)
    assert found.intervals.loc["signal", "ci_low"] > 0.3
    assert found.intervals.loc["noise", "mean"] == pytest.approx(0, abs=0.02)


def test_columns_that_go_together_are_named() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    X["twin"] = np.exp(X["a"])
    X["bowl"] = X["b"] ** 2
    model = LogisticRegression().fit(X, X["a"] > 0)
    [note] = [n for n in measured(model, X, X["a"] > 0).notes() if "go together" in n]
    assert "a and twin (1)" in note or "twin and a (1)" in note
    assert "b and" not in note
    independent = measured(model, X.assign(twin=rng.normal(size=300)), X["a"] > 0)
    assert not any("go together" in note for note in independent.notes())


def test_every_kind_of_model_is_measured() -> None:
    X, y = load_iris(return_X_y=True)
    for model, scoring in (
        (LogisticRegression(max_iter=500), "log_loss"),
        (make_pipeline(StandardScaler(), LinearSVC()), "roc_auc"),
        (make_pipeline(StandardScaler(), LinearSVC()), None),
    ):
        found = measured(model.fit(X, y), X, y, scoring=scoring, repeats=3)
        assert found.importance.index[0] in ("x2", "x3")
    strings = np.array(["a", "b", "c"])[y]
    model = LogisticRegression(max_iter=500).fit(X, strings)
    assert measured(model, X, strings, repeats=3).importance.index[0] in ("x2", "x3")


def test_only_the_rows_asked_for_are_measured() -> None:
    found = measured(MODEL, FRAME, TARGET, rows="0:50", repeats=2)
    assert found.rows == 50
    assert not any("drawn by the seed" in note for note in found.notes())


BAD: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({"y": None}, UsageError, "permutation needs the targets; type explain"),
    ({"repeats": 1}, UsageError, "repeats is how often each column is shuffled, at least 2, found 1"),
    ({"scoring": "acuracy"}, UsageError, "no metric named 'acuracy'"),
    ({"scoring": "mae"}, UsageError, "does not fit"),
    ({"y": ["maybe"] * 100 + ["no"] * 100}, InvalidInputError, "y holds 'maybe', which .* does not predict"),
    ({"rows": "0,1", "scoring": "roc_auc"}, InvalidInputError, "roc_auc is undefined on these 2 rows"),
]


@pytest.mark.parametrize(("options", "kind", "said"), BAD, ids=[said[:30] for *_, said in BAD])
def test_bad_questions_are_one_line(options: dict[str, Any], kind: Any, said: str) -> None:
    same = np.flatnonzero(TARGET == "yes")[:2]
    given = {"y": TARGET, **options}
    if "rows" in given:
        given["rows"] = same
    with pytest.raises(kind, match=said):
        measured(MODEL, FRAME, **given)
