"""Which rows learn and which are judged: every spec of ``cv=``, and the splitters of scikit-learn behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.evaluation import cross_validate
from modelyard.evaluation.inputs import Samples, checked_samples
from modelyard.evaluation.splitters import Folds, plan_folds

NB = GaussianNB()


@pytest.fixture(scope="module")
def visits() -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Ninety rows of three regions and fifteen patients, six rows each."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(15), 6)
    X = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    X["patient"] = patient
    X["region"] = patient % 3
    return X, (X["a"] + rng.normal(size=90) > 0).to_numpy().astype(int)


def samples_of(X: Any, y: Any, model: Any = NB) -> Samples:
    return checked_samples(model, X, y)


def planned(X: Any, y: Any, cv: Any, **options: Any) -> Folds:
    return plan_folds(cv, samples_of(X, y), **options)


def test_rows_of_one_group_stay_together(visits: Any) -> None:
    X, y = visits
    for cv in ("group:patient", "group:patient:3", "stratified-group:patient:4"):
        folds = planned(X, y, cv)
        for train, test in folds.splits:
            assert not set(X["patient"].iloc[train]) & set(X["patient"].iloc[test])
        judged = np.concatenate([test for _, test in folds.splits])
        assert sorted(judged) == list(range(90))


def test_group_folds_are_scikit_learns_of_even_sizes(visits: Any) -> None:
    X, y = visits
    found = cross_validate(NB, X, y, cv="group:patient:4", scoring="accuracy")
    expected = cross_val_score(NB, X, y, cv=GroupKFold(4), groups=X["patient"])
    np.testing.assert_allclose(found.scores["accuracy"], expected)
    assert found.cv == "group:patient:4"


def test_stratified_group_folds_are_scikit_learns(visits: Any) -> None:
    X, y = visits
    found = cross_validate(NB, X, y, cv="stratified-group:patient:3", scoring="accuracy", seed=5)
    splitter = StratifiedGroupKFold(3, shuffle=True, random_state=5)
    expected = cross_val_score(NB, X, y, cv=splitter, groups=X["patient"])
    np.testing.assert_allclose(found.scores["accuracy"], expected)


def test_groups_come_by_name_by_array_or_by_place(visits: Any) -> None:
    X, y = visits
    named = cross_validate(NB, X, y, cv="group:patient:3", scoring="accuracy").scores
    for cv, groups, rows in (
        ("group:3", "patient", X),
        ("group:3", X["patient"], X),
        ("group:3", [f"p{p:02}" for p in X["patient"]], X),
        ("group:3:3", None, X.to_numpy()),
        (GroupKFold(3), "patient", X),
        (GroupKFold(3), X["patient"].to_numpy(), X),
    ):
        found = cross_validate(NB, rows, y, cv=cv, groups=groups, scoring="accuracy").scores
        np.testing.assert_allclose(found, named)


def test_fewer_groups_than_five_make_fewer_folds(visits: Any) -> None:
    X, y = visits
    assert cross_validate(NB, X, y, cv="group:region", scoring="accuracy").cv == "group:region:3"


def test_groups_of_a_regression_target_are_not_stratified(visits: Any) -> None:
    X, _ = visits
    found = cross_validate(Ridge(), X, X["a"] * 2, cv="stratified-group:patient:3", scoring="mae")
    assert found.cv == "group:patient:3"


def test_repeated_groups_are_drawn_anew(visits: Any) -> None:
    X, y = visits
    folds = planned(X, y, "group:patient:3", repeats=2, seed=1)
    first, second = ([set(test) for _, test in folds.splits[at : at + 3]] for at in (0, 3))
    assert first != second
    assert folds.label == "group:patient:3 x 2"


def test_an_identifier_among_the_features_is_remarked_and_a_region_is_not(visits: Any) -> None:
    X, y = visits
    found = cross_validate(NB, X, y, cv="group:patient", scoring="accuracy")
    assert any("column 'patient' marks the groups and is a feature too" in line for line in found.warnings)
    regional = cross_validate(NB, X.drop(columns="patient"), y, cv="group:region", scoring="accuracy")
    assert not any("marks the groups" in line for line in regional.warnings)


def test_folds_in_time_learn_from_what_stands_before(visits: Any) -> None:
    X, y = visits
    folds = planned(X, y, "time:6", folds=4)
    for (train, test), (their_train, their_test) in zip(
        folds.splits, TimeSeriesSplit(4, gap=6).split(X), strict=True
    ):
        assert train.max() + 6 < test.min()
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)
    assert folds.label == "time:6"
    assert len(planned(X, y, "time").splits) == 5


def test_repeated_folds_are_repeated_ten_times_and_stratified(visits: Any) -> None:
    X, y = visits
    found = cross_validate(NB, X, y, cv="repeated", scoring="accuracy")
    assert len(found.scores) == 50
    assert found.cv == "stratified:5 x 10"
    assert len(cross_validate(NB, X, y, cv="repeated:3", repeats=2, scoring="accuracy").scores) == 6
    assert cross_validate(Ridge(), X, X["b"], cv="repeated:2", repeats=3, scoring="mae").cv == "kfold:2 x 3"


def test_the_number_of_folds_is_one_flag_for_every_spec(visits: Any) -> None:
    X, y = visits
    for cv, count in (
        ("stratified", 3), ("kfold", 4), ("group:patient", 7), ("stratified-group:patient", 2), ("time:1", 6),
    ):  # fmt: skip
        assert len(planned(X, y, cv, folds=count).splits) == count
    assert len(cross_validate(NB, X, y, folds=3, scoring="accuracy").scores) == 3


def test_nested_folds_are_stratified_ones_around_a_search(visits: Any) -> None:
    X, y = visits
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=2)
    for model in (search, make_pipeline(StandardScaler(), search)):
        found = cross_validate(model, X, y, cv="nested:3", scoring="accuracy")
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        np.testing.assert_allclose(found.scores["accuracy"], cross_val_score(model, X, y, cv=folds))
        assert found.cv == "nested:3"


def test_any_splitter_object_is_used_as_it_is() -> None:
    X, y = load_iris(return_X_y=True)
    for splitter in (
        ShuffleSplit(3, random_state=1),
        RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=1),
        TimeSeriesSplit(3),
    ):
        model = DummyClassifier(strategy="prior")
        np.testing.assert_allclose(
            cross_validate(model, X, y, cv=splitter, scoring="accuracy").scores["accuracy"],
            cross_val_score(model, X, y, cv=splitter),
        )


def test_folds_of_a_million_rows_take_a_few_megabytes() -> None:
    import tracemalloc

    y = np.arange(1_000_000) % 2
    samples = checked_samples(NB, np.zeros((1_000_000, 1), dtype=np.float32), y)
    tracemalloc.start()
    folds = plan_folds("stratified:5", samples)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 8e6
    train, test = folds.splits[4]
    assert len(train) + len(test) == 1_000_000
    assert not np.intersect1d(train, test).size


def test_a_transformer_of_a_cell_works_in_processes(visits: Any, shell: InteractiveShell) -> None:
    X, y = visits
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(
        "from sklearn.base import BaseEstimator, TransformerMixin\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "class Doubled(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, X, y=None): return self\n"
        "    def transform(self, X): return X * 2\n"
        "model = make_pipeline(Doubled(), LogisticRegression())"
    ).raise_error()
    apart = shell.run_line_magic("cv", "model X y --jobs 2 --score accuracy --folds 3")
    here = shell.run_line_magic("cv", "model X y --score accuracy --folds 3")
    pd.testing.assert_frame_equal(apart.scores, here.scores)


def test_the_magic_takes_every_spec(visits: Any, shell: InteractiveShell) -> None:
    X, y = visits
    shell.user_ns.update(X=X, y=y, model=NB, patients=X["patient"])
    for line, label in (
        ("--cv group:patient --folds 3", "group:patient:3"),
        ("--cv group:3 --groups patients", "group:3"),
        ("--cv time:2 --folds 4", "time:2"),
        ("--cv repeated:2 --repeats 2", "stratified:2 x 2"),
        ("--cv 4", "stratified:4"),
    ):
        assert shell.run_line_magic("cv", f"model X y {line} --score accuracy").cv == label


SEARCHLESS = r"search such as GridSearchCV, found GaussianNB; type %tune model X y --cv nested:5x3"
BAD: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({"cv": "group:pateint"}, UsageError, "no column 'pateint' for .*did you mean 'patient'"),
    ({"cv": "group"}, UsageError, "needs groups; type cv='group:COLUMN'"),
    (
        {"cv": "group:region:4"},
        UsageError,
        "4 folds are more than the 3 groups of 'region'; type cv='group:region:3'",
    ),
    ({"cv": "group:one"}, InvalidInputError, "column 'one' holds one group only, found 7 in 90 rows"),
    (
        {"cv": "group:gaps"},
        InvalidInputError,
        "column 'gaps' holds 1 null in 90 rows; give every row a group",
    ),
    ({"cv": "group:patient", "groups": [1] * 90}, UsageError, "give one of the two"),
    (
        {"cv": "group:patient", "groups": "region"},
        UsageError,
        "the column 'patient' and groups= the column 'region'",
    ),
    ({"cv": "group:3", "groups": [1] * 90}, InvalidInputError, "groups holds one group only"),
    ({"cv": "group:patient:1"}, UsageError, "two folds or more, found 1"),
    ({"cv": "time", "repeats": 2}, UsageError, "in time are the same every time"),
    ({"cv": "time:-1"}, UsageError, "from 0 up, found 'time:-1'"),
    ({"cv": "time:80"}, UsageError, "90 rows are too few for 5 folds in time with a gap of 80 rows"),
    ({"cv": "nested"}, UsageError, SEARCHLESS),
    ({"cv": "nested:5x3"}, UsageError, "names inner folds too"),
    ({"cv": "kfold:5", "folds": 3}, UsageError, "has 5 folds, and folds=3 asks for others"),
    ({"cv": "loo", "folds": 3}, UsageError, "no number of folds, found folds=3"),
    ({"cv": TimeSeriesSplit(3), "folds": 3}, UsageError, "has its own number"),
    ({"folds": 1}, UsageError, "folds must be a whole number from 2 up, found 1"),
    ({"folds": 91}, UsageError, "91 folds are more than the 90 rows"),
    ({"cv": "grup:patient"}, UsageError, "did you mean 'group'"),
]


@pytest.mark.parametrize(("changed", "kind", "said"), BAD, ids=[str(sorted(b[0].items()))[:50] for b in BAD])
def test_a_bad_spec_is_one_line(visits: Any, changed: Any, kind: Any, said: str) -> None:
    X, y = visits
    X = X.assign(one=7, gaps=np.where(np.arange(90) == 4, np.nan, X["patient"]))
    with pytest.raises(kind, match=said) as caught:
        cross_validate(NB, X, y, **changed)
    assert "\n" not in str(caught.value)


def test_a_fold_that_learns_from_one_class_is_named(visits: Any) -> None:
    X, _ = visits
    y = np.repeat([0, 1], 45)
    with pytest.raises(
        InvalidInputError, match=r"fold 1 of 5: .*; its 15 training rows hold one class only, 0; type"
    ):
        cross_validate(LogisticRegression(), X, y, cv="time", scoring="accuracy")


def test_nulls_are_told_with_their_columns(visits: Any) -> None:
    X, y = visits
    holes = X.assign(a=X["a"].where(X.index != 3), c=X["c"].where(X.index != 5))
    with pytest.raises(
        InvalidInputError, match=r"columns 'a', 'c' hold nulls; type make_pipeline\(SimpleImputer\(\)"
    ):
        cross_validate(LogisticRegression(), holes, y)
    with pytest.raises(InvalidInputError, match=r"column 2 holds infinite values; type"):
        cross_validate(LogisticRegression(), np.where(np.eye(90, 5) * [0, 0, 1, 0, 0] > 0, np.inf, X), y)
    assert len(cross_validate(RandomForestClassifier(5, random_state=0), holes, y).scores) == 5


def test_texts_are_told_with_their_columns(visits: Any) -> None:
    X, y = visits
    with pytest.raises(InvalidInputError, match=r"column 'region' holds texts; type .*OneHotEncoder"):
        cross_validate(LogisticRegression(), X.assign(region=X["region"].map({0: "n", 1: "s", 2: "w"})), y)
