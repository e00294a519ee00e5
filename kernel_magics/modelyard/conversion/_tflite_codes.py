"""Numbers that stand for categories: another number for each, or a column for each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modelyard.conversion._tflite_columns import Columns, drawn, nearest, plus
from modelyard.conversion._tflite_file import ROWS, Array, Draft, Tensor


class CodesError(ValueError):
    """Categories that a comparison of float32 cannot tell apart, or that do something else than be told apart."""


@dataclass(frozen=True, eq=False)
class Codes:
    """What a column becomes, by its value.

    Attributes
    ----------
    column : Columns
        One.
    keys, values : ndarray of shape (categories,)
    default : float
        What every other value becomes.
    """

    column: Columns
    keys: Array
    values: Array
    default: float

    @classmethod
    def of(cls, column: Columns, keys: Array, values: Array, default: float) -> Codes:
        if keys.dtype.kind not in "biuf" or values.dtype.kind not in "biuf":
            raise CodesError("of text")
        if len(column.places) != 1 or len(np.unique(nearest(keys.astype(np.float64)))) < len(keys):
            raise CodesError("of several columns, or of categories that are one in float32")
        return cls(column, keys.astype(np.float64), values.astype(np.float64), default)

    def whole(self) -> Codes:
        """Return them cut to whole numbers."""
        return replace(self, values=np.trunc(self.values), default=float(np.trunc(self.default)))

    def looked_up(self, table: Array) -> Codes:
        """Return what stands at their places in a table."""
        if table.ndim != 1 or table.dtype.kind not in "biuf":
            raise CodesError("in a table of several columns, or of text")
        found = table[self.values.astype(np.int64)].astype(np.float64)
        return replace(self, values=found, default=float(table[int(self.default)]))

    def one_hot(self, draft: Draft, depth: int) -> Tensor:
        """Write a column for each code below `depth`: 1 where the row has it, else 0."""
        keys = np.full(depth, np.nan)  # which nothing is equal to
        places = self.values.astype(np.int64)
        inside = (places >= 0) & (places < depth)
        if 0 <= self.default < depth or len(np.unique(places[inside])) < inside.sum():
            raise CodesError("with several categories in one column")
        keys[places[inside]] = self.keys[inside]
        return self._equal(draft, keys)

    def drawn(self, draft: Draft) -> Tensor:
        """Write the number that each row's category stands for, shape (rows, 1)."""
        if not np.isfinite([*self.values, self.default]).all():
            raise CodesError("with NaN for an unknown category")
        there = self._equal(draft, self.keys)
        steps = draft.constant(self.values - self.default)
        total = draft.step("MUL", [there, steps], there.shape)
        one = draft.step("SUM", [total, draft.constant(np.array([1]), "int32")], (ROWS, 1), keepDims=True)
        return plus(draft, one, np.array([self.default]))

    def _equal(self, draft: Draft, keys: Array) -> Tensor:
        value = plus(draft, *drawn(draft, self.column))
        shape = (ROWS, len(keys))
        same = draft.step("EQUAL", [value, draft.constant(keys)], shape, "bool")
        return draft.step("CAST", [same], shape)
