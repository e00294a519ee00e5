"""Which boosters are fed sparse matrices: XGBoost takes what such a matrix does not store for missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier
from sklearn.pipeline import Pipeline

from modelyard.conversion._boosters import is_booster
from modelyard.conversion._parts import parts


def fed_sparse(estimator: Any, rows: pd.DataFrame) -> frozenset[int]:
    """Return the ids of the boosters inside `estimator` that see a sparse matrix when it predicts `rows`."""
    if not any(is_booster(part) for part in parts(estimator)):
        return frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names and unknown categories
        return frozenset(_walk(estimator, rows))


def _walk(estimator: Any, rows: Any) -> Iterator[int]:
    if is_booster(estimator):
        if issparse(rows):
            yield id(estimator)
    elif isinstance(estimator, Pipeline):
        before = estimator[:-1]
        yield from _walk(estimator.steps[-1][1], before.transform(rows) if before.steps else rows)
    else:
        for member in _members(estimator):
            yield from _walk(member, rows)


def _members(estimator: Any) -> Iterator[Any]:
    """Yield the fitted estimators that are given the same rows as `estimator`."""
    if isinstance(estimator, _CalibratedClassifier):
        yield estimator.estimator
        return
    for name in ("estimators_", "estimator_", "regressor_", "best_estimator_", "calibrated_classifiers_"):
        found = getattr(estimator, name, None)
        for member in found if isinstance(found, list) else [found]:
            if isinstance(member, (BaseEstimator, _CalibratedClassifier)) or is_booster(member):
                yield member
