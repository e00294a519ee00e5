"""The table a model was trained on, brought into one form: a frame with named columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

from modelyard.errors import InvalidInputError, NotFittedError, did_you_mean


@dataclass(frozen=True)
class TrainingTable:
    """Columns by name, and the form in which the estimator itself wants them.

    Attributes
    ----------
    frame : DataFrame of shape (n, columns)
        One row a sample; the index is 0 to n - 1.
    array_dtype : str or None
        The dtype of the array that the estimator takes; ``None`` where it takes the frame.
    target : ndarray of shape (n,)
    """

    frame: pd.DataFrame
    array_dtype: str | None
    target: np.ndarray

    def as_fed(self, frame: pd.DataFrame) -> Any:
        """Return rows of a frame like this one in the form that the estimator takes."""
        return frame if self.array_dtype is None else frame.to_numpy(dtype=self.array_dtype)


def checked_table(model: Any, X: Any, y: Any) -> TrainingTable:
    """Return the training table of a fitted `model`.

    Raises
    ------
    NotFittedError
        The estimator has not been fitted.
    InvalidInputError
        `model` is no estimator, X is no table, X and y differ in length, or X has other columns than the
        model was fitted on.
    """
    if not hasattr(model, "predict"):
        raise InvalidInputError(
            f"{type(model).__name__} is not an estimator with predict(); give a fitted classifier or regressor"
        )
    try:
        check_is_fitted(model)
    except SklearnNotFittedError:
        raise NotFittedError(
            f"this {type(model).__name__} is not fitted; call fit(X, y) on it first"
        ) from None
    except (TypeError, AttributeError):
        pass  # not a scikit-learn estimator: whether it is fitted shows when it predicts
    frame, array_dtype = _frame(X)
    target = np.asarray(y).ravel() if np.ndim(y) <= 2 else np.asarray(y)
    if len(frame) != len(target):
        raise InvalidInputError(
            f"X has {len(frame)} rows and y has {len(target)}; give both from the same rows"
        )
    if not len(frame):
        raise InvalidInputError("X has no rows; give the table that the model was trained on")
    known = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if known and array_dtype is not None and len(known) == frame.shape[1]:
        frame.columns, array_dtype = pd.Index(known), None
    _same_columns(model, frame, known, array_dtype)
    return TrainingTable(frame, array_dtype, target)


def _frame(X: Any) -> tuple[pd.DataFrame, str | None]:
    if isinstance(X, pd.DataFrame):
        odd = [name for name in X.columns if not isinstance(name, str)]
        if odd:
            raise InvalidInputError(
                f"column {odd[0]!r} is named by {type(odd[0]).__name__}; name columns by text: "
                "X.columns = X.columns.astype(str), then fit again"
            )
        twice = X.columns[X.columns.duplicated()].tolist()
        if twice:
            raise InvalidInputError(f"column {twice[0]!r} is there twice; rename one and fit again")
        return X.reset_index(drop=True), None
    array = np.asarray(X)
    if array.ndim != 2:
        raise InvalidInputError(
            f"X must be a table of shape (rows, columns), found shape {array.shape}; give a DataFrame or a matrix"
        )
    names = [f"x{position}" for position in range(array.shape[1])]
    return pd.DataFrame(array, columns=names), str(array.dtype)


def _same_columns(model: Any, frame: pd.DataFrame, known: list[str], array_dtype: str | None) -> None:
    count = getattr(model, "n_features_in_", None)
    if not known:
        if array_dtype is not None and count is not None and count != frame.shape[1]:
            raise InvalidInputError(
                f"X has {frame.shape[1]} columns, the model was fitted on {count}; give the table it was fitted on"
            )
        return
    strange = [name for name in frame.columns if name not in known]
    missing = [name for name in known if name not in frame.columns]
    if strange:
        raise InvalidInputError(
            f"X has a column the model never saw: {strange[0]!r}{did_you_mean(strange[0], missing)}; "
            "give the columns it was fitted on"
        )
    if missing:
        raise InvalidInputError(f"X lacks the column {missing[0]!r}, which the model was fitted on; add it")
