"""Texts of a CSV file become values of the types that a contract names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelyard_runtime.contract import Column

_KINDS = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
_ROOM = 2**63


class ArrowColumn:
    """One column of the contract as a CSV file holds it."""

    def __init__(self, column: Column) -> None:
        self.kind: pa.DataType = _KINDS[column.type]
        self._is_whole = column.type == "integer"

    def read(self, texts: pa.Array) -> tuple[pa.Array, dict[int, Any]]:
        """Return the values, and by row those that are not of the type, which are null among the values."""
        if pa.types.is_boolean(self.kind):
            known = pc.index_in(pc.utf8_lower(texts), value_set=pa.array(["false", "true"]))
            values = pc.equal(known, 1)
            odd = pc.and_(texts.is_valid(), known.is_null())
            return values, {row: texts[row].as_py() for row in _places(odd)}
        try:
            return texts.cast(self.kind), {}
        except pa.ArrowInvalid:
            return self._one_by_one(texts)

    def _one_by_one(self, texts: pa.Array) -> tuple[pa.Array, dict[int, Any]]:
        values: list[Any] = []
        strays: dict[int, Any] = {}
        for row, text in enumerate(texts.to_pylist()):
            value = text if text is None else _number(text, self._is_whole)
            wanted = type(value) is int and abs(value) < _ROOM if self._is_whole else type(value) is float
            fits = value is None or wanted
            values.append(value if fits else None)
            if not fits:
                strays[row] = value
        return pa.array(values, self.kind), strays


def _number(text: str, is_whole: bool) -> Any:
    """Return the number that a text is, a whole one where that is wanted and it is one; else the text."""
    if "_" in text:  # Python's own way to write numbers
        return text
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if is_whole and value.is_integer() else value


def _places(mask: pa.Array) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def read_texts(
    batch: pa.RecordBatch, columns: Mapping[str, ArrowColumn]
) -> tuple[pa.RecordBatch, dict[str, dict[int, Any]]]:
    """Return a batch of texts with the columns that are named in their types, and the values that are not of them."""
    arrays, strays = [], {}
    for name, texts in zip(batch.schema.names, batch.columns, strict=True):
        column = columns.get(name)
        found, odd = (texts, {}) if column is None else column.read(texts)
        arrays.append(found)
        if odd:
            strays[name] = odd
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names), strays
