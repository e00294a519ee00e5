"""Pipelines whose earlier steps learn nothing: each row becomes what it becomes, whichever rows are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import get_tags

from modelyard.evaluation.inputs import Samples

_ROW_BY_ROW = ("Binarizer", "Normalizer")
_MOST_ASKED_ALONE = 5_000  # rows of which each is transformed by itself to see whether it depends on others


def last_step(model: Any, samples: Samples) -> tuple[Any, Any] | None:
    """Return a model's last step, and the rows as that step gets them; ``None`` where earlier steps learn.

    A step learns nothing where it says so (scikit-learn's tag ``requires_fit``) and, a function of the user's being
    able to look at all rows at once, gives every row by itself what it gives all of them together.
    """
    if type(model).__name__ != "Pipeline" or not type(model).__module__.startswith("sklearn."):
        return model, samples.X
    X = samples.X
    for _, step in model.steps[:-1]:
        if step is None or step == "passthrough":
            continue
        try:
            if get_tags(step).requires_fit:
                return None
            changed = clone(step).fit_transform(X)
            if not _is_row_by_row(step) and not _same_alone(step, X, changed):
                return None
        except (AttributeError, TypeError, ValueError):  # what is wrong is said by the fit that follows
            return None
        X = changed
    return model.steps[-1][1], X


def _is_row_by_row(step: Any) -> bool:
    name, ours = type(step).__name__, type(step).__module__.startswith("sklearn.")
    if not ours:
        return False
    return name in _ROW_BY_ROW or (
        name == "FunctionTransformer" and (step.func is None or isinstance(step.func, np.ufunc))
    )


def _same_alone(step: Any, X: Any, changed: Any) -> bool:
    rows = X.shape[0]
    if not hasattr(changed, "shape") or len(changed) != rows or rows > _MOST_ASKED_ALONE:
        return False
    half = rows // 2
    parts = [slice(0, half), slice(half, rows), *(slice(row, row + 1) for row in range(rows))]
    return all(
        np.array_equal(_values(step.transform(_cut(X, part))), _values(_cut(changed, part))) for part in parts
    )


def _cut(X: Any, part: slice) -> Any:
    return X.iloc[part] if hasattr(X, "iloc") else X[part]


def _values(X: Any) -> NDArray[Any]:
    return np.asarray(X)
