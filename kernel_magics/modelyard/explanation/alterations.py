"""Which columns of a row may change, between which values, and what a change costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError, did_you_mean, listing

Matrix = NDArray[np.float64]

_MOST_DECIMALS = 6
_EXACT = 2.0**53  # whole numbers beyond are not all floats


@dataclass(frozen=True, eq=False)
class Alterable:
    """One column, as a search sees it.

    Attributes
    ----------
    name : str
    dtype : dtype
        Of the original frame.
    values : array or None
        The values seen of a column that is no number, each standing for its place; ``None`` for numbers.
    fixed : bool
        Whether it keeps its value.
    low, high : float
        Between them lies what a number may become.
    scale : float
        The change that costs 1.
    decimals : int or None
        The decimals with which the numbers are written, 0 for whole ones; ``None`` where they have too many.
    allowed : ndarray or None
        The places in `values` that it may take; ``None`` for all.
    """

    name: str
    dtype: Any
    values: Any | None
    fixed: bool
    low: float = -np.inf
    high: float = np.inf
    scale: float = 1.0
    decimals: int | None = None
    allowed: NDArray[np.intp] | None = None

    def rounded(self, numbers: Matrix) -> Matrix:
        """Return numbers as the column writes them, not beyond its ends."""
        written = numbers if self.decimals is None else np.round(numbers, self.decimals)
        return np.asarray(np.clip(written, self.low, self.high))

    def written(self, codes: Matrix) -> Any:
        """Return the values of one column as the original frame holds them."""
        if self.values is None:
            whole = pd.api.types.is_integer_dtype(self.dtype)
            return pd.Series(np.round(codes) if whole else codes).astype(self.dtype).array
        places = codes.astype(np.intp)
        if (places >= 0).all():
            return pd.Series(self.values.take(places)).astype(self.dtype).array
        taken = pd.api.extensions.take(self.values, places, allow_fill=True)
        return pd.Series(taken).astype(self.dtype).array


class Alterations:
    """The columns of a frame as numbers: a number is itself, any other value its place among those seen.

    Nulls are NaN among numbers and -1 among places. A row keeps what it knows: nothing becomes null.

    Parameters
    ----------
    frame : DataFrame
        Rows whose values count as seen.
    fix : collection of str
        Columns that may not change.
    ranges : mapping of str to (low, high) or to a list of values
        In place of the ends, or of the values, that are seen in `frame`.

    Raises
    ------
    UsageError
        No such column, a range that is none, or every column is fixed.
    """

    def __init__(self, frame: pd.DataFrame, fix: Collection[str], ranges: Mapping[str, Any]) -> None:
        names = list(frame.columns)
        for option, asked in (("fix", fix), ("ranges", ranges)):
            for name in asked:
                if name not in names:
                    known = [str(each) for each in names]
                    raise UsageError(
                        f"no column {name!r} for {option}; there are {listing(known)}{did_you_mean(str(name), known)}"
                    )
        self.columns = tuple(_column(frame[name], name in fix, ranges.get(name)) for name in names)
        if all(column.fixed for column in self.columns):
            raise UsageError("fix names every column, so that nothing may change; leave one out")
        self.free = np.array([not column.fixed for column in self.columns])
        self.numeric = np.array([column.values is None for column in self.columns])
        self._scales = np.array([column.scale for column in self.columns])

    def coded(self, frame: pd.DataFrame) -> Matrix:
        """Return rows of the frame as numbers, of shape (rows, columns)."""
        table = np.empty((len(frame), len(self.columns)))
        for place, column in enumerate(self.columns):
            values = frame[column.name]
            if column.values is None:
                table[:, place] = values.to_numpy(dtype=float, na_value=np.nan)
            else:
                table[:, place] = pd.Index(column.values).get_indexer(pd.Index(values.array))
                table[values.isna().to_numpy(), place] = -1
        return table

    def frame(self, table: Matrix) -> pd.DataFrame:
        """Return coded rows as a frame of the original columns and types."""
        return pd.DataFrame(
            {column.name: column.written(table[:, place]) for place, column in enumerate(self.columns)}
        )

    def changed(self, one: Matrix, other: Matrix) -> NDArray[np.bool_]:
        """Return which values differ; two nulls do not."""
        return np.asarray((one != other) & ~(np.isnan(one) & np.isnan(other)))

    def costs(self, one: Matrix, other: Matrix) -> Matrix:
        """Return what each changed column costs: 1, and the change over the column's scale; 1 more if no number.

        Source: the L1 norm weighted by the inverse median absolute deviation, of S. Wachter, B. Mittelstadt and
        C. Russell, "Counterfactual explanations without opening the black box", Harvard Journal of Law & Technology
        31, 2018, section "Generating counterfactuals"; with the number of changed columns added, as few changes are
        asked for too.
        """
        changed = self.changed(one, other)
        moved = np.where(self.numeric, np.abs(one - other) / self._scales, 1.0)
        return np.where(changed, 1 + np.where(np.isnan(moved), 1.0, moved), 0.0)

    def distance(self, one: Matrix, other: Matrix) -> Matrix:
        """Return the sum of the costs of each row."""
        return np.asarray(self.costs(one, other).sum(axis=-1))

    def toward(self, row: Matrix, others: Matrix) -> Matrix:
        """Return `row` changed into each of the `others` as far as it may be: fixed columns stay, ends are kept."""
        table = np.where(self.free, others, row)
        for place, column in enumerate(self.columns):
            if column.fixed:
                continue
            wished = table[:, place]
            if column.values is None:
                wished = np.clip(wished, column.low, column.high)
                wished = np.where(np.isnan(wished), row[place], wished)
            else:
                refused = wished < 0
                if column.allowed is not None:
                    refused |= ~np.isin(wished, column.allowed)
                wished = np.where(refused, row[place], wished)
            table[:, place] = wished
        return table

    def drawn(self, row: Matrix, seen: Matrix, count: int, rng: np.random.Generator) -> Matrix:
        """Return `count` rows of which each free column is kept, or drawn from what may be, with even chances.

        A number is drawn from the rows `seen` or evenly between the ends, any other value from those allowed.
        """
        table = np.tile(row, (count, 1))
        for place, column in enumerate(self.columns):
            if column.fixed:
                continue
            if column.values is None:
                drawn = seen[rng.integers(len(seen), size=count), place]
                if np.isfinite([column.low, column.high]).all():
                    even = column.rounded(rng.uniform(column.low, column.high, count))
                    drawn = np.where(rng.random(count) < 0.5, even, drawn)
            else:
                choices = np.arange(len(column.values)) if column.allowed is None else column.allowed
                if len(choices) == 0:
                    continue
                drawn = rng.choice(choices, count).astype(float)
            table[:, place] = np.where(rng.random(count) < 0.5, drawn, table[:, place])
        return self.toward(row, table)


def _column(values: pd.Series[Any], fixed: bool, given: Any) -> Alterable:
    name, dtype = str(values.name), values.dtype
    known = values[values.notna()]
    number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    if number and (len(known) == 0 or float(known.abs().max()) < _EXACT or not _whole(dtype)):
        return _number(name, known, fixed, given)
    try:
        seen = pd.Series(pd.unique(known), dtype=dtype).array
    except TypeError:
        held = type(known.iloc[0]).__name__
        raise InvalidInputError(
            f"column {name!r} holds {held}, which cannot be compared; make it text or numbers"
        ) from None
    return Alterable(name, dtype, seen, fixed, allowed=None if given is None else _allowed(name, seen, given))


def _number(name: str, known: pd.Series[Any], fixed: bool, given: Any) -> Alterable:
    numbers = known.to_numpy(dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (-np.inf, np.inf)
    if given is not None:
        low, high = _ends(name, given)
        if _whole(known.dtype):
            low, high = math.ceil(low), math.floor(high)
    precision = float(np.finfo(np.float32 if str(known.dtype) in ("float32", "float16") else float).eps)
    decimals = 0 if _whole(known.dtype) else _decimals(numbers, precision)
    return Alterable(name, known.dtype, None, fixed, low, high, _scale(numbers), decimals)


def _whole(dtype: Any) -> bool:
    return bool(pd.api.types.is_integer_dtype(dtype))


def _scale(numbers: Matrix) -> float:
    """Return the median absolute deviation, or the standard deviation where most numbers are the same."""
    if len(numbers) == 0:
        return 1.0
    deviation = float(np.median(np.abs(numbers - np.median(numbers))))
    return deviation or float(np.std(numbers)) or 1.0


def _decimals(numbers: Matrix, precision: float) -> int | None:
    if len(numbers) == 0:
        return None
    for decimals in range(_MOST_DECIMALS + 1):
        if (np.abs(np.round(numbers, decimals) - numbers) <= 4 * precision * np.abs(numbers)).all():
            return decimals
    return None


def _ends(name: str, given: Any) -> tuple[float, float]:
    told = f"ranges of {name!r} must be (low, high), found {given!r}; type ranges={{{name!r}: (0, 1)}}"
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise UsageError(told)
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise UsageError(told) from None
    if not low <= high:
        raise UsageError(told)
    return low, high


def _allowed(name: str, seen: Any, given: Any) -> NDArray[np.intp]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise UsageError(
            f"ranges of {name!r} must be a list of values, found {given!r}; type ranges={{{name!r}: ['a', 'b']}}"
        )
    known = [str(value) for value in seen]
    for value in given:
        if str(value) not in known:
            raise UsageError(
                f"ranges of {name!r} name {value!r}, which no row holds{did_you_mean(str(value), known)}; "
                f"there are {listing(known)}"
            )
    return np.array([known.index(str(value)) for value in given], dtype=np.intp)
