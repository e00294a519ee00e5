"""Spaces for the common scikit-learn estimators, in the language of spaces."""

from __future__ import annotations

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
max_depth: int 3..20
min_samples_leaf: int 1..10
max_features: sqrt | log2 | 0.5 | 1.0
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
"""
_SPACES = {
    "LogisticRegression": "C: float 1e-3..1e3 log\nclass_weight: None | balanced",
    "Ridge": "alpha: float 1e-3..1e3 log",
    "Lasso": "alpha: float 1e-4..10 log",
    "ElasticNet": "alpha: float 1e-4..10 log\nl1_ratio: float 0.05..1.0",
    "SVC": "C: float 1e-2..1e3 log\ngamma: float 1e-4..10 log\nclass_weight: None | balanced",
    "SVR": "C: float 1e-2..1e3 log\ngamma: float 1e-4..10 log\nepsilon: float 1e-3..1 log",
    "KNeighborsClassifier": _NEIGHBORS,
    "KNeighborsRegressor": _NEIGHBORS,
    "DecisionTreeClassifier": _TREE + "criterion: gini | entropy",
    "DecisionTreeRegressor": _TREE,
    "RandomForestClassifier": _FOREST,
    "RandomForestRegressor": _FOREST,
    "ExtraTreesClassifier": _FOREST,
    "ExtraTreesRegressor": _FOREST,
    "GradientBoostingClassifier": _BOOSTING,
    "GradientBoostingRegressor": _BOOSTING,
    "HistGradientBoostingClassifier": _HIST_BOOSTING,
    "HistGradientBoostingRegressor": _HIST_BOOSTING,
    "AdaBoostClassifier": _ADA,
    "AdaBoostRegressor": _ADA,
    "MLPClassifier": _MLP,
    "MLPRegressor": _MLP,
    "SGDClassifier": _SGD,
    "SGDRegressor": _SGD,
}
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
    text = next((_SPACES[c.__name__] for c in type(last).__mro__ if _is_covered(c)), None)
    if text is None:
        raise UsageError(
            f"no default search space for {type(last).__name__}; "
            f"give one, for example space={_example(last, prefix)!r}"
        )
    return {prefix + name: parameter for name, parameter in parse_space(text).items()}


def _is_covered(cls: type) -> bool:
    return cls.__name__ in _SPACES and cls.__module__.partition(".")[0] == "sklearn"


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
