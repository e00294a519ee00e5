"""Golden rows show the corners of a table, and parity finds what differs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB

from modelyard.errors import InvalidInputError
from modelyard.golden import Outputs, Tolerance, choose_rows, compare, expected


@pytest.fixture
def wine() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_wine(as_frame=True, return_X_y=True)
    return X, y


def rows_of(chosen: pd.DataFrame, X: pd.DataFrame) -> list[int]:
    """Return where the chosen rows come from."""
    known = {tuple(row): i for i, row in enumerate(X.itertuples(index=False))}
    return [known[tuple(row)] for row in chosen.itertuples(index=False)]


def test_every_class_has_its_share(wine):
    X, y = wine
    rare = y.where(y.index != 5, 9)
    classes = rare.iloc[rows_of(choose_rows(X, rare, limit=64), X)]
    assert set(classes) == {0, 1, 2, 9}
    assert classes.value_counts().drop(9).min() >= 5


def test_a_continuous_target_is_covered_from_end_to_end():
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    values = y.iloc[rows_of(choose_rows(X, y, limit=64), X)]
    eighths = pd.qcut(y, 8, labels=False)
    assert set(eighths.iloc[values.index]) == set(range(8))


def test_the_smallest_and_largest_of_each_column_are_there(wine):
    X, y = wine
    chosen = choose_rows(X, y)
    pd.testing.assert_series_equal(chosen.min(), X.min())
    pd.testing.assert_series_equal(chosen.max(), X.max())


def test_rows_with_nulls_are_there_and_nulls_are_made_for_nullable_columns(wine):
    X, y = wine
    X = X.assign(origin=np.where(X.index % 50, "hill", None), year=2020, organic=True)
    chosen = choose_rows(X, y, nullable=["alcohol", "year", "organic"])
    assert chosen["origin"].isna().any()
    for name in ("alcohol", "year", "organic"):
        assert chosen[name].isna().sum() == 1
    assert chosen["ash"].notna().all()


def test_the_choice_is_deterministic_and_freshly_indexed(wine):
    X, y = wine
    first, again = choose_rows(X, y, seed=3), choose_rows(X, y, seed=3)
    pd.testing.assert_frame_equal(first, again)
    assert list(first.index) == list(range(len(first)))
    assert not first.equals(choose_rows(X, y, seed=4))


def test_a_small_table_is_taken_whole_without_repeats(wine):
    X, y = wine
    chosen = choose_rows(X.head(10), y.head(10))
    assert sorted(rows_of(chosen, X)) == list(range(10))


def test_the_table_is_not_changed(wine):
    X, y = wine
    before = X.copy()
    choose_rows(X, y, nullable=list(X.columns))
    pd.testing.assert_frame_equal(X, before)


@given(limit=st.integers(0, 40), rows=st.integers(0, 30), nullable=st.booleans(), continuous=st.booleans())
def test_the_limit_is_never_passed(limit, rows, nullable, continuous):
    X = pd.DataFrame({"a": np.arange(rows, dtype=float), "b": [None, "x", "y"] * 10 if rows == 30 else "x"})
    y = np.arange(rows) * (0.5 if continuous else 1)
    chosen = choose_rows(X, y, limit=limit, nullable=["a", "b"] if nullable else ())
    assert len(chosen) <= limit
    assert (len(chosen) > 0) == (rows > 0 and limit > 0)


def test_rows_are_chosen_without_a_target(wine):
    assert len(choose_rows(wine[0], None, limit=20)) == 20


def test_what_the_estimator_answers_is_expected(wine):
    X, y = wine
    names = y.map({0: "a", 1: "b", 2: "c"})
    answers = expected(GaussianNB().fit(X, names), X.head(4))
    assert answers.predictions.shape == (4,)
    assert answers.probabilities.shape == (4, 3)
    assert expected(RidgeClassifier().fit(X, y), X).probabilities is None


def test_an_estimator_fitted_on_an_array_gets_an_array(recwarn):
    X, y = load_diabetes(return_X_y=True)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    answers = expected(LinearRegression().fit(X, y.reshape(-1, 1)), frame)
    assert answers.predictions.shape == (len(X),)
    assert not recwarn.list


def labels(*values, probabilities=None):
    return Outputs(np.array(values, dtype=object), None if probabilities is None else np.array(probabilities))


def test_equal_answers_agree_whatever_their_dtype():
    parity = compare(Outputs(np.array(["a", "b"]), None), labels("a", "b"))
    assert (parity.ok, parity.rows, parity.label_mismatches, parity.first) == (True, 2, 0, None)
    assert compare(Outputs(np.array([0, 1], dtype=np.int32), None), Outputs(np.array([0, 1]), None)).ok


def test_the_first_other_label_is_put_in_words():
    parity = compare(labels("a", "b", "a"), labels("a", "a", "b"))
    assert (parity.ok, parity.label_mismatches) == (False, 2)
    assert str(parity.first) == "row 1, prediction: expected 'b', got 'a'"


def test_the_first_other_probability_is_put_in_words():
    parity = compare(
        labels("a", "b", probabilities=[[0.7, 0.3], [0.4, 0.6]]),
        labels("a", "b", probabilities=[[0.7, 0.3], [0.45, 0.6]]),
    )
    assert (parity.ok, parity.label_mismatches) == (False, 0)
    assert parity.max_absolute == pytest.approx(0.05)
    assert str(parity.first) == "row 1, probability of class 0: expected 0.4, got 0.45"


def test_large_values_are_judged_relatively_and_small_ones_absolutely():
    wanted = np.array([1e9, 1e-9])
    assert compare(Outputs(wanted, None), Outputs(wanted + np.array([5e3, 5e-6]), None)).ok
    assert not compare(Outputs(wanted, None), Outputs(wanted + np.array([5e4, 0]), None)).ok
    assert not compare(Outputs(wanted, None), Outputs(wanted + np.array([0, 5e-5]), None)).ok
    assert not compare(
        Outputs(wanted, None), Outputs(wanted + np.array([5e3, 0]), None), tolerance=Tolerance(relative=1e-7)
    ).ok


def test_not_a_number_equals_itself_and_nothing_else():
    wanted = Outputs(np.array([np.nan, np.inf, 1.0]), None)
    same = compare(wanted, wanted)
    assert (same.ok, same.max_absolute) == (True, 0.0)
    other = compare(wanted, Outputs(np.array([0.0, np.inf, 1.0]), None))
    assert (other.ok, other.max_absolute, other.payload()["max_absolute"]) == (False, np.inf, None)


def test_float_labels_are_labels_and_not_values():
    probabilities = np.array([[0.5, 0.5]])
    wanted = Outputs(np.array([1.0]), probabilities)
    assert not compare(wanted, Outputs(np.array([1.000001]), probabilities)).ok


def test_other_shapes_are_an_error_of_the_caller():
    with pytest.raises(InvalidInputError, match=r"shape \(2,\), got \(1,\)"):
        compare(labels("a", "b"), labels("a"))
    with pytest.raises(InvalidInputError, match="got None"):
        compare(labels("a", probabilities=[[1.0]]), labels("a"))


def test_the_payload_is_json():
    payload = compare(labels("a"), labels("b")).payload()
    assert json.loads(json.dumps(payload)) == {
        "rows": 1,
        "label_mismatches": 1,
        "max_absolute": 0.0,
        "first": "row 0, prediction: expected 'a', got 'b'",
        "ok": False,
    }
