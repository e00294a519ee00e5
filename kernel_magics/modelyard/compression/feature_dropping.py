"""Dropping features: the columns that carry least go, and the model is fitted again on the others.

Only of models that grow with their columns: networks, linear models, support vectors, neighbours. A tree is as large
with half of them. The steps of a pipeline before the model still take every column of the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline

from modelyard.compression.fitting import fitted
from modelyard.compression.last_step import fed_to_last, last_step, with_last
from modelyard.compression.protocol import Asked, Recipe
from modelyard.errors import ConversionError
from modelyard.evaluation.inputs import Samples

_SHARES = (0.75, 0.5, 0.25)
_LEAST_COLUMNS = 4
_ROWS = 500
_REPEATS = 2
_GROW = ("coefs_", "coef_", "support_vectors_", "_fit_X")


class FeatureDropping:
    """Keeps the columns whose shuffling costs the model most (`sklearn.inspection.permutation_importance`)."""

    order = 3
    combines = False
    options = ()

    def fits(self, model: Any) -> bool:
        last = last_step(model)
        return any(hasattr(last, name) for name in _GROW) and _columns(last) >= _LEAST_COLUMNS

    def candidates(self, asked: Asked) -> Iterator[Recipe]:
        whole = _columns(last_step(asked.model))
        for count in dict.fromkeys(max(1, round(share * whole)) for share in _SHARES):
            make = partial(_on_fewer, count=count, seed=asked.seed)
            yield Recipe("features", f"{count} of {whole} columns", make)


def _columns(last: Any) -> int:
    return int(getattr(last, "n_features_in_", 0))


def _on_fewer(model: Any, samples: Samples, count: int, seed: int) -> Any:
    X, last = fed_to_last(model, samples.X), last_step(model)
    if hasattr(X, "tocsr"):
        raise ConversionError("columns of a sparse matrix are not dropped; make it dense before the model")
    selector = _keeping(_importance(last, X, samples, seed), count, X)
    kept = X.iloc[:, selector.get_support(indices=True)] if hasattr(X, "iloc") else selector.transform(X)
    return with_last(model, make_pipeline(selector, fitted(clone(last), np.asarray(kept), samples.y)))


def _importance(last: Any, X: Any, samples: Samples, seed: int) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).permutation(samples.rows)[:_ROWS]
    shown = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
    found = permutation_importance(last, shown, samples.y[rows], n_repeats=_REPEATS, random_state=seed)
    return np.asarray(found["importances_mean"], dtype=np.float64)


def _keeping(importance: NDArray[np.float64], count: int, X: Any) -> SelectKBest:
    """Return a fitted selector of the most important columns; its scores are these importances."""
    selector = SelectKBest(k=count)
    selector.scores_, selector.pvalues_ = importance, None
    selector.n_features_in_ = len(importance)
    if hasattr(X, "columns") and all(isinstance(name, str) for name in X.columns):
        selector.feature_names_in_ = np.array(X.columns, dtype=object)
    return selector
