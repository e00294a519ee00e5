"""What the numbers that a network answers mean, told from the numbers themselves and from the target.

A network names neither its classes nor its last layer. The same reading is applied to its answers in the
notebook, in numpy, and written behind its graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from onnx import TensorProto
from scipy.special import expit, softmax

from modelyard.conversion._graph import Graph, label_array
from modelyard.conversion._protocol import ClassLabel, DType, Task
from modelyard.errors import ConversionError, InvalidInputError

Array = np.ndarray[Any, Any]
Classes = tuple[ClassLabel, ...]
Kind = Literal["value", "label", "chance", "log-odds", "chances", "scores"]

_SUM = 1e-4  # how far the probabilities of a row may be from 1, as float32 and float16 leave them
_TRIED_ROWS = 8


@dataclass(frozen=True)
class Reading:
    """What one row of answers is.

    Attributes
    ----------
    kind : str
        ``value``: the value of a regression. ``chance``, ``log-odds``: the second class's probability, or
        its logit. ``chances``, ``scores``: a probability of each class, or its logit. ``label``: the label
        is all there is.
    classes : tuple or None
        In the order of the probabilities.
    notes : tuple of str
        What was decided, and from what.
    """

    kind: Kind
    classes: Classes | None
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        if self.classes is None:
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def has_probabilities(self) -> bool:
        return self.kind not in ("value", "label")

    @property
    def label_dtype(self) -> DType:
        if self.classes is None:
            return "float64"
        kinds: dict[type, DType] = {str: "string", bool: "bool", int: "int64", float: "float64"}
        return kinds[type(self.classes[0])]

    def labels(self, answers: Array) -> Array:
        """Return the values, or the labels, of answers ``(n,)`` or ``(n, k)``; shape ``(n,)``."""
        if self.classes is None:
            return answers.reshape(len(answers)).astype(np.float64)
        matrix = self._matrix(answers)
        if self.kind in ("chance", "log-odds"):
            places = (matrix[:, 0] > self._limit).astype(np.int64)
        else:
            places = matrix.argmax(axis=1)
        return np.array(self.classes, dtype=object if self.label_dtype == "string" else None)[places]

    def probabilities(self, answers: Array) -> Array:
        """Return the probabilities of answers ``(n,)`` or ``(n, k)``; shape ``(n, classes)``, float64."""
        matrix = self._matrix(answers).astype(np.float64)
        if self.kind == "scores":
            matrix = softmax(matrix, axis=1)
        elif self.kind == "log-odds":
            matrix = expit(matrix)
        return matrix if self.kind in ("chances", "scores") else np.hstack([1 - matrix, matrix])

    @property
    def _limit(self) -> float:
        return 0.5 if self.kind == "chance" else 0.0

    def _matrix(self, answers: Array) -> Array:
        matrix = answers.reshape(len(answers), -1)
        _check_numbers("the model", matrix)
        return matrix

    def write(self, graph: Graph, answers: str, label: str | None, probabilities: str) -> None:
        """Write the nodes that compute the label, if it has a name, and the probabilities, if there are any."""
        if self.classes is None:
            if label is not None:
                graph.double(reshaped(graph, answers, -1), label)
            return
        several = self.kind in ("chances", "scores")
        matrix = reshaped(graph, answers, -1, len(self.classes) if several else 1)
        if label is not None:
            self._write_label(graph, matrix, several, label)
        wide = graph.double(matrix)
        if self.kind == "scores":
            graph.node("Softmax", [wide], probabilities, axis=1)
        elif self.kind == "chances":
            graph.node("Identity", [wide], probabilities)
        else:
            chance = wide if self.kind == "chance" else graph.node("Sigmoid", [wide])
            other = graph.node("Sub", [graph.constant(np.array([1.0])), chance])
            graph.node("Concat", [other, chance], probabilities, axis=1)

    def _write_label(self, graph: Graph, matrix: str, several: bool, out: str) -> None:
        assert self.classes is not None
        if several:
            place = graph.node("ArgMax", [matrix], axis=1, keepdims=0)
        else:
            above = graph.node("Greater", [graph.double(matrix), graph.constant(np.array([self._limit]))])
            place = reshaped(graph, graph.node("Cast", [above], to=TensorProto.INT64), -1)
        casts = {"bool": TensorProto.BOOL, "float64": TensorProto.DOUBLE}
        if self.label_dtype in casts:
            numbers = graph.constant(label_array(self.classes))
            found = graph.node("Gather", [numbers, place], axis=0)
            graph.node("Cast", [found], out, to=casts[self.label_dtype])
        else:
            graph.labels(place, self.classes, out)


def _check_numbers(name: str, matrix: Array) -> None:
    wrong = np.flatnonzero(np.isnan(matrix).any(axis=1))
    if len(wrong):
        raise InvalidInputError(
            f"{name} answers NaN to row {wrong[0]}, which gives no label; fill the missing values of X"
        )


def reshaped(graph: Graph, value: str, *shape: int) -> str:
    return graph.node("Reshape", [value, graph.constant(np.array(shape, dtype=np.int64))])


def classes_of(y: Any) -> Classes | None:
    """Return the sorted classes of a target, or ``None`` where it is a quantity (or not given).

    Raises
    ------
    InvalidInputError
        It has nulls, several columns, or labels of several types.
    """
    if y is None:
        return None
    target = np.asarray(y)
    if target.ndim > 1 and target.size != len(target):
        raise InvalidInputError(f"y has the shape {target.shape}; give one label or one value a row")
    labels = pd.Series(target.ravel())
    if labels.isna().any():
        raise InvalidInputError(
            f"y has {int(labels.isna().sum())} nulls; leave out the rows without a target"
        )
    found = [getattr(label, "item", lambda label=label: label)() for label in labels.unique()]
    kinds = {type(label) for label in found}
    if not kinds <= {str} and not kinds <= {bool} and not kinds <= {int, float}:
        shown = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise InvalidInputError(
            f"y holds {shown}; give labels of one type, text or whole numbers, or numbers"
        )
    if any(isinstance(label, float) and not label.is_integer() for label in found):
        return None
    return tuple(sorted(found))


def read(name: str, answers: Array, y: Any, named: Classes | None = None) -> Reading:
    """Tell what the answers to the training table are.

    Parameters
    ----------
    name : str
        What the messages call the model.
    answers : ndarray of shape (n,) or (n, k)
    y : array-like of shape (n,) or None
    named : tuple or None
        The classes in the order that the model itself names; they count where `y` has the same.

    Raises
    ------
    ConversionError
        They are several values a row, or not one for each class of `y`.
    InvalidInputError
        One of them is NaN where classes are predicted, or `y` is no target.
    """
    if answers.ndim not in (1, 2) or answers.size == 0:
        raise ConversionError(
            f"{name} answers with the shape {answers.shape}; one number or one row is needed"
        )
    classes, count = classes_of(y), 1 if answers.ndim == 1 else answers.shape[1]
    if classes is not None and named is not None and set(named) == set(classes):
        classes = named
    if count == 1:
        return _read_one(name, answers.reshape(-1), classes)
    if classes is None:
        raise ConversionError(
            f"{name} predicts {count} outputs a row and y is a quantity; "
            "a bundle holds one output: give a model for each"
        )
    if len(classes) != count:
        raise ConversionError(
            f"{name} predicts {count} outputs a row and y has {len(classes)} classes; give one output a class"
        )
    _check_numbers(name, answers)
    if is_distribution(answers):
        return Reading(
            "chances", classes, (f"Each row of {name}'s output sums to 1: they are probabilities.",)
        )
    note = f"The rows of {name}'s output do not sum to 1: they are logits, and a softmax was added."
    return Reading("scores", classes, (note,))


def _read_one(name: str, answers: Array, classes: Classes | None) -> Reading:
    if classes is not None and isinstance(classes[0], str | bool) and len(classes) != 2:
        raise ConversionError(f"{name} predicts one output a row and y has {len(classes)} classes, not two")
    if classes is None or len(classes) != 2:
        return Reading("value", None)
    _check_numbers(name, answers.reshape(-1, 1))
    if within_unit(answers):
        note = f"{name}'s output lies within 0 and 1: it is the probability of {classes[1]!r}."
        return Reading("chance", classes, (note,))
    note = f"{name}'s output leaves 0 to 1: it is the logit of {classes[1]!r}, and a sigmoid was added."
    return Reading("log-odds", classes, (note,))


def within_unit(answers: Array) -> bool:
    return bool(((answers >= 0) & (answers <= 1)).all())


def is_distribution(answers: Array) -> bool:
    """Return whether every row is non-negative and sums to 1."""
    sums = answers.astype(np.float64).sum(axis=1)
    return bool((answers >= 0).all() and np.allclose(sums, 1, rtol=0, atol=_SUM))


def check_rows_alone(name: str, answer: Callable[[pd.DataFrame], Array], X: pd.DataFrame) -> None:
    """Refuse a model whose answer to a row depends on the rows beside it.

    Raises
    ------
    ConversionError
        As a softmax over the wrong axis does.
    """
    rows = X.head(_TRIED_ROWS)
    together = answer(rows)
    for row in range(len(rows)):
        if not same(together[row : row + 1], answer(rows.iloc[row : row + 1])):
            raise ConversionError(
                f"{name} answers row {row} otherwise when other rows are beside it; "
                "look for a softmax or a mean over axis 0"
            )


def same(one: Array, other: Array) -> bool:
    """Return whether answers agree: texts and whole numbers exactly, others as far as float32 does."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True))


