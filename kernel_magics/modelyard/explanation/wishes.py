"""What rows are to be answered instead of what they are, and whether changed rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.explanation.alterations import Alterations, Matrix
from modelyard.explanation.question import Explained

_AT_ONCE = 20_000  # rows answered in one call
_TIE = 1e-9

Judged = tuple[NDArray[np.bool_], Matrix]


class Wish:
    """What each of the explained rows is to be answered.

    Parameters
    ----------
    explained : Explained
    alterations : Alterations
        Turns coded rows into frames.
    origins : ndarray of shape (rows, columns)
        The explained rows, coded.
    pool : ndarray of shape (pool, columns)
        Rows that may already be answered so, coded.
    want : str, number, pair of numbers or None
        A class, or the ends of a range; ``None`` for any class but the one that a row has.

    Raises
    ------
    UsageError
        `want` is no class of the model, or no range where it predicts numbers.
    """

    def __init__(
        self, explained: Explained, alterations: Alterations, origins: Matrix, pool: Matrix, want: Any
    ) -> None:
        self.explained, self._alterations = explained, alterations
        self.ends = None if explained.is_classifier else _ends(want)
        self.wanted = _class(want, explained) if explained.is_classifier and want is not None else None
        self._said = self._answers(pool)
        if self.ends is None:
            said, labels = self._said.argmax(axis=1), self._labels(pool)
            #: A model whose labels follow from its answers is asked once for each row, others twice.
            self._asked_once = bool((said == labels).all())
            self._said_labels = labels
            self._before = self._labels(origins)

    def text(self) -> str:
        """Return the wish in words."""
        if self.ends is not None:
            low, high = self.ends
            return f"{low:g} to {high:g}"
        return "another class" if self.wanted is None else self.explained.outputs[self.wanted]

    def suits(self, row: int) -> NDArray[np.bool_]:
        """Return which rows of the pool are answered as one explained row is to be."""
        if self.ends is not None:
            return np.asarray(self._inside(self._said[:, 0]))
        if self.wanted is None:
            return np.asarray(self._said_labels != self._before[row])
        return np.asarray(self._said_labels == self.wanted)

    def judged(self, table: Matrix, rows: NDArray[np.intp]) -> Judged:
        """Return whether each coded row is answered as its explained row is to be, and how near it comes.

        Near is the probability of what is wanted, or minus the distance from the range.
        """
        answers = self._answers(table)
        if self.ends is not None:
            value = answers[:, 0]
            return self._inside(value), -np.maximum(np.maximum(self.ends[0] - value, value - self.ends[1]), 0)
        wanted = self._before[rows] if self.wanted is None else np.full(len(rows), self.wanted)
        mine = answers[np.arange(len(rows)), wanted]
        others = answers.copy()
        others[np.arange(len(rows)), wanted] = -np.inf
        rest = others.max(axis=1)
        if self._asked_once:
            holds = rest > mine + _TIE if self.wanted is None else mine > rest + _TIE
        else:
            labels = self._labels(table)
            holds = labels != wanted if self.wanted is None else labels == wanted
        return np.asarray(holds), rest if self.wanted is None else mine

    def confirmed(self, table: Matrix, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether the model itself predicts what is wanted of each coded row, whatever its answers are."""
        if self.ends is not None:
            found = self.explained.labels(self._alterations.frame(table))
            return np.asarray(self._inside(np.asarray(found, dtype=float)))
        labels = self._labels(table)
        if self.wanted is None:
            return np.asarray(labels != self._before[rows])
        return np.asarray(labels == self.wanted)

    def figures(self, table: Matrix, reached: NDArray[np.intp]) -> Matrix:
        """Return the answer for one output of each coded row."""
        return np.asarray(self._answers(table)[np.arange(len(table)), reached])

    def reached(self, table: Matrix) -> NDArray[np.intp]:
        """Return the place of the output that each coded row is given."""
        return self._labels(table) if self.ends is None else np.zeros(len(table), dtype=np.intp)

    def _inside(self, values: Matrix) -> NDArray[np.bool_]:
        assert self.ends is not None
        return np.asarray((values >= self.ends[0]) & (values <= self.ends[1]))

    def _answers(self, table: Matrix) -> Matrix:
        parts = [self.explained.answer(self._alterations.frame(part)) for part in _parts(table)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.explained.outputs)))

    def _labels(self, table: Matrix) -> NDArray[np.intp]:
        places = {name: place for place, name in enumerate(self.explained.outputs)}
        found = [
            places.get(str(label), -1)
            for part in _parts(table)
            for label in self.explained.labels(self._alterations.frame(part)).tolist()
        ]
        return np.array(found, dtype=np.intp)


def _parts(table: Matrix) -> list[Matrix]:
    return [table[first : first + _AT_ONCE] for first in range(0, len(table), _AT_ONCE)]


def _class(want: Any, explained: Explained) -> int:
    if str(want) in explained.outputs:
        return explained.outputs.index(str(want))
    raise UsageError(
        f"want is a class of the model, found {want!r}; there are {listing(explained.outputs)}"
        f"{did_you_mean(str(want), explained.outputs)}"
    )


def _ends(want: Any) -> tuple[float, float]:
    told = f"want is the range of predictions to reach, found {want!r}; type want=(100, 200)"
    ends = want.split("..") if isinstance(want, str) else want
    if not isinstance(ends, Sequence) or len(ends) != 2:
        raise UsageError(told)
    try:
        low, high = (float(end) for end in ends)
    except (TypeError, ValueError):
        raise UsageError(told) from None
    if not low <= high:
        raise UsageError(told)
    return low, high
