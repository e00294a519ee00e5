"""Time that runs backwards: rows that are judged before rows the model has learned from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.checks.columns import Columns, Floats
from modelyard.evaluation.folds import Folds

_PEEK = 50
_DAY = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]\d.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([ T]\d.*)?")
_STAMPS = ((9e8, 2.2e9), (9e11, 2.2e12), (9e14, 2.2e15), (9e17, 2.2e18))  # 1998 to 2039 in s, ms, µs, ns
_WORDS = re.compile(r"(^|[^a-z])(date|datetime|time|timestamp|ts|day|when|at)([^a-z]|$)")
_BIRTH = re.compile(r"birth|born|dob", re.IGNORECASE)


def time_columns(columns: Columns) -> list[int]:
    """Return the places of columns that say when a row was: datetimes, texts of dates, and time stamps.

    A number is a time stamp where all its values are (Unix time of 1998 to 2039, or days as 20240131), and it is called
    so or rises from row to row. Dates of birth are none.
    """
    found = []
    for place, name in enumerate(columns.names):
        if _BIRTH.search(str(name)):
            continue
        if place in columns.other:
            if _is_date(columns.values(place)):
                found.append(place)
        elif _is_stamp(columns.numbers[:, columns.numeric.index(place)], str(name)):
            found.append(place)
    return found


def backward_time(columns: Columns, places: list[int], folds: Folds) -> Iterator[str]:
    """Report the folds that learn from rows of a time column later than rows that they judge."""
    kind = folds.label.lower()
    if not places or folds.groups is not None or "group" in kind:
        return
    place = places[0]
    when = _as_numbers(columns, place)
    if len(np.unique(when[np.isfinite(when)])) < 3:
        return
    splits, count = folds.splits, len(folds.splits)
    asked = range(count) if count <= 50 else range(0, count, max(1, count // 50))
    backward, late = 0, 0.0
    for number in asked:
        train, test = (when[_looked_at(columns, rows)] for rows in splits[number])
        train, test = train[np.isfinite(train)], test[np.isfinite(test)]
        if len(train) and len(test) and train.max() > test.min():
            backward += 1
            late = max(late, float((train > test.min()).mean()))
    if not backward:
        return
    name = columns.names[place]
    ordered = bool((np.diff(when[np.isfinite(when)]) >= 0).all())
    sort = "" if ordered else _sorting(columns, place)
    every = "every fold learns" if backward == len(asked) else f"{backward} of {len(asked)} folds learn"
    yield (
        f"{every} from rows that are later, by column {name!r}, than rows that it is judged on (up to {late:.0%} of "
        f"what it learns from); unless rows do not depend on those before, type {sort}cv='time'"
    )


def _sorting(columns: Columns, place: int) -> str:
    name = columns.names[place]
    by = f"X[{name!r}]" if hasattr(columns.table, "iloc") else f"X[:, {place}]"
    cut = "X.iloc[o], y.iloc[o]" if hasattr(columns.table, "iloc") else "X[o], y[o]"
    return f"o = np.argsort({by}, kind='stable'); X, y = {cut}, and "


def _looked_at(columns: Columns, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return where those rows stand among the looked-at ones."""
    if columns.picked is None:
        return rows
    places = np.searchsorted(columns.picked, rows)
    places = np.minimum(places, len(columns.picked) - 1)
    return np.asarray(places[columns.picked[places] == rows])


def _is_date(values: Any) -> bool:
    kind: Any = getattr(values, "dtype", None)
    if pd.api.types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        return True
    if not (pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)):
        return False
    few = [value for value in pd.Series(values).iloc[:_PEEK].tolist() if value is not None and value == value]
    return len(few) > 2 and all(_reads_as_date(value) for value in few)


def _reads_as_date(value: Any) -> bool:
    if isinstance(value, str):
        return _DAY.fullmatch(value.strip()) is not None
    return hasattr(value, "isoformat") and hasattr(value, "year")


def _is_stamp(values: Floats, name: str) -> bool:
    few = values[: 2 * _PEEK]
    if len(few) < 3 or not np.isfinite(few).all() or not ((few > 9e8).all() or _are_days(few)):
        return False
    if not (_are_days(few) or any(((few >= low) & (few <= high)).all() for low, high in _STAMPS)):
        return False
    rising = bool((np.diff(few) >= 0).all()) and few[-1] > few[0]
    return rising or _WORDS.search(name.lower()) is not None


def _are_days(values: Floats) -> bool:
    """Whether numbers are days as 20240131."""
    month, day = values // 100 % 100, values % 100
    within = (values >= 19000101) & (values <= 21001231) & (values == np.floor(values))
    return bool((within & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def _as_numbers(columns: Columns, place: int) -> Floats:
    if place in columns.numeric:
        return columns.numbers[:, columns.numeric.index(place)]
    values = pd.Series(columns.values(place))
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.start_time
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the format was guessed
        times = pd.to_datetime(values, errors="coerce", utc=True)
    numbers = times.astype("int64").to_numpy().astype(float)
    return np.where(times.isna().to_numpy(), np.nan, numbers)
