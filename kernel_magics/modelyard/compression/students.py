"""The students of a distillation: small models by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

KINDS = ("mlp", "tree", "linear", "booster")

_NEURONS = (32, 16)
_LEAVES = (64, 16)
_STAGES = 20
_EPOCHS = 150


@dataclass(frozen=True)
class Student:
    """A small model that is not fitted yet.

    Attributes
    ----------
    kind : str
        Of `KINDS`.
    words : str
    estimator : estimator
    """

    kind: str
    words: str
    estimator: Any


def students(classifies: bool, seed: int) -> list[Student]:
    """Return the students for classes, or for numbers; networks and linear models scale their features."""
    network, tree, booster = (
        (MLPClassifier, DecisionTreeClassifier, HistGradientBoostingClassifier)
        if classifies
        else (MLPRegressor, DecisionTreeRegressor, HistGradientBoostingRegressor)
    )
    linear = LogisticRegression(max_iter=500) if classifies else Ridge()
    few = {"max_iter": _STAGES, "max_leaf_nodes": 8, "early_stopping": False, "random_state": seed}
    return [
        *(
            Student(
                "mlp",
                f"{width} neurons",
                make_pipeline(
                    StandardScaler(),
                    network(
                        hidden_layer_sizes=(width,),
                        max_iter=_EPOCHS,
                        learning_rate_init=0.005,
                        random_state=seed,
                    ),
                ),
            )
            for width in _NEURONS
        ),
        *(
            Student("tree", f"a tree of {leaves} leaves", tree(max_leaf_nodes=leaves, random_state=seed))
            for leaves in _LEAVES
        ),
        Student("linear", "a linear model", make_pipeline(StandardScaler(), linear)),
        Student("booster", f"a booster of {_STAGES} stages", booster(**few)),
    ]
