"""What is known before anything is written: does the table fit, is every part known, what is answered."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from modelyard.conversion._parts import parts
from modelyard.conversion._protocol import ClassLabel, Task
from modelyard.errors import ConversionError, InvalidInputError

EXACT_IN_FLOAT32 = 2**24


def check_columns(estimator: Any, X: pd.DataFrame) -> None:
    names = getattr(estimator, "feature_names_in_", None)
    plain = [_spaceless(name) for name in X.columns]
    if names is not None and [_spaceless(name) for name in names] != plain:
        missing = [str(name) for name in names if _spaceless(name) not in plain]
        found = f"without {', '.join(missing)}" if missing else "other columns or another order"
        raise InvalidInputError(
            f"the table has {found}; {type(estimator).__name__} was fitted on {', '.join(map(str, names))}"
        )
    width = getattr(estimator, "n_features_in_", X.shape[1])
    if width != X.shape[1]:
        raise InvalidInputError(
            f"the table has {X.shape[1]} columns; {type(estimator).__name__} was fitted on {width}"
        )


def _spaceless(name: Any) -> str:
    """Return a column's name as LightGBM keeps it."""
    return str(name).replace(" ", "_")


def check_classes(estimator: Any, converters: Collection[type]) -> None:
    """Refuse a class that nobody has a converter for by its name: skl2onnx would stumble over its columns."""
    for part in parts(estimator):
        kind = type(part)
        known = kind.__module__.partition(".")[0] == "sklearn" or kind in converters
        if not known and kind not in sklearn_operator_name_map:
            raise ConversionError(f"{kind.__name__} has no ONNX converter")


def task_of(estimator: Any) -> tuple[Task, tuple[ClassLabel, ...] | None]:
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise ConversionError(f"{name} has no predict")
    if is_classifier(estimator):
        found = estimator.classes_
        if isinstance(found, list) or np.ndim(found) != 1:
            raise ConversionError(f"{name} answers several labels per row")
        classes = tuple(np.asarray(found).tolist())
        if not all(isinstance(label, (str, int)) or _is_whole(label) for label in classes):
            raise ConversionError(f"{name} has classes that are neither strings nor whole numbers")
        return ("binary" if len(classes) == 2 else "multiclass"), classes
    if is_regressor(estimator):
        return "regression", None
    if is_clusterer(estimator):
        return "clustering", None
    if is_outlier_detector(estimator):
        return "outliers", None
    raise ConversionError(f"{name} is neither a classifier nor a regressor")


def _is_whole(label: Any) -> bool:
    return isinstance(label, float) and label.is_integer()


def check_labels(
    estimator: Any, classes: tuple[ClassLabel, ...] | None, converters: Collection[type]
) -> None:
    """Refuse large numbers as labels where skl2onnx, which puts labels through float32, writes them."""
    if all(isinstance(label, str) or abs(label) <= EXACT_IN_FLOAT32 for label in classes or ()):
        return
    for part in parts(estimator):
        if (
            is_classifier(part)
            and type(part) not in converters
            and not isinstance(part, (Pipeline, BaseSearchCV))
        ):
            raise ConversionError(
                f"{type(part).__name__} would become ONNX with rounded labels, since some are above "
                f"{EXACT_IN_FLOAT32}"
            )
