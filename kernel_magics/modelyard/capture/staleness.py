"""The stale-state gate: what ran must be what the saved notebook says."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from modelyard.capture.cells import MAIN, Cells, Statement, as_run, binds, executed, statements
from modelyard.capture.entries import Entry
from modelyard.cell_runs import ran_after

_ADVICE = "type: run the cell again, or --allow-stale"


def findings(
    entries: Mapping[str, Entry], namespace: Mapping[str, Any], cells: Cells, saved_at: float | None = None
) -> list[str]:
    """Return one line for each captured definition and constant that no saved cell holds as it ran.

    Comments and formatting do not count: syntax trees are compared. What ran after `saved_at` (seconds since
    the epoch), when the notebook was last saved, is not in it yet, and says nothing.
    """
    saved = [(number, statement) for number, text in cells for statement in statements(as_run(text))]
    found = []
    told: set[int] = set()
    for name in sorted(entries):
        entry = entries[name]
        if entry.origin != MAIN:
            continue
        ran = _ran(entry, namespace)
        if ran is None or id(ran[0].node) in told:
            continue
        unsaved = saved_at is not None and ran_after(saved_at, partial(_holds, ran[1]))
        if not unsaved and not _is_held(ran[1], saved):
            told.add(id(ran[0].node))
            found.append(_finding(entry, *ran, saved))
    return found


def _ran(entry: Entry, namespace: Mapping[str, Any]) -> tuple[Statement, ast.AST] | None:
    """Return the statement that ran, and the node in it that counts."""
    if entry.source is not None:
        return entry.source.statement, entry.source.node
    if entry.kind not in ("constant", "alias"):
        return None
    for text in executed(namespace):
        for statement in reversed(statements(text)):
            if binds(statement.node, entry.name) and _may_have_made(statement.node, entry):
                return statement, statement.node
    return None


def _may_have_made(node: ast.stmt, entry: Entry) -> bool:
    """Whether an assignment can have given the constant its value: a later line of a running cell has not."""
    if isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
        written: ast.expr | None = node.value
    else:
        written = node.value if isinstance(node, ast.AnnAssign) else None
    if written is None:
        return True
    try:
        value = ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError):
        return True
    plain = isinstance(value, str | bytes | int | float | bool | None) and type(value) is type(entry.value)
    return not plain or value == entry.value or value != value


def _is_held(node: ast.AST, saved: list[tuple[int, Statement]]) -> bool:
    wanted = ast.dump(node)
    return any(
        type(part) is type(node) and ast.dump(part) == wanted
        for _, statement in saved
        for part in ast.walk(statement.node)
    )


def _holds(node: ast.AST, cell: str) -> bool:
    return _is_held(node, [(0, statement) for statement in statements(as_run(cell))])


def _finding(entry: Entry, ran: Statement, node: ast.AST, saved: list[tuple[int, Statement]]) -> str:
    names = [entry.name] if entry.kind != "generated" else list(_bound(ran.node))
    what = f"{entry.name!r}" if entry.kind != "generated" else _described(node, names)
    now = [(number, s) for number, s in saved if any(binds(s.node, name) for name in names)]
    if not now and not names:
        near = difflib.get_close_matches(
            ast.unparse(ran.node), [ast.unparse(s.node) for _, s in saved], n=1, cutoff=0.6
        )
        now = [(number, s) for number, s in saved if ast.unparse(s.node) in near]
    if not now:
        first = ast.unparse(ran.node).partition("\n")[0]
        return f"{what} ran as `{first}` and its cell was deleted from the notebook; {_ADVICE}"
    number, statement = now[-1]
    before, after = _first_difference(ast.unparse(ran.node), ast.unparse(statement.node))
    return f"{what} changed in cell {number} after it ran: `{after}` now, `{before}` when it ran; {_ADVICE}"


def _described(node: ast.AST, names: list[str]) -> str:
    kind = "the lambda" if isinstance(node, ast.Lambda) else f"{getattr(node, 'name', 'the function')!r}"
    return f"{kind} in {names[0]!r}" if names else kind


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (t.id for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _first_difference(before: str, after: str) -> tuple[str, str]:
    old, new = ([line for line in text.splitlines() if line.strip()] for text in (before, after))
    for position in range(max(len(old), len(new))):
        left = old[position].strip() if position < len(old) else "(nothing)"
        right = new[position].strip() if position < len(new) else "(nothing)"
        if left != right:
            return left, right
    return old[0], new[0]
