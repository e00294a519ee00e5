"""Rows by the column: an Arrow batch is checked, and turned into what the model is fed, many values at a time.

Like `decoding`, this is a short cut and never a second opinion: every value that is not provably fine goes through
`Column.check`, which says what is wrong, what is flagged, and what the model sees in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelyard_runtime.contract import EXACT, Column, Contract, Flag, Violation

Feed = dict[str, "np.ndarray"]
#: By column and row: values for which the column's Arrow type has no room, such as a text among numbers.
Strays = Mapping[str, Mapping[int, Any]]

_LARGEST = sys.float_info.max


def fits(column: Column, kind: pa.DataType) -> bool:
    """Whether an Arrow column of this type can hold values that `column` takes."""
    if pa.types.is_dictionary(kind):
        return fits(column, kind.value_type)
    if pa.types.is_null(kind):
        return True
    if column.type == "string":
        return bool(
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        )
    if column.type == "boolean":
        return bool(pa.types.is_boolean(kind))
    is_decimal = column.type == "number" and pa.types.is_decimal(kind)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or is_decimal)


@dataclass
class _Looked:
    """One column that was looked at: its values as the graph is fed them, and as a request would hold them."""

    source: pa.Array
    values: np.ndarray  # of numbers and booleans as doubles, a missing one NaN; of texts as objects
    missing: np.ndarray  # where a text is missing
    changed: dict[int, Any] = field(default_factory=dict)

    def plain(self) -> list[Any]:
        found: list[Any] = self.source.to_pylist()
        if pa.types.is_floating(self.source.type):
            found = [None if value != value else value for value in found]
        for row, value in self.changed.items():
            found[row] = value
        return found

    def put(self, row: int, value: Any) -> None:
        self.changed[row] = value
        if not self.values.flags.writeable:
            self.values = self.values.copy()
        if self.values.dtype == object:
            self.values[row] = value
        else:
            self.values[row] = np.nan if value is None else float(value)


@dataclass(frozen=True)
class Screened:
    """A batch that was checked.

    Attributes
    ----------
    rows : int
        How many it has.
    problems : dict of int to list of Violation
        By row: what breaks the contract. The model is not asked about these.
    flags : list of Flag
        In the order of the columns; only of rows that are answered.
    """

    rows: int
    problems: dict[int, list[Violation]]
    flags: list[Flag]
    _columns: dict[str, _Looked]

    def answered(self) -> np.ndarray:
        """Return the numbers of the rows that keep the contract."""
        every = np.arange(self.rows)
        return np.delete(every, list(self.problems)) if self.problems else every

    def feed(self, inputs: Sequence[Mapping[str, Any]], null_string: str) -> Feed:
        """Return what a graph is fed for the rows that keep the contract, an array (rows, columns) for each input."""
        with np.errstate(over="ignore"):  # a graph of single precision takes what is past it as infinite
            return {entry["name"]: self._block(entry, null_string) for entry in inputs}

    def _block(self, entry: Mapping[str, Any], null_string: str) -> np.ndarray:
        is_text = entry["dtype"] == "string"
        dtype = np.dtype(object if is_text else entry["dtype"])
        kept = self.answered() if self.problems else slice(None)
        block = np.empty((self.rows - len(self.problems), len(entry["columns"])), dtype=dtype)
        for position, name in enumerate(entry["columns"]):
            looked = self._columns[name]
            block[:, position] = looked.values[kept]
            if is_text and looked.missing.any():
                block[looked.missing[kept], position] = null_string
        return block

    def table(self) -> dict[str, list[Any]]:
        """Return the rows that keep the contract as a request holds them, for models that run in Python."""
        columns = {name: looked.plain() for name, looked in self._columns.items()}
        if not self.problems:
            return columns
        kept = self.answered().tolist()
        return {name: [values[row] for row in kept] for name, values in columns.items()}


class Screen:
    """Checks Arrow batches against a contract.

    A NaN is taken as missing, as `Deployment.predict` takes it; a decimal as the nearest double.
    """

    def __init__(self, contract: Contract) -> None:
        self._columns = contract.columns
        self._categories = {
            column.name: pa.array(column.categories, pa.string())
            for column in contract.columns
            if column.type == "string" and column.categories is not None
        }

    def __call__(self, batch: pa.RecordBatch, strays: Strays | None = None) -> Screened:
        """Check `batch`, which holds every column of the contract, each of a type that `fits`, and maybe others."""
        looked: dict[str, _Looked] = {}
        problems: dict[int, list[Violation]] = {}
        flags: list[Flag] = []
        for column in self._columns:
            found, strange = self._look(column, batch.column(column.name))
            own = (strays or {}).get(column.name, {})
            rows = (
                sorted({*np.flatnonzero(strange).tolist(), *own}) if own else np.flatnonzero(strange).tolist()
            )
            if rows:
                _settle(column, found, rows, own, problems, flags)
            looked[column.name] = found
        if problems:
            flags = [flag for flag in flags if flag.row not in problems]
        return Screened(batch.num_rows, problems, flags, looked)

    def _look(self, column: Column, array: pa.Array) -> tuple[_Looked, np.ndarray]:
        """Return the column, and where its values are not provably fine."""
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if column.type == "string":
            return self._texts(column, array.cast(pa.string()))
        if pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())
        values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        fine = _within(column, values, whole=pa.types.is_integer(array.type))
        if column.nullable:
            fine |= np.isnan(values)
        return _Looked(array, values, np.empty(0, dtype=bool)), ~fine

    def _texts(self, column: Column, array: pa.Array) -> tuple[_Looked, np.ndarray]:
        missing = array.is_null().to_numpy(zero_copy_only=False)
        strange = np.zeros(len(array), dtype=bool) if column.nullable else missing.copy()
        known = self._categories.get(column.name)
        if known is None:
            return _Looked(array, array.to_numpy(zero_copy_only=False), missing), strange
        places = pc.index_in(array, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False)
        texts = np.array([*known.to_pylist(), None], dtype=object)[places]
        unknown = (places < 0) & ~missing
        for row in np.flatnonzero(unknown).tolist():
            texts[row] = array[row].as_py()
        return _Looked(array, texts, missing), strange | unknown


def _within(column: Column, values: np.ndarray, *, whole: bool) -> np.ndarray:
    """Whether each value is a number that needs neither a word nor a flag; NaN is none."""
    if column.type == "boolean":
        return np.asarray(~np.isnan(values))
    low, high = -_LARGEST, _LARGEST
    if column.minimum is not None and column.maximum is not None:
        low, high = float(column.minimum), float(column.maximum)
    if whole or column.type == "integer":  # as doubles, whole numbers are themselves up to here
        low, high = max(low, 1.0 - EXACT), min(high, EXACT - 1.0)
    found = (values >= low) & (values <= high)
    if column.type == "integer" and not whole:
        found &= values == np.floor(values)
    return np.asarray(found)


def _settle(
    column: Column,
    looked: _Looked,
    rows: list[int],
    strays: Mapping[int, Any],
    problems: dict[int, list[Violation]],
    flags: list[Flag],
) -> None:
    """Let `Column.check` decide on the values of these rows, each as in a request of its own."""
    values = [strays[row] if row in strays else _plain(looked.source[row].as_py()) for row in rows]
    while values:
        broken: list[Violation] = []
        flagged: list[Flag] = []
        checked = column.check(values, broken, flagged)
        if not broken:
            break
        for violation in broken:
            problems.setdefault(rows[violation.row], []).append(violation)
        bad = {violation.row for violation in broken}  # after a wrong type, no range was looked at
        rows = [row for position, row in enumerate(rows) if position not in bad]
        values = [value for position, value in enumerate(values) if position not in bad]
    else:
        return
    for row, value in zip(rows, checked, strict=True):
        looked.put(row, value)
    flags.extend(Flag(rows[flag.row], flag.column, flag.value, flag.flag) for flag in flagged)


def _plain(value: Any) -> Any:
    return None if value != value else value


def told(violations: Sequence[Violation]) -> str:
    """Return in one line what is wrong with one row."""
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return f"column {first.column!r}: {first.problem}; learned: {first.learned}{more}"
