"""How shap reads a model from inside: as trees, or as one weight per column.

Nothing that shap reads is believed before it has said of the background what the model itself says: of some models
shap knows only an older form.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shap
from numpy.typing import NDArray
from scipy.special import expit, softmax

from modelyard_explainer.original_columns import part

#: The largest relative difference between what shap and what the model says of the same rows.
_FAITHFUL = 1e-4
#: shap's C code counts the nodes of a tree in two bytes, and does not look whether they suffice.
_MOST_NODES = 32_767

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a model.

    Attributes
    ----------
    words : str
        Which explainer, in words.
    scale : str
        What the values add up to: ``probability``, ``log-odds``, ``decision score`` or ``prediction``.
    base : ndarray of shape (outputs,)
        What is answered where nothing is known.
    values : callable
        Transformed rows to SHAP values of shape (rows, columns, outputs).
    sums : callable
        What `base` and the values of transformed rows must add up to, said by the model: (rows, outputs).
    link : callable
        Turns sums into what `sums` says: the inverse link where the model itself gives no log-odds.
    """

    words: str
    scale: str
    base: Values
    values: Callable[[Any], Values]
    sums: Callable[[Any], Values]
    link: Callable[[Values], Values] = np.asarray

    def difference(self, values: Values, rows: Any) -> float:
        """Return the largest difference between `base` with the values, and what the model says of the same rows.

        Raises
        ------
        UnfaithfulReadingError
            It is more than rounding.
        """
        return _difference(self.link(self.base + values.sum(axis=1)), self.sums(rows))


class UnfaithfulReadingError(Exception):
    """shap reads a model otherwise than it answers; the message says by how much."""


def _difference(said: Values, truth: Values) -> float:
    if said.shape != truth.shape:
        raise UnfaithfulReadingError(f"shap reads {said.shape[1]} outputs, the model has {truth.shape[1]}")
    found = float(np.max(np.abs(said - truth), initial=0.0))
    if not found <= _FAITHFUL * max(1.0, float(np.max(np.abs(truth), initial=0.0))):
        raise UnfaithfulReadingError(f"shap reads the model otherwise than it answers, by {found:.2g}")
    return found


def numeric(rows: Any) -> Values | None:
    """Return transformed rows as a matrix of numbers; ``None`` for those that hold texts or categories."""
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if isinstance(rows, pd.DataFrame) and any(isinstance(kind, pd.CategoricalDtype) for kind in rows.dtypes):
        return None
    try:
        return (
            rows.to_numpy(dtype=float, na_value=np.nan)
            if isinstance(rows, pd.DataFrame)
            else np.asarray(rows, dtype=float)
        )
    except (TypeError, ValueError):
        return None


def tree_reading(model: Any, background: Any, classes: int) -> Reading | str:
    """Return how shap reads a model of trees, or why it cannot.

    Parameters
    ----------
    model : fitted estimator
    background : transformed rows
    classes : int
        How many; 0 for a regression.
    """
    reasons = ["the trees are given texts or categories"] if numeric(background) is None else []
    for attempt in _tree_attempts(model, background, classes):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return attempt()
        except Exception as error:  # noqa: BLE001  # shap raises bare ones for what it cannot read
            reasons.append(str(error).partition("\n")[0] or type(error).__name__)
    return reasons[0]


def _tree_attempts(model: Any, background: Any, classes: int) -> Iterator[Callable[[], Reading]]:
    matrix = numeric(background)
    if matrix is not None:
        if classes:
            yield lambda: _interventional(model, background, matrix, classes, "probability")
        yield lambda: _interventional(model, background, matrix, classes, "raw")
    if type(model).__module__.partition(".")[0] in ("lightgbm", "xgboost", "catboost"):
        yield lambda: _along_paths(model, background, classes)


def _interventional(model: Any, background: Any, matrix: Values, classes: int, output: str) -> Reading:
    masker = shap.maskers.Independent(matrix, max_samples=len(matrix))  # shap would take a hundred of them
    explainer = shap.TreeExplainer(model, masker, feature_perturbation="interventional", model_output=output)
    trees = explainer.model
    if trees.trees is None or trees.num_nodes.max() > _MOST_NODES:
        raise UnfaithfulReadingError("shap cannot read trees with such splits, or of so many nodes")
    said = _columns(trees.predict(matrix))
    coded = _between_thresholds(trees)
    explainer.data = coded(matrix)
    chance = output == "probability" or not classes
    reading = Reading(
        words=f"tree (interventional, {len(matrix)} rows of background)",
        scale=("probability" if chance else "log-odds") if classes else "prediction",
        base=_both(said, classes, chance).mean(axis=0),
        values=lambda rows: _both_values(
            explainer.shap_values(coded(numeric(rows)), check_additivity=False), classes
        ),
        sums=_sums_of(model, classes),
        link=np.asarray if chance else _inverse_link(classes),
    )
    _difference(reading.link(_both(said, classes, chance)), reading.sums(background))
    one = part(background, slice(1))
    reading.difference(
        reading.values(one), one
    )  # of some boosters shap predicts, and then refuses to explain
    return reading


