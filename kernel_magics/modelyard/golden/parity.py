"""What the estimator answers, and whether something else answers the same."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import parallel_config

from modelyard.errors import InvalidInputError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off: within `absolute`, or within `relative` times the expected value."""

    absolute: float = 1e-5
    relative: float = 1e-5


@dataclass(frozen=True)
class Outputs:
    """Answers to a table: predictions ``(rows,)`` and probabilities ``(rows, classes)``, if there are any."""

    predictions: Array
    probabilities: Array | None


@dataclass(frozen=True)
class Mismatch:
    """The first row on which two sets of answers differ.

    Attributes
    ----------
    row : int
        Its position.
    output : str
        Which answer differs: ``prediction``, or ``probability of class 1`` (by position).
    expected, got : object
        The two answers.
    """

    row: int
    output: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"row {self.row}, {self.output}: expected {_told(self.expected)}, got {_told(self.got)}"


def _told(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True)
class Parity:
    """How two sets of answers agree.

    Attributes
    ----------
    rows : int
        How many rows were compared.
    label_mismatches : int
        Rows with another label; for regression, with a value out of tolerance.
    differing : int
        Rows that differ, whether in label, value or probability.
    max_absolute : float
        The largest difference of a probability or value; infinite where only one of them is a number.
    first : Mismatch or None
        The first row that differs.
    ok : bool
        Whether no row differs.
    """

    rows: int
    label_mismatches: int
    differing: int
    max_absolute: float
    first: Mismatch | None

    @property
    def ok(self) -> bool:
        return self.first is None

    def payload(self) -> dict[str, Any]:
        """Return the JSON object of ``parity.json``; an infinite difference is ``None``."""
        return {
            "rows": self.rows,
            "label_mismatches": self.label_mismatches,
            "max_absolute": self.max_absolute if np.isfinite(self.max_absolute) else None,
            "first": None if self.first is None else str(self.first),
            "ok": self.ok,
        }


def expected(estimator: Any, X: Any) -> Outputs:
    """Ask the estimator itself; `X` is in the form that it was fitted on, a frame or an array.

    On one thread: a forest on several adds its trees up in whatever order they finish, and its last digit, with
    the bundle's digest, would differ from one call to the next.
    """
    with warnings.catch_warnings(), parallel_config(backend="sequential"):
        warnings.simplefilter("ignore", UserWarning)  # of unknown categories and of names: both are meant
        predictions = np.asarray(estimator.predict(X))
        probabilities = (
            np.asarray(estimator.predict_proba(X)) if hasattr(estimator, "predict_proba") else None
        )
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]
    return Outputs(predictions, probabilities)


def compare(expected: Outputs, got: Outputs, *, tolerance: Tolerance | None = None) -> Parity:
    """Compare answers: labels must be the same, numbers within tolerance (``numpy.isclose``, NaN is NaN).

    Floating-point predictions are regression values unless there are probabilities beside them. Their
    tolerance is absolute or relative, whichever is wider, so that large values are judged relatively.

    Raises
    ------
    InvalidInputError
        The two do not have the same shape, or one lacks probabilities.
    """
    tolerance = tolerance or Tolerance()
    wanted, found = np.asarray(expected.predictions), np.asarray(got.predictions)
    if wanted.shape != found.shape:
        raise InvalidInputError(f"expected predictions of shape {wanted.shape}, got {found.shape}")
    values = wanted.dtype.kind == "f" and expected.probabilities is None
    differences: list[Array] = [np.zeros(1)]
    wrong: Array
    if values:
        wrong = ~_rowwise(_close(wanted, found, tolerance))
        differences.append(_distance(wanted, found))
    else:
        wrong = ~_rowwise(_same(wanted, found))
    off: Array = np.zeros(len(wanted), dtype=bool)
    if expected.probabilities is not None:
        if got.probabilities is None or got.probabilities.shape != expected.probabilities.shape:
            shape = None if got.probabilities is None else got.probabilities.shape
            raise InvalidInputError(
                f"expected probabilities of shape {expected.probabilities.shape}, got {shape}"
            )
        off = ~_rowwise(_close(expected.probabilities, got.probabilities, tolerance))
        differences.append(_distance(expected.probabilities, got.probabilities))
    largest = float(max(part.max(initial=0.0) for part in differences))
    differing = int((wrong | off).sum())
    return Parity(len(wanted), int(wrong.sum()), differing, largest, _first(expected, got, wrong, off))


def _close(wanted: Array, found: Array, tolerance: Tolerance) -> Array:
    close: Array = np.isclose(
        np.asarray(found, dtype=np.float64),
        np.asarray(wanted, dtype=np.float64),
        rtol=tolerance.relative,
        atol=tolerance.absolute,
        equal_nan=True,
    )
    return close


def _rowwise(agree: Array) -> Array:
    """Return whether all of a row agrees, shape ``(rows,)``."""
    rows: Array = np.array([bool(row.all()) for row in agree], dtype=bool)
    return rows


def _same(wanted: Array, found: Array) -> Array:
    """Compare labels as Python objects, so that ``str_``, ``object`` and ``int64`` columns meet."""
    pairs = zip(wanted.ravel().tolist(), found.ravel().tolist(), strict=True)
    return np.array([a == b or (a != a and b != b) for a, b in pairs], dtype=bool).reshape(wanted.shape)


def _distance(wanted: Array, found: Array) -> Array:
    wanted, found = np.asarray(wanted, dtype=np.float64), np.asarray(found, dtype=np.float64)
    same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))  # infinity minus itself is no number
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(wanted - found))
    return np.nan_to_num(difference, nan=np.inf, posinf=np.inf)


def _first(expected: Outputs, got: Outputs, wrong: Array, off: Array) -> Mismatch | None:
    failing = np.flatnonzero(wrong | off)
    if not len(failing):
        return None
    row = int(failing[0])
    if wrong[row]:
        wanted, found = np.asarray(expected.predictions)[row], np.asarray(got.predictions)[row]
        return Mismatch(row, "prediction", _plain(wanted), _plain(found))
    assert expected.probabilities is not None
    assert got.probabilities is not None
    column = int(_distance(expected.probabilities[row], got.probabilities[row]).argmax())
    wanted, found = expected.probabilities[row, column], got.probabilities[row, column]
    return Mismatch(row, f"probability of class {column}", float(wanted), float(found))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
