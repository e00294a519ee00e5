"""A model that shap reads from inside, behind the steps in front of it, and its values on the original columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard_explainer.original_columns import (
    UncertainOriginError,
    part,
    steps_and_model,
    traced,
    transformed,
)
from modelyard_explainer.readings import Reading, Values, linear_reading, tree_reading

#: Modules of models of trees; what shap makes of them is checked, so that one too many does no harm.
_TREES = ("sklearn.tree.", "sklearn.ensemble.", "lightgbm.", "xgboost.", "catboost.")
_SECONDS_AT_ONCE = 0.5


def nowhere(rows: int) -> None:
    """Tell nobody of progress."""


@dataclass(frozen=True, eq=False)
class Inside:
    """A way to read a model, the steps in front of it, and where the columns that they make came from."""

    reading: Reading
    steps: list[Any]
    sources: NDArray[np.intp]

    def values(
        self, given: Any, columns: int, advance: Callable[[int], None] = nowhere
    ) -> tuple[Values, float]:
        """Return SHAP values of shape (rows, columns, outputs), and how far they are from what the model says.

        Parameters
        ----------
        given : DataFrame or array
            Rows of the original columns, as the first step takes them.
        columns : int
            How many original columns there are.
        advance : callable, optional
            Is told how many more rows are done.

        Raises
        ------
        UnfaithfulReadingError
            shap reads these rows otherwise than the model answers them.
        """
        rows = transformed(self.steps, given)
        found = np.concatenate(
            [self.reading.values(part(rows, chunk)) for chunk in _chunks(given.shape[0], advance)]
        )
        difference = self.reading.difference(found, rows)
        return summed(found, self.sources, columns), difference


def read(estimator: Any, behind: Any, classes: int, wanted: str | None) -> Inside | str:
    """Return how a fitted estimator is read from inside, or why it is not.

    Parameters
    ----------
    behind : DataFrame or array
        The rows of background, as the estimator takes them.
    classes : int
        How many; 0 for a regression.
    wanted : {"tree", "linear"}, optional
        How to read it, instead of what its kind says.
    """
    steps, model = steps_and_model(estimator)
    kind = wanted or _kind(model)
    if kind is None:
        return f"{type(model).__name__} is neither trees nor linear"
    try:
        made, sources = traced(steps, behind)
    except UncertainOriginError as reason:
        return str(reason)
    reading = (tree_reading if kind == "tree" else linear_reading)(model, made, classes)
    return reading if isinstance(reading, str) else Inside(reading, steps, sources)


def _kind(model: Any) -> str | None:
    module = f"{type(model).__module__}."
    if module.startswith(_TREES):
        return "tree"
    return "linear" if hasattr(model, "coef_") and hasattr(model, "intercept_") else None


def _chunks(rows: int, advance: Callable[[int], None]) -> Iterator[slice]:
    """Yield slices of about half a second of work each, so that progress is seen and Ctrl-C is heard."""
    start, size = 0, 16
    while start < rows:
        begun = time.perf_counter()
        end = min(rows, start + size)
        yield slice(start, end)
        advance(end - start)
        took = max(time.perf_counter() - begun, 1e-6)
        start, size = end, max(1, min(8 * size, int(size * _SECONDS_AT_ONCE / took)))


def summed(values: Values, sources: NDArray[np.intp], columns: int) -> Values:
    """Return SHAP values of transformed columns, summed into the original column that each came from.

    Parameters
    ----------
    values : ndarray of shape (rows, transformed columns, outputs)
    sources : ndarray of shape (transformed columns,)
        The place of each one's original column.
    columns : int
        How many original columns there are; one from which nothing came gets 0.

    Examples
    --------
    >>> summed(np.array([[[1.0], [2.0], [4.0]]]), np.array([2, 0, 2]), 3)[0, :, 0].tolist()
    [2.0, 0.0, 5.0]
    """
    if np.array_equal(sources, np.arange(columns)):
        return values
    found = np.zeros((len(values), columns, values.shape[2]))
    if not len(sources):
        return found
    order = np.argsort(sources, kind="stable")
    present, starts = np.unique(sources[order], return_index=True)
    found[:, present] = np.add.reduceat(values[:, order], starts, axis=1)
    return found
