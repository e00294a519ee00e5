"""Is the candidate better? What can be said of it now, however often somebody has looked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelyard.routing.outcomes import Outcome, outcomes
from modelyard.routing.sequential import Arm, Comparison, compare, rate_interval, sample_size
from modelyard_router.policy import Policy


@dataclass(frozen=True)
class Verdict:
    """What labels that came later say of a candidate.

    Attributes
    ----------
    arms : dict of str to Arm
        Successes and labelled rows, by variant.
    comparison : Comparison
        Valid at every look (`modelyard.routing.sequential`).
    planned : int or None
        Labelled rows, of both together, after which an effect of `effect` is found with a power of 0.8.
    """

    control: str
    candidate: str
    outcome: Outcome
    effect: float
    arms: dict[str, Arm]
    comparison: Comparison
    planned: int | None

    @property
    def sentence(self) -> str:
        found = self.comparison
        seen = sum(arm.trials for arm in self.arms.values())
        what = "right" if self.outcome == "correct" else "a success"
        between = f"between {_points(found.low)} and {_points(found.high)} points"
        if found.decided is not None:
            better = self.candidate if found.decided == "candidate" else self.control
            more = "better" if better == self.candidate else "worse"
            return (
                f"{self.candidate} is {more}: it is {what} {_points(found.difference)} points "
                f"more often than {self.control} ({between}, {seen} labelled rows)"
            )
        plan = "" if self.planned is None else f"; {_points(self.effect)} points would show by {self.planned}"
        return (
            f"not decided: {self.candidate} minus {self.control} is {between} after {seen} labelled rows{plan}; "
            f"{self.candidate} is better with a probability of {found.better:.2f}"
        )

    def payload(self) -> dict[str, Any]:
        found = self.comparison
        return {
            "control": self.control,
            "candidate": self.candidate,
            "outcome": self.outcome,
            "arms": {n: {"successes": a.successes, "trials": a.trials} for n, a in self.arms.items()},
            "difference": None if math.isnan(found.difference) else found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
            "better": found.better,
            "decided": found.decided,
            "effect": self.effect,
            "planned": self.planned,
        }


def _points(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def verdict(
    policy: Policy, history: tuple[Policy, ...], state: Path, outcome: Outcome, effect: float
) -> Verdict | None:
    """Return what is known of the candidate against the control since both first shared the requests.

    ``None`` where there is no candidate, or no label has come.
    """
    pair = _pair(policy, history)
    if pair is None:
        return None
    control, candidate, since = pair
    arms = outcomes(state, outcome, since).arms
    if not arms:
        return None
    both = {name: arms.get(name, Arm(0, 0)) for name in (control, candidate)}
    found = compare(both[control], both[candidate], effect=effect)
    return Verdict(
        control, candidate, outcome, effect, both, found, _planned(both, control, candidate, effect)
    )


def _pair(policy: Policy, history: tuple[Policy, ...]) -> tuple[str, str, float] | None:
    """Return control and candidate of the newest experiment, and when it began."""
    began: Policy | None = None
    pair: tuple[str, str] | None = None
    for past in reversed(history or (policy,)):
        others = [name for name in past.answering if name != past.control]
        if len(past.answering) < 2 or not others:
            if pair is not None:
                break
            continue
        candidate = max(others, key=lambda name: past.answering[name])
        if pair is None:
            pair = (past.control, candidate)
        if pair != (past.control, candidate):
            break
        began = past
    if pair is None or began is None:
        return None
    return (*pair, datetime.fromisoformat(began.at).timestamp())


def _planned(arms: dict[str, Arm], control: str, candidate: str, effect: float) -> int | None:
    trials = sum(arm.trials for arm in arms.values())
    baseline, share = arms[control].rate, arms[candidate].trials / trials if trials else 0.0
    if not 0 < baseline < 1 or not 0 < baseline + effect < 1 or not 0 < share < 1:
        return None
    return sample_size(baseline, effect, share=share)


def rate(arm: Arm) -> str:
    """Return a rate with its interval: ``0.94 (0.91 to 0.96)``."""
    if not arm.trials:
        return "–"
    low, high = rate_interval(arm)
    return f"{arm.rate:.3f} ({low:.3f} to {high:.3f})"
