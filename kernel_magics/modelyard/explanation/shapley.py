"""SHAP: how much of an answer each original column accounts for.

S. M. Lundberg and S.-I. Lee, "A unified approach to interpreting model predictions", NeurIPS 2017. The values are
shap's own; what is chosen here is the explainer, and what is made of them the sum over the columns that a pipeline
made of one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError, did_you_mean, listing
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.original_columns import (
    UncertainOriginError,
    origins,
    steps_and_model,
    transformed,
)
from modelyard.explanation.question import Question
from modelyard.explanation.readings import (
    Reading,
    UnfaithfulReadingError,
    Values,
    linear_reading,
    part,
    tree_reading,
)
from modelyard.explanation.shuffling import shuffled
from modelyard.progress import Tracker, track

_EXPLAINERS = ("tree", "linear", "permutation")
#: Modules of models of trees; what shap makes of them is checked, so that one too many does no harm.
_TREES = ("sklearn.tree.", "sklearn.ensemble.", "lightgbm.", "xgboost.", "catboost.")
_SECONDS_AT_ONCE = 0.5
_ROWS_AT_ONCE, _CELLS_AT_ONCE = 5_000, 5_000_000  # of transformed rows
_FEW = 8


class Shapley:
    """Explains with SHAP values, registered as ``shap``."""

    options: ClassVar[Mapping[str, str]] = {
        "explainer": "tree, linear or permutation, instead of the one that is chosen",
        "shuffles": "how often the columns of each row are shuffled by the permutation explainer (up to 10)",
    }

    def explain(self, question: Question) -> Attribution:
        started = time.perf_counter()
        wanted = question.options.get("explainer")
        if wanted is not None and wanted not in _EXPLAINERS:
            raise UsageError(
                f"no explainer named {wanted!r}; there: {listing(_EXPLAINERS)}{did_you_mean(str(wanted), _EXPLAINERS)}"
            )
        if wanted == "permutation":
            return _by_shuffling(question, "as asked", started)
        inside = _read(question, wanted)
        try:
            found = inside if isinstance(inside, str) else _by_reading(question, inside, started)
        except UnfaithfulReadingError as reason:  # of the rows to explain; it was right of the background
            found = str(reason)
        if isinstance(found, Attribution):
            return found
        if wanted is not None:
            raise InvalidInputError(
                f"{question.explained.name} has no {wanted} explainer: {found}; type explainer='permutation'"
            )
        return _by_shuffling(question, f"since {found}", started)


@dataclass(frozen=True, eq=False)
class _Inside:
    """A model that shap reads from inside, behind its steps, and where the columns that they make came from."""

    reading: Reading
    steps: list[Any]
    sources: NDArray[np.intp]


def _read(question: Question, wanted: str | None) -> _Inside | str:
    """Return how the model is read from inside, or why it is not."""
    explained = question.explained
    if explained.estimator is None:
        return f"{explained.name} only answers"
    steps, model = steps_and_model(explained.estimator)
    kind = wanted or _kind(model)
    if kind is None:
        return f"{type(model).__name__} is neither trees nor linear"
    behind = explained.shaped(question.background)
    try:
        sources = origins(steps, part(behind, slice(_FEW)))
    except UncertainOriginError as reason:
        return str(reason)
    classes = len(explained.outputs) if explained.is_classifier else 0
    read = tree_reading if kind == "tree" else linear_reading
    reading = read(model, transformed(steps, behind), classes)
    if isinstance(reading, str):
        return reading
    return _Inside(reading, steps, sources)


def _kind(model: Any) -> str | None:
    module = f"{type(model).__module__}."
    if module.startswith(_TREES):
        return "tree"
    return "linear" if hasattr(model, "coef_") and hasattr(model, "intercept_") else None


def _by_reading(question: Question, inside: _Inside, started: float) -> Attribution:
    explained, reading = question.explained, inside.reading
    values = np.empty((len(question.places), len(explained.columns), len(explained.outputs)))
    additivity, width = 0.0, len(inside.sources)
    most = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(1, width * len(explained.outputs))))
    with track("shap", len(values), "row") as tracker:
        for start in range(0, len(values), most):
            block = slice(start, start + most)
            given = explained.shaped(question.frame.iloc[question.places[block]])
            rows = transformed(inside.steps, given)
            found = np.concatenate(
                [reading.values(part(rows, chunk)) for chunk in _chunks(len(given), tracker)]
            )
            additivity = max(additivity, reading.difference(found, rows))
            values[block] = summed(found, inside.sources, len(explained.columns))
    remarks = list(question.notes)
    if not np.array_equal(inside.sources, np.arange(len(explained.columns))):
        remarks.append(f"values of {width} transformed columns are summed into {len(explained.columns)}")
    if reading.scale == "log-odds" and explained.scale == "probability":
        remarks.append("values are log-odds: their sum becomes a probability by the logistic function")
    return _attribution(
        question, question.places, values, reading.base, reading.scale, f"explainer: {reading.words}", additivity,
        tuple(remarks), started,
    )  # fmt: skip


def _chunks(rows: int, tracker: Tracker) -> Iterator[slice]:
    """Yield slices of about half a second of work each, so that progress is seen and Ctrl-C is heard."""
    start, size = 0, 16
    while start < rows:
        begun = time.perf_counter()
        end = min(rows, start + size)
        yield slice(start, end)
        tracker.advance(end - start)
        took = max(time.perf_counter() - begun, 1e-6)
        start, size = end, max(1, min(8 * size, int(size * _SECONDS_AT_ONCE / took)))


def summed(values: Values, sources: NDArray[np.intp], columns: int) -> Values:
    """Return SHAP values of transformed columns, summed into the original column that each came from.

    Parameters
    ----------
    values : ndarray of shape (rows, transformed columns, outputs)
    sources : ndarray of shape (transformed columns,)
        The place of each one's original column.
    columns : int
        How many original columns there are; one from which nothing came gets 0.

    Examples
    --------
    >>> summed(np.array([[[1.0], [2.0], [4.0]]]), np.array([2, 0, 2]), 3)[0, :, 0].tolist()
    [2.0, 0.0, 5.0]
    """
    if np.array_equal(sources, np.arange(columns)):
        return values
    found = np.zeros((len(values), columns, values.shape[2]))
    if not len(sources):
        return found
    order = np.argsort(sources, kind="stable")
    present, starts = np.unique(sources[order], return_index=True)
    found[:, present] = np.add.reduceat(values[:, order], starts, axis=1)
    return found


def _by_shuffling(question: Question, why: str, started: float) -> Attribution:
    found = shuffled(question, question.options.get("shuffles"))
    explained = question.explained
    answers = explained.answer(question.frame.iloc[found.places])
    difference = np.abs(found.base + found.values.sum(axis=1) - answers)
    times = "once" if found.shuffles == 1 else f"{found.shuffles} times"
    words = f"explainer: permutation (each row {times}, {found.background} rows of background), {why}"
    return _attribution(
        question, found.places, found.values, found.base, explained.scale, words, float(difference.max()),
        found.notes, started,
    )  # fmt: skip


def _attribution(
    question: Question, places: NDArray[np.intp], values: Values, base: Values, scale: str, words: str,
    additivity: float, remarks: tuple[str, ...], started: float,
) -> Attribution:  # fmt: skip
    return Attribution.made_of(
        question,
        places,
        values,
        base_values=base,
        answers=base + values.sum(axis=1),
        scale=scale,
        explainer=words,
        additivity=additivity,
        remarks=remarks,
        seconds=time.perf_counter() - started,
    )
