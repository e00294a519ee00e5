"""What a conversion is: a model, how its inputs are fed, and what its outputs mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NULL_STRING = "\u2400"
"""What a null in a string column is fed as, since an ONNX string tensor holds no null (SYMBOL FOR NULL)."""

NONE_STRING = NULL_STRING + "None"
"""What a graph itself makes of `NULL_STRING` in a column whose nulls are ``None``: scikit-learn's
``SimpleImputer`` fills NaN and leaves ``None``, and its encoders tell the two apart."""

DType = Literal["float64", "float32", "int64", "string", "bool"]
Task = Literal["binary", "multiclass", "regression", "clustering", "outliers"]
ClassLabel = str | int | bool | float


@dataclass(frozen=True)
class ModelInput:
    """One input of the graph and the table columns that feed it.

    The tensor has the shape ``(rows, len(columns))``. A null is fed to a float input as NaN and to a
    string input as `NULL_STRING`. ``int64`` and ``bool`` inputs hold no nulls: a numeric column that has
    any in the table given to `convert` is declared ``float64``.

    Attributes
    ----------
    name : str
        The name of the graph input.
    dtype : str
        ``float64``, ``float32``, ``int64``, ``string`` or ``bool``.
    columns : tuple of str
        The columns that are stacked along axis 1, in this order.
    """

    name: str
    dtype: DType
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Conversion:
    """A fitted estimator as an ONNX model.

    Attributes
    ----------
    model : bytes
        The serialised ``onnx.ModelProto``; the same estimator gives the same bytes.
    inputs : tuple of ModelInput
        How to feed a table.
    label_output : str or None
        The output with class labels or regression values, shape ``(rows,)``. Labels have the type of
        `classes`.
    probability_output : str or None
        The output with probabilities, float32 or float64, shape ``(rows, classes)``. ``None`` where the
        estimator has no ``predict_proba``.
    task : str
        ``binary``, ``multiclass``, ``regression``, ``clustering`` or ``outliers``.
    classes : tuple or None
        The class labels in the order of the probability columns.
    notes : tuple of str
        The mends without which the conversion would have been wrong, one sentence each.
    """

    model: bytes
    inputs: tuple[ModelInput, ...]
    label_output: str | None
    probability_output: str | None
    task: Task
    classes: tuple[ClassLabel, ...] | None
    notes: tuple[str, ...] = ()
