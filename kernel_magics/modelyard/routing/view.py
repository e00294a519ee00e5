"""How an endpoint routes, as it shows itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from modelyard.presentation import Result, Table
from modelyard.routing.sequential import Arm
from modelyard.routing.verdict import Verdict, rate
from modelyard.targets.traffic import Routed, Seen
from modelyard_router.policy import Policy

_SHOWN = 8


@dataclass(frozen=True, repr=False)
class Traffic(Result):
    """The traffic of one deployment at one moment.

    Attributes
    ----------
    name : str
        The deployment's.
    policy : Policy
        Who answers how much.
    history : tuple of Policy
        All policies so far, oldest first.
    verdict : Verdict or None
        What labels that came later say of the candidate.
    """

    kind = "traffic"

    name: str
    routed: Routed
    verdict: Verdict | None

    @property
    def policy(self) -> Policy:
        return self.routed.policy

    @property
    def history(self) -> tuple[Policy, ...]:
        return self.routed.history

    def sentence(self) -> str:
        policy = self.policy
        shares = ", ".join(f"{name} {100 * share:g}%" for name, share in policy.answering.items())
        more = f", shadow {', '.join(policy.shadow)}" if policy.shadow else ""
        more += f", sticky by {policy.sticky}" if policy.sticky else ""
        return f"traffic of {self.name!r}: {shares}{more}{self._rollout()}"

    def _rollout(self) -> str:
        rollout = self.policy.rollout
        if rollout is None:
            return ""
        if rollout.state == "running":
            return (
                f"; {rollout.candidate} is rolled out, step {rollout.step + 1} of {len(rollout.steps)}, "
                f"which waits for {self.routed.waits_for or 'its requests'}"
            )
        return f"; {self.policy.why}" if self.policy.by == "rollout" else ""

    def table(self) -> Table:
        arms = {} if self.verdict is None else self.verdict.arms
        label = "right" if self.verdict is None or self.verdict.outcome == "correct" else "success"
        columns = (
            "variant",
            "bundle",
            "is",
            "share",
            "requests",
            "errors",
            "p50 ms",
            "p99 ms",
            "differs",
            label,
        )
        rows = []
        for name, variant in self.policy.variants.items():
            seen = self.routed.seen.get(name, Seen())
            rows.append(
                (
                    name, variant.tag, self._role(name), f"{100 * self.policy.weights.get(name, 0):g}%",
                    _count(seen.requests), _count(seen.errors), _ms(seen.p50_s), _ms(seen.p99_s),
                    f"{seen.differing:.0f} of {seen.compared:.0f}" if seen.compared else "–",
                    rate(arms.get(name, Arm(0, 0))),
                )
            )  # fmt: skip
        return Table(columns, rows)

    def _role(self, name: str) -> str:
        policy = self.policy
        if name in policy.shadow:
            return "shadow"
        if name == policy.control:
            return "control"
        if policy.answering.get(name):
            return "candidate"
        return "before" if name == policy.before else "idle"

    def notes(self) -> tuple[str, ...]:
        found = []
        if self.routed.guards:
            found.append(f"guards: {', '.join(self.routed.guards)}")
        if self.verdict is not None:
            found.append(self.verdict.sentence)
            if not self.verdict.steady:
                found.append(
                    "the shares have changed meanwhile: a rate that drifts would look like a difference"
                )
            if self.policy.sticky:
                found.append(
                    f"rows of one {self.policy.sticky} are no independent trials: the intervals are too narrow"
                )
        found += [f"{name} could not be loaded: {why}" for name, why in (self.routed.failed or {}).items()]
        late = sum(number < self.policy.number for number in self.routed.reached)
        if late:
            found.append(f"{late} of {len(self.routed.reached)} workers have not taken it up yet")
        found += [
            f"{past.number}. {past.at[:19].replace('T', ' ')} UTC, {past.by}: {past.why}"
            for past in self.history[-_SHOWN:]
        ]
        return tuple(found)

    def payload(self) -> dict[str, Any]:
        policy: dict[str, Any] = msgspec.to_builtins(self.policy)
        return {
            "name": self.name,
            "policy": policy,
            "seen": {name: _numbers(seen) for name, seen in self.routed.seen.items()},
            "reached": list(self.routed.reached),
            "failed": dict(self.routed.failed or {}),
            "guards": list(self.routed.guards),
            "waits_for": self.routed.waits_for,
            "verdict": None if self.verdict is None else self.verdict.payload(),
            "history": [
                {
                    "number": past.number,
                    "at": past.at,
                    "by": past.by,
                    "why": past.why,
                    "weights": dict(past.weights),
                }
                for past in self.history
            ],
        }


def _numbers(seen: Seen) -> dict[str, float | None]:
    return {
        name: None if not math.isfinite(value) else value
        for name, value in (
            ("requests", seen.requests),
            ("errors", seen.errors),
            ("p50_s", seen.p50_s),
            ("p99_s", seen.p99_s),
            ("compared", seen.compared),
            ("differing", seen.differing),
        )
    }


def _count(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.0f}"


def _ms(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    if math.isinf(seconds):
        return "> 2500"
    return f"{1e3 * seconds:.2f}" if seconds < 0.01 else f"{1e3 * seconds:.0f}"
