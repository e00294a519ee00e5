"""The rows that a model is asked with: one frame of text-named columns, and the way back to what the model takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modelyard.errors import InvalidInputError, listing

_MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as a frame, without a copy where `X` is one of the right columns or an array.

    Attributes
    ----------
    frame : DataFrame
    shaped : callable
        Turns a frame of these columns into what the model was fitted on.
    notes : tuple of str
        What was left out.
    """

    frame: pd.DataFrame
    shaped: Callable[[pd.DataFrame], Any]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.frame.columns)


def rows_of(X: Any, fitted: Sequence[str] | None, width: int | None) -> Rows:
    """Look at `X` and return it as rows.

    Parameters
    ----------
    X : DataFrame, Series of texts, array, or list of rows
    fitted : sequence of str, optional
        The columns that the model knows by name.
    width : int, optional
        How many columns the model was fitted on.

    Raises
    ------
    InvalidInputError
        `X` is no table, is empty, or does not have the columns that the model was fitted on.
    """
    if isinstance(X, pd.DataFrame):
        found = _of_frame(X, fitted)
    elif isinstance(X, pd.Series):
        name = "text" if X.name is None else str(X.name)
        found = Rows(X.to_frame(name), lambda frame: frame.iloc[:, 0])
    else:
        found = _of_array(X, fitted, width)
    if len(found.frame) == 0:
        raise InvalidInputError("X has no rows; give at least one")
    if width is not None and isinstance(X, pd.DataFrame) and len(found.columns) != width:
        raise InvalidInputError(
            f"X has {len(found.columns)} columns, the model was fitted on {width}; give those it was fitted on"
        )
    return found


def _of_frame(X: pd.DataFrame, fitted: Sequence[str] | None) -> Rows:
    names = [str(name) for name in X.columns]
    if len(set(names)) < len(names):
        twice = listing({name for name in names if names.count(name) > 1})
        raise InvalidInputError(f"X has more than one column named {twice}; rename them")
    frame = X
    shaped: Callable[[pd.DataFrame], Any] = _as_it_is
    notes: tuple[str, ...] = ()
    if names != list(X.columns):
        frame = X.copy(deep=False)
        frame.columns = pd.Index(names)
        shaped = _renamed(X.columns)
    if fitted is not None and names != list(fitted):
        frame, notes = _ordered(frame, fitted)
    return Rows(frame, shaped, notes)


def _ordered(frame: pd.DataFrame, fitted: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    missing = [name for name in fitted if name not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"X lacks {_some(missing)}, which the model was fitted on; found {_some(list(frame.columns))}"
        )
    beyond = [name for name in frame.columns if name not in set(fitted)]
    notes = (f"left out, since the model was not fitted on it: {_some(beyond)}",) if beyond else ()
    return frame[list(fitted)], notes


def _of_array(X: Any, fitted: Sequence[str] | None, width: int | None) -> Rows:
    if hasattr(X, "tocsr"):
        raise InvalidInputError(
            "X is a sparse matrix; give the table that it was made of with the whole pipeline, or X.toarray()"
        )
    if X is None or isinstance(X, str | bytes | dict) or np.isscalar(X):
        raise InvalidInputError(
            f"X is no table, found {type(X).__name__}; give a DataFrame or an array of rows"
        )
    try:
        table = np.asarray(X)
    except ValueError:
        raise InvalidInputError(
            f"X is no table, found a {type(X).__name__} of uneven rows; give rows of equal length"
        ) from None
    if not isinstance(X, np.ndarray) and table.dtype.kind in "US":
        table = np.asarray(X, dtype=object)  # numpy would turn the numbers beside a text into texts
    if table.ndim == 1 and table.dtype.kind in "OU":
        return Rows(pd.DataFrame({"text": table}), lambda frame: frame.iloc[:, 0].to_numpy())
    if table.ndim != 2:
        raise InvalidInputError(f"X must have rows and columns, found shape {tuple(table.shape)}")
    expected = len(fitted) if fitted is not None else width
    if expected is not None and table.shape[1] != expected:
        raise InvalidInputError(
            f"X has {table.shape[1]} columns, the model was fitted on {expected}; give those it was fitted on"
        )
    if fitted is not None:
        return Rows(pd.DataFrame(table, columns=list(fitted), copy=False), _as_it_is)
    names = [f"x{place}" for place in range(table.shape[1])]
    dtype = table.dtype
    return Rows(
        pd.DataFrame(table, columns=names, copy=False),
        lambda frame: frame.to_numpy(dtype=dtype),
    )


def _as_it_is(frame: pd.DataFrame) -> Any:
    return frame


def _renamed(columns: pd.Index[Any]) -> Callable[[pd.DataFrame], Any]:
    return lambda frame: frame.set_axis(columns, axis=1)


def _some(names: Sequence[str]) -> str:
    beyond = len(names) - _MOST_NAMED
    return ", ".join(map(repr, names[:_MOST_NAMED])) + (f" and {beyond} more" if beyond > 0 else "")
