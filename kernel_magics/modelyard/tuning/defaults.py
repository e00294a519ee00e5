"""Spaces for the common estimators, in the language of spaces; no library but scikit-learn's is imported for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelyard.errors import UsageError
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.space import parse_space

_TREE = """
max_depth: int 2..20
min_samples_leaf: int 1..20
min_samples_split: int 2..20
"""
_FOREST = """
n_estimators: int 50..300 step 50
min_samples_leaf: int 1..20 log
min_samples_split: int 2..20 log
max_features: sqrt | log2 | 0.3 | 0.5 | 1.0
"""
_BAGGING = """
n_estimators: int 10..100 step 10
max_samples: float 0.3..1.0
max_features: float 0.3..1.0
"""
_BOOSTING = """
n_estimators: int 50..300 step 50
learning_rate: float 0.01..0.3 log
max_depth: int 2..6
subsample: float 0.5..1.0
"""
_HIST_BOOSTING = """
max_iter: int 50..300 step 50
learning_rate: float 0.01..0.3 log
max_leaf_nodes: int 8..64 log
min_samples_leaf: int 5..50
l2_regularization: float 1e-4..10 log
"""
_ADA = """
n_estimators: int 25..300 step 25
learning_rate: float 0.01..2 log
"""
_NEIGHBORS = """
n_neighbors: int 1..30
weights: uniform | distance
p: 1 | 2
"""
_MLP = """
hidden_layer_sizes: (50,) | (100,) | (50, 50) | (100, 50)
alpha: float 1e-6..0.1 log
learning_rate_init: float 1e-4..0.03 log
"""
_SGD = """
alpha: float 1e-6..0.1 log
penalty: l2 | l1 | elasticnet
l1_ratio: float 0.05..0.95 if penalty == elasticnet
"""
_SVM = """
C: float 1e-2..1e3 log
kernel: rbf | linear
gamma: scale | 1e-4 | 1e-3 | 1e-2 | 0.1 | 1.0 if kernel == rbf
"""
_LIGHTGBM = """
n_estimators: int 50..400 step 50
learning_rate: float 0.01..0.3 log
num_leaves: int 8..128 log
min_child_samples: int 5..60 log
colsample_bytree: float 0.4..1.0
reg_lambda: float 1e-3..10 log
"""
_XGBOOST = """
n_estimators: int 50..400 step 50
learning_rate: float 0.01..0.3 log
max_depth: int 2..10
min_child_weight: float 0.5..20 log
subsample: float 0.5..1.0
colsample_bytree: float 0.4..1.0
reg_lambda: float 1e-2..10 log
"""
_CATBOOST = """
iterations: int 50..400 step 50
learning_rate: float 0.01..0.3 log
depth: int 3..8
l2_leaf_reg: float 0.5..10 log
"""
_SPACES = {
    ("sklearn", "LogisticRegression"): "C: float 1e-3..1e3 log\nclass_weight: None | balanced",
    ("sklearn", "RidgeClassifier"): "alpha: float 1e-3..1e3 log\nclass_weight: None | balanced",
    ("sklearn", "LinearSVC"): "C: float 1e-3..1e2 log\nclass_weight: None | balanced",
    ("sklearn", "LinearSVR"): "C: float 1e-3..1e2 log\nepsilon: float 1e-3..1 log",
    ("sklearn", "Ridge"): "alpha: float 1e-3..1e3 log",
    ("sklearn", "Lasso"): "alpha: float 1e-4..10 log",
    ("sklearn", "ElasticNet"): "alpha: float 1e-4..10 log\nl1_ratio: float 0.05..1.0",
    ("sklearn", "HuberRegressor"): "alpha: float 1e-6..1 log\nepsilon: float 1.05..3",
    (
        "sklearn",
        "KernelRidge",
    ): ("alpha: float 1e-3..10 log\nkernel: linear | rbf\ngamma: float 1e-4..1 log if kernel == rbf"),
    ("sklearn", "SVC"): _SVM + "class_weight: None | balanced",
    ("sklearn", "SVR"): _SVM + "epsilon: float 1e-3..1 log",
    ("sklearn", "KNeighborsClassifier"): _NEIGHBORS,
    ("sklearn", "KNeighborsRegressor"): _NEIGHBORS,
    ("sklearn", "MultinomialNB"): "alpha: float 1e-3..10 log",
    ("sklearn", "BernoulliNB"): "alpha: float 1e-3..10 log",
    ("sklearn", "QuadraticDiscriminantAnalysis"): "reg_param: float 0..1",
    ("sklearn", "LinearDiscriminantAnalysis"): (
        "solver: svd | lsqr\nshrinkage: None | auto | 0.1 | 0.3 | 0.6 if solver == lsqr"
    ),
    ("sklearn", "DecisionTreeClassifier"): _TREE + "criterion: gini | entropy",
    ("sklearn", "DecisionTreeRegressor"): _TREE,
    ("sklearn", "RandomForestClassifier"): _FOREST,
    ("sklearn", "RandomForestRegressor"): _FOREST,
    ("sklearn", "ExtraTreesClassifier"): _FOREST,
    ("sklearn", "ExtraTreesRegressor"): _FOREST,
    ("sklearn", "BaggingClassifier"): _BAGGING,
    ("sklearn", "BaggingRegressor"): _BAGGING,
    ("sklearn", "GradientBoostingClassifier"): _BOOSTING,
    ("sklearn", "GradientBoostingRegressor"): _BOOSTING,
    ("sklearn", "HistGradientBoostingClassifier"): _HIST_BOOSTING,
    ("sklearn", "HistGradientBoostingRegressor"): _HIST_BOOSTING,
    ("sklearn", "AdaBoostClassifier"): _ADA,
    ("sklearn", "AdaBoostRegressor"): _ADA,
    ("sklearn", "MLPClassifier"): _MLP,
    ("sklearn", "MLPRegressor"): _MLP,
    ("sklearn", "SGDClassifier"): _SGD,
    ("sklearn", "SGDRegressor"): _SGD,
    ("lightgbm", "LGBMClassifier"): _LIGHTGBM,
    ("lightgbm", "LGBMRegressor"): _LIGHTGBM,
    ("xgboost", "XGBClassifier"): _XGBOOST,
    ("xgboost", "XGBRegressor"): _XGBOOST,
    ("catboost", "CatBoostClassifier"): _CATBOOST,
    ("catboost", "CatBoostRegressor"): _CATBOOST,
}
#: Library and class of every estimator that has a space.
COVERED = tuple(_SPACES)


def default_space(model: Any) -> dict[str, Parameter]:
    """Return the space for a model, or for the last step of a pipeline under its prefix.

    Raises
    ------
    UsageError
        There is none for that class; the message shows a space that would do.
    """
    prefix, last = "", model
    while isinstance(getattr(last, "steps", None), list) and last.steps:
        step, last = last.steps[-1]
        prefix += f"{step}__"
    text = next((_SPACES[key] for cls in type(last).__mro__ if (key := _key_of(cls)) in _SPACES), None)
    if text is None:
        raise UsageError(
            f"no default search space for {type(last).__name__}; "
            f"give one, for example space={_example(last, prefix)!r}"
        )
    return under_prefix(parse_space(text), prefix)


def under_prefix(space: dict[str, Parameter], prefix: str) -> dict[str, Parameter]:
    """Return a space of a step in the names of its pipeline."""
    moved = {}
    for name, part in space.items():
        condition = part.condition
        if condition is not None:
            part = replace(part, condition=replace(condition, parent=prefix + condition.parent))
        moved[prefix + name] = part
    return moved


def _key_of(cls: type) -> tuple[str, str]:
    return cls.__module__.partition(".")[0], cls.__name__


def _example(model: Any, prefix: str) -> str:
    own = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    for name, value in own.items():
        if isinstance(value, float) and value > 0:
            return f"{prefix}{name}: float {value / 10:.3g}..{value * 10:.3g} log"
    for name, value in own.items():
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return f"{prefix}{name}: int {max(1, value // 2)}..{value * 2}"
    for name, value in own.items():
        if isinstance(value, bool):
            return f"{prefix}{name}: true | false"
    return f"{prefix}{next(iter(own), 'name')}: int 1..10"
