"""Why a fold failed, in one line: which columns or classes, and what to type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modelyard.errors import InvalidInputError
from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.splitters import first_line

_MOST_NAMES = 5


def failed_fold(
    model: Any, samples: Samples, folds: Folds, place: int, failure: ValueError | TypeError
) -> InvalidInputError:
    """Return the error of the fold `place`, counted from 1; it keeps the model's own words."""
    name, said = type(model).__name__, first_line(failure)
    advice = (
        _one_class(samples, folds, place)
        or _columns(name, samples, said)
        or "mend the data or the model's parameters"
    )
    return InvalidInputError(f"{name} failed in fold {place} of {len(folds.splits)}: {said}; {advice}")


def _one_class(samples: Samples, folds: Folds, place: int) -> str:
    if samples.classes is None:
        return ""
    train, _ = folds.splits[place - 1]
    held = np.unique(samples.y[train])
    if len(held) > 1:
        return ""
    return (
        f"its {len(train)} training rows hold one class only, {held.tolist()[0]!r}; "
        "type cv='stratified:5', or fewer folds"
    )


def _columns(name: str, samples: Samples, said: str) -> str:
    words = said.lower()
    frame = _as_frame(samples.X)
    if frame is None:
        return ""
    if any(word in words for word in ("nan", "missing", "null")):
        held = frame.columns[frame.isna().any()]
        if len(held):
            return f"{_listed(held)} nulls; type make_pipeline(SimpleImputer(), {name}(…))"
    if "infinity" in words or "inf" in words.split():
        numbers = frame.select_dtypes("number")
        held = numbers.columns[np.isinf(numbers.to_numpy(dtype=float, na_value=0.0)).any(axis=0)]
        if len(held):
            return (
                f"{_listed(held)} infinite values; type X = X.replace([np.inf, -np.inf], np.nan) and impute"
            )
    if "string" in words or "could not convert" in words:
        texts = frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]
        if len(texts):
            return (
                f"{_listed(texts)} texts; type make_pipeline(make_column_transformer((OneHotEncoder("
                f"handle_unknown='ignore'), {list(texts[:_MOST_NAMES])!r}), remainder='passthrough'), {name}(…))"
            )
    return ""


def _as_frame(X: Any) -> pd.DataFrame | None:
    if isinstance(X, pd.DataFrame):
        return X
    return pd.DataFrame(X) if isinstance(X, np.ndarray) and X.ndim == 2 else None


def _listed(columns: Any) -> str:
    names = ", ".join(repr(name) for name in columns[:_MOST_NAMES])
    more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
    return f"columns {names}{more} hold" if len(columns) > 1 else f"column {names} holds"
