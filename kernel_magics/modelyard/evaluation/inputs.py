"""What a verb was given: an estimator, its rows and its targets, looked at once and cut into parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from modelyard.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows and targets of the same length, ready to be cut into folds.

    Attributes
    ----------
    X : DataFrame, Series, ndarray or CSR matrix
        The rows as the model gets them; a DataFrame stays one.
    y : ndarray of shape (rows,)
        The targets, without nulls.
    rows, features : int
        The shape of `X`; a column of texts counts as one feature.
    classes : ndarray or None
        The sorted classes, or ``None`` for a regression target.
    """

    X: Any
    y: NDArray[Any]
    rows: int
    features: int
    classes: NDArray[Any] | None

    @property
    def regression(self) -> bool:
        return self.classes is None

    def take(self, rows: NDArray[np.intp]) -> Any:
        """Return those rows of `X`, in the form that `X` has."""
        return self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]


def checked_samples(model: Any, X: Any, y: Any) -> Samples:
    """Look at what was given and return it as samples.

    Raises
    ------
    InvalidInputError
        `model` is no estimator; `X` or `y` is empty, malformed, or of the wrong length; `y` holds nulls,
        one class only, or numbers that a classifier cannot take.
    """
    check_estimator(model)
    rows_given, targets = _checked_rows(X), _checked_targets(y)
    shape = rows_given.shape
    if shape[0] == 0 or len(targets) == 0:
        raise InvalidInputError(
            f"there are no rows: X has {shape[0]} and y has {len(targets)}; give at least two rows"
        )
    if len(shape) == 2 and shape[1] == 0:
        raise InvalidInputError(f"X has no columns, found shape {shape}; give at least one column")
    if shape[0] != len(targets):
        raise InvalidInputError(
            f"X and y differ in length: X has {shape[0]} rows, y has {len(targets)}; give one target per row"
        )
    return Samples(
        X=rows_given,
        y=targets,
        rows=int(shape[0]),
        features=int(shape[1]) if len(shape) == 2 else 1,
        classes=_classes(model, targets),
    )


def check_estimator(model: Any) -> None:
    """Raise InvalidInputError unless `model` is an estimator: fit, predict, get_params, and no bare class."""
    if isinstance(model, type):
        raise InvalidInputError(
            f"model is a class, found {model.__name__}; give an estimator, type {model.__name__}()"
        )
    missing = [name for name in ("fit", "predict", "get_params") if not hasattr(model, name)]
    if missing:
        raise InvalidInputError(
            f"model is no estimator, found {type(model).__name__} without {missing[0]}; "
            "give a scikit-learn estimator such as LogisticRegression()"
        )


def describe_model(model: Any) -> str:
    """Return what people call a model: its class, or the classes of a pipeline's steps.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> describe_model(make_pipeline(StandardScaler(), SVC()))
    'Pipeline of StandardScaler, SVC'
    """
    name = type(model).__name__
    steps = getattr(model, "steps", None)
    if isinstance(steps, list):
        parts = [part if isinstance(part, str) else type(part).__name__ for _, part in steps]
        return f"{name} of {', '.join(parts)}"
    return name


def stem_of(model: Any) -> str:
    """Return the class of a model, or of a pipeline's last step, in lower case with dashes, to name records after.

    >>> from sklearn.neural_network import MLPClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> stem_of(MLPClassifier()), stem_of(make_pipeline(MLPClassifier()))
    ('mlp-classifier', 'mlp-classifier')
    """
    steps = getattr(model, "steps", None)
    if isinstance(steps, list) and steps and len(steps[-1]) == 2:
        return stem_of(steps[-1][1])
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", type(model).__name__)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:50] or "model"


def _checked_rows(X: Any) -> Any:
    if isinstance(X, pd.DataFrame | pd.Series):
        return X
    if hasattr(X, "tocsr"):
        return X.tocsr()
    if X is None or isinstance(X, str | bytes | dict) or np.isscalar(X):
        raise InvalidInputError(
            f"X is no table, found {type(X).__name__}; give a DataFrame or an array of rows"
        )
    try:
        table = X if hasattr(X, "shape") and hasattr(X, "__getitem__") else np.asarray(X)
        if not isinstance(X, np.ndarray) and isinstance(table, np.ndarray) and table.dtype.kind in "US":
            table = np.asarray(X, dtype=object)  # numpy would turn the numbers beside a text into texts
    except ValueError as error:
        raise InvalidInputError(
            f"X is no table, found a {type(X).__name__} of uneven rows; give rows of equal length"
        ) from error
    texts = getattr(table.dtype, "kind", "O") in "OUS" if hasattr(table, "dtype") else False
    if len(table.shape) not in (1, 2) or (len(table.shape) == 1 and len(table) and not texts):
        raise InvalidInputError(
            f"X must have rows and columns, found shape {tuple(table.shape)}; "
            "type X.reshape(-1, 1) if it is one column"
        )
    return table


def _checked_targets(y: Any) -> NDArray[Any]:
    if y is None or isinstance(y, str | bytes | dict) or np.isscalar(y):
        raise InvalidInputError(f"y is no column, found {type(y).__name__}; give one target per row")
    try:
        found = y if isinstance(y, pd.Series | pd.DataFrame) else np.asarray(y)
    except ValueError as error:
        raise InvalidInputError(
            f"y is no column, found a ragged {type(y).__name__}; give one target per row"
        ) from error
    if len(found.shape) == 2 and found.shape[1] == 1:
        found = found.iloc[:, 0] if isinstance(found, pd.DataFrame) else found.ravel()
    if len(found.shape) != 1:
        raise InvalidInputError(
            f"y must be one column, found shape {tuple(found.shape)}; give one target per row"
        )
    nulls = int(pd.isna(found).sum())
    if nulls:
        raise InvalidInputError(
            f"y holds {nulls} null{'s' if nulls > 1 else ''} in {len(found)} rows; "
            "drop those rows, type keep = pd.notna(y); X, y = X[keep], y[keep]"
        )
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


def _classes(model: Any, y: NDArray[Any]) -> NDArray[Any] | None:
    try:
        kind = get_tags(model).estimator_type
    except AttributeError:  # an estimator that is not derived from scikit-learn's BaseEstimator
        kind = getattr(model, "_estimator_type", None)
    numeric = y.dtype.kind in "iufb"
    if kind == "regressor" and not numeric:
        raise InvalidInputError(
            f"{type(model).__name__} predicts numbers, y holds {y.dtype.name} such as {y.tolist()[0]!r}; "
            "use a classifier or make y numeric"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InvalidInputError(f"y holds {int((~np.isfinite(y)).sum())} infinite values; drop those rows")
    continuous = numeric and type_of_target(y) == "continuous"
    if kind == "regressor" or (kind != "classifier" and continuous):
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
