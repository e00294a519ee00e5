"""Which rows of the training table become golden rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

QUANTILES = 8
CLASSES_AT_MOST = 20


def choose_rows(
    X: pd.DataFrame,
    y: Any,
    *,
    limit: int = 64,
    seed: int = 0,
    nullable: Collection[str] = (),
) -> pd.DataFrame:
    """Choose rows that show where a conversion goes wrong.

    Taken in this order until `limit` is reached: for each column of `nullable`, a row with that column
    made null; for each column with nulls, a row that has one; the rows with the smallest and the largest
    value of each numeric column; then rows drawn from every class of `y`, or from every eighth of a
    continuous `y`, in equal numbers.

    Parameters
    ----------
    X : pandas.DataFrame
        The training table.
    y : array-like of shape (rows,)
        The targets; ``None`` where there are none.
    limit : int
        How many rows at most. At least a quarter of them are drawn by target.
    seed : int
        The same seed gives the same rows.
    nullable : collection of str
        Columns that may be null in requests, whether or not one is in `X`.

    Returns
    -------
    pandas.DataFrame
        The rows, with a new index.
    """
    if len(X) == 0 or limit < 1:
        return X.head(0).reset_index(drop=True)
    random = np.random.default_rng(seed)
    special = limit - limit // 4  # at most: the rest is drawn by target
    holes = [name for name in X.columns if name in nullable][:special]
    edges = [row for row in _null_rows(X) + _extreme_rows(X)]
    chosen = list(dict.fromkeys(edges))[: special - len(holes)]
    remaining = np.setdiff1d(np.arange(len(X)), chosen)
    chosen += _drawn(_strata(y, len(X)), remaining, limit - len(holes) - len(chosen), random)

    rows = X.iloc[chosen]
    for name in holes:
        rows = pd.concat([rows, _with_hole(X, int(random.integers(len(X))), name)])
    return rows.reset_index(drop=True)


def _null_rows(X: pd.DataFrame) -> list[int]:
    nulls = X.isna().to_numpy()
    return [int(nulls[:, i].argmax()) for i in range(X.shape[1]) if nulls[:, i].any()]


def _extreme_rows(X: pd.DataFrame) -> list[int]:
    found = []
    for i in range(X.shape[1]):
        column = X.iloc[:, i]
        if not pd.api.types.is_numeric_dtype(column.dtype) or column.isna().all():
            continue
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        found += [int(np.nanargmin(values)), int(np.nanargmax(values))]
    return found


def _strata(y: Any, rows: int) -> Array:
    """Return the stratum of each row as an integer."""
    if y is None:
        return np.zeros(rows, dtype=np.int64)
    target = np.asarray(y)
    target = target[:, 0] if target.ndim > 1 else target
    codes, classes = pd.factorize(target, sort=False)
    if target.dtype.kind in "fiu" and len(classes) > CLASSES_AT_MOST:
        bins = pd.qcut(target, QUANTILES, labels=False, duplicates="drop")
        return np.nan_to_num(np.asarray(bins, dtype=np.float64), nan=-1).astype(np.int64)
    return np.asarray(codes, dtype=np.int64)


def _drawn(strata: Array, among: Array, count: int, random: np.random.Generator) -> list[int]:
    """Draw `count` rows, one from each stratum in turn."""
    queues = [random.permutation(among[strata[among] == stratum]).tolist() for stratum in np.unique(strata)]
    drawn: list[int] = []
    while len(drawn) < count and any(queues):
        for queue in queues:
            if queue and len(drawn) < count:
                drawn.append(queue.pop())
    return drawn


def _with_hole(X: pd.DataFrame, row: int, name: str) -> pd.DataFrame:
    """Return a copy of a row with one column null.

    A column of objects gets the null that it has already, or NaN, which is what tables read from files
    have: scikit-learn's ``SimpleImputer`` fills NaN and leaves ``None``.
    """
    holed = X.iloc[[row]].copy()
    column = X[name]
    dtype: Any = column.dtype
    null: Any = np.nan
    if isinstance(dtype, np.dtype):
        if dtype.kind in "iu":
            dtype = np.dtype(np.float64)
        elif dtype.kind == "b":
            dtype = np.dtype(object)
        elif dtype.kind in "mM":
            null = pd.NaT
        elif dtype.kind == "O" and column.isna().any():
            null = column[column.isna()].iloc[0]
    else:
        null = dtype.na_value
    holed.isetitem(list(X.columns).index(name), pd.Series([null], index=holed.index, dtype=dtype))
    return holed


def as_values(series: pd.Series) -> list[Any]:
    """Return a column as JSON has it: plain values, ``None`` for every missing one."""
    return [None if gone else value for value, gone in zip(series.tolist(), series.isna(), strict=True)]


def as_table(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a frame of distinct names as JSON has it: lists by column, ``None`` for every missing value."""
    return {str(name): as_values(series) for name, series in frame.items()}
