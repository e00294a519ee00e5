"""SHAP: how much of an answer each original column accounts for.

S. M. Lundberg and S.-I. Lee, "A unified approach to interpreting model predictions", NeurIPS 2017. The values are
shap's own; what is chosen is the explainer, and what is made of them the sum over the columns that a pipeline
made of one (`modelyard_explainer`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import InvalidInputError, UsageError, did_you_mean, listing
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.question import Question
from modelyard.explanation.shuffling import check_shuffles, shuffled
from modelyard.explanation.used_rows import notes_of
from modelyard.progress import track
from modelyard_explainer.inside import Inside, read
from modelyard_explainer.readings import UnfaithfulReadingError, Values

_EXPLAINERS = ("tree", "linear", "permutation")
_ROWS_AT_ONCE, _CELLS_AT_ONCE = 5_000, 5_000_000  # of transformed rows


class Shapley:
    """Explains with SHAP values, registered as ``shap``.

    A bundle or an endpoint that an explainer travels with is explained by that one, unless a background or another
    option is given.
    """

    options: ClassVar[Mapping[str, str]] = {
        "explainer": "tree, linear or permutation, instead of the one that is chosen",
        "shuffles": "how often the columns of each row are shuffled by the permutation explainer (up to 10)",
    }

    def explain(self, question: Question) -> Attribution:
        started = time.perf_counter()
        wanted = question.options.get("explainer")
        check_explainer(wanted)
        check_shuffles(question.options.get("shuffles"))
        if question.explained.carried is not None and question.background_by_default and not question.options:
            return _by_carried(question, started)
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


def check_explainer(wanted: Any) -> None:
    """Refuse what is no explainer; ``None`` is the one that is chosen.

    Raises
    ------
    UsageError
    """
    if wanted is not None and wanted not in _EXPLAINERS:
        raise UsageError(
            f"no explainer named {wanted!r}; there: {listing(_EXPLAINERS)}{did_you_mean(str(wanted), _EXPLAINERS)}"
        )


def _by_carried(question: Question, started: float) -> Attribution:
    explained = question.explained
    assert explained.carried is not None
    with track("shap", len(question.places), "row") as tracker:
        found = explained.carried(question.chosen, tracker.advance)
    words = f"explainer: {found.explainer}, with which {explained.name} was packaged"
    remarks = tuple(notes_of(question, rows=True, background=False))
    return _attribution(
        question,
        question.places,
        found.values,
        found.base,
        found.scale,
        words,
        found.additivity,
        remarks,
        started,
    )


def _read(question: Question, wanted: str | None) -> Inside | str:
    """Return how the model is read from inside, or why it is not."""
    explained = question.explained
    if explained.estimator is None:
        return f"{explained.name} only answers"
    classes = len(explained.outputs) if explained.is_classifier else 0
    return read(explained.estimator, explained.shaped(question.background), classes, wanted)


def _by_reading(question: Question, inside: Inside, started: float) -> Attribution:
    explained, reading = question.explained, inside.reading
    values = np.empty((len(question.places), len(explained.columns), len(explained.outputs)))
    additivity, width = 0.0, len(inside.sources)
    most = max(1, min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // max(1, width * len(explained.outputs))))
    with track("shap", len(values), "row") as tracker:
        for start in range(0, len(values), most):
            block = slice(start, start + most)
            given = explained.shaped(question.frame.iloc[question.places[block]])
            values[block], apart = inside.values(given, len(explained.columns), tracker.advance)
            additivity = max(additivity, apart)
    remarks = list(question.notes)
    if not np.array_equal(inside.sources, np.arange(len(explained.columns))):
        remarks.append(f"values of {width} transformed columns are summed into {len(explained.columns)}")
    if reading.scale == "log-odds" and explained.scale == "probability":
        remarks.append("values are log-odds: their sum becomes a probability by the logistic function")
    return _attribution(
        question, question.places, values, reading.base, reading.scale, f"explainer: {reading.words}", additivity,
        tuple(remarks), started,
    )  # fmt: skip


def _by_shuffling(question: Question, why: str, started: float) -> Attribution:
    found = shuffled(question, question.options.get("shuffles"))
    explained = question.explained
    answers = explained.answer(question.frame.iloc[found.places])
    difference = np.abs(found.base + found.values.sum(axis=1) - answers)
    return _attribution(
        question, found.places, found.values, found.base, explained.scale, f"explainer: {found.words}, {why}",
        float(difference.max()), found.notes, started,
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
