"""A table by columns: which are numbers, which are not, and a sample of the rows where there are many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.inputs import Samples

Floats = NDArray[np.float64]

MOST_ROWS = 100_000  # rows that are looked at
_PEEK = 1_000  # rows that rule most columns out before all are read


@dataclass(frozen=True, eq=False)
class Columns:
    """The looked-at rows of a table, column by column.

    Attributes
    ----------
    table : DataFrame or ndarray of shape (all rows, columns)
        What the model gets.
    names : list
        Column names, or numbers for an array.
    rows : int
        All rows.
    picked : ndarray or None
        The rows that are looked at, in their order; ``None`` where that is all.
    numeric, other : list of int
        Places of the columns of numbers (booleans are not), and of the rest.
    """

    table: Any
    names: list[Any]
    rows: int
    picked: NDArray[np.intp] | None
    numeric: list[int]
    other: list[int]

    @property
    def looked_at(self) -> int:
        return self.rows if self.picked is None else len(self.picked)

    @property
    def places(self) -> NDArray[np.intp]:
        """The place in the whole table of each row that is looked at."""
        return np.arange(self.rows) if self.picked is None else self.picked

    @cached_property
    def numbers(self) -> Floats:
        """The columns of numbers, of shape (looked at, numeric), nulls as NaN."""
        return self._numbers(self.picked)

    @cached_property
    def peek(self) -> NDArray[np.intp]:
        """A few of the rows that are looked at, as places among them, shuffled."""
        return np.random.default_rng(0).permutation(self.looked_at)[:_PEEK]

    @cached_property
    def glance(self) -> Floats:
        """The columns of numbers of the few rows in `peek`."""
        return np.asarray(self.numbers[self.peek])

    def whole(self, place: int) -> Floats:
        """Return all rows of one column of numbers."""
        return _as_floats(self.column(place))

    def values(self, place: int) -> Any:
        """Return the looked-at rows of any column."""
        column = self.column(place)
        if self.picked is None:
            return column
        return column.iloc[self.picked] if hasattr(column, "iloc") else column[self.picked]

    @cached_property
    def codes(self) -> list[NDArray[np.intp]] | None:
        """Of each column that is no number, the number of each value; ``None`` where one cannot be hashed."""
        try:
            return [pd.factorize(self.values(place), use_na_sentinel=False)[0] for place in self.other]
        except TypeError:  # a cell holds a list or the like
            return None

    def note(self) -> str:
        """Return how many rows were looked at, where that is not all."""
        return "" if self.picked is None else f" (of {self.looked_at:,} rows looked at)"

    def drop(self, names: list[Any]) -> str:
        """Return what to type to take columns away."""
        listed = ", ".join(repr(name) for name in names)
        if hasattr(self.table, "drop"):
            return f"X = X.drop(columns=[{listed}])"
        return f"X = np.delete(X, [{listed}], axis=1)"

    def column(self, place: int) -> Any:
        """Return all rows of any column."""
        return self.table.iloc[:, place] if hasattr(self.table, "iloc") else self.table[:, place]

    def _numbers(self, rows: NDArray[np.intp] | None) -> Floats:
        table = self.table
        if isinstance(table, np.ndarray):
            return np.asarray(table if rows is None else table[rows], dtype=float)
        if len(self.numeric) == len(self.names) and all(kind == np.float64 for kind in table.dtypes):
            found = table.to_numpy()  # no copy where the frame is one block
            return np.asarray(found if rows is None else found[rows])
        parts = [_as_floats(self.values(place)) for place in self.numeric]
        return np.column_stack(parts) if parts else np.empty((self.looked_at, 0))


def columns_of(samples: Samples) -> Columns | None:
    """Return the columns of the rows, or ``None`` for sparse matrices and what is no table."""
    table = samples.X
    if isinstance(table, pd.Series):
        table = table.to_frame()
    if isinstance(table, np.ndarray) and table.dtype.kind not in "iuf":
        table = pd.DataFrame(table).infer_objects()
    if not isinstance(table, pd.DataFrame | np.ndarray) or table.ndim != 2:
        return None
    picked = None
    if samples.rows > MOST_ROWS:
        picked = np.sort(np.random.default_rng(0).choice(samples.rows, MOST_ROWS, replace=False))
    if isinstance(table, np.ndarray):
        names: list[Any] = list(range(table.shape[1]))
        numeric = list(range(table.shape[1]))
    else:
        names = list(table.columns)
        numeric = [place for place, kind in enumerate(table.dtypes) if _is_number(kind)]
    other = sorted(set(range(len(names))) - set(numeric))
    return Columns(table, names, samples.rows, picked, numeric, other)


def named(names: list[Any], most: int = 5) -> str:
    """Return columns as one phrase: ``column 'a'``, ``columns 'a', 'b' and 3 more``."""
    shown = ", ".join(repr(name) for name in names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"


def _is_number(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) and not (
        pd.api.types.is_bool_dtype(kind) or pd.api.types.is_complex_dtype(kind)
    )


def _as_floats(column: Any) -> Floats:
    if isinstance(column, np.ndarray):
        return np.asarray(column, dtype=float)
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
