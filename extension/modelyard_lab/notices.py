"""What a person who looks elsewhere wants to be told: found by comparing what was there with what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelyard.catalog import Record, Yard
from modelyard_lab.listing import policy_of
from modelyard_lab.workspace import Workspace
from modelyard_router.policy import Policy

What = Literal["study-ended", "rolled-back", "rolled-out", "restarted", "restart-failed"]


@dataclass(frozen=True)
class Notice:
    """One thing that has happened; the page has the words for `what`, `detail` is said as it is."""

    what: What
    name: str
    detail: str

    def told(self) -> dict[str, str]:
        return asdict(self)


class Notices:
    """Compares each look at the project with the one before; the first look finds nothing.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._running: set[str] | None = None
        self._policies: dict[str, int] = {}

    def look(self, yard: Yard, records: Mapping[str, tuple[Record, ...]]) -> list[Notice]:
        first = self._running is None
        found = [*self._studies(records["studies"]), *self._rollouts(yard, records["deployments"])]
        return [] if first else found

    def _studies(self, studies: tuple[Record, ...]) -> Iterator[Notice]:
        states = {record.name: record.payload for record in studies}
        before, self._running = self._running, {n for n, p in states.items() if p.get("state") == "running"}
        for name in sorted((before or set()) - self._running):
            if name in states:
                yield Notice("study-ended", name, _ended(states[name]))

    def _rollouts(self, yard: Yard, deployments: tuple[Record, ...]) -> Iterator[Notice]:
        for record in deployments:
            policy = policy_of(yard, record.name)
            if policy is None:
                continue
            before = self._policies.get(record.name)
            self._policies[record.name] = policy.number
            if before is not None and policy.number > before and (what := _by_itself(policy)):
                yield Notice(what, record.name, self._workspace.plain(policy.why))


def _ended(payload: Mapping[str, Any]) -> str:
    done, best = payload.get("finished"), payload.get("best_score")
    said = [f"{payload.get('state', 'ended')}"]
    if isinstance(done, int):
        said.append(f"{done} trials")
    if isinstance(best, float | int):
        said.append(f"best {payload.get('metric', 'score')} {best:.4g}")
    return ", ".join(said)


def _by_itself(policy: Policy) -> What | None:
    """Return what the endpoint decided; what a person did, that person knows."""
    if policy.by != "rollout" or policy.rollout is None:
        return None
    return {"rolled back": "rolled-back", "finished": "rolled-out"}.get(policy.rollout.state)  # type: ignore[return-value]
