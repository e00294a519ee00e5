"""How requests are spread beside the training table: counters in the bins of the bundle's reference profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelyard_runtime.contract import as_array

Values = list[Any] | np.ndarray

_NULL, _BELOW, _ABOVE, _OTHER = "null", "below", "above", "other"


class ProfileBins:
    """Sorts values into the bins of ``profile.json``; what it holds does not grow with what it sees.

    Parameters
    ----------
    profile : mapping
        The content of ``profile.json``.

    Attributes
    ----------
    names : list of (str, str)
        Column and bin of each counter. The bins of numbers are named ``1`` to ``n``, with ``below`` and ``above`` for
        what is outside of the profile; those of categories as the categories, with ``other``; both have ``null``.
    """

    def __init__(self, profile: dict[str, Any]) -> None:
        self.names: list[tuple[str, str]] = []
        self._columns: list[_Numbers | _Texts] = []
        for name, described in profile["columns"].items():
            column = _column(name, described, len(self.names))
            if column is not None:
                self._columns.append(column)
                self.names += [(name, bin) for bin in column.bins]

    def counts(self, table: Mapping[str, Values]) -> np.ndarray:
        """Return how many of the values of `table`, lists or arrays by column, are in each bin, shape (bins,)."""
        found = np.zeros(len(self.names))
        for column in self._columns:
            if (values := table.get(column.name)) is not None:
                found[column.start : column.start + len(column.bins)] = column.counted(values)
        return found


def _column(name: str, described: dict[str, Any], start: int) -> _Numbers | _Texts | None:
    if "edges" in described and len(described["edges"]) > 1:
        return _Numbers(name, start, described["edges"], lengths=False)
    if "lengths" in described and len(described["lengths"]["edges"]) > 1:
        return _Numbers(name, start, described["lengths"]["edges"], lengths=True)
    if "counts" in described and "edges" not in described:
        return _Texts(name, start, list(described["counts"]))
    return None


class _Numbers:
    def __init__(self, name: str, start: int, edges: list[float], *, lengths: bool) -> None:
        self.name, self.start = name, start
        self._edges = np.asarray(edges, dtype=np.float64)
        self._lengths = lengths
        self.bins = [_BELOW, *(str(number) for number in range(1, len(edges))), _ABOVE, _NULL]

    def counted(self, values: Values) -> np.ndarray:
        if self._lengths:
            values = [None if value is None else len(value) for value in values]
        numbers = values if isinstance(values, np.ndarray) else as_array(values, "float64", "")
        present = numbers[~np.isnan(numbers)]
        places = np.searchsorted(self._edges, present, side="right")
        places[present == self._edges[-1]] = len(self._edges) - 1  # as numpy's histogram has it
        found = np.bincount(places, minlength=len(self.bins)).astype(np.float64)
        found[-1] = len(numbers) - len(present)
        return found


class _Texts:
    def __init__(self, name: str, start: int, categories: list[str]) -> None:
        self.name, self.start = name, start
        self.bins = [*categories, _OTHER, _NULL]
        self._place = {text: position for position, text in enumerate(categories)}

    def counted(self, values: Values) -> np.ndarray:
        found = np.zeros(len(self.bins))
        for value, count in Counter(values).items():
            place = -1 if value is None else self._place.get(str(value), len(self._place))
            found[place] += count
        return found
