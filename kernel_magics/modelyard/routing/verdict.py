"""Is the candidate better? What can be said of it now, however often somebody has looked."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        Labelled rows, of both together, after which an effect of `effect` is found with a power of 0.8; known as soon
        as the control has had labels, also from before there was a candidate.
    steady : bool
        Whether the shares have been the same all the time. If not, a rate that drifts looks like a difference.
    """

    control: str
    candidate: str
    outcome: Outcome
    effect: float
    arms: dict[str, Arm]
    comparison: Comparison
    planned: int | None
    steady: bool

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
            "steady": self.steady,
        }


def _points(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def verdict(
    policy: Policy, history: tuple[Policy, ...], state: Path, outcome: Outcome, effect: float
) -> Verdict | None:
    """Return what is known of the candidate against the control since both first shared the requests.

    ``None`` where there is no candidate, or the control has never had a label.
    """
    experiment = _experiment(history or (policy,))
    if experiment is None:
        return None
    control, candidate = experiment.control, experiment.candidate
    arms = outcomes(state, outcome, experiment.since).arms
    before = arms.get(control) or outcomes(state, outcome, 0.0).arms.get(control)
    if before is None:
        return None
    both = {name: arms.get(name, Arm(0, 0)) for name in (control, candidate)}
    found = compare(both[control], both[candidate], effect=effect)
    planned = _planned(before.rate, effect, experiment.share)
    return Verdict(control, candidate, outcome, effect, both, found, planned, experiment.steady)


@dataclass(frozen=True)
class _Experiment:
    """Who is compared with whom, since when (seconds of the epoch), and the candidate's share of what both get."""

    control: str
    candidate: str
    since: float
    share: float
    steady: bool


def _experiment(history: Sequence[Policy]) -> _Experiment | None:
    """Return the newest time in which a candidate shared the requests with the control."""
    shared: list[tuple[float, float]] = []  # when, and the candidate's share
    pair: tuple[str, str] | None = None
    for past in reversed(history):
        others = [name for name in past.answering if name != past.control]
        if others and past.answering.get(past.control):
            candidate = max(others, key=lambda name: past.answering[name])
            if pair not in (None, (past.control, candidate)):
                break
            pair = (past.control, candidate)
            both = past.weights[candidate] + past.weights[past.control]
            shared.append((datetime.fromisoformat(past.at).timestamp(), past.weights[candidate] / both))
        elif shared:
            break
    if pair is None:
        return None
    steady = len({round(share, 9) for _, share in shared}) == 1
    return _Experiment(*pair, since=shared[-1][0], share=shared[0][1], steady=steady)


def _planned(baseline: float, effect: float, share: float) -> int | None:
    """Return how many labels it will take; where the rate has no room above for the effect, it is looked for below."""
    room = effect if baseline + effect < 1 else -effect
    if not 0 < baseline < 1 or not 0 < baseline + room < 1:
        return None
    return sample_size(baseline, room, share=share)


def rate(arm: Arm) -> str:
    """Return a rate with its interval: ``0.94 (0.91 to 0.96)``."""
    if not arm.trials:
        return "–"
    low, high = rate_interval(arm)
    return f"{arm.rate:.3f} ({low:.3f} to {high:.3f})"
