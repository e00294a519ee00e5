"""A difference between an estimator and its portable form is said with its row, its column and its cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from modelyard.golden import compare, expected
from modelyard.packaging.causes import explained


def said(model: Any, rival: Any, frame: pd.DataFrame, training: pd.DataFrame) -> str:
    found = compare(expected(model, frame), expected(rival, frame))
    assert found.first is not None

    def differs(row: pd.DataFrame) -> bool:
        return not compare(expected(model, row), expected(rival, row)).ok

    def answers(row: pd.DataFrame) -> Any:
        return expected(model, row).predictions.tolist()

    return explained(found.first, frame, training, model, differs, answers)


class InFloat32:
    """Answers as a form that reads float32 would."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, X: pd.DataFrame) -> Any:
        return np.where(X["b"].to_numpy("float32").astype(float) > 0.1, "high", "low")


class Threshold:
    def predict(self, X: pd.DataFrame) -> Any:
        return np.where(X["b"] > 0.1, "high", "low")


TRAINING = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.25, 0.75, 0.125]})


def test_float32_is_named_where_the_estimator_itself_moves_when_the_value_is_rounded() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.1]})
    words = said(Threshold(), InFloat32(None), frame, TRAINING)
    assert words.startswith("row 1, prediction: expected 'low', got 'high' (column 'b' decides); ")
    assert "likely cause: rounding to float32" in words


def test_a_missing_value_is_named_with_its_column() -> None:
    y = [0, 0, 1, 1]
    model = DecisionTreeClassifier(random_state=0).fit(
        TRAINING[["a"]].assign(b=[np.nan, 1.0, np.nan, 1.0]), y
    )
    rival = DecisionTreeClassifier(random_state=0).fit(TRAINING[["a"]].assign(b=0.0), y)
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [1.0, 1.0]})

    class Swapped:
        def predict(self, X: pd.DataFrame) -> Any:
            found = rival.predict(X.fillna(4.0))
            return np.where(X["a"].isna(), 1 - model.predict(X), found)

    class Own:
        def predict(self, X: pd.DataFrame) -> Any:
            return model.predict(X)

    words = said(Own(), Swapped(), frame, TRAINING)
    assert "(column 'a' decides); likely cause: the two treat a missing value" in words


def test_a_text_that_training_never_had_is_named() -> None:
    training = pd.DataFrame({"town": ["Bern", "Basel", "Bern"]})

    class Own:
        def predict(self, X: pd.DataFrame) -> Any:
            return np.where(X["town"] == "Bern", "yes", "no")

    class Strict:
        def predict(self, X: pd.DataFrame) -> Any:
            return np.where(X["town"] == "Basel", "no", "yes")

    words = said(Own(), Strict(), pd.DataFrame({"town": ["Bern", "Chur"]}), training)
    assert "(column 'town' decides); likely cause: the two treat a text" in words


def test_isotonic_calibration_is_named_where_no_column_is_to_blame() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(80, 2)), columns=["a", "b"])
    y = (X["a"] > 0).astype(int)
    model = CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2).fit(X, y)

    class Off:
        def predict(self, X: pd.DataFrame) -> Any:
            return model.predict(X)

        def predict_proba(self, X: pd.DataFrame) -> Any:
            return model.predict_proba(X) + np.array([0.04, -0.04])

    words = said(model, Off(), X.head(3), X)
    assert words.startswith("row 0, probability of class ")
    assert words.endswith("likely cause: isotonic calibration jumps, and the last digit decides where")
