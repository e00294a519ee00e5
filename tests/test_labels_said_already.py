"""A model is not asked twice: its labels follow from what it gave already, and are those of its ``predict``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelyard.evaluation import cross_validate

MODELS = {
    "forest": RandomForestClassifier(2, random_state=0),
    "extra trees": ExtraTreesClassifier(2, bootstrap=True, random_state=0),
    "bagging": BaggingClassifier(n_estimators=2, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=2, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "in a pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(2, random_state=0)),
    # a stump that finds nothing says 0 for every row of two classes as frequent as each other
    "nothing learned, gradient boosting": GradientBoostingClassifier(
        n_estimators=1, learning_rate=1e-300, random_state=0
    ),
    "nothing learned, histograms": HistGradientBoostingClassifier(
        max_iter=1, min_samples_leaf=1000, random_state=0
    ),
}


@pytest.mark.parametrize("classes", [["no", "yes"], ["a", "b", "c"]])
@pytest.mark.parametrize("name", MODELS)
def test_labels_are_those_of_predict_ties_included(name: str, classes: list[str]) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 3, size=(120, 4)).astype(float), np.array(classes)[np.arange(120) % len(classes)]
    found = cross_validate(MODELS[name], X, y, cv="stratified:3", scoring=["accuracy", "log_loss", "roc_auc"])
    assert found.predictions is not None
    for number, model in _refitted(MODELS[name], found.predictions, X, y):
        rows = found.predictions[found.predictions["fold"] == number]
        assert rows["prediction"].tolist() == model.predict(X[rows["row"]]).tolist()


def _refitted(model: BaseEstimator, predictions: Any, X: Any, y: Any) -> Any:
    for number, judged in predictions.groupby("fold"):
        learned = np.setdiff1d(np.arange(len(X)), judged["row"])
        yield number, clone(model).fit(X[learned], y[learned])


class Shouting(RandomForestClassifier):
    """Says something else than its probabilities do."""

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_class_of_ones_own_is_asked_itself() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    found = cross_validate(
        Shouting(5, random_state=0), X, y, cv="stratified:3", scoring=["accuracy", "log_loss"]
    )
    assert found.predictions is not None
    assert set(found.predictions["prediction"]) == {0}
