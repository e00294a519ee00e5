"""How much the permutation explainer may ask of a model, and what it then finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import UsageError
from modelyard.explanation.question import Question
from modelyard.progress import track
from modelyard_explainer import shuffling
from modelyard_explainer.found import words

#: Rows that something that lives elsewhere, such as an endpoint, is asked for at most where nothing else was said.
_MOST_ASKED_ELSEWHERE = 200_000
_FEWEST_BACKGROUND, _FEWEST_ROWS = 20, 10


@dataclass(frozen=True, eq=False)
class Shuffled:
    """What the permutation explainer found.

    Attributes
    ----------
    places : ndarray of int
        The rows that were explained: those of the question, or fewer where they were left to us.
    values : ndarray of shape (rows, columns, outputs)
    base : ndarray of shape (outputs,)
    words : str
        What it took.
    notes : tuple of str
        The question's, and where less was done than it says, that.
    """

    places: NDArray[np.intp]
    values: NDArray[np.float64]
    base: NDArray[np.float64]
    words: str
    notes: tuple[str, ...]


def shuffled(question: Question, shuffles: int | None) -> Shuffled:
    """Explain the rows of a question with nothing but the model's answers.

    Raises
    ------
    UsageError
        `shuffles` is no number above 0.
    """
    check_shuffles(shuffles)
    cost, explained = _bounded(question, shuffles), question.explained
    with track("shap", len(cost.places), "row") as tracker:
        values, base = shuffling.shuffled(
            explained.answer, len(explained.outputs), question.frame.iloc[cost.places],
            question.background.iloc[: cost.background], shuffles=cost.shuffles, seed=question.seed,
            advance=tracker.advance,
        )  # fmt: skip
    return Shuffled(cost.places, values, base, words(cost.shuffles, cost.background), tuple(cost.notes))


def check_shuffles(shuffles: int | None) -> None:
    """Refuse what is no number of shuffles.

    Raises
    ------
    UsageError
    """
    if shuffles is not None and (isinstance(shuffles, bool) or not isinstance(shuffles, int) or shuffles < 1):
        raise UsageError(f"shuffles must be a whole number from 1, found {shuffles!r}; type shuffles=10")


@dataclass(frozen=True, eq=False)
class _Cost:
    places: NDArray[np.intp]
    background: int
    shuffles: int
    notes: tuple[str, ...]


def _bounded(question: Question, shuffles: int | None) -> _Cost:
    """Return how much is done: what was left to us shrinks until the model is asked for no more rows than agreed."""
    elsewhere = question.explained.estimator is None
    most = _MOST_ASKED_ELSEWHERE if elsewhere else shuffling.MOST_ASKED
    each = 2 * len(question.explained.columns) + 1
    rows, background = len(question.places), len(question.background)
    times = shuffles or shuffling.fewer_shuffles(rows * background * each, most)
    told, notes = dict.fromkeys(question.notes), []
    if question.background_by_default and rows * background * each * times > most:
        background = max(min(_FEWEST_BACKGROUND, background), most // (rows * each * times))
        told.pop(question.background_note or "", None)
        notes.append(f"only {background} rows of background, to bound the time; type background= for more")
    if question.rows_by_default and rows * background * each * times > most:
        rows = max(min(_FEWEST_ROWS, rows), most // (background * each * times))
        told.pop(question.rows_note or "", None)
        notes.append(f"only {rows} rows are explained, to bound the time; type rows= for others")
    asked = rows * background * each * times
    if asked > most:
        notes.append(
            f"up to {asked:,} rows were asked of the model; fewer rows or a smaller background are faster"
        )
    drawn = np.random.default_rng(question.seed)
    some = np.sort(drawn.choice(len(question.places), rows, replace=False, shuffle=False))
    return _Cost(question.places[some], background, times, (*told, *notes))
