"""What an estimator is asked when its answers are explained: probabilities, decision scores, or predicted values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

#: By the method that is asked, what its figures are.
SCALES = {"predict_proba": "probability", "decision_function": "decision score", "predict": "prediction"}


def response_of(model: Any, *, classifies: bool) -> str | None:
    """Return the method of a model whose figures are explained; ``None`` where it gives classes only."""
    if not classifies:
        return "predict"
    return next((each for each in ("predict_proba", "decision_function") if hasattr(model, each)), None)


def figures(model: Any, response: str, X: Any) -> NDArray[Any]:
    """Return the figures of shape (rows, outputs) that a method of a model gives.

    One score for two classes is that of the second; the first has minus it.
    """
    found = np.asarray(getattr(model, response)(X))
    if response == "decision_function" and found.ndim == 1:
        return np.column_stack([-found, found])
    return found if response == "predict_proba" else found.reshape(len(found), -1)


def plain(column: pd.Series) -> list[Any]:
    """Return the values of a column as a contract takes them: ``None`` for every missing one."""
    values = column.astype(object)
    found: list[Any] = values.where(values.notna(), None).tolist()
    return found
