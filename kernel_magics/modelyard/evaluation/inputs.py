"""What a verb was given: an estimator, its rows and its targets, looked at once and cut into parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError
from modelyard.evaluation.targets import checked_targets


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows and targets of the same length, ready to be cut into folds.

    Attributes
    ----------
    X : DataFrame, Series, ndarray or CSR matrix
        The rows as the model gets them; a DataFrame stays one.
    y : ndarray of shape (rows,) or (rows, columns)
        The targets, without nulls.
    rows, features : int
        The shape of `X`; a column of texts counts as one feature.
    classes : ndarray or None
        The sorted classes of one column; ``None`` for numbers and for several columns.
    columns : tuple of str
        The names of several target columns, empty for one.
    multilabel : bool
        Whether several columns are labels, each 0 or 1.
    """

    X: Any
    y: NDArray[Any]
    rows: int
    features: int
    classes: NDArray[Any] | None
    columns: tuple[str, ...] = ()
    multilabel: bool = False

    @property
    def regression(self) -> bool:
        return self.classes is None and not self.multilabel

    def take(self, rows: NDArray[np.intp]) -> Any:
        """Return those rows of `X`, in the form that `X` has."""
        return self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]


def final_estimator(model: Any) -> Any:
    """Return the last step of a pipeline; of anything else, itself."""
    steps = getattr(model, "steps", None)
    return steps[-1][1] if isinstance(steps, list) and steps else model


def checked_samples(model: Any, X: Any, y: Any) -> Samples:
    """Look at what was given and return it as samples.

    Raises
    ------
    InvalidInputError
        `model` is no estimator; `X` or `y` is empty, malformed, or of the wrong length; `y` holds nulls,
        one class only, or numbers that a classifier cannot take.
    """
    check_estimator(model)
    return samples_for(model, X, y)


def samples_for(model: Any, X: Any, y: Any) -> Samples:
    """Return what `checked_samples` does, for something with ``predict`` that need not be an estimator."""
    rows_given, found = _checked_rows(X), checked_targets(model, y)
    targets = found.y
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
        classes=found.classes,
        columns=found.columns,
        multilabel=found.multilabel,
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
