"""What exists in this project: evaluations, studies, compressions, bundles, and deployments with their health."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.catalog import Record, open_yard
from modelyard.presentation import Result, Table, number
from modelyard.targets import Status, deployments


@dataclass(frozen=True, repr=False)
class Overview(Result):
    """The project's yard at one moment.

    Attributes
    ----------
    evaluations, studies, compressions, bundles, deployments : tuple of Record
        Oldest first.
    health : dict of str to Status
        How each deployment did when this was made.
    """

    kind = "yard"

    root: Path
    evaluations: tuple[Record, ...]
    studies: tuple[Record, ...]
    compressions: tuple[Record, ...]
    bundles: tuple[Record, ...]
    deployments: tuple[Record, ...]
    health: dict[str, Status]

    def sentence(self) -> str:
        counts = (
            (len(self.evaluations), "evaluation"), (len(self.studies), "study"),
            (len(self.compressions), "compression"), (len(self.bundles), "bundle"),
            (len(self.deployments), "deployment"),
        )  # fmt: skip
        return "yard: " + ", ".join(f"{count} {_plural(noun, count)}" for count, noun in counts)

    def table(self) -> Table:
        rows = [("evaluation", r.name, _when(r), _evaluated(r.payload)) for r in self.evaluations]
        rows += [("study", r.name, _when(r), _studied(r.payload)) for r in self.studies]
        rows += [("compression", r.name, _when(r), _compressed(r.payload)) for r in self.compressions]
        rows += [("bundle", r.name, _when(r), _packed(r.payload)) for r in self.bundles]
        rows += [("deployment", r.name, _when(r), self._deployed(r)) for r in self.deployments]
        return Table(("what", "name", "since", "state"), rows)

    def _deployed(self, record: Record) -> str:
        health = self.health[record.name]
        shares = health.detail.partition("; ")[2] if health.health == "ready" else ""
        answering = f" ({shares})" if shares else ""
        return f"{health.health}: {record.payload['bundle']}{answering} at {record.payload['url']}"

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{name}: {status.detail}"
            for name, status in self.health.items()
            if status.health in ("down", "starting")
        )

    def payload(self) -> dict[str, Any]:
        def named(records: tuple[Record, ...]) -> list[dict[str, Any]]:
            return [{"name": record.name, "created": record.created} for record in records]

        return {
            "evaluations": named(self.evaluations),
            "studies": named(self.studies),
            "compressions": named(self.compressions),
            "bundles": named(self.bundles),
            "deployments": [
                {
                    "name": r.name,
                    "created": r.created,
                    "bundle": r.payload["bundle"],
                    "url": r.payload["url"],
                    "target": r.payload["target"],
                    "health": self.health[r.name].health,
                }
                for r in self.deployments
            ],
        }


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else "studies" if noun == "study" else f"{noun}s"


def _when(record: Record) -> str:
    return f"{record.created[:16].replace('T', ' ')} UTC"


def _evaluated(payload: dict[str, Any]) -> str:
    scores = [
        f"{metric} {number(figures['mean'])}"
        for metric, figures in payload["summary"].items()
        if figures["mean"] is not None
    ]
    return f"{', '.join(scores[:3])} ({payload['cv']})"


def _studied(payload: dict[str, Any]) -> str:
    best = payload.get("best_score")
    said = f", best {payload['metric']} {number(best)}" if best is not None else ""
    return f"{payload['state']}, {payload['finished']} trials finished{said}"


def _compressed(payload: dict[str, Any]) -> str:
    chosen = f", {payload['chosen']}" if "chosen" in payload else ""
    return f"{payload['state']}, {len(payload['candidates'])} candidates measured{chosen}"


def _packed(payload: dict[str, Any]) -> str:
    gone = "" if Path(payload["path"]).is_dir() else "gone from the store; "
    return f"{gone}{payload['form']}, {len(payload['columns'])} columns, digest {payload['digest'][:12]}"


def yard() -> Overview:
    """Return what exists in this project, and ask every deployment how it does."""
    here = open_yard()
    return Overview(
        here.root,
        here.records("evaluation"),
        here.records("study"),
        here.records("compression"),
        here.records("bundle"),
        here.records("deployment"),
        {deployment.name: deployment.status() for deployment in deployments()},
    )
