"""Dropping features: which columns stay, and that the rest of a pipeline is not disturbed."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from modelyard.compression import Asked, compress
from modelyard.compression.feature_dropping import FeatureDropping
from modelyard.evaluation.inputs import checked_samples


def made(model: Any, X: Any, y: Any) -> dict[str, Any]:
    samples = checked_samples(model, X, y)
    return {
        each.settings: each.make(model, samples)
        for each in FeatureDropping().candidates(Asked(model, samples, 0))
    }


def test_the_columns_that_carry_something_stay() -> None:
    given = {
        "n_informative": 3,
        "n_redundant": 0,
        "n_clusters_per_class": 1,
        "shuffle": False,
        "random_state": 0,
    }
    X, y = make_classification(400, 12, **given)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    smaller = made(model, X, y)["3 of 12 columns"]
    kept = smaller[-1][0].get_support(indices=True)
    assert set(kept) == {0, 1, 2}  # those that the labels were made of
    assert smaller[-1][-1].coef_.shape == (1, 3)
    assert smaller.score(X, y) > model.score(X, y) - 0.03
    assert smaller.steps[0][1] is model.steps[0][1]


def test_a_frame_is_still_given_with_all_of_its_columns_and_travels_as_onnx() -> None:
    data = load_iris(as_frame=True)
    model = SVC(random_state=0).fit(data.data, data.target)
    found = compress(model, data.data, data.target, techniques="features", max_drop=0.1)
    dropped = found.candidates[found.candidates["technique"] == "features"]
    assert len(dropped) == 3
    assert set(dropped["form"]) == {"onnx"}
    assert found.best.predict(data.data).shape == (150,)


def test_trees_are_left_alone() -> None:
    X, y = load_iris(return_X_y=True)
    assert not FeatureDropping().fits(RandomForestClassifier(5).fit(X, y))
