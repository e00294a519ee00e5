"""SHAP values: equal to shap's own, summed into the columns that people know, whatever the model."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shap
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelyard.explanation import explain
from modelyard.explanation.attribution import Attribution
from modelyard_explainer.original_columns import UncertainOriginError, steps_and_model, traced

NUMBERS, TEXTS = ["age", "fare"], ["town", "deck"]


def passengers(rows: int = 240, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """A table with numbers, texts and nulls, and a target that depends on three of its four columns."""
    drawn = np.random.default_rng(seed)
    age = drawn.uniform(1, 80, rows)
    towns = drawn.choice(["Cork", "Southampton", "Cherbourg"], rows).astype(object)
    towns[drawn.random(rows) < 0.1] = None
    frame = pd.DataFrame(
        {
            "age": np.where(drawn.random(rows) < 0.1, np.nan, age),
            "fare": drawn.lognormal(3, 1, rows),
            "town": pd.Series(towns, dtype=object),
            "deck": drawn.choice(["A", "B", "C", "D"], rows),
        }
    )
    score = (frame["fare"] > 25).astype(int) + (age < 30) + (frame["town"] == "Cherbourg")
    return frame, (score + drawn.normal(0, 0.4, rows) > 1).to_numpy().astype(int)


def columns_made() -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none", missing_values=None),
        OneHotEncoder(handle_unknown="ignore"),
    )
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, TEXTS)], sparse_threshold=0)


def piped(model: Any) -> Pipeline:
    return make_pipeline(columns_made(), model)


def attributed(model: Any, X: Any, **how: Any) -> Attribution:
    found = explain(model, X, **how)
    assert isinstance(found, Attribution)
    return found


def deep(found: Attribution) -> NDArray[np.float64]:
    return found.values[..., None] if found.values.ndim == 2 else found.values


def sums(found: Attribution) -> NDArray[np.float64]:
    return np.asarray(found.base_values + deep(found).sum(axis=1))


def shaps_own(pipeline: Pipeline, X: pd.DataFrame, background: pd.DataFrame, output: str) -> NDArray[Any]:
    """Call shap itself on the transformed matrix."""
    behind = np.asarray(pipeline[:-1].transform(background))
    masker = shap.maskers.Independent(behind, max_samples=len(behind))
    explainer = shap.TreeExplainer(
        pipeline[-1], masker, feature_perturbation="interventional", model_output=output
    )
    found = explainer.shap_values(np.asarray(pipeline[:-1].transform(X)), check_additivity=False)
    return np.asarray(found if np.ndim(found) == 3 else np.stack([-found, found], axis=-1))


def summed_by_hand(values: NDArray[Any], pipeline: Pipeline, columns: list[str]) -> NDArray[np.float64]:
    """Add up by the names that scikit-learn itself gives to what it made."""
    made = [name.split("__", 1)[1] for name in pipeline[:-1].get_feature_names_out()]
    made = [name.removeprefix("missingindicator_").split("_")[0] for name in made]
    return np.stack(
        [values[:, [source == column for source in made]].sum(axis=1) for column in columns], axis=1
    )


def boosters() -> list[Any]:
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    return [
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=15, random_state=0),
        HistGradientBoostingClassifier(max_iter=15, random_state=0),
        LGBMClassifier(n_estimators=15, verbose=-1, random_state=0),
        XGBClassifier(n_estimators=15, random_state=0),
        DecisionTreeClassifier(max_depth=4, random_state=0),
    ]


@pytest.mark.parametrize("model", boosters(), ids=lambda model: type(model).__name__)
def test_values_of_trees_are_shaps_own_summed_into_the_columns_they_came_from(model: Any) -> None:
    X, y = passengers()
    pipeline = piped(model).fit(X, y)
    background = X.iloc[:30]
    found = attributed(pipeline, X, rows=slice(30, 60), background=background)
    direct = summed_by_hand(shaps_own(pipeline, X.iloc[30:60], background, "probability"), pipeline, list(X))
    assert found.values.shape == (30, 4, 2)
    np.testing.assert_allclose(found.values, direct, atol=1e-6)
    np.testing.assert_allclose(sums(found), pipeline.predict_proba(X.iloc[30:60]), atol=1e-5)
    assert found.scale == "probability"
    assert found.additivity < 1e-5
    assert "explainer: tree (interventional, 30 rows of background)" in found.notes()[0]


def test_importance_is_the_mean_size_by_original_column_the_largest_first() -> None:
    X, y = passengers()
    found = attributed(piped(RandomForestClassifier(20, random_state=0)).fit(X, y), X)
    assert sorted(found.importance.index) == sorted(X.columns)
    assert found.importance.is_monotonic_decreasing
    assert found.importance["fare"] == pytest.approx(np.abs(found.values[:, 1]).mean())
    assert found.importance.index[-1] == "deck"  # it has no part in the target


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(20, random_state=0),
        ExtraTreesRegressor(20, random_state=0),
        GradientBoostingRegressor(n_estimators=20, random_state=0),
        HistGradientBoostingRegressor(max_iter=20, random_state=0),
        LinearRegression(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_values_of_a_regression_have_no_axis_of_outputs_and_add_up_to_the_prediction(model: Any) -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model.fit(X, y)
    found = attributed(model, X, rows=[0, 3, 17])
    assert found.values.shape == (3, 10)
    assert found.base_values.shape == (1,)
    np.testing.assert_allclose(sums(found)[:, 0], model.predict(X.iloc[[0, 3, 17]]), rtol=1e-6)
    assert found.scale == "prediction"


def test_each_class_has_values_of_its_own() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(20, random_state=0).fit(X, y)
    found = attributed(model, X)
    assert found.values.shape == (150, 4, 3)
    np.testing.assert_allclose(sums(found), model.predict_proba(X), atol=1e-6)
    assert "explainer: tree" in found.explainer
    pd.testing.assert_frame_equal(
        found.of("2"), pd.DataFrame(found.values[:, :, 2], X.index, list(X.columns))
    )


def test_values_add_up_where_shap_alone_takes_the_wrong_branch() -> None:
    """The petals of iris lie within the rounding of thresholds; shap's own values then miss the answer by 0.1."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(30, random_state=0).fit(X, y)
    masker = shap.maskers.Independent(X.to_numpy(), max_samples=len(X))
    own = shap.TreeExplainer(model, masker, feature_perturbation="interventional", model_output="probability")
    alone = own.shap_values(X.to_numpy(), check_additivity=False)
    missed = np.abs(own.expected_value + alone.sum(axis=1) - model.predict_proba(X)).max(axis=1)
    found = attributed(model, X, rows=slice(0, 150), background=X)
    assert found.additivity < 1e-6
    assert "explainer: tree" in found.explainer
    np.testing.assert_allclose(found.base_values, model.predict_proba(X).mean(axis=0), atol=1e-9)
    if missed.max() > 1e-6:  # with the shap that is installed here
        assert np.abs(found.values - alone).max() > 1e-6


