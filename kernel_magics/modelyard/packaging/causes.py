"""Why a portable form answers otherwise than its estimator: the column that decides, and the likely cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from modelyard.golden import Mismatch

#: Whether the two answer this one row differently; both may be asked about rows that nobody has seen.
Differs = Callable[[pd.DataFrame], bool]
Answers = Callable[[pd.DataFrame], Any]

# What is known to go wrong in a conversion, by a class that the estimator holds and its parameters.
_SPLITS = "ONNX splits texts into words by other rules than Python's"
_TIES = "neighbours at the same distance: which of them counts is not defined"
_KNOWN: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "CalibratedClassifierCV",
        {"method": "isotonic"},
        "isotonic calibration jumps, and the last digit decides where",
    ),
    ("KBinsDiscretizer", {}, "a value on the edge of a bin falls into either, as its last digit says"),
    ("KNeighborsClassifier", {}, _TIES),
    ("KNeighborsRegressor", {}, _TIES),
    ("CountVectorizer", {}, _SPLITS),
    ("TfidfVectorizer", {}, _SPLITS),
)


def explained(
    mismatch: Mismatch,
    frame: pd.DataFrame,
    training: pd.DataFrame,
    model: Any,
    differs: Differs,
    answers: Answers,
) -> str:
    """Say where a form differs: row, column, value, expected, got, and the likely cause where one is known.

    The column is found by trying: the first which, given an ordinary value of `training`, makes the two agree.
    That float32 is the cause is tried too: then the estimator itself moves when the value is rounded. The value
    is not said: these words travel in the bundle, and the value is of the training table.

    Parameters
    ----------
    mismatch : Mismatch
        The first row of `frame` on which they differ.
    frame, training : DataFrame of shape (n, columns)
        What was compared, and what the estimator was trained on.
    model : estimator
    differs : callable
        Whether they differ on a frame of one row.
    answers : callable
        What the estimator itself answers to a frame of one row, as something that can be compared.
    """
    row = frame.iloc[[mismatch.row]].reset_index(drop=True)
    column = _deciding(row, training, differs)
    cause = _cause(row, column, training, model, answers)
    where = "" if column is None else f" (column {column!r} decides)"
    return f"{mismatch}{where}{f'; likely cause: {cause}' if cause else ''}"


def _deciding(row: pd.DataFrame, frame: pd.DataFrame, differs: Differs) -> str | None:
    """Return the first column that, given an ordinary value, makes the two agree."""
    ordinary = {name: _ordinary(frame[name]) for name in frame.columns}
    for name in sorted(frame.columns, key=lambda name: not _is_odd(row.at[0, name])):
        changed = row.copy()
        changed[name] = pd.Series([ordinary[name]], dtype=frame[name].dtype)
        if not differs(changed):
            return str(name)
    return None


def _ordinary(series: pd.Series) -> Any:
    present = series.dropna()
    if not len(present):
        return series.iloc[0]
    if pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind != "b":
        return present.sort_values().iloc[len(present) // 2]
    return present.mode().iloc[0]


def _is_odd(value: Any) -> bool:
    """Whether a value is of the kind that conversions stumble over: missing, or not a float32."""
    return _is_null(value) or _loses_digits(value)


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value))


def _loses_digits(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and float(np.float32(value)) != float(value)


def _cause(
    row: pd.DataFrame, column: str | None, training: pd.DataFrame, model: Any, answers: Answers
) -> str | None:
    if column is not None:
        value = row.at[0, column]
        if _is_null(value):
            return "the two treat a missing value differently"
        if isinstance(value, str) and not (training[column] == value).any():
            return "the two treat a text that training never had differently"
        if _loses_digits(value) and answers(_rounded(row, column)) != answers(row):
            return "rounding to float32: the value lies at a threshold; rounded, it moves the estimator too"
    return next((words for part in _parts(model) if (words := _known_trouble(part))), None)


def _rounded(row: pd.DataFrame, column: str) -> pd.DataFrame:
    changed = row.copy()
    changed[column] = changed[column].astype("float32").astype("float64")
    return changed


def _known_trouble(part: Any) -> str | None:
    for name, parameters, words in _KNOWN:
        if type(part).__name__ == name and all(
            getattr(part, key, None) == v for key, v in parameters.items()
        ):
            return words
    return None


def _parts(model: Any, depth: int = 0) -> Iterator[Any]:
    """Yield an estimator and those that its parameters hold."""
    if depth > 20:
        return
    if isinstance(model, list | tuple):
        for inner in model:
            yield from _parts(inner, depth + 1)
    elif hasattr(model, "get_params") and not isinstance(model, type):
        yield model
        for inner in model.get_params(deep=False).values():
            yield from _parts(inner, depth + 1)
