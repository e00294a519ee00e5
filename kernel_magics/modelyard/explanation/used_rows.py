"""Which rows a method looks at that is about the whole table, and which of its columns matter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.explanation.question import Explained, Question

_SHUFFLED = 200


def notes_of(question: Question, *, rows: bool, background: bool) -> list[str]:
    """Return the question's notes, without those about rows or a background that are not used."""
    unused = {None if rows else question.rows_note, None if background else question.background_note}
    return [note for note in question.notes if note not in unused]


def table_places(question: Question, most: int) -> tuple[NDArray[np.intp], list[str]]:
    """Return the rows asked for, or else all rows, or `most` of them by the seed; and the notes that hold for them."""
    notes = notes_of(question, rows=False, background=False)
    if not question.rows_by_default:
        return question.places, notes
    total = len(question.frame)
    if total <= most:
        return np.arange(total), notes
    drawn = np.sort(np.random.default_rng(question.seed).choice(total, most, replace=False, shuffle=False))
    return drawn, [
        *notes,
        f"measured on {most:,} of {total:,} rows, drawn by the seed; type rows= for others",
    ]


def moving_columns(
    explained: Explained,
    frame: pd.DataFrame,
    count: int,
    rng: np.random.Generator,
    among: Iterable[str] | None = None,
) -> list[str]:
    """Return the `count` columns that move the answers most when they are shuffled, the first most of all.

    Parameters
    ----------
    among : iterable of str, optional
        The columns to choose from; all by default.
    """
    names = list(explained.columns if among is None else among)
    places = rng.permutation(len(frame))[:_SHUFFLED]
    some = frame.iloc[places].reset_index(drop=True)
    usual = explained.answer(some)
    moved = []
    for name in names:
        other = some.copy(deep=False)
        other[name] = some[name].iloc[rng.permutation(len(some))].array
        moved.append(float(np.abs(explained.answer(other) - usual).mean()))
    order = np.argsort(-np.array(moved), kind="stable")[:count]
    return [names[place] for place in order]
