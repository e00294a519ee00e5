"""A transformer that was fitted before the folds were cut, and made the rows that are now evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from modelyard.evaluation.inputs import Samples

_SAMPLE = 50  # rows that are transformed to see whether they become the evaluated ones
_MOST_REFITTED = (
    5_000_000  # numbers of a table on which a transformer is fitted again to prove where it was fitted
)
_FAILS = (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError)


def fitted_outside(samples: Samples, objects: Mapping[str, Any]) -> Iterator[str]:
    """Name a fitted transformer whose output of another table is `X`, and that was fitted on all rows of that table.

    Transformers that learn nothing may be used outside. That it was fitted on all rows is proved by fitting a clone on
    them, where the table is not too large; one fitted on other rows, such as a training part, is none.
    """
    transformers = {name: each for name, each in objects.items() if is_fitted_transformer(each)}
    tables = {name: each for name, each in objects.items() if is_table(each, samples.rows)}
    if not transformers or not tables:
        return
    rows = np.linspace(0, samples.rows - 1, min(_SAMPLE, samples.rows)).astype(np.intp)
    wanted = _plain(samples.take(np.unique(rows)))
    if wanted is None:
        return
    for name, transformer in transformers.items():
        for table_name, table in tables.items():
            if table is samples.X or not _makes(transformer, table, np.unique(rows), wanted):
                continue
            if _fits_the_same(transformer, table, samples, np.unique(rows), wanted):
                kind, selects = type(transformer).__name__, hasattr(transformer, "get_support")
                yield (
                    f"X is what {name} ({kind}) makes of {table_name}, and {name} was fitted on all rows, those to be "
                    f"judged among them{', with their targets' if selects else ''}; give {table_name} and let the "
                    f"folds fit it, type make_pipeline({kind}(…), model) with X={table_name}"
                )
                return


def is_fitted_transformer(candidate: Any) -> bool:
    """Whether an object is a fitted transformer that learns something in its fit."""
    if isinstance(candidate, type) or not all(
        hasattr(candidate, name) for name in ("fit", "transform", "get_params")
    ):
        return False
    try:
        if not get_tags(candidate).requires_fit:
            return False
        check_is_fitted(candidate)
    except (NotFittedError, *_FAILS):
        return False
    return True


def is_table(candidate: Any, rows: int | None) -> bool:
    """Whether an object is a table of that many rows, or of any number."""
    table = isinstance(candidate, pd.DataFrame | np.ndarray) and candidate.ndim == 2
    return table and rows in (None, candidate.shape[0])


def _plain(rows: Any) -> NDArray[Any] | None:
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    values = np.asarray(rows)
    return values.reshape(len(values), -1) if values.dtype.kind in "iufb" else None


def _cut(table: Any, rows: NDArray[np.intp]) -> Any:
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


def _equal(made: Any, wanted: NDArray[Any]) -> bool:
    found = _plain(made)
    if found is None or found.shape != wanted.shape:
        return False
    return bool(np.allclose(found.astype(float), wanted.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True))


def _makes(transformer: Any, table: Any, rows: NDArray[np.intp], wanted: NDArray[Any]) -> bool:
    expected = getattr(transformer, "n_features_in_", table.shape[1])
    if expected != table.shape[1]:
        return False
    part = _cut(table, rows)
    before = _plain(part)
    if before is not None and before.shape == wanted.shape and np.array_equal(before, wanted):
        return False  # it changes nothing here
    try:
        return _equal(transformer.transform(part), wanted)
    except _FAILS:  # a table that it was not made for
        return False


def _fits_the_same(
    transformer: Any, table: Any, samples: Samples, rows: NDArray[np.intp], wanted: NDArray[Any]
) -> bool:
    if table.shape[0] * table.shape[1] > _MOST_REFITTED:
        return True
    try:
        return _equal(clone(transformer).fit(table, samples.y).transform(_cut(table, rows)), wanted)
    except _FAILS:
        return True
