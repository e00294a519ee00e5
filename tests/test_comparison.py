"""Several models on the same folds: which is better, or that the data cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelyard.catalog import open_yard
from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation import Comparison, cross_validate

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def cancer() -> tuple[Any, Any]:
    return load_breast_cancer(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def iris() -> tuple[Any, Any]:
    return load_iris(return_X_y=True, as_frame=True)


def test_says_which_model_is_better_on_the_same_folds(cancer: Any) -> None:
    found = cross_validate({"line": LOGISTIC, "guess": DummyClassifier()}, *cancer, scoring="accuracy")
    assert isinstance(found, Comparison)
    assert list(found.evaluations) == ["line", "guess"]
    assert found.best == "line"
    (pair,) = found.pairs.to_dict("records")
    assert pair["verdict"] == "line"
    assert pair["p"] < 0.001
    assert repr(found).startswith(
        "line is better than guess by accuracy in 5 folds (stratified:5) of 569 rows"
    )


def test_says_that_the_data_cannot_tell_equal_models(iris: Any) -> None:
    found = cross_validate([LOGISTIC, GaussianNB()], *iris, scoring="accuracy")
    assert isinstance(found, Comparison)
    assert found.pairs["verdict"].tolist() == ["cannot tell"]
    assert repr(found).startswith("the data cannot tell ")
    assert any("rows" in line or "too close" in line for line in found.notes())


def test_a_model_against_itself_has_no_difference(iris: Any) -> None:
    found = cross_validate([GaussianNB(), GaussianNB()], *iris, scoring="accuracy")
    assert list(found.evaluations) == ["GaussianNB (1)", "GaussianNB (2)"]
    assert found.pairs["difference"].tolist() == [0.0]
    assert found.pairs["p"].tolist() == [1.0]
    assert found.pairs["verdict"].tolist() == ["cannot tell"]


def test_the_test_is_nadeau_and_bengios(cancer: Any) -> None:
    X, y = cancer
    tree = DecisionTreeClassifier(random_state=0)
    folds = KFold(10, shuffle=True, random_state=3)
    found = cross_validate({"a": LOGISTIC, "b": tree}, X, y, cv=folds, scoring="accuracy")
    apart = cross_val_score(LOGISTIC, X, y, cv=folds) - cross_val_score(tree, X, y, cv=folds)
    sizes = [(len(train), len(test)) for train, test in folds.split(X)]
    ratio = np.mean([test / train for train, test in sizes])
    error = np.sqrt((1 / 10 + ratio) * apart.var(ddof=1))
    (pair,) = found.pairs.to_dict("records")
    assert pair["difference"] == pytest.approx(apart.mean())
    assert pair["p"] == pytest.approx(2 * t.sf(abs(apart.mean()) / error, 9))
    half = t.ppf(0.975, 9) * error
    assert (pair["ci_low"], pair["ci_high"]) == pytest.approx((apart.mean() - half, apart.mean() + half))


def test_p_values_of_several_pairs_are_adjusted_after_holm(cancer: Any) -> None:
    models = {"a": LOGISTIC, "b": DecisionTreeClassifier(random_state=0), "c": GaussianNB()}
    three = cross_validate(models, *cancer, scoring="accuracy").pairs.set_index(["a", "b"])["p"]
    alone = {
        (a, b): cross_validate({a: models[a], b: models[b]}, *cancer, scoring="accuracy").pairs["p"].item()
        for a, b in three.index
    }
    ordered = sorted(alone, key=lambda pair: alone[pair])
    highest = 0.0
    for rank, pair in enumerate(ordered):
        highest = max(highest, min(1.0, alone[pair] * (3 - rank)))
        assert three[pair] == pytest.approx(highest)


def test_less_is_better_where_the_metric_says_so() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = cross_validate({"line": Ridge(0.1), "mean": DummyRegressor()}, X, y, scoring="mae")
    assert found.best == "line"
    assert found.pairs["verdict"].tolist() == ["line"]
    assert found.pairs["difference"].item() < 0


def test_folds_drawn_without_a_seed_are_the_same_for_all_models(iris: Any) -> None:
    found = cross_validate([GaussianNB(), GaussianNB()], *iris, cv=ShuffleSplit(4), scoring="accuracy")
    first, second = (each.scores["accuracy"].tolist() for each in found.evaluations.values())
    assert first == second


def test_more_rows_are_asked_for_where_they_would_tell() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 6))
    y = X[:, 0] + 0.5 * X[:, 1] ** 2 + rng.normal(size=120)
    models = {"line": LinearRegression(), "tree": DecisionTreeRegressor(max_depth=3, random_state=0)}
    found = cross_validate(models, X, y, scoring="mse")
    assert isinstance(found, Comparison)
    pair = found.pairs.iloc[0]
    assert pair["verdict"] == "cannot tell"
    assert pair["rows_needed"] > 120
    more = rng.normal(size=(int(4 * pair["rows_needed"]), 6))
    target = more[:, 0] + 0.5 * more[:, 1] ** 2 + rng.normal(size=len(more))
    assert cross_validate(models, more, target, scoring="mse").pairs["p"].item() < pair["p"]


def test_leave_one_out_is_compared_row_by_row_where_rows_have_a_value(iris: Any) -> None:
    found = cross_validate({"a": GaussianNB(), "b": DummyClassifier()}, *iris, cv="loo", scoring="accuracy")
    assert found.pairs["verdict"].tolist() == ["a"]
    pooled = cross_validate({"a": GaussianNB(), "b": DummyClassifier()}, *iris, cv="loo", scoring="f1")
    assert pooled.pairs["verdict"].tolist() == ["cannot tell"]
    assert pooled.pairs["p"].isna().all()
    assert any("cannot be tested" in line for line in pooled.notes())


def test_each_evaluation_is_kept_in_the_yard(iris: Any) -> None:
    found = cross_validate({"a": GaussianNB(), "b": LOGISTIC}, *iris)
    names = [each.name for each in found.evaluations.values()]
    assert names == ["gaussian-nb-1", "logistic-regression-1"]
    assert {record.name for record in open_yard().records("evaluation")} == set(names)


def test_it_shows_itself_as_a_sentence_a_table_and_a_payload(iris: Any) -> None:
    found = cross_validate({"a": GaussianNB(), "b": LOGISTIC, "c": DummyClassifier()}, *iris)
    bundle = found._repr_mimebundle_()
    payload = bundle["application/vnd.modelyard.comparison+json"]
    assert payload["metric"] == "accuracy"
    assert [(pair["a"], pair["b"]) for pair in payload["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert payload["models"]["b"]["name"] == "logistic-regression-1"
    assert set(payload["scores"]) == set(payload["summary"]) == {"a", "b", "c"}
    assert "best mean" in bundle["text/plain"]
    assert "<table>" in bundle["text/html"]


@pytest.mark.parametrize(
    ("models", "error", "words"),
    [
        ([GaussianNB()], UsageError, "two models or more, found 1"),
        ([], UsageError, "two models or more, found 0"),
        ([GaussianNB(), 3], InvalidInputError, "model is no estimator, found int"),
        ([GaussianNB, LOGISTIC], InvalidInputError, "model is a class, found GaussianNB"),
    ],
)
def test_refuses_what_cannot_be_compared(iris: Any, models: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        cross_validate(models, *iris)


def test_classes_and_numbers_are_not_compared(iris: Any) -> None:
    X, y = iris
    with pytest.raises(UsageError, match=r"classes.*numbers"):
        cross_validate({"a": GaussianNB(), "b": Ridge()}, X, y)


def test_the_magic_takes_several_models(shell: Any, iris: Any) -> None:
    X, y = iris
    shell.user_ns.update(
        X=X, y=y, nb=GaussianNB(), line=LOGISTIC, forest=RandomForestClassifier(10, random_state=0)
    )
    found = shell.run_line_magic("cv", "nb line forest X y --score accuracy --cv kfold:4")
    assert list(found.evaluations) == ["nb", "line", "forest"]
    assert {each.cv for each in found.evaluations.values()} == {"kfold:4"}
    code = str(shell.run_line_magic("cv", "nb line X y --show-code"))
    assert code == "modelyard.cross_validate({'nb': nb, 'line': line}, X, y)"
    assert "stratified:5" in repr(shell.run_line_magic("cv", "nb X y"))


def test_pairs_are_a_frame_of_every_pair(cancer: Any) -> None:
    found = cross_validate([LOGISTIC, GaussianNB(), DummyClassifier()], *cancer, scoring="accuracy")
    assert isinstance(found.pairs, pd.DataFrame)
    assert len(found.pairs) == 3
    assert (found.pairs["ci_low"] <= found.pairs["difference"]).all()
    assert (found.pairs["difference"] <= found.pairs["ci_high"]).all()
