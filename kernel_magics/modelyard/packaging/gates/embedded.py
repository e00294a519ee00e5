"""Embedded data: no rows of the training table, and no table as text, in captured code."""

from __future__ import annotations

import ast
from typing import Any

import pandas as pd

from modelyard.errors import EmbeddedDataError
from modelyard.packaging.gates.literals import (
    ROWS,
    docstrings,
    fields_of_csv,
    is_header,
    literals,
    loaded_json,
    records_in,
    sequences_in,
    value_of,
)
from modelyard.packaging.gates.places import places
from modelyard.packaging.gates.table import Table

_ADVICE = "compute it in fit() and keep only the figures needed, or leave it out"


def check_embedded(captured_source: str, table_frame: pd.DataFrame) -> None:
    """Refuse captured code that holds rows of the training table, a column of it, or any table as CSV text.

    A literal is compared record by record with the rows, and value by value with the columns. Categories,
    edges of bins and figures per category pass: a record counts only where its values together occur in few
    rows of the table.

    Raises
    ------
    EmbeddedDataError
        The message names the constant or the definition, and how many rows it holds.
    """
    table = Table(table_frame)
    for place in places(ast.parse(captured_source)):
        prose = docstrings(place.node)
        for node in literals(place.node):
            found = _found(value_of(node), table, is_prose=id(node) in prose)
            if found is not None:
                raise EmbeddedDataError(
                    f"embedded data: {place.described} of captured code holds {found}; {_ADVICE}"
                )


def _found(value: Any, table: Table, is_prose: bool) -> str | None:
    if isinstance(value, str):
        return _found_in_text(value, table, is_prose)
    for run in sequences_in(value):
        column = table.column_with(run)
        if column is not None:
            return f"{len(run)} values of the column {column!r} of X, in its order"
    rows = max((table.rows_in(records) for records in records_in(value)), default=0)
    if rows >= ROWS:
        return f"{rows} rows of X"
    if isinstance(value, list | tuple) and len(value) >= ROWS and all(isinstance(v, str) for v in value):
        lines = fields_of_csv("\n".join(value))
        named = lines is not None and len(set(lines[0]) & set(table.names)) >= min(2, len(table.names))
        return _found_in_text("\n".join(value), table, True) if named else None
    return None


def _found_in_text(text: str, table: Table, is_prose: bool) -> str | None:
    if text.count("\n") == 0 and text.lstrip()[:1] not in ("[", "{"):
        return None
    if (loaded := loaded_json(text)) is not None:
        rows = max((table.rows_in(records) for records in records_in(loaded)), default=0)
        return f"{rows} rows of X as JSON" if rows >= ROWS else None
    lines = fields_of_csv(text)
    if lines is None:
        return None
    names, body = lines[0], lines[1:]
    known = [name for name in names if name in table.names]
    rows = 0
    if len(known) >= min(2, len(table.names)) and len(set(names)) == len(names):
        rows = table.rows_in(pd.DataFrame(body, columns=names)[known])
    if rows >= ROWS:
        return f"{rows} rows of X as CSV"
    if not is_prose and len(lines) >= ROWS and is_header(names, body):
        return f"a table as CSV text ({len(body)} rows of {', '.join(names[:4])}{', …' if len(names) > 4 else ''})"
    if rows:
        return f"{rows} {'row' if rows == 1 else 'rows'} of X as CSV"
    rows = table.rows_in(pd.DataFrame(lines))
    return f"{rows} rows of X as CSV" if rows >= ROWS else None
