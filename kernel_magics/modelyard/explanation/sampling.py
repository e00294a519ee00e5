"""Which rows are explained, and which stand for what is not known: given, or drawn within a bound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError
from modelyard.explanation.rows import Rows

#: Rows that are explained, and rows of background, where nothing is said.
ROWS, BACKGROUND = 200, 100
#: More would take hours, and say the same as a sample.
MOST_BACKGROUND = 10_000

_PART = re.compile(r"-?\d+|(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")
_HOW_ROWS = "type rows=[0, 3, 17], rows='0,3,17', or rows=slice(0, 100)"


def chosen_places(
    rows: Any, total: int, generator: np.random.Generator
) -> tuple[NDArray[np.intp], str | None]:
    """Return the places of the rows to explain, and a note where they were drawn.

    Parameters
    ----------
    rows : None, int, str, slice, sequence of int, or mask
        Positions in `X`, not labels of its index; negative ones count from the end. As text: ``0,3,17``, ``0:100``.
    total : int
        How many rows there are.

    Raises
    ------
    UsageError
        They are no positions, or beyond `X`.
    """
    if rows is None:
        if total <= ROWS:
            return np.arange(total), None
        drawn = np.sort(generator.choice(total, ROWS, replace=False, shuffle=False))
        return drawn, f"{ROWS} of {total:,} rows, drawn by the seed; type rows= for others"
    places = _read(rows, total)
    if places.size == 0:
        raise UsageError(f"rows={rows!r} is no row; {_HOW_ROWS}")
    beyond = places[(places < -total) | (places >= total)]
    if beyond.size:
        raise UsageError(f"row {beyond[0]} is beyond X, which has the rows 0 to {total - 1}")
    return np.where(places < 0, places + total, places), None


def _read(rows: Any, total: int) -> NDArray[np.intp]:
    if isinstance(rows, str):
        return np.concatenate([_read_part(part.strip(), rows, total) for part in rows.split(",")])
    if isinstance(rows, slice):
        return np.arange(total)[rows]
    found = np.atleast_1d(np.asarray(rows))
    if found.dtype == bool and found.shape == (total,):
        return np.flatnonzero(found)
    if found.size == 0:
        return np.empty(0, dtype=np.intp)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UsageError(f"rows are positions in X, found {rows!r}; {_HOW_ROWS}")
    return found.astype(np.intp)


def _read_part(part: str, whole: str, total: int) -> NDArray[np.intp]:
    if not _PART.fullmatch(part):
        raise UsageError(f"rows are positions in X, found {whole!r}; type 0,3,17 or 0:100")
    if ":" not in part:
        return np.array([int(part)], dtype=np.intp)
    ends = [int(end) if end else None for end in part.split(":")]
    if len(ends) == 3 and ends[2] == 0:
        raise UsageError(f"rows {part!r} have a step of 0; type 0:100:2")
    return np.arange(total)[slice(*ends)]


def chosen_background(
    background: Any, rows: Rows, generator: np.random.Generator, columns: Sequence[str]
) -> tuple[pd.DataFrame, str | None]:
    """Return the rows of background, and a note where they were drawn or are only one.

    Raises
    ------
    UsageError
        It is neither a table nor a number of rows above 0, or has more than `MOST_BACKGROUND`.
    InvalidInputError
        It lacks columns, or rows.
    """
    size = BACKGROUND if background is None else background
    if isinstance(size, str) and size.isdigit():
        size = int(size)
    if isinstance(size, int | np.integer) and not isinstance(size, bool):
        if not 1 <= size <= MOST_BACKGROUND:
            raise UsageError(
                f"a background has 1 to {MOST_BACKGROUND:,} rows, found {size}; type background={BACKGROUND}"
            )
        return _drawn(int(size), rows.frame, generator)
    found = _given(size, columns)
    if len(found) > MOST_BACKGROUND:
        raise UsageError(
            f"the background has {len(found):,} rows, more than {MOST_BACKGROUND:,}; "
            f"type background={BACKGROUND} for a sample of X"
        )
    return found, _of_one(len(found))


def _drawn(size: int, frame: pd.DataFrame, generator: np.random.Generator) -> tuple[pd.DataFrame, str | None]:
    if size >= len(frame):
        return frame, _of_one(len(frame))
    places = np.sort(generator.choice(len(frame), size, replace=False, shuffle=False))
    told = f"background: {size} of {len(frame):,} rows, drawn by the seed; type background= for others"
    return frame.iloc[places], _of_one(size) or told


def _of_one(rows: int) -> str | None:
    return (
        "the background is one row: values say what differs from it, not from a usual row"
        if rows == 1
        else None
    )


def _given(background: Any, columns: Sequence[str]) -> pd.DataFrame:
    if isinstance(background, pd.Series) and len(columns) == 1:
        background = background.to_frame(columns[0])
    elif isinstance(background, pd.Series):
        background = background.to_frame().T
    if isinstance(background, pd.DataFrame):
        frame = background.copy(deep=False)
        frame.columns = pd.Index([str(name) for name in frame.columns])
        missing = [name for name in columns if name not in frame.columns]
        if missing:
            raise InvalidInputError(f"the background lacks {missing[0]!r}, which X has")
        frame = frame[list(columns)]
    elif isinstance(background, np.ndarray | list | tuple):
        table = np.asarray(background)
        table = table.reshape(1, -1) if table.ndim == 1 else table
        if table.ndim != 2 or table.shape[1] != len(columns):
            raise InvalidInputError(
                f"the background has the shape {table.shape}; give rows of {len(columns)} columns, as X has"
            )
        frame = pd.DataFrame(table, columns=list(columns))
    else:
        raise UsageError(
            f"a background is a table or a number of rows, found {background!r}; type background={BACKGROUND}"
        )
    if len(frame) == 0:
        raise InvalidInputError("the background has no rows; give at least one")
    return frame
