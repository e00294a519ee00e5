"""Pruning: fewer trees, smaller trees, fewer stages, fewer neurons; each beside the library's own answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelyard.compression import Asked
from modelyard.compression.pruning import Pruning
from modelyard.evaluation.inputs import checked_samples

CANCER = load_breast_cancer(return_X_y=True)


def made(model: Any, data: Any = CANCER) -> dict[str, Any]:
    """Return every pruned model by its settings."""
    samples = checked_samples(model, *data)
    asked = Asked(model, samples, 0)
    return {recipe.settings: recipe.make(model, samples) for recipe in Pruning().candidates(asked)}


def test_fewer_trees_are_trees_of_the_same_forest() -> None:
    forest = RandomForestClassifier(50, random_state=0).fit(*CANCER)
    smaller = made(forest)["15 trees"]
    assert len(smaller.estimators_) == smaller.n_estimators == 15
    assert {id(tree) for tree in smaller.estimators_} <= {id(tree) for tree in forest.estimators_}
    assert len(forest.estimators_) == 50
    assert smaller.predict_proba(CANCER[0]).shape == (len(CANCER[0]), 2)


def test_ordered_trees_are_right_together_sooner_than_the_first_ones() -> None:
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(100, random_state=0).fit(X[:900], y[:900])
    chosen = made(forest, (X[:900], y[:900]))["6 trees"]
    first = np.mean([tree.predict_proba(X[900:]) for tree in forest.estimators_[:6]], axis=0).argmax(axis=1)
    assert chosen.score(X[900:], y[900:]) > np.mean(first == y[900:])


def test_trees_grown_anew_keep_to_their_limits() -> None:
    forest = RandomForestClassifier(50, random_state=0).fit(*CANCER)
    found = made(forest)
    limited = {words: model for words, model in found.items() if " of " in words or "ccp" in words}
    assert len(limited) >= 4
    for words, model in limited.items():
        assert len(model.estimators_) == 10
        if words.endswith("leaves"):
            most = int(words.split()[-2])
            assert max(tree.get_n_leaves() for tree in model.estimators_) <= most
        if "depth" in words:
            assert max(tree.get_depth() for tree in model.estimators_) <= int(words.split()[-1])


def test_regressors_and_single_trees_are_pruned_too() -> None:
    forest = ExtraTreesRegressor(30, random_state=0).fit(*load_diabetes(return_X_y=True))
    assert "15 trees" in made(forest, load_diabetes(return_X_y=True))
    tree = DecisionTreeClassifier(random_state=0).fit(*CANCER)
    for smaller in made(tree).values():
        assert smaller.get_n_leaves() < tree.get_n_leaves()


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=40, early_stopping=False),
        GradientBoostingClassifier(n_estimators=40),
    ],
)
def test_a_booster_cut_off_is_the_staged_prediction(model: Any) -> None:
    X, y = CANCER
    model.fit(X, y)
    half = made(model)["50% of the stages (20)"]
    staged = list(model.staged_predict_proba(X))
    np.testing.assert_array_equal(half.predict_proba(X), staged[19])
    np.testing.assert_array_equal(model.predict_proba(X), staged[39])


def test_a_booster_of_numbers_is_cut_off() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(max_iter=40, early_stopping=False).fit(X, y)
    half = made(model, (X, y))["50% of the stages (20)"]
    np.testing.assert_array_equal(half.predict(X), list(model.staged_predict(X))[19])


def test_lightgbm_is_cut_off() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    X, y = CANCER
    model = lightgbm.LGBMClassifier(n_estimators=40, verbose=-1).fit(X, y)
    half = made(model)["50% of the stages (20)"]
    np.testing.assert_allclose(half.predict_proba(X), model.predict_proba(X, num_iteration=20), atol=1e-12)
    assert half.booster_.num_trees() == 20
    assert model.booster_.num_trees() == 40


def test_xgboost_is_cut_off() -> None:
    xgboost = pytest.importorskip("xgboost")
    X, y = CANCER
    model = xgboost.XGBClassifier(n_estimators=40).fit(X, y)
    half = made(model)["50% of the stages (20)"]
    np.testing.assert_allclose(
        half.predict_proba(X), model.predict_proba(X, iteration_range=(0, 20)), atol=1e-6
    )


def test_catboost_is_cut_off() -> None:
    catboost = pytest.importorskip("catboost")
    X, y = CANCER
    model = catboost.CatBoostClassifier(iterations=40, verbose=False, allow_writing_files=False).fit(X, y)
    half = made(model)["50% of the stages (20)"]
    np.testing.assert_allclose(half.predict_proba(X), model.predict_proba(X, ntree_end=20), atol=1e-12)
    assert model.tree_count_ == 40


def test_a_network_loses_neurons_and_little_else() -> None:
    X, y = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((40, 20), max_iter=60, random_state=0)).fit(
        X[:900], y[:900]
    )
    found = made(model, (X[:900], y[:900]))
    smaller = found["20, 10 neurons"][-1]
    assert [each.shape for each in smaller.coefs_] == [(64, 20), (20, 10), (10, 10)]
    assert smaller.hidden_layer_sizes == (20, 10)
    assert found["20, 10 neurons"].score(X[900:], y[900:]) > model.score(X[900:], y[900:]) - 0.06
    assert not smaller.warm_start
    assert smaller.max_iter == 60
    assert model[-1].coefs_[0].shape == (64, 40)


@pytest.mark.parametrize("options", [{"solver": "lbfgs"}, {"early_stopping": True}, {"activation": "tanh"}])
def test_networks_of_every_solver_are_pruned(options: dict[str, Any]) -> None:
    X, y = load_diabetes(return_X_y=True)
    network = MLPRegressor(hidden_layer_sizes=(16,), max_iter=200, random_state=0, **options)
    model = make_pipeline(StandardScaler(), network).fit(X, y)
    smaller = made(model, (X, y))["8 neurons"][-1]
    assert smaller.coefs_[0].shape == (10, 8)
    assert np.isfinite(smaller.predict(X)).all()


def test_other_models_are_left_alone() -> None:
    assert not Pruning().fits(SVC().fit(*CANCER))
    assert not Pruning().fits(MLPClassifier((3,)))
