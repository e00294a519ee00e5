"""One thing of the catalog in full: figures and tables by key, for which the page has the words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.catalog import Kind, Record, Yard
from modelyard_lab.calls import calls
from modelyard_lab.listing import SCHEMA, Seen, as_it_is, deployed, entry, policy_of
from modelyard_lab.workspace import Workspace
from modelyard_router.policy import PolicyFile

_MOST_ROWS = 100
_MOST_TEXT = 100_000

#: Of each kind, what is told as it is; a value that is missing, as in a record of an older version, is left out.
_FACTS: dict[Kind, tuple[str, ...]] = {
    "evaluation": ("model", "cv", "method", "rows", "features", "seconds"),
    "study": (
        "state", "model", "method", "metric", "direction", "best_score", "finished", "trials", "cv", "seed", "seconds",
    ),
    "compression": ("state", "model", "chosen"),
    "bundle": ("task", "form", "digest"),
    "deployment": ("bundle", "target", "url", "desired"),
}  # fmt: skip


def detail(workspace: Workspace, record: Record, seen: Seen) -> dict[str, Any]:
    """Return one thing: ``facts`` by key, ``tables``, ``texts``, and what to type."""
    yard = workspace.yard
    record = as_it_is(yard, record)
    payload = record.payload
    facts = {
        key: payload[key] for key in _FACTS[record.kind] if isinstance(payload.get(key), str | int | float)
    }
    tables, texts = _PARTS[record.kind](workspace, yard, record)
    return {
        "schema": SCHEMA,
        "kind": record.kind,
        **entry(record, yard.notebooks(), workspace),
        "facts": _plain(facts, workspace),
        "tables": _plain([table for table in tables if table["rows"]], workspace),
        "texts": texts,
        "calls": calls(record.kind, record.name, payload),
        "deployment": deployed(yard, record, seen) if record.kind == "deployment" else None,
    }


def _plain(value: Any, workspace: Workspace) -> Any:
    """Return JSON without the places of this machine."""
    if isinstance(value, str):
        return workspace.plain(value) if "/" in value and "://" not in value else value
    if isinstance(value, Mapping):
        return {key: _plain(item, workspace) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, workspace) for item in value]
    return value


Parts = tuple[list[dict[str, Any]], list[dict[str, str]]]


def _table(key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {
        "key": key, "columns": list(columns), "rows": [list(row) for row in rows[:_MOST_ROWS]],
        "more": max(0, len(rows) - _MOST_ROWS),
    }  # fmt: skip


def _records(key: str, found: Any) -> dict[str, Any]:
    """Return a table of a list of mappings, whose columns are all that occur in them."""
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return _table(key, columns, [[_cell(row.get(name)) for name in columns] for row in rows])


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _evaluation(workspace: Workspace, yard: Yard, record: Record) -> Parts:
    summary = _mapping(record.payload.get("summary"))
    rows = [{"metric": metric, **_mapping(figures)} for metric, figures in summary.items()]
    warnings = record.payload.get("warnings")
    texts = (
        [{"key": "findings", "text": str(each)} for each in warnings] if isinstance(warnings, list) else []
    )
    return [_records("summary", rows), _records("slices", record.payload.get("slices"))], texts


def _study(workspace: Workspace, yard: Yard, record: Record) -> Parts:
    best, space = (_mapping(record.payload.get(key)) for key in ("best_params", "space"))
    return [
        _table("best_params", ("parameter", "value"), [(name, _cell(value)) for name, value in best.items()]),
        _table("space", ("parameter", "searched"), [(name, _cell(value)) for name, value in space.items()]),
    ], []


def _compression(workspace: Workspace, yard: Yard, record: Record) -> Parts:
    candidates = record.payload.get("candidates")
    told = []
    for each in candidates if isinstance(candidates, list) else []:
        figures = _mapping(each)
        verdict = _mapping(figures.get("verdict"))
        told.append(
            {
                "name": figures.get("name"),
                "technique": figures.get("technique"),
                "size_bytes": figures.get("size_bytes"),
                "latency_us": figures.get("latency_us"),
                **{key: verdict[key] for key in ("score", "drop", "agreement") if key in verdict},
            }
        )
    failed = _mapping(record.payload.get("failed"))
    return [
        _records("candidates", told),
        _table("failed", ("name", "why"), [(name, _cell(why)) for name, why in failed.items()]),
    ], []


def _bundle(workspace: Workspace, yard: Yard, record: Record) -> Parts:
    parity = _mapping(record.payload.get("parity"))
    columns = record.payload.get("columns")
    texts = []
    path = record.payload.get("path")
    if isinstance(path, str):
        card = card_text(Path(path, "src", "model", "card.md"))
        texts = [{"key": "card", "text": card}] if card else []
        if not Path(path).is_dir():
            texts = [{"key": "gone", "text": ""}]
    return [
        _table("columns", ("column",), [(name,) for name in columns] if isinstance(columns, list) else []),
        _table("parity", ("figure", "value"), [(key, _cell(value)) for key, value in parity.items()]),
    ], texts


def card_text(path: Path) -> str:
    """Return a model card, or as much of it as a page takes; empty where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""


def _deployment(workspace: Workspace, yard: Yard, record: Record) -> Parts:
    policy = policy_of(yard, record.name)
    if policy is None:
        return [], []
    shares = [
        (name, variant.tag, policy.weights.get(name, 0.0), name == policy.control, name in policy.shadow)
        for name, variant in policy.variants.items()
    ]
    history = PolicyFile(yard.deployment_folder(record.name)).history(policy)
    return [
        _table("variants", ("variant", "bundle", "share", "control", "shadow"), shares),
        _table(
            "history",
            ("number", "at", "by", "why"),
            [(p.number, p.at, p.by, p.why) for p in reversed(history)],
        ),
    ], []


_PARTS: dict[Kind, Callable[[Workspace, Yard, Record], Parts]] = {
    "evaluation": _evaluation,
    "study": _study,
    "compression": _compression,
    "bundle": _bundle,
    "deployment": _deployment,
}
