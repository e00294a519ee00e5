"""Distillation: students of every kind, soft labels beside hard ones, synthetic rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from modelyard.compression import Asked, compress
from modelyard.compression.distillation import Distillation
from modelyard.compression.students import KINDS
from modelyard.compression.synthetic_rows import munged
from modelyard.errors import ConversionError
from modelyard.evaluation.inputs import checked_samples


def made(model: Any, X: Any, y: Any, option: str = "") -> dict[str, Any]:
    samples = checked_samples(model, X, y)
    return {
        recipe.settings: recipe.make(model, samples)
        for recipe in Distillation().candidates(Asked(model, samples, 0, option))
    }


@pytest.fixture(scope="module")
def digits() -> Any:
    X, y = load_digits(return_X_y=True)
    model = RandomForestClassifier(100, random_state=0).fit(X[:1000], y[:1000])
    return model, X, y, made(model, X[:1000], y[:1000], "mlp")


def test_the_same_student_on_hard_labels_stands_beside_each() -> None:
    X, y = load_iris(return_X_y=True)
    found = made(RandomForestClassifier(20, random_state=0).fit(X, y), X, y)
    soft = {words.removesuffix(", soft labels") for words in found if words.endswith("soft labels")}
    hard = {words.removesuffix(", hard labels") for words in found if words.endswith("hard labels")}
    assert soft == hard
    assert len(soft) + len(hard) == len(found)
    assert len(soft) >= len(KINDS)


def test_a_student_of_soft_labels_is_nearer_to_its_teacher(digits: Any) -> None:
    teacher, X, _, found = digits
    chances = teacher.predict_proba(X[1000:])
    soft, hard = (
        np.abs(found[f"32 neurons, {kind} labels"].predict_proba(X[1000:]) - chances).mean()
        for kind in ("soft", "hard")
    )
    assert soft < hard


def test_a_student_learns_digits_from_a_forest(digits: Any) -> None:
    teacher, X, y, found = digits
    assert (
        found["32 neurons, soft labels"].score(X[1000:], y[1000:]) > teacher.score(X[1000:], y[1000:]) - 0.03
    )


def test_a_student_of_a_teacher_without_probabilities_learns_its_labels() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    teacher = make_pipeline(StandardScaler(), LinearSVC(dual=False)).fit(X, y)
    for words, student in made(teacher, X, y, "tree").items():
        assert np.mean(student.predict(X) == teacher.predict(X)) > 0.9, words


def test_numbers_are_learned_from_the_teachers_answers() -> None:
    X, y = load_diabetes(return_X_y=True)
    teacher = RandomForestRegressor(50, random_state=0).fit(X, y)
    for kind in ("tree", "linear", "booster"):
        for words, student in made(teacher, X, y, kind).items():
            assert np.corrcoef(student.predict(X), teacher.predict(X))[0, 1] > 0.6, words


def test_a_frame_keeps_its_columns_and_a_pipeline_its_first_steps() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 70, 200), "city": rng.choice(["Ulm", "Bonn"], 200)})
    y = np.where(frame["age"] > 45, "old", "young")
    prepared = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"]))
    teacher = make_pipeline(prepared, RandomForestClassifier(20, random_state=0)).fit(frame, y)
    for words, student in made(teacher, frame, y, "tree").items():
        assert student.steps[0][1] is teacher.steps[0][1]
        assert np.mean(student.predict(frame) == y) > 0.95, words
    numbers = load_iris(as_frame=True)
    forest = RandomForestClassifier(20, random_state=0).fit(numbers.data, numbers.target)
    for student in made(forest, numbers.data, numbers.target, "linear").values():
        assert list(student.feature_names_in_) == list(numbers.data.columns)


def test_a_student_that_cannot_do_the_task_is_left_out_and_said() -> None:
    X, y = load_iris(return_X_y=True)
    X = X.copy()
    X[::5, 1] = np.nan
    teacher = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(X, y)
    with pytest.raises(ConversionError, match="rows of numbers without nulls"):
        made(teacher, X, y, "mlp")
    found = compress(teacher, X, y, techniques=["distillation:mlp"])
    assert len(found.candidates) == 1
    assert any("could not be made" in note and "without nulls" in note for note in found.notes())


def test_every_student_travels_as_onnx() -> None:
    X, y = load_iris(return_X_y=True)
    found = compress(
        RandomForestClassifier(20, random_state=0).fit(X, y), X, y, techniques="distillation", max_drop=1
    )
    students = found.candidates[found.candidates["technique"] == "distillation"]
    assert set(students["form"]) == {"onnx"}
    assert len(students) == 12


def test_synthetic_rows_look_like_the_rows_that_they_come_from() -> None:
    X, _ = load_breast_cancer(return_X_y=True)
    drawn = munged(X, 0)
    assert drawn.shape == X.shape
    assert (drawn >= X.min(axis=0)).all()
    assert (drawn <= X.max(axis=0)).all()
    # columns go together as they did, which drawing each by itself would lose
    apart = np.abs(np.corrcoef(drawn.T) - np.corrcoef(X.T))
    assert np.median(apart) < 0.08
    assert 0.2 < np.mean(drawn != X) < 0.7
    np.testing.assert_array_equal(drawn, munged(X, 0))


def test_synthetic_rows_have_only_classes_and_whole_numbers_where_there_are_only_such() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 2, 300), rng.integers(0, 50, 300), rng.normal(size=300)]).astype(
        float
    )
    drawn = munged(X, 0)
    assert set(drawn[:, 0]) == {0.0, 1.0}
    assert (drawn[:, 1] == np.round(drawn[:, 1])).all()
    assert (drawn[:, 2] != np.round(drawn[:, 2])).any()
