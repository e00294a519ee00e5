"""The slices of a table: the values of a column, or quarters of its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation.grouping import column_of
from modelyard.evaluation.inputs import Samples
from modelyard.presentation import number

_MOST_SLICES = 30  # of one column; its rarer values are one slice together
_FEW_NUMBERS = 10  # distinct numbers that are taken as they are


def slices_of(samples: Samples, by: Any) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the name and the rows of each slice.

    Parameters
    ----------
    by : str, array, Series, DataFrame, or list of them
        Columns of X by name, or one value per row. Several are sliced each by itself. Numbers of more than ten
        distinct values are cut into quarters; nulls are a slice; of many values the 29 most frequent are slices, and
        the others one.

    Raises
    ------
    UsageError
        No such column.
    InvalidInputError
        An array of another length than the rows.
    """
    for name, values in _columns(samples, by):
        if len(values) != samples.rows:
            raise InvalidInputError(
                f"by and X differ in length: {len(values)} and {samples.rows}; give one value per row"
            )
        yield from _cut(name, values.reset_index(drop=True))


def _columns(samples: Samples, by: Any) -> Iterator[tuple[str, pd.Series[Any]]]:
    if isinstance(by, str):
        yield by, column_of(samples.X, by, f"by={by!r}")
    elif isinstance(by, pd.DataFrame):
        yield from ((str(name), by[name]) for name in by.columns)
    elif isinstance(by, pd.Series):
        yield str(by.name or "by"), by
    elif isinstance(by, list | tuple) and by and len(by) != samples.rows:
        for each in by:
            if np.isscalar(each) and not isinstance(each, str):
                raise UsageError(
                    f"by has {len(by)} values and X {samples.rows} rows; name a column, type by='region', "
                    "or give one value per row"
                )
            yield from _columns(samples, each)
    elif np.ndim(by) == 1 and len(by):
        yield "by", pd.Series(np.asarray(by))
    else:
        raise UsageError(f"by is a column or one value per row, found {type(by).__name__}; type by='region'")


def _cut(name: str, values: pd.Series[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    null = values.isna().to_numpy()
    ordered = pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(
        values.dtype
    )
    truths = pd.api.types.is_bool_dtype(values.dtype)
    if ordered and not truths and values.nunique() > _FEW_NUMBERS:
        yield from _quarters(name, values, null)
    else:
        texts = values.astype(object)
        counts = texts[~null].astype(str).value_counts()
        kept = list(counts.index if len(counts) <= _MOST_SLICES else counts.index[: _MOST_SLICES - 1])
        spelled = texts.astype(str).to_numpy()
        for value in sorted(kept):
            yield f"{name}={value}", (spelled == value) & ~null
        if len(kept) < len(counts):
            yield f"{name}: {len(counts) - len(kept)} rarer values", ~np.isin(spelled, kept) & ~null
    if null.any():
        yield f"{name} is null", null


def _quarters(
    name: str, values: pd.Series[Any], null: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    dated = pd.api.types.is_datetime64_any_dtype(values.dtype)
    numbers = (
        values.astype("int64").to_numpy(float) if dated else values.to_numpy(dtype=float, na_value=np.nan)
    )
    edges = np.unique(np.quantile(numbers[~null], [0.25, 0.5, 0.75]))
    part = np.searchsorted(edges, numbers, side="left")
    for place in range(len(edges) + 1):
        rows = (part == place) & ~null
        if rows.any():
            low, high = values[rows].min(), values[rows].max()
            ends = (str(low), str(high)) if dated else (number(float(low)), number(float(high)))
            yield f"{name} {ends[0]} to {ends[1]}", rows
