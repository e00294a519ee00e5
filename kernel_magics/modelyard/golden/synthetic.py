"""Rows that nobody is in: drawn from what a bundle says of the training table anyway."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

_BINS = 10
_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")


def synthetic_rows(X: pd.DataFrame, texts: Collection[str], *, rows: int, seed: int = 0) -> pd.DataFrame:
    """Draw rows like those of a table, each column by itself, so that none of them is a row of it.

    A number is drawn uniformly from one of the ten bins of equal frequency that its column has, a category
    with the frequency that it has, a null as often as there are nulls. A free text is made of Greek letters' names.
    What holds between columns is lost: these rows show that a conversion is faithful, not how good a model is.

    Parameters
    ----------
    X : DataFrame of shape (n, columns)
    texts : collection of str
        The columns of free text, no value of which may travel.
    rows : int
    seed : int
        The same seed gives the same rows.

    Returns
    -------
    DataFrame of shape (rows, columns)
        Of the same dtypes; whole numbers stay whole.
    """
    random = np.random.default_rng(seed)
    drawn = {name: _drawn(X[name], name in texts, rows, random) for name in X.columns}
    return pd.DataFrame(drawn)


def _drawn(series: pd.Series, free_text: bool, rows: int, random: np.random.Generator) -> pd.Series:
    present = series.dropna()
    holes = random.random(rows) < 1 - len(present) / len(series)
    if not len(present):
        values: Any = series.sample(rows, replace=True, random_state=0).to_numpy()
        return pd.Series(values, dtype=series.dtype)
    if free_text:
        made = [" ".join(random.choice(_WORDS, size=random.integers(1, 12))) for _ in range(rows)]
    elif pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        made = _numbers(present.to_numpy(dtype=np.float64), rows, random).tolist()
        if pd.api.types.is_integer_dtype(series.dtype):
            made = [round(value) for value in made]
    else:
        counts = present.value_counts(normalize=True).sort_index()
        kinds = counts.index.tolist()
        made = [kinds[i] for i in random.choice(len(kinds), size=rows, p=counts.to_numpy(dtype=float))]
    null = series[series.isna()].iloc[0] if len(present) < len(series) else None
    filled = [null if hole else value for value, hole in zip(made, holes, strict=True)]
    return pd.Series(filled, dtype=series.dtype)


def _numbers(values: Array, rows: int, random: np.random.Generator) -> Array:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(rows)
    edges = np.quantile(finite, np.linspace(0, 1, _BINS + 1))
    which = random.integers(_BINS, size=rows)
    drawn: Array = random.uniform(edges[which], edges[which + 1])
    return drawn
