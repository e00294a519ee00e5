"""The literals of captured source, read as values, as columns and as records."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

ROWS = 3  # so many training rows in one constant are data; fewer may be an example
RUN = 20  # so many values of a column in the column's order


class Unknown:
    """A part of a literal that is no literal itself; equal to nothing."""


_UNKNOWN = Unknown()


def docstrings(node: ast.AST) -> set[int]:
    bodies = [getattr(part, "body", None) for part in ast.walk(node)]
    return {
        id(body[0].value)
        for body in bodies
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr)
    }


def literals(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the outermost containers, arrays and texts at or below a node."""
    is_array = isinstance(node, ast.Call) and isinstance(value_of(node), list)
    if is_array or isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) or _is_text(node):
        yield node
        if is_array or _is_text(node):
            return
        for part in ast.walk(node):  # texts and tables further in
            if part is not node and (_is_text(part) or isinstance(part, ast.List | ast.Tuple | ast.Dict)):
                yield part
        return
    for child in ast.iter_child_nodes(node):
        yield from literals(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and len(node.value) >= 8


def value_of(node: ast.AST) -> Any:
    """Return what a literal is, arrays as nested lists and everything that is not literal as unknown."""
    if isinstance(node, ast.Constant):
        return node.value.decode("utf-8", "replace") if isinstance(node.value, bytes) else node.value
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [value_of(part) for part in node.elts]
    if isinstance(node, ast.Dict):
        keys = [value_of(key) if key is not None else _UNKNOWN for key in node.keys]
        pairs = zip(keys, node.values, strict=True)
        return {key: value_of(part) for key, part in pairs if isinstance(key, str | int | float | bool)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = value_of(node.operand)
        number = isinstance(inner, int | float)
        return (-inner if isinstance(node.op, ast.USub) else inner) if number else _UNKNOWN
    return _value_of_call(node) if isinstance(node, ast.Call) else _UNKNOWN


def _value_of_call(node: ast.Call) -> Any:
    """Read what capture writes: ``array([...], dtype=...).view(...).reshape(...)``, ``float("nan")``, dates."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    first = node.args[0] if node.args else None
    if name == "float" and isinstance(first, ast.Constant):
        return float(first.value) if first.value in ("nan", "inf", "-inf") else _UNKNOWN
    if name == "fromisoformat" and isinstance(first, ast.Constant):
        return first.value
    if isinstance(called, ast.Attribute) and name in ("reshape", "view"):
        inner = value_of(called.value)
        shape = [value_of(a) for a in (first.elts if isinstance(first, ast.Tuple) else node.args)]
        if name == "view" or not isinstance(inner, list) or not all(isinstance(n, int) for n in shape):
            return inner if isinstance(inner, list) else _UNKNOWN
        try:
            return np.array(inner, dtype=object).reshape(shape).tolist()
        except ValueError:
            return inner
    if name == "array" or name.endswith("_array") or name in ("Series", "DataFrame"):
        return value_of(first) if isinstance(first, ast.List | ast.Tuple) else _UNKNOWN
    return _UNKNOWN


def loaded_json(text: str) -> Any:
    """Return what a text says in JSON, or as one JSON object a line."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return None


def fields_of_csv(text: str) -> list[list[str]] | None:
    """Return the fields of a text in which each line has as many of them, at least two."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    for delimiter in ",;\t":
        if len(lines) >= 2 and all(delimiter in line for line in lines):
            try:
                fields = list(csv.reader(lines, delimiter=delimiter, strict=True))
            except csv.Error:
                continue
            if len({len(line) for line in fields}) == 1:
                return [[field.strip() for field in line] for line in fields]
    return None


def is_header(names: list[str], body: list[list[str]]) -> bool:
    """Whether the first line of a text names columns: distinct words, and no more like code or prose than a table."""
    if len(set(names)) < len(names) or not all(re.fullmatch(r"\w[\w .()/%#-]{0,39}", name) for name in names):
        return False
    if any(number_of(name) is not None for name in names):
        return False
    numeric = any(all(number_of(line[c]) is not None for line in body) for c in range(len(names)))
    plain = all(
        len(field.split()) <= 3 and not re.search(r"[=(){}%\\]", field) for row in body for field in row
    )
    return numeric or (plain and all(" " not in name for name in names))


def number_of(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def sequences_in(value: Any) -> Iterator[list[Any]]:
    """Yield the flat lists in a value that are long enough to be a column."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        inner = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        nested = [p for p in inner if isinstance(p, list | dict)]
        waiting.extend(nested)
        if len(inner) >= RUN and not nested:
            yield inner


def records_in(value: Any) -> Iterator[pd.DataFrame]:
    """Yield the ways to read a value as records: columns bear names where the value has them."""
    if isinstance(value, dict):
        entries = list(value.values())
        lists = [entry for entry in entries if isinstance(entry, list)]
        if len(lists) == len(entries) >= 1 and len({len(entry) for entry in lists}) == 1:
            if all(isinstance(key, str) for key in value) and not any(_nested(entry) for entry in lists):
                yield pd.DataFrame({key: pd.Series(entry, dtype=object) for key, entry in value.items()})
            yield from _matrix(entries)
            yield from _matrix([[key, *entry] for key, entry in value.items()])
        elif entries and all(isinstance(entry, dict) for entry in entries):
            by_column = [pd.Series(entry, dtype=object) for entry in entries]
            yield pd.DataFrame(dict(zip(map(str, value), by_column, strict=True)))
            yield from records_in(entries)
        elif len(value) >= RUN and not any(isinstance(entry, list | dict) for entry in entries):
            yield from _matrix([[key, entry] for key, entry in value.items()])
        for entry in lists:  # {"columns": [...], "data": [[...], ...]}
            if _nested(entry):
                yield from records_in(entry)
    elif isinstance(value, list) and value:
        if all(isinstance(entry, dict) for entry in value):
            yield pd.DataFrame(value, dtype=object)
        yield from _matrix(value)


def _nested(entries: Sequence[Any]) -> bool:
    return any(isinstance(entry, list | dict) for entry in entries)


def _matrix(rows: list[Any]) -> Iterator[pd.DataFrame]:
    lists = [row for row in rows if isinstance(row, list) and not _nested(row)]
    widths = {len(row) for row in lists}
    if len(lists) >= ROWS and len(lists) >= len(rows) - 1 and widths and max(widths) >= 2:
        wide = [row for row in lists if len(row) == max(widths)]
        yield pd.DataFrame(wide, dtype=object)
        if len(widths) == 1 and max(widths) >= ROWS:
            yield pd.DataFrame(list(zip(*wide, strict=True)), dtype=object)  # column by column
