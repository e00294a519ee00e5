"""Cheap findings that make a score untrustworthy: imbalance, copies across folds, a column that tells all.

Each finding is one sentence that says what was found and what to type instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.splitters import Folds

_PEEK = 200  # rows that rule most columns out before all are read


def findings(samples: Samples, folds: Folds) -> tuple[str, ...]:
    """Return what is suspicious about these samples under these folds, at most one sentence of a kind.

    Sparse matrices, and columns whose values cannot be hashed, are not looked into.
    """
    table = _as_frame(samples.X)
    found = [*_imbalance(samples, folds)]
    if table is not None:
        found += [*_copies(table, folds), *_tell_all(table, samples)]
    return tuple(found)


def _as_frame(X: Any) -> pd.DataFrame | None:
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, pd.Series):
        return X.to_frame()
    return pd.DataFrame(X) if isinstance(X, np.ndarray) else None


def _imbalance(samples: Samples, folds: Folds) -> Iterator[str]:
    """Under plain k-fold: a class below half its even share, or missing from a test fold."""
    if samples.classes is None or not folds.label.lower().startswith("kfold"):
        return
    _, codes, counts = np.unique(samples.y, return_inverse=True, return_counts=True)
    size = len(counts)
    missing = np.zeros(size, dtype=np.intp)
    for _, test in folds.splits:
        missing += np.bincount(codes[test], minlength=size) == 0
    rare = [i for i in np.argsort(counts) if counts[i] < samples.rows / size / 2 or missing[i]]
    if rare:
        names = ", ".join(
            f"{samples.classes.tolist()[i]!r} ({counts[i]} of {samples.rows} rows)" for i in rare[:3]
        )
        more = f" and {len(rare) - 3} more" if len(rare) > 3 else ""
        gone = int(max(missing[i] for i in rare))
        where = f", and {gone} of {len(folds.splits)} test folds lack one" if gone else ""
        plural = "classes are" if len(rare) > 1 else "class is"
        share = max(2, min(5, int(counts.min())))
        yield f"{plural} rare under {folds.label}: {names}{more}{where}; type cv='stratified:{share}'"


def _copies(table: pd.DataFrame, folds: Folds) -> Iterator[str]:
    """Rows judged in a fold whose exact copy the model has learned from."""
    try:
        prints = pd.util.hash_pandas_object(table, index=False).to_numpy()
    except TypeError:  # a cell holds a list or the like
        return
    _, ids, sizes = np.unique(prints, return_inverse=True, return_counts=True)
    copied = sizes[ids] > 1
    if not copied.any():
        return
    if folds.one_row_each:
        straddling = int(copied.sum())
    else:
        leaked = np.zeros(len(ids), dtype=bool)
        for train, test in folds.splits:
            learned = np.zeros(len(sizes), dtype=bool)
            learned[ids[train]] = True
            leaked[test] |= copied[test] & learned[ids[test]]
        straddling = int(leaked.sum())
    if straddling:
        be = "row has" if straddling == 1 else "rows have"
        yield (
            f"{straddling} of {len(ids)} {be} an exact copy in the part that the model learned from; "
            "drop copies, type keep = ~pd.DataFrame(X).duplicated().to_numpy(); X, y = X[keep], y[keep]"
        )


def _tell_all(table: pd.DataFrame, samples: Samples) -> Iterator[str]:
    """Columns that alone are the target: equal to it, or one value for each class and the reverse."""
    matches = _equals if samples.classes is None else _stands_for
    targets = samples.y if samples.classes is None else np.unique(samples.y, return_inverse=True)[1]
    if len(targets) < 3 or len(np.unique(targets)) in (1, len(targets) if samples.classes is not None else 0):
        return
    names = []
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if matches(column[:_PEEK], targets[:_PEEK]) and matches(column, targets):
            names.append(table.columns[place])
    if not names:
        return
    listed = ", ".join(repr(name) for name in names)
    what = f"columns {listed} each give" if len(names) > 1 else f"column {listed} alone gives"
    drop = f"X = X.drop(columns=[{listed}])"
    if not isinstance(samples.X, pd.DataFrame):
        drop = f"X = np.delete(X, [{listed}], axis=1)"
    yield f"{what} the target away, every row agrees; unless a prediction will have it, type {drop}"


def _equals(column: pd.Series[Any], targets: NDArray[Any]) -> bool:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return False
    return bool(np.array_equal(column.to_numpy(dtype=float, na_value=np.nan), targets.astype(float)))


def _stands_for(column: pd.Series[Any], codes: NDArray[Any]) -> bool:
    try:
        values, distinct = pd.factorize(column, use_na_sentinel=False)
    except TypeError:  # a cell holds a list or the like
        return False
    kinds = len(np.unique(codes))
    pairs = np.unique(values.astype(np.int64) * (int(codes.max()) + 1) + codes)
    return len(distinct) == kinds == len(pairs)
