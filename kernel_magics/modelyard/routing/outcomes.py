"""What became of the answers: labels that came later, joined to them by id, and counted by variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.routing.sequential import Arm
from modelyard_router.logbook import Logbook

#: ``correct``: the label was predicted. ``label``: the label itself is the success, such as a purchase.
Outcome = Literal["correct", "label"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "label")


class _Feedback(msgspec.Struct):
    id: str
    labels: list[Any]


class _Answer(msgspec.Struct):
    id: str
    variant: str
    predictions: list[Any]


@dataclass(frozen=True)
class Outcomes:
    """Successes and trials, a trial being a row whose label came, by variant; and rows that wait for theirs."""

    arms: dict[str, Arm]


def outcomes(state: Path, outcome: Outcome, since: float) -> Outcomes:
    """Count the labelled rows of answers that were given at `since` (seconds of the epoch) or later.

    The log is read twice, so that only ids with a label are held in memory.
    """
    logbook = Logbook(state / "predictions")
    labels: dict[str, list[Any]] = {}
    for entry in logbook.entries(since):
        if entry.feedback:
            said = msgspec.json.decode(entry.feedback, type=_Feedback)
            labels[said.id] = said.labels  # said again, the later word counts
    counted: dict[str, list[float]] = {}
    if labels:
        decode = msgspec.json.Decoder(_Answer).decode
        for entry in logbook.entries(since):
            if not entry.answer:
                continue
            answer = decode(entry.answer)
            known = labels.pop(answer.id, None)
            if known is not None:
                good, seen = _counted(answer.predictions, known, outcome)
                both = counted.setdefault(answer.variant, [0.0, 0.0])
                both[0] += good
                both[1] += seen
    return Outcomes({name: Arm(good, int(seen)) for name, (good, seen) in counted.items()})


def _counted(predictions: Sequence[Any], labels: Sequence[Any], outcome: Outcome) -> tuple[int, int]:
    pairs = [(p, label) for p, label in zip(predictions, labels, strict=False) if label is not None]
    if outcome == "label":
        return sum(bool(label) for _, label in pairs), len(pairs)
    return sum(p == label for p, label in pairs), len(pairs)
