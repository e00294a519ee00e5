"""The control that chooses one of the rows that a result is about: a list of a few, a number among many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelyard.errors import UsageError
from modelyard_widgets.blocks import Control, choice, number_field

_MOST_LISTED = 200


class RowChoice:
    """Rows by their positions in X.

    Parameters
    ----------
    rows : sequence of int
    key : str
        Of the control.
    """

    def __init__(self, rows: Sequence[int], key: str = "row") -> None:
        self._places = {int(row): place for place, row in enumerate(rows)}
        self._key = key

    @property
    def first(self) -> int:
        return next(iter(self._places))

    def control(self) -> Control:
        if len(self._places) <= _MOST_LISTED:
            return choice(self._key, "Row", [str(row) for row in self._places], str(self.first))
        low, high = min(self._places), max(self._places)
        about = f"{len(self._places):,} rows from {low} to {high}"
        return number_field(self._key, "Row of X", self.first, min=low, max=high, step=1, help=about)

    def place(self, said: Any) -> int:
        """Return the place of what the control says.

        Raises
        ------
        UsageError
            It is none of the rows.
        """
        try:
            row = int(said)
        except (TypeError, ValueError):
            raise UsageError(f"a row is a number, found {said!r}; type {self.first}") from None
        if row not in self._places:
            nearest = min(self._places, key=lambda each: abs(each - row))
            raise UsageError(f"row {row} was not explained; the nearest that was is {nearest}")
        return self._places[row]
