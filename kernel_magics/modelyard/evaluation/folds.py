"""The rows of every fold, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class Folds:
    """The rows of every fold, train before test, and what the splitting is called.

    Attributes
    ----------
    splits : sequence of (train, test)
        Row positions; repeats follow each other.
    label : str
        What was really used: ``kfold:5`` where stratifying has no meaning.
    groups : ndarray of shape (rows,) or None
        What the folds keep together.
    remarks : tuple of str
        What should be known of the groups.
    """

    splits: Sequence[Split]
    label: str
    groups: NDArray[Any] | None = None
    remarks: tuple[str, ...] = ()

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """The rows that each fold learns from and judges, of shape (folds, 2)."""
        if isinstance(self.splits, EachRow):
            return np.tile([len(self.splits) - 1, 1], (len(self.splits), 1))
        return np.array([(len(train), len(test)) for train, test in self.splits])

    @property
    def judged(self) -> NDArray[np.integer[Any]]:
        """The rows that are judged, fold after fold."""
        if isinstance(self.splits, EachRow):
            return np.arange(len(self.splits))
        return np.concatenate([test for _, test in self.splits])

    @property
    def one_row_each(self) -> bool:
        """Whether every test part is a single row, as in leave-one-out."""
        return bool((self.sizes[:, 1] == 1).all())

    @property
    def test_over_train(self) -> float:
        """The mean over the folds of the rows that are judged over those that are learned from."""
        return float(np.mean(self.sizes[:, 1] / self.sizes[:, 0]))


class _Lazy(Sequence[Split]):
    """Splits of which only one is in memory."""

    def _split(self, place: int) -> Split:
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> Split: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Split]: ...
    def __getitem__(self, place: int | slice) -> Split | Sequence[Split]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)  # ends an iteration
        return self._split(place % len(self))


class EachRow(_Lazy):
    """Leave-one-out: written out, the folds of 10,000 rows take 800 MB."""

    def __init__(self, rows: int) -> None:
        self._rows = np.arange(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _split(self, place: int) -> Split:
        return np.delete(self._rows, place), self._rows[place : place + 1]


class Parts(_Lazy):
    """Splits that judge each row once per repeat, kept as the number of its fold: one byte a row for five folds.

    Written out, five folds of a million rows take 40 MB, as much as five columns of the table.
    """

    def __init__(self, repeats: Sequence[NDArray[np.integer[Any]]], count: int) -> None:
        self._repeats = repeats
        self._count = count

    def __len__(self) -> int:
        return len(self._repeats) * self._count

    def _split(self, place: int) -> Split:
        repeat, fold = divmod(place, self._count)
        judged = self._repeats[repeat] == fold
        return np.flatnonzero(~judged), np.flatnonzero(judged)


def fold_numbers(splits: Iterable[tuple[Any, Any]], rows: int, count: int) -> NDArray[np.integer[Any]]:
    """Return the number of the fold that judges each row, from splits that judge each row once."""
    numbers = np.empty(rows, dtype=np.min_scalar_type(count))
    for number, (_, test) in enumerate(splits):
        numbers[test] = number
    return numbers
