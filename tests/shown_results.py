"""One small result of each kind, made once for all tests that show one; in a folder with a yard."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelyard.compression import Compression, compress
from modelyard.evaluation import Evaluation, cross_validate
from modelyard.evaluation.comparison import Comparison
from modelyard.explanation import explain
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.fairness import Fairness
from modelyard.presentation import Result
from modelyard.tuning import Study, tune

HOSTILE = "<img src=x onerror=alert(1)>"
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())
TREE = DecisionTreeClassifier(random_state=0)


@contextmanager
def in_a_folder_of_its_own(factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a folder that has a yard, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        folder = factory.mktemp("panels")
        (folder / ".modelyard").mkdir()
        patch.chdir(folder)
        yield


@cache
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:, :6], y


def clinics() -> pd.Series[Any]:
    """Return groups of the rows, of which one has a name that is markup."""
    return pd.Series(np.where(data()[0].index % 3 == 0, HOSTILE, "north"), name="clinic")


@cache
def evaluation() -> Evaluation:
    return cross_validate(LOGISTIC, *data(), scoring=["roc_auc", "accuracy"], by=[clinics().to_numpy()])


@cache
def comparison() -> Comparison:
    models = {"logistic": LOGISTIC, HOSTILE: TREE, "neighbours": KNeighborsClassifier()}
    found = cross_validate(models, *data(), scoring=["roc_auc", "accuracy"], by=["mean radius"])
    assert isinstance(found, Comparison)
    return found


@cache
def study() -> Study:
    space = "max_depth: int 1..12\nmin_samples_leaf: int 1..50 log\ncriterion: gini | entropy"
    found = tune(TREE, *data(), space, method="random", trials=8, cv="stratified:3", prune=False)
    assert isinstance(found, Study)
    return found


def study_of_many_trials(count: int = 2000) -> Study:
    rng = np.random.default_rng(0)
    depth = rng.integers(1, 13, count)
    leaf = np.round(np.exp(rng.uniform(0, np.log(50), count))).astype(int)
    lost = 0.004 * (depth - 6) ** 2 / 6 + 0.02 * np.log(leaf) ** 2 / 8
    trials = pd.DataFrame(
        {
            "number": range(count),
            "state": "COMPLETE",
            "value": 0.95 - lost + rng.normal(0, 0.006, count),
            "seconds": 0.1,
            "reason": "",
            "folds": 3,
            "params_max_depth": depth,
            "params_min_samples_leaf": leaf,
            "params_criterion": pd.Series(rng.choice(["gini", "entropy"], count), dtype=object),
        }
    )
    return dataclasses.replace(study(), trials=trials, best_score=float(trials["value"].max()))


@cache
def attribution() -> Attribution:
    found = explained("shap", rows=range(40))
    assert isinstance(found, Attribution)
    return found


@cache
def compression() -> Compression:
    X, y = data()
    return compress(
        DecisionTreeClassifier(random_state=0).fit(X, y), X, y, techniques=["pruning"], by=["mean radius"]
    )


@cache
def counterfactuals() -> Result:
    return explained("counterfactual", rows=[0, 1])


@cache
def dependence() -> Result:
    return explained("pdp", columns="mean area,mean radius")


@cache
def importance() -> Result:
    return explained("permutation", repeats=3)


@cache
def interactions() -> Result:
    return explained("interactions", rows=range(20), columns="mean radius,mean area,mean texture")


@cache
def fairness() -> Fairness:
    groups = pd.DataFrame(
        {"clinic": clinics(), "size": np.where(data()[0]["mean radius"] > 14, "large", "small")}
    )
    found = explained("fairness", by=groups, rows=range(300))
    assert isinstance(found, Fairness)
    return found


def explained(method: str, **how: Any) -> Result:
    X, y = data()
    return explain(LOGISTIC.fit(X, y), X, y, method=method, **how)