def test_several_classes_of_a_booster_are_explained_in_log_odds_and_said_to_be() -> None:
    from lightgbm import LGBMClassifier

    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LGBMClassifier(n_estimators=10, verbose=-1, random_state=0).fit(X, y)
    found = attributed(model, X, rows=slice(0, 20))
    np.testing.assert_allclose(sums(found), model.predict(X.iloc[:20], raw_score=True), atol=1e-6)
    np.testing.assert_allclose(softmax(sums(found), axis=1), model.predict_proba(X.iloc[:20]), atol=1e-6)
    assert found.scale == "log-odds"
    assert any("log-odds" in note for note in found.notes()[1:])


def test_a_linear_model_is_explained_by_its_weights_in_log_odds() -> None:
    X, y = passengers()
    pipeline = piped(LogisticRegression()).fit(X, y)
    background = X.iloc[:40]
    found = attributed(pipeline, X, rows=slice(0, 25), background=background)
    own = shap.LinearExplainer(pipeline[-1], pipeline[:-1].transform(background))
    direct = own.shap_values(pipeline[:-1].transform(X.iloc[:25]))[..., None]
    np.testing.assert_allclose(found.values[:, :, 1:], summed_by_hand(direct, pipeline, list(X)), atol=1e-6)
    np.testing.assert_allclose(sums(found)[:, 1], pipeline.decision_function(X.iloc[:25]), atol=1e-9)
    assert found.scale == "log-odds"
    assert "explainer: linear" in found.notes()[0]


def test_several_classes_of_a_linear_model_add_up_to_its_decisions() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    found = attributed(model, X, rows=slice(0, 30))
    np.testing.assert_allclose(sums(found), model.decision_function(X.iloc[:30]), atol=1e-9)


def test_a_model_of_scores_without_probabilities_is_explained_in_its_scores() -> None:
    X, y = passengers()
    pipeline = piped(LinearSVC()).fit(X, y)
    found = attributed(pipeline, X, rows=slice(0, 10))
    np.testing.assert_allclose(sums(found)[:, 1], pipeline.decision_function(X.iloc[:10]), atol=1e-9)
    assert found.scale == "decision score"


def test_a_linear_model_behind_another_link_is_not_read_as_if_it_had_none() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = PoissonRegressor().fit(X, y)
    found = attributed(model, X, rows=[1, 2], background=20)
    np.testing.assert_allclose(sums(found)[:, 0], model.predict(X.iloc[[1, 2]]), rtol=1e-9)
    assert "permutation" in found.explainer
    assert "otherwise than it answers" in found.explainer


