"""The targets a verb was given: one column of classes or numbers, or several columns of labels or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from modelyard.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class Targets:
    """What a model learns to say.

    Attributes
    ----------
    y : ndarray of shape (rows,) or (rows, columns)
        Without nulls.
    classes : ndarray or None
        The sorted classes of one column; ``None`` for numbers and for several columns.
    columns : tuple of str
        The names of several target columns; empty for one.
    multilabel : bool
        Whether the columns are labels of a classifier, each 0 or 1.
    """

    y: NDArray[Any]
    classes: NDArray[Any] | None = None
    columns: tuple[str, ...] = ()
    multilabel: bool = False


def checked_targets(model: Any, y: Any) -> Targets:
    """Look at targets and return them as one array.

    Raises
    ------
    InvalidInputError
        `y` is malformed, holds nulls, one class only, or what `model` cannot take.
    """
    if y is None or isinstance(y, str | bytes | dict) or np.isscalar(y):
        raise InvalidInputError(f"y is no column, found {type(y).__name__}; give one target per row")
    try:
        found = y if isinstance(y, pd.Series | pd.DataFrame) else np.asarray(_dense(y))
    except ValueError as error:
        raise InvalidInputError(
            f"y is no column, found a ragged {type(y).__name__}; give one target per row"
        ) from error
    if len(found.shape) == 2 and found.shape[1] == 1:
        found = found.iloc[:, 0] if isinstance(found, pd.DataFrame) else found.ravel()
    if len(found.shape) not in (1, 2):
        raise InvalidInputError(
            f"y must be one column, found shape {tuple(found.shape)}; give one target per row"
        )
    _refuse_nulls(found)
    if len(found.shape) == 2:
        return _several(model, found)
    targets = _as_array(found, y)
    return Targets(targets, _classes(model, targets) if len(targets) else None)


def _dense(y: Any) -> Any:
    return y.toarray() if hasattr(y, "toarray") else y  # labels often come as a sparse indicator matrix


def _refuse_nulls(found: Any) -> None:
    nulls = int(np.asarray(pd.isna(found)).sum())
    if nulls:
        held = "pd.notna(y)" if len(found.shape) == 1 else "pd.notna(y).all(axis=1)"
        raise InvalidInputError(
            f"y holds {nulls} null{'s' if nulls > 1 else ''} in {len(found)} rows; "
            f"drop those rows, type keep = {held}; X, y = X[keep], y[keep]"
        )


def _as_array(found: Any, y: Any) -> NDArray[Any]:
    targets = found.to_numpy() if isinstance(found, pd.Series) else found
    if targets.dtype.kind in "US" and not isinstance(y, np.ndarray):
        targets = np.asarray(y, dtype=object).reshape(-1)  # numpy would turn numbers beside a text into texts
    if targets.dtype == object:
        targets = np.asarray(pd.Series(targets).infer_objects().to_numpy())
    if targets.dtype == object and len({type(value) for value in targets}) > 1:
        kinds = sorted({type(value).__name__ for value in targets})
        raise InvalidInputError(
            f"y mixes types, found {', '.join(kinds)}; make it one type, type y.astype(str)"
        )
    return np.asarray(targets)


def _kind_of(model: Any) -> str | None:
    try:
        kind: str | None = get_tags(model).estimator_type
    except AttributeError:  # an estimator that is not derived from scikit-learn's BaseEstimator
        kind = getattr(model, "_estimator_type", None)
    return kind


def _classes(model: Any, y: NDArray[Any]) -> NDArray[Any] | None:
    kind = _kind_of(model)
    numeric = y.dtype.kind in "iufb"
    if kind == "regressor" and not numeric:
        raise InvalidInputError(
            f"{type(model).__name__} predicts numbers, y holds {y.dtype.name} such as {y.tolist()[0]!r}; "
            "use a classifier or make y numeric"
        )
    _refuse_infinite(y)
    if kind == "regressor":
        return None
    continuous = y.dtype.kind == "f" and type_of_target(y) == "continuous"
    if kind != "classifier" and continuous:
        return None
    if continuous:
        raise InvalidInputError(
            f"{type(model).__name__} predicts classes, y holds continuous numbers such as {y.tolist()[0]!r}; "
            "use a regressor or cut y into classes"
        )
    classes = np.unique(y)
    if len(classes) < 2:
        raise InvalidInputError(
            f"y holds one class only, found {classes.tolist()[0]!r} in {len(y)} rows; give rows of two classes or more"
        )
    return np.asarray(classes)


def _refuse_infinite(y: NDArray[Any]) -> None:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InvalidInputError(f"y holds {int((~np.isfinite(y)).sum())} infinite values; drop those rows")


def _several(model: Any, found: Any) -> Targets:
    kind, name = _kind_of(model), type(model).__name__
    if not takes_several(model):
        wrap = "MultiOutputClassifier" if kind == "classifier" else "MultiOutputRegressor"
        raise InvalidInputError(
            f"{name} takes y of one column, found shape {tuple(found.shape)}; type {wrap}({name}())"
        )
    frame = isinstance(found, pd.DataFrame)
    columns = tuple(map(str, found.columns)) if frame else tuple(map(str, range(found.shape[1])))
    y = np.asarray(found)
    if y.dtype == object:
        y = np.asarray(pd.DataFrame(y).infer_objects().to_numpy())
    if y.dtype.kind not in "iufb":
        raise InvalidInputError(
            f"y of several columns holds {y.dtype.name}; make each column 0 or 1, type y = pd.get_dummies(y)"
        )
    _refuse_infinite(y)
    if kind == "regressor":
        return Targets(y, columns=columns)
    if not np.isin(y, (0, 1)).all():
        raise InvalidInputError(
            f"y of several columns holds more than 0 and 1, found {np.setdiff1d(y, (0, 1)).tolist()[0]!r}; "
            "evaluate each column by itself, type y = y[COLUMN]"
        )
    constant = [column for column, values in zip(columns, y.T, strict=True) if len(np.unique(values)) < 2]
    if constant:
        raise InvalidInputError(
            f"column {constant[0]!r} of y holds one class only in {len(y)} rows; leave it out of y"
        )
    labels = y if y.dtype.kind in "iu" else y.astype(np.int8)
    return Targets(labels, columns=columns, multilabel=True)


def takes_several(model: Any) -> bool:
    """Whether an estimator says that it learns several target columns at once."""
    try:
        tags = get_tags(model)
    except AttributeError:
        return True  # it cannot be asked: its own fit decides
    labels = tags.classifier_tags is not None and tags.classifier_tags.multi_label
    if labels or tags.target_tags.multi_output:
        return True
    inner = getattr(model, "estimator", None)  # a search hands the question on to what it tunes
    return inner is not None and hasattr(inner, "fit") and takes_several(inner)
