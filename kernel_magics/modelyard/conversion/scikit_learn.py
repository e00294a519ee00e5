"""scikit-learn to ONNX: skl2onnx, with what it gets wrong or refuses written here.

Every number is computed in double. The mends live beside this file: `_converters`
lists those that replace skl2onnx's, and `_rewrites` changes a copy of the estimator before it is written.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from onnx.checker import ValidationError
from skl2onnx import convert_sklearn
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import get_converter
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from modelyard.conversion import _graph
from modelyard.conversion._boosters import Converter, is_booster
from modelyard.conversion._checks import check_classes, check_columns, check_labels, task_of
from modelyard.conversion._converters import converters_for
from modelyard.conversion._finish import LABEL, PROBABILITIES, Output, finish, free_names
from modelyard.conversion._inputs import describe, none_columns
from modelyard.conversion._parts import parts
from modelyard.conversion._protocol import ClassLabel, Conversion, DType, ModelInput, Task
from modelyard.conversion._rewrites import rewrite
from modelyard.conversion._session import FAILURES, Session
from modelyard.conversion._sparse import fed_sparse
from modelyard.errors import ConversionError, NotFittedError, listing

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
    if not (isinstance(estimator, BaseEstimator) or is_booster(estimator)):
        raise ConversionError(f"{type(estimator).__name__} is no scikit-learn estimator")
    try:
        check_is_fitted(estimator)
    except SklearnNotFittedError as error:
        raise NotFittedError(f"{type(estimator).__name__} is not fitted; call its fit(X, y) first") from error
    check_columns(estimator, columns)
    converters = converters_for(estimator)
    check_classes(estimator, converters)
    task, classes = task_of(estimator)
    check_labels(estimator, classes, converters)
    has_probabilities = classes is not None and hasattr(estimator, "predict_proba")
    by_column = any(isinstance(part, ColumnTransformer) for part in parts(estimator))
    inputs = free_names(describe(columns, by_column=by_column))
    none = none_columns(columns)
    try:
        model, notes = rewrite(estimator)
        written = _written(model, inputs, converters, fed_sparse(estimator, columns.head(8)))
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
        (*notes, *_converter_notes(model, converters), *_null_notes(model, none)),
    )
    _check_runs(estimator, conversion, columns.head(8))
    return conversion


def _label_kind(classes: tuple[ClassLabel, ...] | None, task: Task) -> DType:
    if classes is None:
        return "float64" if task == "regression" else "int64"
    kinds: dict[type, DType] = {str: "string", bool: "bool", int: "int64", float: "float64"}
    return kinds[type(classes[0])]


def _written(
    model: Any, inputs: Sequence[ModelInput], converters: Mapping[type, Converter], sparse: Collection[int]
) -> Any:
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
            options=_options(model, sparse),
            custom_conversion_functions={kind: entry[0] for kind, entry in converters.items()},
            custom_shape_calculators={kind: entry[1] for kind, entry in converters.items()},
        )


def _options(model: Any, sparse: Collection[int]) -> dict[int, dict[str, Any]]:
    options: dict[int, dict[str, Any]] = {booster: {"sparse": True} for booster in sparse}
    final = model
    while isinstance(final, Pipeline):
        final = final.steps[-1][1]
    if _takes_zipmap(final):
        options.setdefault(id(final), {})["zipmap"] = False
    for part in parts(model):
        if isinstance(part, Pipeline):
            last = part.steps[-1][1]
            if isinstance(last, Pipeline) or not _takes_zipmap(last):
                # of a step without options skl2onnx asks for a zipmap, and refuses a classifier that knows none
                options.setdefault(id(last), {})
        if isinstance(part, CountVectorizer):  # TfidfVectorizer is one
            options[id(part)] = {"locale": "C"}
    return options


def _takes_zipmap(part: Any) -> bool:
    alias = sklearn_operator_name_map.get(type(part))
    return alias is not None and "zipmap" in (get_converter(alias).get_allowed_options() or {})


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


def _converter_notes(model: Any, converters: Mapping[type, Converter]) -> tuple[str, ...]:
    found = {type(part) for part in parts(model)}
    return tuple(dict.fromkeys(note for kind, (_, _, note) in converters.items() if kind in found and note))


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
