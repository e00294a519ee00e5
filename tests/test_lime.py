"""LIME: the local linear model of known models, how far it is to be trusted, and the same result as SHAP's."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from modelyard.errors import UsageError
from modelyard.explanation import explain
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.lime import LocalAttribution
from people import FRAME, MODEL


def explained(model: Any, X: Any, **options: Any) -> LocalAttribution:
    found = explain(model, X, method="lime", **options)
    assert isinstance(found, LocalAttribution)
    return found


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


class Formula(RandomForestRegressor):
    """Answers by a formula, so that what LIME should find is known."""

    def __init__(self, formula: Any = None) -> None:
        self.formula = formula

    def fit(self, X: Any, y: Any = None) -> Formula:
        self.n_features_in_, self.feature_names_in_ = X.shape[1], np.array(X.columns, dtype=object)
        return self

    def predict(self, X: Any) -> Any:
        return self.formula(X).to_numpy(dtype=float)


X = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 4)), columns=list("abcd"))


def test_what_is_linear_in_the_quarters_is_found_with_full_fidelity() -> None:
    top = X["a"].quantile(0.75)
    model = Formula(lambda rows: 3.0 * (rows["a"] > top) - 1.0 * (rows["b"] <= X["b"].quantile(0.25))).fit(X)
    row = int(np.flatnonzero((X["a"] > top) & (X["b"] <= X["b"].quantile(0.25)))[0])
    found = explained(model, X, rows=[row], samples=4000)
    values = dict(zip(found.columns, found.values[0], strict=True))
    assert values["a"] == pytest.approx(3.0, abs=0.05)
    assert values["b"] == pytest.approx(-1.0, abs=0.05)
    assert values["c"] == pytest.approx(0, abs=0.05)
    assert found.fidelity[0] > 0.99
    assert not any("do not trust" in note for note in found.notes())
    assert found.intercepts[0, 0] + found.values[0].sum() == pytest.approx(2.0, abs=0.05)


def test_what_no_linear_model_follows_is_not_to_be_trusted() -> None:
    model = Formula(lambda rows: np.sign(rows["a"] * rows["b"] * rows["c"] * rows["d"])).fit(X)
    found = explained(model, X, rows=[0, 1])
    assert (found.fidelity < 0.5).all()
    assert found.notes()[0].startswith("do not trust the values of rows 0 (0.")


def test_it_is_the_same_result_as_shaps() -> None:
    found = explained(MODEL, FRAME, rows=[0, 5])
    assert isinstance(found, Attribution)
    assert found.values.shape == (2, 4, 2)
    assert found.importance.index[0] == "age"
    np.testing.assert_allclose(found.values[..., 0], -found.values[..., 1], atol=1e-9)
    np.testing.assert_allclose(found.answers, found.intercepts + found.values.sum(axis=1))
    np.testing.assert_allclose(found.answers, MODEL.predict_proba(FRAME.iloc[[0, 5]]), atol=0.25)
    assert found.of("yes").shape == (2, 4)
    assert found.rows.tolist() == [0, 5]
    payload = found.payload()
    assert payload["method"] == "lime"
    assert len(payload["fidelity"]) == 2
    json.dumps(payload, allow_nan=False)
    assert found.sentence().startswith("LIME values of 2 rows")
    again = explained(MODEL, FRAME, rows=[0, 5])
    np.testing.assert_array_equal(found.values, again.values)


def test_texts_gaps_and_truths_are_parts_of_their_own() -> None:
    frame = FRAME[["town", "member"]].assign(noise=np.arange(len(FRAME)))
    model = Formula(lambda rows: rows["town"].isna() * 2.0 + rows["member"] * 1.0).fit(frame)
    row = int(np.flatnonzero(frame["town"].isna() & frame["member"])[0])
    found = explained(model, frame, rows=[row], samples=4000)
    values = dict(zip(found.columns, found.values[0], strict=True))
    assert values["town"] == pytest.approx(2.0, abs=0.05)
    assert values["member"] == pytest.approx(1.0, abs=0.05)


def test_signs_are_those_of_a_linear_model() -> None:
    data, y = load_diabetes(return_X_y=True, as_frame=True)
    model = LinearRegression().fit(data, y)
    found = explained(model, data, rows="0:30")
    high = (data["bmi"].iloc[:30] > data["bmi"].quantile(0.75)).to_numpy()
    low = (data["bmi"].iloc[:30] <= data["bmi"].quantile(0.25)).to_numpy()
    place = found.columns.index("bmi")
    assert found.values.shape == (30, 10)
    assert (found.values[high, place] > 0).all()
    assert (found.values[low, place] < 0).all()


def test_three_classes_and_few_rows_by_default() -> None:
    data, y = load_iris(return_X_y=True)
    found = explained(LogisticRegression(max_iter=500).fit(data, y), data, samples=300)
    assert found.values.shape == (50, 4, 3)
    assert any(note.startswith("50 of 150 rows, drawn by the seed") for note in found.notes())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"samples": 3}, "samples is a number from 50 up, found 3"),
        ({"width": -1}, "width is a number from 0.001 up, found -1"),
        ({"samples": "many"}, "samples is a number from 50 up, found 'many'"),
    ],
)
def test_bad_options_are_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explained(MODEL, FRAME, rows=[0], **options)