def as_frame(X: Any) -> pd.DataFrame:
    """Return a table as a frame; the columns of an array are called ``x0``, ``x1``, ….

    Raises
    ------
    InvalidInputError
        It has no rows or is no table.
    """
    if not isinstance(X, pd.DataFrame):
        array = np.asarray(X)
        if array.ndim != 2:
            raise InvalidInputError(
                f"X must be a table of shape (rows, columns), found shape {array.shape}; "
                "give a DataFrame or a matrix"
            )
        X = pd.DataFrame(array, columns=[f"x{place}" for place in range(array.shape[1])])
    frame: pd.DataFrame = X.reset_index(drop=True)
    if not len(frame):
        raise InvalidInputError("X has no rows; give the table that the model was trained on")
    return frame


def fed_frame(X: Any, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return rows to predict as a frame of `columns`; an array has them by position.

    Raises
    ------
    InvalidInputError
        A column is missing, or an array has another number of them.
    """
    if isinstance(X, pd.DataFrame):
        missing = [name for name in columns if name not in X.columns]
        if missing:
            raise InvalidInputError(f"X lacks the column {missing[0]!r}; add it")
        return X
    array = np.asarray(X)
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise InvalidInputError(f"X has the shape {array.shape}; give {len(columns)} columns")
    return pd.DataFrame(array, columns=list(columns))
