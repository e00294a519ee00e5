"""The secrets in data and in the manifest: JSON whose columns and parameters have names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.packaging.gates.finding import ELSEWHERE, OF_DATA, Finding
from modelyard.packaging.gates.names import is_credential
from modelyard.packaging.gates.shapes import redacted
from modelyard.packaging.gates.texts import in_text, in_value, may_hold


def findings_in_json(name: str, text: str, known: Mapping[str, str]) -> Iterator[Finding]:
    lines = text.splitlines() if name.endswith(".jsonl") else [text]
    for number, line in enumerate(lines):
        try:
            found = json.loads(line) if line.strip() else None
        except ValueError:
            yield from (Finding(name, name, what, OF_DATA) for what in in_text(line, known))
            continue
        row = f"row {number}" if name.endswith(".jsonl") else ""
        for path, value in _strings(found) if may_hold(line, known) else ():
            for what in in_value(value, known):
                where = ", ".join(part for part in (_column(path), row) if part)
                advice = ELSEWHERE if path[:1] == ("parameters",) else OF_DATA
                yield Finding(name, f"{name}: {where or 'a text'}", what, advice)
        if name == "manifest.json" and isinstance(found, dict):
            yield from _of_parameters(name, found.get("parameters"))


def _strings(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(found, str):
        yield path, found
    elif isinstance(found, dict):
        label = found.get("name")
        inner = (*path, "columns", label) if path[:1] == ("columns",) and isinstance(label, str) else path
        for key, value in found.items():
            yield inner, key
            yield from _strings(value, (*inner, key))
    elif isinstance(found, list):
        for value in found:
            yield from _strings(value, path)


def _column(path: tuple[str, ...]) -> str:
    """Return how a message calls a place in JSON: the column where there is one; never a value that is a key."""
    for mark in ("row", "columns"):
        if mark in path and path[-1] != mark:
            rest = [part for part in path[path.index(mark) + 1 :] if part != mark]
            return f"column {rest[0]!r}" if rest else ""
    return (
        f"{'parameter' if path[0] == 'parameters' else 'entry'} {path[min(1, len(path) - 1)]!r}"
        if path
        else ""
    )


def _of_parameters(name: str, parameters: Any) -> Iterator[Finding]:
    for key, value in parameters.items() if isinstance(parameters, dict) else ():
        if isinstance(value, str) and is_credential(key.rpartition("__")[2], value, True):
            what = f"is a literal secret{redacted(value)}"
            yield Finding(name, f"{name}: parameter {key!r}", what, ELSEWHERE)
