"""scikit-learn to ONNX: skl2onnx, with what it gets wrong or refuses written here.

Every number is computed in double. The mends live beside this file: `_converters`
lists those that replace skl2onnx's, and `_rewrites` changes a copy of the estimator before it is written.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from onnx.checker import ValidationError
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors
from skl2onnx import convert_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.base import BaseEstimator, is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from modelyard.conversion import _graph
from modelyard.conversion._converters import CONVERTERS
from modelyard.conversion._finish import LABEL, PROBABILITIES, Output, finish, free_names
from modelyard.conversion._inputs import describe, none_columns
from modelyard.conversion._parts import parts
from modelyard.conversion._protocol import ClassLabel, Conversion, DType, ModelInput, Task
from modelyard.conversion._rewrites import rewrite
from modelyard.conversion._session import Session
from modelyard.errors import ConversionError, InvalidInputError, NotFittedError, listing

# What converters and shape calculators of skl2onnx raise on a model they cannot write; it has no base class.
REFUSALS = (
    RuntimeError,  # MissingConverter, MissingShapeCalculator and NotImplementedError are ones
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NameError,
    AssertionError,
    ValidationError,
)

EXACT_IN_FLOAT32 = 2**24

# What ONNX Runtime raises on a graph that it cannot load or run.
FAILURES = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


def convert(estimator: Any, columns: pd.DataFrame) -> Conversion:
    """Write a fitted scikit-learn estimator as an ONNX model.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Fitted, with ``predict``; it is not changed.
    columns : pandas.DataFrame
        The table it was fitted on, or rows of it: names, types and nulls are read from it, and its first
        rows are run through the model. For an estimator fitted on an array, the array as a table.

    Raises
    ------
    ConversionError
        Something in the estimator has no faithful ONNX form.
    NotFittedError
        The estimator is not fitted.
    InvalidInputError
        The table has other columns than the estimator was fitted on.
    """
    if not isinstance(estimator, BaseEstimator):
        raise ConversionError(f"{type(estimator).__name__} is no scikit-learn estimator")
    try:
        check_is_fitted(estimator)
    except SklearnNotFittedError as error:
        raise NotFittedError(f"{type(estimator).__name__} is not fitted; call its fit(X, y) first") from error
    _check_columns(estimator, columns)
    _check_classes(estimator)
    task, classes = _task(estimator)
    _check_labels(estimator, classes)
    has_probabilities = classes is not None and hasattr(estimator, "predict_proba")
    by_column = any(isinstance(part, ColumnTransformer) for part in parts(estimator))
    inputs = free_names(describe(columns, by_column=by_column))
    none = none_columns(columns)
    try:
        model, notes = rewrite(estimator)
        written = _written(model, inputs)
        names = [output.name for output in written.graph.output]
        outputs = [Output(names[0], LABEL, _label_kind(classes, task), ())]
        if has_probabilities and classes is not None:
            outputs.append(Output(names[1], PROBABILITIES, "float64", (len(classes),)))
        serialised = finish(written, inputs, outputs, none)
    except REFUSALS as error:
        raise ConversionError(f"{_reason(estimator, error)}") from error
    conversion = Conversion(
        serialised,
        inputs,
        LABEL,
        PROBABILITIES if has_probabilities else None,
        task,
        classes,
        (*notes, *_converter_notes(model), *_null_notes(model, none)),
    )
    _check_runs(estimator, conversion, columns.head(8))
    return conversion


def _check_columns(estimator: Any, X: pd.DataFrame) -> None:
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and list(names) != [*X.columns]:
        missing = [str(name) for name in names if name not in X.columns]
        found = f"without {', '.join(missing)}" if missing else "other columns or another order"
        raise InvalidInputError(
            f"the table has {found}; {type(estimator).__name__} was fitted on {', '.join(map(str, names))}"
        )
    width = getattr(estimator, "n_features_in_", X.shape[1])
    if width != X.shape[1]:
        raise InvalidInputError(
            f"the table has {X.shape[1]} columns; {type(estimator).__name__} was fitted on {width}"
        )


def _check_classes(estimator: Any) -> None:
    """Refuse a class that nobody has a converter for by its name: skl2onnx would stumble over its columns."""
    for part in parts(estimator):
        kind = type(part)
        if kind.__module__.partition(".")[0] != "sklearn" and kind not in sklearn_operator_name_map:
            raise ConversionError(f"{kind.__name__} has no ONNX converter")


def _task(estimator: Any) -> tuple[Task, tuple[ClassLabel, ...] | None]:
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise ConversionError(f"{name} has no predict")
    if is_classifier(estimator):
        found = estimator.classes_
        if isinstance(found, list) or np.ndim(found) != 1:
            raise ConversionError(f"{name} answers several labels per row")
        classes = tuple(np.asarray(found).tolist())
        if not all(isinstance(label, (str, int, float)) for label in classes):
            raise ConversionError(f"{name} has classes that are neither strings nor numbers")
        return ("binary" if len(classes) == 2 else "multiclass"), classes
    if is_regressor(estimator):
        return "regression", None
    if is_clusterer(estimator):
        return "clustering", None
    if is_outlier_detector(estimator):
        return "outliers", None
    raise ConversionError(f"{name} is neither a classifier nor a regressor")


def _check_labels(estimator: Any, classes: tuple[ClassLabel, ...] | None) -> None:
    """Refuse large numbers as labels where skl2onnx, which puts labels through float32, writes them."""
    if all(isinstance(label, str) or abs(label) <= EXACT_IN_FLOAT32 for label in classes or ()):
        return
    for part in parts(estimator):
        if (
            is_classifier(part)
            and type(part) not in CONVERTERS
            and not isinstance(part, (Pipeline, BaseSearchCV))
        ):
            raise ConversionError(
                f"{type(part).__name__} would become ONNX with rounded labels, since some are above "
                f"{EXACT_IN_FLOAT32}"
            )


def _label_kind(classes: tuple[ClassLabel, ...] | None, task: Task) -> DType:
    if classes is None:
        return "float64" if task == "regression" else "int64"
    kinds: dict[type, DType] = {str: "string", bool: "bool", int: "int64", float: "float64"}
    return kinds[type(classes[0])]


def _written(model: Any, inputs: Sequence[ModelInput]) -> Any:
    """Run skl2onnx over a rewritten copy; numbers of every type are double inputs here."""
    types = [
        (
            f"input {i}",
            (StringTensorType if entry.dtype == "string" else DoubleTensorType)([None, len(entry.columns)]),
        )
        for i, entry in enumerate(inputs)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations inside skl2onnx; what is wrong shows in parity
        return convert_sklearn(
            model,
            "modelyard",
            types,
            target_opset=_graph.WRITTEN_OPSET,
            options=_options(model),
            custom_conversion_functions={kind: entry[0] for kind, entry in CONVERTERS.items()},
            custom_shape_calculators={kind: entry[1] for kind, entry in CONVERTERS.items()},
        )


def _options(model: Any) -> dict[int, dict[str, Any]]:
    options: dict[int, dict[str, Any]] = {}
    final = model
    while isinstance(final, Pipeline):
        final = final.steps[-1][1]
    alias = sklearn_operator_name_map.get(type(final))
    if alias and "zipmap" in (get_converter(alias).get_allowed_options() or {}):
        options[id(final)] = {"zipmap": False}
    for part in parts(model):
        if isinstance(part, CountVectorizer):  # TfidfVectorizer is one
            options[id(part)] = {"locale": "C"}
    return options


def _check_runs(estimator: Any, conversion: Conversion, rows: pd.DataFrame) -> None:
    name = type(estimator).__name__
    try:
        predictions, _ = Session(conversion)(rows)
    except FAILURES as error:
        raise ConversionError(
            f"{name} converts, but the model does not run ({_first_line(error)})"
        ) from error
    if len(predictions) != len(rows):
        raise ConversionError(f"{name} answers several values per row")


def _reason(estimator: Any, error: Exception) -> str:
    unknown = re.search(r"<class '([\w.]+)'>", str(error))
    if unknown and isinstance(error, (MissingConverter, MissingShapeCalculator, KeyError)):
        return f"{unknown[1].rpartition('.')[2]} has no ONNX converter"
    return f"{type(estimator).__name__} cannot become ONNX ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(". ") if lines else type(error).__name__


def _converter_notes(model: Any) -> tuple[str, ...]:
    found = {type(part) for part in parts(model)}
    return tuple(dict.fromkeys(note for kind, (_, _, note) in CONVERTERS.items() if kind in found and note))


def _null_notes(model: Any, none: Collection[str]) -> tuple[str, ...]:
    fills_nan = any(
        isinstance(part, SimpleImputer) and part.missing_values is not None for part in parts(model)
    )
    if not none or not fills_nan:
        return ()
    return (
        f"The nulls of {listing(none)} are None, which scikit-learn's SimpleImputer leaves as they are "
        "(it fills NaN): so does the model.",
    )
