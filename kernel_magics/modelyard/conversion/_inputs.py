"""How the columns of a table become the inputs of a graph, and how rows are fed to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from modelyard.conversion._protocol import NULL_STRING, DType, ModelInput
from modelyard.errors import ConversionError, InvalidInputError

Array = np.ndarray[Any, Any]


NUMPY_TYPES = {"float64": np.float64, "float32": np.float32, "int64": np.int64, "bool": np.bool_}


def describe(X: pd.DataFrame, *, by_column: bool) -> tuple[ModelInput, ...]:
    """Return one float64 matrix ``X`` if all columns are numbers and nothing selects any, else one input each.

    Raises
    ------
    ConversionError
        A column holds dates, or strings mixed with something else.
    """
    types = {str(name): _dtype(str(name), X.iloc[:, i]) for i, name in enumerate(X.columns)}
    if len(types) < X.shape[1]:
        raise InvalidInputError("two columns of the table have the same name; rename one")
    if not by_column and "string" not in types.values():
        return (ModelInput("X", "float64", tuple(types)),)
    return tuple(ModelInput(name, dtype, (name,)) for name, dtype in types.items())


def none_columns(X: pd.DataFrame) -> frozenset[str]:
    """Return the columns whose nulls are ``None`` and not NaN.

    Raises
    ------
    ConversionError
        A column has both, which an ONNX input cannot tell apart.
    """
    found = set()
    for i, name in enumerate(X.columns):
        column = X.iloc[:, i]
        if not pd.api.types.is_object_dtype(column.dtype):
            continue
        nulls = {value is None for value in column[column.isna()]}
        if len(nulls) == 2:
            raise ConversionError(f"column {name!r} has both None and NaN for nulls; keep one")
        if nulls == {True}:
            found.add(str(name))
    return frozenset(found)


def _dtype(name: str, column: pd.Series[Any]) -> DType:
    kind: Any = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values = pd.Series(column.cat.categories)
        found = _dtype(name, values)
        return "float64" if column.isna().any() and found != "string" else found
    if pd.api.types.is_bool_dtype(kind):
        return "float64" if column.isna().any() else "bool"
    if pd.api.types.is_integer_dtype(kind):
        return "float64" if column.isna().any() else "int64"
    if pd.api.types.is_float_dtype(kind):
        return "float64"
    if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind):
        return _object_dtype(name, column)
    raise ConversionError(f"column {name!r} holds {kind}, which ONNX has no input for")


def _object_dtype(name: str, column: pd.Series[Any]) -> DType:
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in ("string", "empty"):
        return "string"
    numeric: dict[str, DType] = {
        "boolean": "bool",
        "integer": "int64",
        "floating": "float64",
        "mixed-integer-float": "float64",
    }
    if inferred in numeric:
        return "float64" if column.isna().any() else numeric[inferred]
    raise ConversionError(f"column {name!r} holds {inferred} values, which ONNX has no input for")


def feed(inputs: Sequence[ModelInput], X: pd.DataFrame) -> dict[str, Array]:
    """Return the tensors of rows, each ``(len(X), columns)``."""
    by_name = {str(name): i for i, name in enumerate(X.columns)}
    return {
        entry.name: np.column_stack(
            [_values(X.iloc[:, by_name[column]], entry.dtype) for column in entry.columns]
        )
        for entry in inputs
    }


def _values(column: pd.Series[Any], dtype: DType) -> Array:
    if dtype == "string":
        values = column.astype(object).to_numpy(copy=True)
        values[pd.isna(values)] = NULL_STRING
        return values
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.isna().any() else np.float64)
    if dtype in ("float64", "float32"):
        return pd.to_numeric(column).to_numpy(dtype=NUMPY_TYPES[dtype], na_value=np.nan)
    return column.to_numpy(dtype=NUMPY_TYPES[dtype])
