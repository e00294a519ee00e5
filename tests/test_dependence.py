"""Partial dependence and interactions: scikit-learn's curves, known surfaces, and pictures that say what they show."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.explanation import explain
from modelyard.explanation.interactions import Interactions
from modelyard.explanation.partial_dependence import PartialDependence
from modelyard_widgets.charts import chart, further_charts
from people import FRAME, MODEL


def followed(model: Any, X: Any, **options: Any) -> PartialDependence:
    found = explain(model, X, method="pdp", **options)
    assert isinstance(found, PartialDependence)
    return found


def paired(model: Any, X: Any, **options: Any) -> Interactions:
    found = explain(model, X, method="interactions", **options)
    assert isinstance(found, Interactions)
    return found


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


def test_curves_and_single_rows_are_scikit_learns() -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X, y = X.iloc[:150], y.iloc[:150]
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    found = followed(model, X, columns=["mean radius"], ice=150, grid=8).dependences["mean radius"]
    expected = partial_dependence(
        model, X, ["mean radius"], custom_values={"mean radius": found.grid[0]}, kind="both", method="brute"
    )
    np.testing.assert_allclose(found.average[1], expected["average"][0])
    assert found.individual is not None
    np.testing.assert_allclose(found.individual[1], expected["individual"][0])
    np.testing.assert_allclose(found.average[0], 1 - found.average[1])
    assert len(found.grid[0]) == 8
    assert set(found.grid[0]) <= set(X["mean radius"])


def test_curves_of_texts_gaps_and_truths_are_the_mean_of_changed_rows() -> None:
    found = followed(MODEL, FRAME, columns="age,income,town,member")
    assert list(found.dependences) == ["age", "income", "town", "member"]
    for name, each in found.dependences.items():
        for place, value in enumerate(each.grid[0]):
            changed = FRAME.copy()
            changed[name] = pd.Series([value] * len(FRAME)).astype(FRAME[name].dtype)
            assert each.average[1][place] == pytest.approx(MODEL.predict_proba(changed)[:, 1].mean())
    assert found.dependences["town"].grid[0].tolist() == ["Basel", "Bern"]
    assert found.dependences["age"].grid[0].dtype.kind == "i"
    assert found.dependences["age"].individual.shape == (2, 30, 20)  # type: ignore[union-attr]
    assert found.sentence().startswith("age moves the mean probability of yes of Pipeline")
    json.dumps(found.payload(), allow_nan=False)


def test_two_columns_are_a_surface() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = RandomForestRegressor(10, random_state=0).fit(X, y)
    found = followed(model, X, columns=["bmi*s5", ("age", "sex")], grid=5)
    surface = found.dependences["bmi * s5"]
    assert surface.average.shape == (1, 5, 5)
    changed = X.assign(bmi=surface.grid[0][1], s5=surface.grid[1][3])
    assert surface.average[0, 1, 3] == pytest.approx(model.predict(changed).mean())
    assert found.dependences["age * sex"].average.shape == (1, 5, 2)
    mixed = followed(MODEL, FRAME, columns="age*town", grid=4).dependences["age * town"]
    changed = FRAME.assign(age=mixed.grid[0][2], town="Bern")
    assert mixed.average[1, 2, 1] == pytest.approx(MODEL.predict_proba(changed)[:, 1].mean())


def test_columns_that_move_the_answers_most_are_followed_where_none_is_named() -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(20, random_state=0).fit(X, y)
    found = followed(model, X)
    assert len(found.dependences) == 6
    top = pd.Series(model.feature_importances_, index=X.columns).nlargest(10).index
    assert len(set(found.dependences) & set(top)) >= 4
    assert any("type columns= for others" in note for note in found.notes())


def test_scores_and_three_classes_have_curves() -> None:
    X, y = load_iris(return_X_y=True)
    three = followed(LogisticRegression(max_iter=500).fit(X, y), X, columns=["x2"]).dependences["x2"]
    assert three.average.shape == (3, len(three.grid[0]))
    np.testing.assert_allclose(three.average.sum(axis=0), 1)
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(X, y == 0)
    score = followed(model, X, columns=["x2"])
    assert score.scale == "decision score"
    assert score.dependences["x2"].average.shape[0] == 2


BAD: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({"columns": "agee"}, UsageError, "no column 'agee'; there are .*did you mean 'age'"),
    ({"columns": "age*income*town"}, UsageError, "one by one or two together"),
    ({"columns": "age*age"}, UsageError, "one by one or two together"),
    ({"columns": 3}, UsageError, "columns is a list of columns, found 3"),
    ({"columns": "gone"}, InvalidInputError, "column 'gone' holds nothing but nulls"),
    ({"grid": 1}, UsageError, "grid is a number from 2 up, found 1"),
    ({"ice": "many"}, UsageError, "ice is a number from 0 up, found 'many'"),
]


@pytest.mark.parametrize(("options", "kind", "said"), BAD, ids=[said[:30] for *_, said in BAD])
def test_bad_options_are_one_line(options: dict[str, Any], kind: Any, said: str) -> None:
    if options.get("columns") == "gone":
        from sklearn.impute import SimpleImputer

        frame = FRAME[["age"]].assign(gone=np.nan)
        model = make_pipeline(SimpleImputer(keep_empty_features=True), LogisticRegression())
        with pytest.raises(kind, match=said):
            followed(model.fit(frame, frame["age"] > 45), frame, **options)
        return
    with pytest.raises(kind, match=said):
        followed(MODEL, FRAME, **options)


def product(X: Any) -> Any:
    return X["a"] + X["b"] + 2 * X["c"] * X["d"]


class Formula(RandomForestRegressor):
    """Answers by a formula whose interactions are known."""

    def fit(self, X: Any, y: Any = None) -> Formula:
        self.n_features_in_, self.feature_names_in_ = X.shape[1], np.array(X.columns, dtype=object)
        return self

    def predict(self, X: Any) -> Any:
        return product(X).to_numpy()


def test_h_finds_the_product_and_nothing_in_the_sum() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 5)), columns=list("abcde"))
    found = paired(Formula().fit(X), X, columns="a,b,c,d")
    first = found.pairs.iloc[0]
    assert (first["a"], first["b"]) == ("c", "d")
    assert first["h"] > 0.9
    rest = found.pairs.iloc[1:]
    assert (rest["h"] < 1e-6).all()
    assert (rest["strength"] < 1e-9).all()
    assert "c and d interact most" in found.sentence()
    json.dumps(found.payload(), allow_nan=False)


def test_h_is_friedmans_on_few_rows() -> None:
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(20, 4)), columns=list("abcd"))
    model = RandomForestRegressor(10, random_state=0).fit(X, product(X))

    def mean(names: list[str]) -> Any:
        means = []
        for i in range(20):
            changed = X.copy()
            changed[names] = X[names].iloc[i].to_numpy()
            means.append(model.predict(changed).mean())
        return np.array(means) - np.mean(means)

    found = paired(model, X, columns=["c", "d"]).pairs.iloc[0]
    both, one, other = mean(["c", "d"]), mean(["c"]), mean(["d"])
    assert found["h"] == pytest.approx(np.sqrt(((both - one - other) ** 2).sum() / (both**2).sum()))


def test_interactions_of_texts_and_of_chosen_columns() -> None:
    found = paired(MODEL, FRAME)
    assert len(found.pairs) == 6
    with pytest.raises(UsageError, match="interactions take 2 to 30 columns, found 1"):
        paired(MODEL, FRAME, columns="age")
    with pytest.raises(UsageError, match="no column 'agee'"):
        paired(MODEL, FRAME, columns="agee,town")


def test_pictures_are_valid_and_say_the_finding() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    forest = RandomForestRegressor(10, random_state=0).fit(X, y)
    results: list[tuple[Any, str]] = [
        (followed(MODEL, FRAME, columns="age,town,age*income"), "Mean probability of yes over age: lowest, "),
        (followed(forest, X, columns="bmi"), "of single rows the answer moves by"),
        (paired(forest, X), "Strength of the interaction of each pair of columns, the largest first: "),
        (
            explain(forest, X, y, method="permutation"),
            "Loss of r2 where each column is shuffled, the largest first: ",
        ),
        (explain(MODEL, FRAME, method="counterfactual", rows="0:20"), "of 20 rows: age raised in "),
    ]
    for result, said in results:
        pictures = drawings(result)
        assert any(said in picture.alt for picture in pictures), [picture.alt for picture in pictures]
        for picture in pictures:
            root = ElementTree.fromstring(picture.svg)
            assert float(root.attrib["width"]) <= 760
            assert "currentColor" in picture.svg
            assert not re.findall(r"https?://(?!www\.w3\.org)", picture.svg)
            assert picture.alt.endswith(".")
    assert len(drawings(results[0][0])) == 3


def test_names_in_pictures_are_texts() -> None:
    hostile = '<img src=x onerror="alert(1)">'
    frame = FRAME.rename(columns={"age": hostile})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(
        frame, frame["town"] == "Bern"
    )
    for picture in drawings(followed(model, frame)) + drawings(paired(model, frame)):
        assert "<img" not in picture.svg
        ElementTree.fromstring(picture.svg)


def drawings(result: Any) -> list[Any]:
    payload = result.payload()
    first = chart(result.kind, payload)
    assert first is not None
    return [first, *further_charts(result.kind, payload)]
