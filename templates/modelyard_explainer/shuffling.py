"""SHAP values of anything that answers rows: its original columns are shuffled in, one after the other.

shap's permutation explainer masks numbers only, so every cell is handed to it as the place of its value among those of
its column, and put back before the model is asked: texts, categories, dates and nulls reach it as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import shap
from numpy.typing import NDArray

from modelyard_explainer.inside import nowhere
from modelyard_explainer.readings import Values

#: Rows that a model in this process is asked for at most: about a minute of a forest.
MOST_ASKED = 2_000_000
_SHUFFLES = 10  # where nothing was said
#: Cells that are held at once: 160 MB.
_MOST_CELLS = 20_000_000
_AT_ONCE = 20  # rows between two looks at the clock

Answer = Callable[[pd.DataFrame], NDArray[np.float64]]


def fewer_shuffles(each: int, most: int = MOST_ASKED) -> int:
    """Return how often each row is walked where one walk of all of them asks a model for `each` rows."""
    return max(1, min(_SHUFFLES, most // each))


def shuffled(
    answer: Answer, outputs: int, rows: pd.DataFrame, background: pd.DataFrame, *, shuffles: int, seed: int,
    advance: Callable[[int], None] = nowhere,
) -> tuple[Values, Values]:  # fmt: skip
    """Return values of shape (rows, columns, outputs) and base values of shape (outputs,), by nothing but answers.

    Each row is walked `shuffles` times through all columns and back, which makes the values exact where no more than
    two columns interact. Every row begins with the same seed: its values do not depend on the rows beside it.

    Parameters
    ----------
    answer : callable
        A frame to answers of shape (rows, outputs).
    """
    values = np.zeros((len(rows), rows.shape[1], outputs))
    base = np.zeros(outputs)
    parts = _parts(background, rows.shape[1])
    with _own_randomness():
        for start in range(0, len(rows), _AT_ONCE):
            some = rows.iloc[start : start + _AT_ONCE]
            for part in parts:
                share = len(part) / len(background)
                found, of_part = _of_part(answer, outputs, some, part, shuffles, seed)
                values[start : start + len(some)] += share * found
                base += share * of_part if start == 0 else 0
            advance(len(some))
    return values, base


def _parts(background: pd.DataFrame, columns: int) -> list[pd.DataFrame]:
    """Cut the background so that what one row asks of the model fits into the memory.

    Values over the whole background are the mean of those over its parts, weighted by their rows.
    """
    size = max(1, _MOST_CELLS // max(1, (2 * columns + 1) * columns))
    return [background.iloc[start : start + size] for start in range(0, len(background), size)]


def _of_part(
    answer: Answer, outputs: int, rows: pd.DataFrame, background: pd.DataFrame, shuffles: int, seed: int
) -> tuple[Values, Values]:
    codes, decoded = _encoded(pd.concat([background, rows], ignore_index=True))
    behind, here = codes[: len(background)], codes[len(background) :]
    explainer = shap.PermutationExplainer(
        lambda cells: answer(decoded(cells)), shap.maskers.Independent(behind, max_samples=len(behind))
    )
    most = shuffles * (2 * codes.shape[1] + 1)

    def explained(row: NDArray[np.float64]) -> shap.Explanation:
        np.random.seed(seed)
        return explainer(row, max_evals=most, silent=True)

    # one row at a time: given several, shap 0.51 also asks for the main effects of all but the first
    found = [explained(row) for row in here[:, None]]
    shape = (len(rows), codes.shape[1], outputs)
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
    """Leave numpy's global generator, which shap draws from, as it was."""
    before = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(before)
