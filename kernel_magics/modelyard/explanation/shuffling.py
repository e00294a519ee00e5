"""SHAP values of anything that answers rows: its original columns are shuffled in, one after the other.

shap's permutation explainer masks numbers only, so every cell is handed to it as the place of its value among those of
its column, and put back before the model is asked: texts, categories, dates and nulls reach it as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shap
from numpy.typing import NDArray

from modelyard.errors import UsageError
from modelyard.explanation.question import Question
from modelyard.progress import track

#: Rows that a model is asked for at most where nothing else was said: about a minute of a forest, or of an endpoint.
MOST_ASKED, MOST_ASKED_ELSEWHERE = 2_000_000, 200_000
#: Cells that are held at once: 160 MB.
_MOST_CELLS = 20_000_000
_SHUFFLES = 10
_FEWEST_BACKGROUND, _FEWEST_ROWS = 20, 10
_AT_ONCE = 20  # rows between two looks at the clock


@dataclass(frozen=True, eq=False)
class Shuffled:
    """What the permutation explainer found.

    Attributes
    ----------
    places : ndarray of int
        The rows that were explained: those of the question, or fewer where they were left to us.
    values : ndarray of shape (rows, columns, outputs)
    base : ndarray of shape (outputs,)
    shuffles, background : int
        What it took.
    notes : tuple of str
        The question's, and where less was done than it says, that.
    """

    places: NDArray[np.intp]
    values: NDArray[np.float64]
    base: NDArray[np.float64]
    shuffles: int
    background: int
    notes: tuple[str, ...]


def shuffled(question: Question, shuffles: int | None) -> Shuffled:
    """Explain the rows of a question with nothing but the model's answers.

    Each row is walked `shuffles` times through all columns and back, which makes the values exact where no more than
    two columns interact.

    Raises
    ------
    UsageError
        `shuffles` is no number above 0.
    """
    if shuffles is not None and (isinstance(shuffles, bool) or not isinstance(shuffles, int) or shuffles < 1):
        raise UsageError(f"shuffles must be a whole number from 1, found {shuffles!r}; type shuffles=10")
    cost = _bounded(question, shuffles)
    explained, columns = question.explained, len(question.explained.columns)
    rows = question.frame.iloc[cost.places]
    parts = _parts(question.background.iloc[: cost.background], columns)
    values = np.zeros((len(rows), columns, len(explained.outputs)))
    base = np.zeros(len(explained.outputs))
    with track("shap", len(rows), "row") as tracker, _own_randomness():
        for start in range(0, len(rows), _AT_ONCE):
            some = rows.iloc[start : start + _AT_ONCE]
            for part in parts:
                share = len(part) / cost.background
                found, of_part = _of_part(question, some, part, cost.shuffles)
                values[start : start + len(some)] += share * found
                base += share * of_part if start == 0 else 0
            tracker.advance(len(some))
    return Shuffled(cost.places, values, base, cost.shuffles, cost.background, cost.notes)


@dataclass(frozen=True, eq=False)
class _Cost:
    places: NDArray[np.intp]
    background: int
    shuffles: int
    notes: tuple[str, ...]


def _bounded(question: Question, shuffles: int | None) -> _Cost:
    """Return how much is done: what was left to us shrinks until the model is asked for no more rows than agreed."""
    elsewhere = question.explained.estimator is None
    most = MOST_ASKED_ELSEWHERE if elsewhere else MOST_ASKED
    each = 2 * len(question.explained.columns) + 1
    rows, background, times = len(question.places), len(question.background), shuffles or _SHUFFLES
    told, notes = dict.fromkeys(question.notes), []
    if shuffles is None:
        times = max(1, min(_SHUFFLES, most // (rows * background * each)))
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


def _parts(background: pd.DataFrame, columns: int) -> list[pd.DataFrame]:
    """Cut the background so that what one row asks of the model fits into the memory.

    Values over the whole background are the mean of those over its parts, weighted by their rows.
    """
    size = max(1, _MOST_CELLS // max(1, (2 * columns + 1) * columns))
    return [background.iloc[start : start + size] for start in range(0, len(background), size)]


def _of_part(
    question: Question, rows: pd.DataFrame, background: pd.DataFrame, shuffles: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    codes, decoded = _encoded(pd.concat([background, rows], ignore_index=True))
    behind, here = codes[: len(background)], codes[len(background) :]
    explainer = shap.PermutationExplainer(
        lambda cells: question.explained.answer(decoded(cells)),
        shap.maskers.Independent(behind, max_samples=len(behind)),
        seed=question.seed,
    )
    most = shuffles * (2 * codes.shape[1] + 1)
    # one row at a time: given several, shap 0.51 also asks for the main effects of all but the first
    found = [explainer(row, max_evals=most, silent=True) for row in here[:, None]]
    shape = (len(rows), codes.shape[1], len(question.explained.outputs))
    values = np.stack([np.asarray(each.values, dtype=float) for each in found]).reshape(shape)
    return values, np.asarray(found[0].base_values, dtype=float).reshape(shape[2])


def _encoded(pool: pd.DataFrame) -> tuple[NDArray[np.float64], Callable[[NDArray[np.float64]], pd.DataFrame]]:
    """Return every cell as the place of the first equal one of its column, and the way back to a frame."""
    codes = np.empty(pool.shape)
    for place in range(pool.shape[1]):
        numbers, _ = pd.factorize(pool.iloc[:, place], use_na_sentinel=False)
        first = np.unique(numbers, return_index=True)[1]
        codes[:, place] = first[numbers]

    def decoded(cells: NDArray[np.float64]) -> pd.DataFrame:
        taken = cells.astype(np.intp)
        columns = {
            place: pool.iloc[:, place].take(taken[:, place]).reset_index(drop=True)
            for place in range(pool.shape[1])
        }
        return pd.DataFrame(columns, copy=False).set_axis(pool.columns, axis=1)

    return codes, decoded


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Leave numpy's global generator, which shap seeds and draws from, as it was."""
    before = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(before)
