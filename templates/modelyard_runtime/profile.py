"""How requests are spread beside the training table: counters in the bins of the bundle's reference profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelyard_runtime.contract import as_array

Feed = dict[str, np.ndarray]

_NULL, _BELOW, _ABOVE, _OTHER = "null", "below", "above", "other"
_ROWS_AT_ONCE = 256  # what the comparison of all with all makes stays in the cache


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
        self.columns: list[_Numbers | _Texts] = []
        for name, described in profile["columns"].items():
            column = _column(name, described, len(self.names))
            if column is not None:
                self.columns.append(column)
                self.names += [(name, bin) for bin in column.bins]

    def counts(self, table: Mapping[str, list[Any]]) -> np.ndarray:
        """Return how many of the values of `table`, lists by column, are in each bin, shape (bins,)."""
        found = np.zeros(len(self.names))
        for column in self.columns:
            if (values := table.get(column.name)) is not None:
                found[column.start : column.start + len(column.bins)] = column.counted(values)
        return found


class FedBins:
    """Counts whole arrays, as a graph was fed, into the bins: for many columns of numbers in one go.

    Parameters
    ----------
    bins : ProfileBins
    inputs : sequence of mapping
        What the arrays hold: ``name``, ``columns`` and ``dtype`` of each.
    null_string : str
        What stands for a missing text in them.
    """

    def __init__(self, bins: ProfileBins, inputs: Sequence[dict[str, Any]], null_string: str) -> None:
        self._size = len(bins.names)
        self._null = null_string
        self._grids: list[tuple[str, _Grid]] = []
        self._singles: list[tuple[str, int, _Numbers | _Texts]] = []
        known = {column.name: column for column in bins.columns}
        for entry in inputs:
            grid: dict[int, _Numbers] = {}
            for position, name in enumerate(entry["columns"]):
                column = known.get(name)
                if isinstance(column, _Numbers) and entry["dtype"] != "string":
                    grid[position] = column
                elif column is not None:
                    self._singles.append((entry["name"], position, column))
            if grid:
                self._grids.append((entry["name"], _Grid(grid)))

    def counts(self, feeds: Sequence[Feed]) -> np.ndarray:
        """Return how many of the values of `feeds` are in each bin, shape (bins,)."""
        found = np.zeros(self._size)
        whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        for name, grid in self._grids:
            grid.count(whole[name].astype(np.float64), found)
        for name, position, column in self._singles:
            values = whole[name][:, position].tolist()
            if isinstance(column, _Texts) or column.lengths:
                values = [None if value == self._null else value for value in values]
            found[column.start : column.start + len(column.bins)] += column.counted(values)
        return found


class _Grid:
    """Columns of one array of numbers, by their position in it."""

    def __init__(self, columns: Mapping[int, _Numbers]) -> None:
        self._take = np.array(list(columns))
        each = list(columns.values())
        self._edges = np.full((max(len(column.edges) for column in each), 1, len(each)), np.nan)
        for position, column in enumerate(each):
            self._edges[: len(column.edges), 0, position] = column.edges
        self._small = np.min_scalar_type(len(self._edges))
        self._last = np.array([column.edges[-1] for column in each])
        self._count = np.array([len(column.edges) for column in each])
        self._start = np.array([column.start for column in each])

    def count(self, block: np.ndarray, found: np.ndarray) -> None:
        """Add the counts of `block`, shape (rows, columns of the array), to `found`, shape (bins,)."""
        for start in range(0, len(block), _ROWS_AT_ONCE):
            values = block[start : start + _ROWS_AT_ONCE, self._take]
            places = np.add.reduce(values >= self._edges, axis=0, dtype=self._small).astype(np.int64)
            places -= values == self._last  # as numpy's histogram has it
            places = np.where(np.isnan(values), self._count + 1, places) + self._start
            found += np.bincount(places.ravel(), minlength=len(found))


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
        self.edges = np.asarray(edges, dtype=np.float64)
        self.lengths = lengths
        self.bins = [_BELOW, *(str(number) for number in range(1, len(edges))), _ABOVE, _NULL]

    def counted(self, values: list[Any]) -> np.ndarray:
        if self.lengths:
            values = [None if value is None else len(value) for value in values]
        numbers = as_array(values, "float64", "")
        present = numbers[~np.isnan(numbers)]
        places = np.searchsorted(self.edges, present, side="right")
        places[present == self.edges[-1]] = len(self.edges) - 1  # as numpy's histogram has it
        found = np.bincount(places, minlength=len(self.bins)).astype(np.float64)
        found[-1] = len(numbers) - len(present)
        return found


class _Texts:
    def __init__(self, name: str, start: int, categories: list[str]) -> None:
        self.name, self.start = name, start
        self.bins = [*categories, _OTHER, _NULL]
        self._place = {text: position for position, text in enumerate(categories)}

    def counted(self, values: list[Any]) -> np.ndarray:
        found = np.zeros(len(self.bins))
        for value, count in Counter(values).items():
            place = -1 if value is None else self._place.get(str(value), len(self._place))
            found[place] += count
        return found
