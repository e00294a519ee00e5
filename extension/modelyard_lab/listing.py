"""What exists in a project, as the page is told it: by allow-list, for records hold paths and environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelyard.catalog import Kind, Record, Yard
from modelyard_lab.health import UNASKED, Health
from modelyard_lab.workspace import Workspace
from modelyard_router.policy import Policy, PolicyError, PolicyFile

#: Raised with every change of what the page reads; the page says so where it finds another one.
SCHEMA = 2
#: So many of a kind are listed, the newest; the rest is counted.
SHOWN = 200

KINDS: dict[str, Kind] = {
    "evaluations": "evaluation",
    "studies": "study",
    "compressions": "compression",
    "bundles": "bundle",
    "deployments": "deployment",
}
_TELLING = ("model", "cv", "method", "chosen", "task", "form", "bundle", "target")


@dataclass(frozen=True)
class Seen:
    """What is known of deployments beyond their records; each is asked by name."""

    health: Callable[[str], Health] = field(default=lambda name: UNASKED)
    drift: Callable[[str], str | None] = field(default=lambda name: None)
    care: Callable[[str], Mapping[str, Any]] = field(
        default=lambda name: {"restarts": 0, "failure": None, "next_try_s": None}
    )


def read_records(yard: Yard) -> dict[str, tuple[Record, ...]]:
    """Return all records by plural kind, oldest first."""
    return {plural: yard.records(kind) for plural, kind in KINDS.items()}


def listing(workspace: Workspace, records: Mapping[str, tuple[Record, ...]], seen: Seen) -> dict[str, Any]:
    """Return what exists, as JSON; nothing is made on disk, and nobody is asked."""
    yard = workspace.yard
    notebooks = yard.notebooks()
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "root": workspace.from_server(yard.root),
        "counts": {plural: len(of_kind) for plural, of_kind in records.items()},
    }
    for plural, of_kind in records.items():
        found[plural] = [
            entry(record, notebooks, workspace) | _more(plural, yard, record, seen)
            for record in (as_it_is(yard, each) for each in of_kind[-SHOWN:])
        ]
    return found


def as_it_is(yard: Yard, record: Record) -> Record:
    """Return a record that names the bundle which answers by now; a deployment's own has the one it began with."""
    policy = policy_of(yard, record.name) if record.kind == "deployment" else None
    if policy is None:
        return record
    return replace(record, payload={**record.payload, "bundle": policy.variants[policy.control].tag})


def entry(record: Record, notebooks: Mapping[tuple[Kind, str], str], workspace: Workspace) -> dict[str, Any]:
    """Return what is told of a thing of any kind."""
    words = [record.payload[key] for key in _TELLING if isinstance(record.payload.get(key), str)]
    notebook = notebooks.get((record.kind, record.name))
    return {
        "name": record.name,
        "created": record.created,
        "summary": workspace.plain(", ".join(words)),
        "notebook": None if notebook is None else workspace.browsable(workspace.yard.root / notebook),
    }


def _more(plural: str, yard: Yard, record: Record, seen: Seen) -> dict[str, Any]:
    if plural == "deployments":
        return deployed(yard, record, seen)
    if plural == "bundles":
        path = record.payload.get("path")
        return {"gone": isinstance(path, str) and not Path(path).is_dir()}
    state = record.payload.get("state")
    return {"state": state if isinstance(state, str) else ""}


def deployed(yard: Yard, record: Record, seen: Seen) -> dict[str, Any]:
    """Return how a deployment does, and who answers for it."""
    told, payload = seen.health(record.name), record.payload
    policy = policy_of(yard, record.name)
    return {
        "bundle": _word(payload.get("bundle")),
        "target": _word(payload.get("target")),
        "url": _word(payload.get("url")),
        "desired": _word(payload.get("desired")),
        "health": told.health,
        "detail": told.detail,
        "drift": seen.drift(record.name),
        "variants": {} if policy is None else policy.answering,
        "rolling": policy is not None and policy.is_rolling,
        "can_roll_back": policy is not None and can_roll_back(policy),
        "supervision": dict(seen.care(record.name)),
    }


def policy_of(yard: Yard, name: str) -> Policy | None:
    """Return who answers for a deployment; ``None`` where that is kept elsewhere, or cannot be read."""
    try:
        return PolicyFile(yard.deployment_folder(name)).read()
    except PolicyError:
        return None


def can_roll_back(policy: Policy) -> bool:
    """Whether there is something to go back to."""
    return policy.is_rolling or policy.before is not None or set(policy.answering) != {policy.control}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