def _between_thresholds(trees: Any) -> Callable[[Any], Values]:
    """Replace thresholds by their places among those of a column, and return what does the same to rows.

    The C code of shap 0.51 keeps thresholds in float32: a value that lies within the rounding of one takes the other
    branch than in the model, and the values do not add up. Which thresholds a value is above decides all branches, so
    that both are replaced by their places among the thresholds, which are exact. Nulls stay nulls.
    """
    rounding, known = trees.input_dtype, {}
    if np.any(trees.threshold_types):  # a split by categories knows no order
        return lambda matrix: matrix.astype(rounding).astype(float)
    inner = trees.children_left >= 0
    columns, thresholds = trees.features[inner], trees.thresholds[inner].astype(float)
    order = np.argsort(columns, kind="stable")
    present, starts = np.unique(columns[order], return_index=True)
    for column, places in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        known[column], thresholds[places] = np.unique(thresholds[places], return_inverse=True)
    numbered = trees.thresholds.astype(float)
    numbered[inner] = thresholds
    trees.thresholds = numbered

    def coded(matrix: Values) -> Values:
        rounded = matrix.astype(rounding).astype(float)
        found = np.zeros(matrix.shape)
        for column, steps in known.items():
            cells = rounded[:, column]
            found[:, column] = np.where(np.isnan(cells), np.nan, np.searchsorted(steps, cells))
        return found

    return coded


def _along_paths(model: Any, background: Any, classes: int) -> Reading:
    """Read a booster through its own SHAP values, which know its categories; they need no background."""
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")

    def values(rows: Any) -> Values:
        return _both_values(explainer.shap_values(rows, check_additivity=False), classes)

    few = part(background, slice(5))
    found = values(few)
    base = _both(np.atleast_2d(np.asarray(explainer.expected_value, dtype=float)), classes, False)[0]
    reading = Reading(
        words="tree (the booster's own, along the paths of its training rows: the background is not used)",
        scale="log-odds" if classes else "prediction",
        base=base,
        values=values,
        sums=_sums_of(model, classes),
        link=_inverse_link(classes),
    )
    reading.difference(found, few)
    return reading


def linear_reading(model: Any, background: Any, classes: int) -> Reading | str:
    """Return how shap reads a model of one weight per column, or why it cannot."""
    matrix = numeric(background)
    if matrix is None:
        return "the model is given texts or categories"
    try:
        explainer = shap.LinearExplainer(model, shap.maskers.Independent(matrix, max_samples=len(matrix)))
        base = _both(np.atleast_2d(np.asarray(explainer.expected_value, dtype=float)), classes, False)[0]
        reading = _linear(model, explainer, base, classes, len(matrix))
        reading.difference(reading.values(background), background)
    except Exception as error:  # noqa: BLE001  # see tree_reading
        return str(error).partition("\n")[0] or type(error).__name__
    return reading


def _linear(model: Any, explainer: Any, base: Values, classes: int, background: int) -> Reading:
    def sums(rows: Any) -> Values:
        if classes:
            return _both(_columns(model.decision_function(rows)), classes, False)
        return _columns(model.predict(rows))

    scored = "log-odds" if hasattr(model, "predict_proba") else "decision score"
    return Reading(
        words=f"linear ({background} rows of background)",
        scale=scored if classes else "prediction",
        base=base,
        values=lambda rows: _both_values(explainer.shap_values(numeric(rows)), classes),
        sums=sums,
    )


def _sums_of(model: Any, classes: int) -> Callable[[Any], Values]:
    if classes:
        return lambda rows: np.asarray(model.predict_proba(rows), dtype=float)
    return lambda rows: _columns(model.predict(rows))


def _inverse_link(classes: int) -> Callable[[Values], Values]:
    if not classes:
        return np.asarray
    if classes == 2:
        return lambda sums: np.asarray(expit(sums))
    return lambda sums: np.asarray(softmax(sums, axis=1))


def _columns(found: Any) -> Values:
    found = np.asarray(found, dtype=float)
    return np.asarray(found.reshape(-1, 1) if found.ndim == 1 else found)


def _both(said: Values, classes: int, chance: bool) -> Values:
    """Return figures of shape (rows, outputs); of two classes, what is said of the second alone is said of both."""
    if classes != 2 or said.shape[1] == 2:
        return said
    return np.column_stack([1 - said if chance else -said, said])


def _both_values(values: Any, classes: int) -> Values:
    found = np.asarray(values, dtype=float)
    found = found[..., None] if found.ndim == 2 else found
    return np.concatenate([-found, found], axis=2) if classes == 2 and found.shape[2] == 1 else found
