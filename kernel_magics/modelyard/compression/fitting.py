"""Fitting inside a recipe: networks look at the clock after each epoch, forests after some trees.

Everything else that is fitted here is fitted at once, and cannot be stopped by the clock: linear models, single trees,
short boosters, and a network whose solver is ``lbfgs``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor

from modelyard.compression.clock import look_at_clock
from modelyard.compression.last_step import last_step

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)

_TREES_AT_ONCE = 25
_SWALLOWED = "Training interrupted by user"
_EPOCH_ENDS = "_update_no_improvement_count"


@contextmanager
def quiet_fits() -> Iterator[None]:
    """Silence what fits warn of; Ctrl-C still stops everything, which a network of scikit-learn keeps to itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=_SWALLOWED)
            yield
    except UserWarning as warned:
        if not str(warned).startswith(_SWALLOWED):
            raise
        raise KeyboardInterrupt from warned


def fitted(estimator: Any, X: Any, y: Any, **given: Any) -> Any:
    """Fit an estimator as its own ``fit`` does, with the same result, and look at the clock meanwhile.

    Raises
    ------
    OutOfTimeError
        The time is over.
    """
    look_at_clock()
    last = last_step(estimator)
    if isinstance(last, MLPClassifier | MLPRegressor) and hasattr(last, _EPOCH_ENDS):
        with _each_epoch(last):
            return estimator.fit(X, y, **given)
    if estimator is last and isinstance(last, FORESTS) and not last.warm_start:
        return _forest_in_parts(last, X, y, **given)
    return estimator.fit(X, y, **given)


@contextmanager
def _each_epoch(network: Any) -> Iterator[None]:
    """Look at the clock where a network counts the epochs that brought nothing."""
    count = getattr(network, _EPOCH_ENDS)

    def look_and_count(*given: Any, **named: Any) -> None:
        look_at_clock()
        count(*given, **named)

    setattr(network, _EPOCH_ENDS, look_and_count)
    try:
        yield
    finally:
        delattr(network, _EPOCH_ENDS)


def _forest_in_parts(forest: Any, X: Any, y: Any, **given: Any) -> Any:
    """Grow a forest some trees at a time: with ``warm_start`` they are the trees that it would grow at once."""
    whole = forest.n_estimators
    forest.set_params(warm_start=True)
    try:
        for count in (*range(_TREES_AT_ONCE, whole, _TREES_AT_ONCE), whole):
            look_at_clock()
            forest.set_params(n_estimators=count).fit(X, y, **given)
    finally:
        forest.set_params(n_estimators=whole, warm_start=False)
    return forest
