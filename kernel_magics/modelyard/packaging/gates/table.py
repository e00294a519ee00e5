"""The training table, and which of its rows and columns stand in a literal."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pandas as pd

from modelyard.packaging.gates.literals import ROWS, RUN, Unknown, number_of


class Table:
    """The training table as keys that are equal for equal values, whatever their types are."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.names = [str(name) for name in frame.columns]
        self._columns = dict(zip(self.names, (frame.iloc[:, c] for c in range(frame.shape[1])), strict=True))
        self._rows = len(frame)
        self._keys: dict[str, pd.Series] = {}

    def keys(self, name: str) -> pd.Series:
        if name not in self._keys:
            self._keys[name] = _keys(self._columns[name])
        return self._keys[name]

    def column_with(self, values: list[Any]) -> str | None:
        """Return the column of which `values`, or twenty of them in a row, are a run."""
        wanted = _keys(pd.Series(values, dtype=object))
        for start in range(0, len(values) - RUN + 1, RUN):
            window = wanted[start : start + RUN]
            if len(set(window)) < 5 or _is_regular(values[start : start + RUN]):
                continue
            for name in self.names:
                if not set(window.dropna()) <= self._distinct(name):
                    continue
                keys = self.keys(name)
                for begin in np.flatnonzero((keys == window.iloc[0]).to_numpy()):
                    part = keys.iloc[begin : begin + RUN]
                    if len(part) == RUN and (part.to_numpy() == window.to_numpy()).all():
                        return name
        return None

    def rows_in(self, records: pd.DataFrame) -> int:
        """Return how many distinct training rows stand in `records`."""
        named = [str(c) for c in records.columns if str(c) in self._columns]
        if len(named) >= min(2, len(self.names)):
            return self._matched({name: name for name in named}, records.rename(columns=str))
        return self._unnamed(records) if len(self.names) >= 2 else 0

    def _unnamed(self, records: pd.DataFrame) -> int:
        """Match by position where the widths agree; else any two columns whose values meet in rows."""
        records = records.set_axis([str(c) for c in range(records.shape[1])], axis=1)
        width = records.shape[1]
        for offset in {0, max(0, width - len(self.names))} if width >= len(self.names) else ():
            rows = self._matched({name: str(c + offset) for c, name in enumerate(self.names)}, records)
            if rows >= ROWS and (
                len(self.names) >= 3 or self._is_telling(self.names[:2], rows, len(records))
            ):
                return rows
        keys = {c: _keys(records[c]) for c in records.columns[:50]}
        order = sorted(keys, key=lambda c: -keys[c].nunique())
        likely = {c: self._likely(keys[c]) for c in order}
        best = 0
        for first, second in ((order[0], other) for other in order[1:]):
            for one in likely[first]:
                for two in likely[second]:
                    if one != two:
                        rows = self._matched({one: first, two: second}, records)
                        if rows >= ROWS and self._is_telling([one, two], rows, len(records)):
                            best = max(best, rows)
        return best

    def _likely(self, keys: pd.Series) -> list[str]:
        wanted = set(keys.dropna())
        shares = {name: len(wanted & self._distinct(name)) for name in self.names}
        good = [name for name in self.names if shares[name] >= min(ROWS, len(wanted)) > 0]
        return sorted(good, key=lambda name: (-shares[name], -len(self._distinct(name))))[:4]

    @functools.cache  # noqa: B019  # one table lives as long as one check
    def _distinct(self, name: str) -> frozenset[Any]:
        return frozenset(self.keys(name).dropna())

    def _is_telling(self, names: list[str], rows: int, records: int) -> bool:
        """Whether so many matches are no accident: pairs of small whole numbers meet in some row or other."""
        pairs = len(pd.DataFrame({name: self.keys(name) for name in names}).drop_duplicates())
        possible = math.prod(len(self._distinct(name)) for name in names)
        density = pairs / max(1, possible)
        return bool(rows > 10 * density * records or (density**rows < 1e-6 and rows == records))

    def _matched(self, columns: dict[str, str], records: pd.DataFrame) -> int:
        """Return how many distinct records stand in few rows of the table; `columns` maps its names to theirs."""
        theirs = {name: _keys(records[label]) for name, label in columns.items()}
        shares = {name: keys.isin(self._distinct(name)).mean() for name, keys in theirs.items()}
        if not any(shares.values()):
            return 0
        used = [name for name in columns if shares[name] >= 0.5]
        if len(used) < min(2, len(self.names)):
            used = sorted(columns, key=lambda name: -shares[name])[: min(2, len(self.names))]
        wanted = pd.DataFrame({name: theirs[name] for name in used})
        wanted = wanted[wanted.notna().sum(axis=1) >= min(2, len(used))].drop_duplicates()
        here = pd.Series(True, index=range(self._rows))
        for name in used:
            here &= (self.keys(name).isin(set(wanted[name]))).to_numpy()
        mine = pd.DataFrame({name: self.keys(name)[here] for name in used}).fillna("\0")
        counts = mine.value_counts()
        met = [counts.get(tuple(row), 0) for row in wanted.fillna("\0").itertuples(index=False)]
        return sum(1 for count in met if 0 < count <= max(2, 0.02 * self._rows))


def _keys(series: pd.Series) -> pd.Series:
    """Return numbers, also as text, as the nearest float32, truths as 0 and 1, texts as they are, gaps as None."""
    made: np.ndarray
    if pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        numbers = series.to_numpy(dtype="float64", na_value=np.nan)
        with np.errstate(over="ignore"):
            made = numbers.astype("float32").astype("float64").astype(object)
        made[np.isnan(numbers)] = None
    else:
        made = np.array([*map(_key, series.tolist()), None], dtype=object)[:-1]
    return pd.Series(made, dtype=object)


def _key(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text in ("True", "False", "true", "false"):
            return float(text in ("True", "true"))
        number = number_of(text)
        if number is None:
            return text or None
        value = number
    if isinstance(value, bool | int | float | np.generic):
        number = float(np.clip(float(value), -3e38, 3e38))
        return None if number != number else float(np.float32(number))
    return None if value is None or isinstance(value, Unknown | list | dict) else str(value)


def _is_regular(values: list[Any]) -> bool:
    """Whether values are a count or a grid, as ``range`` and ``linspace`` make them."""
    numbers = [v for v in values if isinstance(v, int | float)]
    if len(numbers) < len(values):
        return False
    steps = np.diff(np.asarray(numbers, dtype=float))
    return bool(np.allclose(steps, steps[0], rtol=1e-6))
