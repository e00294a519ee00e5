"""The fitted objects that an estimator is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier

from modelyard.conversion._boosters import is_booster

PART = (BaseEstimator, _CalibratedClassifier)


def parts(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and everything fitted or unfitted inside it, each object once, outside first.

    A booster of another library is one part, whatever is inside.
    """
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if is_booster(found):
            yield found
        elif isinstance(found, PART):
            yield found
            waiting.extend(vars(found).values())
        elif isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, (list, tuple)):
            waiting.extend(found)
        elif isinstance(found, np.ndarray) and found.dtype == object:
            waiting.extend(found.ravel())


def rebuild(
    estimator: Any, change: Callable[[Any], Any], done: dict[int, tuple[Any, Any]] | None = None
) -> Any:
    """Replace every part, innermost first, by what `change` makes of it; the object is changed in place."""
    done = {} if done is None else done
    if id(estimator) in done:
        return done[id(estimator)][1]
    if is_booster(estimator):
        result = change(estimator)
    elif isinstance(estimator, PART):
        for name, value in list(vars(estimator).items()):
            if is_booster(value) or isinstance(value, (*PART, list, tuple, dict, np.ndarray)):
                setattr(estimator, name, rebuild(value, change, done))
        result = change(estimator)
    elif isinstance(estimator, dict):
        for key, value in estimator.items():
            estimator[key] = rebuild(value, change, done)
        result = estimator
    elif isinstance(estimator, list):
        estimator[:] = [rebuild(item, change, done) for item in estimator]
        result = estimator
    elif type(estimator) is tuple:
        return tuple(rebuild(item, change, done) for item in estimator)
    elif isinstance(estimator, np.ndarray) and estimator.dtype == object:
        for place, item in np.ndenumerate(estimator):
            if is_booster(item) or isinstance(item, PART):
                estimator[place] = rebuild(item, change, done)
        result = estimator
    else:
        return estimator
    done[id(estimator)] = (estimator, result)  # what was replaced stays alive, so that its id stays its own
    return result
