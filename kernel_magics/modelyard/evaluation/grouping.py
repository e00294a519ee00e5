"""Which rows belong together: a column of the table, or one value per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError, did_you_mean
from modelyard.evaluation.inputs import Samples

_SMALL_GROUP = 20  # rows; a column whose values stand for so few rows each tells rows apart


@dataclass(frozen=True, eq=False)
class Groups:
    """One group per row.

    Attributes
    ----------
    name : str
        The column, or empty where an array was given.
    values : ndarray of shape (rows,)
        The number of each row's group.
    count : int
        How many groups there are.
    remarks : tuple of str
        That the column is an identifier, where it is one.
    """

    name: str
    values: NDArray[np.intp]
    count: int
    remarks: tuple[str, ...] = ()


def column_of(X: Any, name: str, typed: str) -> pd.Series[Any]:
    """Return the column of a table by its name, of an array by its place.

    Raises
    ------
    UsageError
        There is no such column; `typed` is what was written.
    """
    if isinstance(X, pd.DataFrame):
        for label in X.columns:
            if str(label) == name:
                return X[label]
        known = [str(label) for label in X.columns]
        near = did_you_mean(name, known)
        shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        raise UsageError(f"X has no column {name!r} for {typed}; there are {shown}{near}")
    if not name.isdecimal() or len(getattr(X, "shape", ())) != 2 or hasattr(X, "tocsr"):
        raise UsageError(
            f"X is a {type(X).__name__} without column names, found {typed}; give a DataFrame, or one value per row"
        )
    if int(name) >= X.shape[1]:
        raise UsageError(f"X has no column {name} for {typed}; there are 0 to {X.shape[1] - 1}")
    return pd.Series(X[:, int(name)])


def found_groups(samples: Samples, column: str, groups: Any, typed: str) -> Groups:
    """Return the groups that a spec and ``groups=`` give together.

    Raises
    ------
    UsageError
        Neither or both name them, or there is no such column.
    InvalidInputError
        A row has no group, or all rows have the same one.
    """
    if isinstance(groups, str):
        column, groups = _only_one(column, groups), None
    if groups is not None and column:
        raise UsageError(f"{typed} names the groups, and groups= gives others; give one of the two")
    if groups is None and not column:
        raise UsageError(f"cv={typed!r} needs groups; type cv='{typed.partition(':')[0]}:COLUMN', or groups=")
    values = column_of(samples.X, column, typed) if column else pd.Series(np.asarray(groups))
    what = f"column {column!r}" if column else "groups"
    nulls = int(values.isna().sum())
    if nulls:
        raise InvalidInputError(
            f"{what} holds {nulls} null{'s' if nulls > 1 else ''} in {samples.rows} rows; give every row a group"
        )
    try:
        numbers, found = pd.factorize(values, sort=True)
    except TypeError:  # texts beside numbers
        numbers, found = pd.factorize(values)
    if len(found) < 2:
        raise InvalidInputError(
            f"{what} holds one group only, found {found.tolist()[0]!r} in {samples.rows} rows; "
            "type cv='stratified:5', or name a column with more groups"
        )
    remarks = (
        (_identifier(column, samples, len(found)),) if column and _tells_rows_apart(values, numbers) else ()
    )
    return Groups(column, np.asarray(numbers), len(found), remarks)


def _only_one(column: str, named: str) -> str:
    if column and column != named:
        raise UsageError(
            f"cv= names the column {column!r} and groups= the column {named!r}; give one of the two"
        )
    return named


def _tells_rows_apart(values: pd.Series[Any], numbers: NDArray[Any]) -> bool:
    measured = pd.api.types.is_float_dtype(values.dtype)
    return (
        not measured
        and len(np.unique(numbers)) > 10
        and float(np.median(np.bincount(numbers))) <= _SMALL_GROUP
    )


def _identifier(column: str, samples: Samples, count: int) -> str:
    name = repr(column)
    if isinstance(samples.X, pd.DataFrame):
        drop = f"groups = X[{name}]; X = X.drop(columns=[{name}]), and cv='group' with groups=groups"
    else:
        drop = f"groups = X[:, {column}]; X = np.delete(X, [{column}], axis=1), and cv='group' with groups=groups"
    return (
        f"column {name} marks the groups and is a feature too; with {count} values in {samples.rows} rows it looks "
        f"like an identifier, which says nothing about new groups; type {drop}"
    )
