"""The secrets in captured code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from modelyard.packaging.gates.finding import ELSEWHERE, Finding
from modelyard.packaging.gates.names import is_credential
from modelyard.packaging.gates.places import bindings, places, text_of
from modelyard.packaging.gates.shapes import redacted
from modelyard.packaging.gates.texts import in_assigned_text, in_json_text, in_mapping, in_text


def findings_in_code(name: str, source: str, known: Mapping[str, str]) -> Iterator[Finding]:
    told = False
    for place in places(ast.parse(source)):
        for what in _in_place(place.node, known):
            told = True
            what = what.replace(f"binds {place.described.removeprefix('constant ')} to", "is")
            yield Finding(name, f"captured code: {place.described}", what, ELSEWHERE)
    if not told:  # what is no constant is a comment
        for line, text in enumerate(source.splitlines(), start=1):
            for what in in_text(text, known):
                yield Finding(name, f"captured code: line {line}", what, "take it out of the cell")


def _in_place(node: ast.AST, known: Mapping[str, str]) -> Iterator[str]:
    for part in ast.walk(node):
        text = text_of(part)
        if text is not None:
            yield from in_text(text, known)
            yield from in_assigned_text(text)
            if text.lstrip().startswith(("{", "[")):
                yield from in_json_text(text)
        if isinstance(part, ast.Dict):
            yield from in_mapping(
                {k: v for k, v in zip(map(text_of, part.keys), part.values, strict=True) if k}
            )
        elif isinstance(part, ast.Call):
            yield from in_mapping({k.arg: k.value for k in part.keywords if k.arg})
        for name, value, bound in bindings(part):
            text = text_of(value)
            if text is not None and is_credential(name, text, bound):
                yield f"binds {name!r} to a literal secret{redacted(text)}"
        if _loads_env(part):
            yield "loads a .env file, which a bundle does not hold"


def _loads_env(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "dotenv" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "dotenv"
    called = node.func if isinstance(node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in ("load_dotenv", "dotenv_values", "find_dotenv")