def test_catboost_with_texts_of_its_own_is_explained_by_its_own_trees() -> None:
    from catboost import CatBoostClassifier

    X, y = passengers()
    X = X.assign(town=X["town"].fillna("none"))
    model = CatBoostClassifier(iterations=15, verbose=0, random_seed=0, allow_writing_files=False)
    model.fit(X, y, cat_features=TEXTS)
    found = attributed(model, X, rows=slice(0, 12))
    chance = 1 / (1 + np.exp(-sums(found)[:, 1]))
    np.testing.assert_allclose(chance, model.predict_proba(X.iloc[:12])[:, 1], atol=1e-5)
    assert found.scale == "log-odds"
    assert "the background is not used" in found.explainer


def test_catboost_on_numbers_adds_up() -> None:
    from catboost import CatBoostRegressor

    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = CatBoostRegressor(iterations=20, verbose=0, random_seed=0, allow_writing_files=False).fit(X, y)
    found = attributed(model, X, rows=slice(0, 12), background=30)
    np.testing.assert_allclose(sums(found)[:, 0], model.predict(X.iloc[:12]), rtol=1e-5)
    assert "tree" in found.explainer


class Ratio(TransformerMixin, BaseEstimator):
    """A transformer as one writes it in a cell: it makes one column of two, and looks at nulls and texts itself."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Ratio:
        self.fitted_ = True
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        assert X["town"].map(lambda town: town is None or isinstance(town, str)).all()
        assert X["age"].dtype == float
        assert not set(X["town"].dropna()) - {"Cork", "Southampton", "Cherbourg"}
        return np.column_stack(
            [X["fare"] / X["age"].fillna(30.0), X["town"].isna(), X["town"] == "Cherbourg"]
        )


def test_a_transformer_of_a_cell_is_asked_with_the_original_columns_and_said_to_be() -> None:
    X, y = passengers()
    pipeline = make_pipeline(Ratio(), RandomForestClassifier(10, random_state=0)).fit(X, y)
    found = attributed(pipeline, X, rows=slice(0, 6), background=15)
    np.testing.assert_allclose(sums(found), pipeline.predict_proba(X.iloc[:6]), atol=1e-9)
    np.testing.assert_allclose(found.values[:, 3], 0, atol=1e-12)  # it never looks at the deck
    assert np.abs(found.values[:, 1]).max() > 0.01
    assert "explainer: permutation" in found.explainer
    assert "Ratio may make one column of several" in found.explainer


def brute_force(answer: Any, row: pd.DataFrame, background: pd.DataFrame) -> NDArray[np.float64]:
    """The definition: the mean gain of a column over all sets of the others."""
    columns = list(row.columns)

    def worth(known: tuple[str, ...]) -> float:
        mixed = background.copy()
        for name in known:
            mixed[name] = row[name].iloc[0]
        return float(np.mean(answer(mixed)))

    found = []
    for name in columns:
        others = [each for each in columns if each != name]
        gain = 0.0
        for size in range(len(others) + 1):
            for some in combinations(others, size):
                weight = (
                    math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(columns))
                )
                known = tuple(each for each in columns if each in some)
                gain += weight * (worth((*known, name)) - worth(known))
        found.append(gain)
    return np.array(found)


def test_the_permutation_explainer_finds_the_shapley_values_of_the_definition() -> None:
    X, _ = passengers(60)
    X = X[["age", "fare", "town"]].fillna({"age": 30.0, "town": "none"})
    y = X["fare"] * (X["town"] == "Cork") + X["age"]  # two columns at most interact: exact after one walk
    coded = ColumnTransformer(
        [("towns", OneHotEncoder(sparse_output=False), ["town"])], remainder="passthrough"
    )
    model = make_pipeline(coded, PolynomialFeatures(2, interaction_only=True), LinearRegression()).fit(X, y)
    background = X.iloc[10:25]
    found = attributed(model, X, rows=[3], background=background, shuffles=1)
    assert "explainer: permutation" in found.explainer
    np.testing.assert_allclose(
        found.values[0], brute_force(model.predict, X.iloc[[3]], background), atol=1e-6
    )


def test_the_global_generator_of_numpy_is_left_alone() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = KNeighborsClassifier().fit(X, y)
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    attributed(model, X, rows=[0, 1], background=10)
    np.testing.assert_array_equal(np.random.random(3), expected)


def test_the_seed_decides_everything_that_is_drawn() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = KNeighborsClassifier().fit(X, y)
    first, again, other = (
        attributed(model, X, rows=[0, 60], background=12, shuffles=1, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_a_background_cut_into_parts_gives_the_base_of_the_whole_and_adds_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from modelyard_explainer import shuffling

    X, y = load_iris(return_X_y=True, as_frame=True)
    model = KNeighborsClassifier().fit(X, y)
    monkeypatch.setattr(shuffling, "_MOST_CELLS", 9 * 4 * 7)  # seven rows of background at a time
    background = X.iloc[::8]
    found = attributed(model, X, rows=[0, 60, 120], background=background)
    np.testing.assert_allclose(found.base_values, model.predict_proba(background).mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(sums(found), model.predict_proba(X.iloc[[0, 60, 120]]), atol=1e-9)


def test_a_finished_search_is_explained_by_its_best_model() -> None:
    X, y = passengers()
    search = GridSearchCV(
        piped(RandomForestClassifier(10, random_state=0)), {"randomforestclassifier__max_depth": [2, 4]}, cv=2
    ).fit(X, y)
    found = attributed(search, X, rows=[0, 1])
    assert "explainer: tree" in found.explainer
    np.testing.assert_allclose(sums(found), search.predict_proba(X.iloc[:2]), atol=1e-9)


def test_a_column_of_texts_is_explained_as_one_column() -> None:
    said = pd.Series(["good wine", "bad wine", "good food", "bad food", "so good", "so bad"] * 5, name="said")
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(said, [1, 0] * 15)
    found = attributed(model, said, rows=[0, 1])
    assert found.columns == ("said",)
    np.testing.assert_allclose(sums(found)[:, 1], model.decision_function(said.iloc[:2]), atol=1e-9)


def test_an_array_is_explained_by_the_places_of_its_columns() -> None:
    X, y = load_iris(return_X_y=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    assert attributed(model, X, rows=[0]).columns == ("x0", "x1", "x2", "x3")


def certain() -> list[Any]:
    wide = ColumnTransformer(
        [
            (
                "bins",
                KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
                ["fare"],
            ),
            ("towns", OneHotEncoder(drop="first", sparse_output=False), ["town"]),
            ("decks", OneHotEncoder(min_frequency=70, sparse_output=False), ["deck"]),
            ("age", SimpleImputer(add_indicator=True), ["age"]),
        ]
    )
    encoded = ColumnTransformer(
        [("texts", TargetEncoder(random_state=0), TEXTS), ("codes", OrdinalEncoder(), TEXTS)],
        remainder="passthrough",
    )
    union = ColumnTransformer(
        [
            ("fare", FeatureUnion([("own", "passthrough"), ("spline", SplineTransformer())]), ["fare"]),
            ("log", FunctionTransformer(np.log1p), ["fare"]),
        ],
        remainder="drop",
    )
    return [
        [columns_made()],
        [wide, StandardScaler()],
        [encoded, SimpleImputer(), MinMaxScaler(), SelectKBest(k=3)],
        [union],
    ]


@pytest.mark.parametrize("steps", certain(), ids=["usual", "wide", "encoded", "union"])
def test_only_the_columns_that_came_from_one_move_when_that_one_is_changed(steps: list[Any]) -> None:
    X, y = passengers()
    fitted = make_pipeline(*steps).fit(X, y)
    _, sources = traced([step for _, step in fitted.steps], X.iloc[:5])
    before = np.asarray(fitted.transform(X), dtype=float)
    assert len(sources) == before.shape[1]
    for place, name in enumerate(X.columns):
        shuffled_one = X.assign(**{name: X[name].sample(frac=1, random_state=0).set_axis(X.index)})
        after = np.asarray(fitted.transform(shuffled_one), dtype=float)
        moved = ~np.all(np.isclose(before, after, equal_nan=True), axis=0)
        assert set(np.flatnonzero(moved)) <= set(np.flatnonzero(sources == place))


def test_a_one_hot_step_makes_as_many_columns_as_it_is_said_to() -> None:
    X, y = passengers()
    pipeline = piped(Ridge()).fit(X, y)
    steps, _ = steps_and_model(pipeline)
    # age and fare, whether age was null, three towns and none, four decks
    assert traced(steps, X.iloc[:5])[1].tolist() == [0, 1, 0, 2, 2, 2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize(
    "step",
    [PCA(2), PolynomialFeatures(2), FunctionTransformer(np.cumsum), Ratio()],
    ids=lambda step: type(step).__name__,
)
def test_what_may_mix_columns_is_uncertain(step: Any) -> None:
    X, y = passengers()
    rows = X if isinstance(step, Ratio) else X[NUMBERS].fillna(0)
    with pytest.raises(UncertainOriginError, match=type(step).__name__):
        traced([step.fit(rows, y)], rows.iloc[:5])
