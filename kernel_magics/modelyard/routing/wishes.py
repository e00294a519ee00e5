"""What somebody wants of an endpoint's traffic, as the policy that follows on today's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from modelyard.errors import UsageError
from modelyard_router.guards import DEFAULT, parse
from modelyard_router.policy import Policy, PolicyError, Rollout, Variant, checked, me, now
from modelyard_router.rollout import shares

#: Brings a bundle to the endpoint: the name of a variant, such as ``v3``, to the variant.
Bring = Callable[[str], Variant]
#: Refuses a policy that the endpoint cannot follow.
Check = Callable[[Policy], None]

_OFF = ("", "off", "none")


@dataclass(frozen=True)
class Wish:
    """What `modelyard.traffic` was asked for; what is ``None`` stays as it is."""

    canary: Mapping[str, float | None] | None = None
    split: Mapping[str, float] | None = None
    shadow: Sequence[str] | None = None
    promote: str | None = None
    rollback: bool = False
    sticky: str | None = None
    steps: Sequence[float] | None = None
    every: float = 60.0
    guard: Sequence[str] | None = None
    least: int = 50

    @property
    def changes_something(self) -> bool:
        return bool(self.rollback) or any(
            wish is not None
            for wish in (
                self.canary,
                self.split,
                self.shadow,
                self.promote,
                self.sticky,
                self.steps,
                self.guard,
            )
        )

    def check(self) -> None:
        """Refuse wishes that exclude one another.

        Raises
        ------
        UsageError
        """
        exclusive = {
            "canary": self.canary is not None,
            "split": self.split is not None,
            "promote": self.promote is not None,
            "rollback": self.rollback,
        }
        asked = [name for name, given in exclusive.items() if given]
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} exclude one another; give one of them")
        if self.steps is not None and self.canary is None:
            raise UsageError("steps belong to a canary: --canary v2 --steps 1%,10%,100%")
        if self.guard is not None and self.steps is None:
            raise UsageError("a guard watches a rollout; give its --steps too, such as --steps 5%,50%,100%")


def followed(policy: Policy, wish: Wish, history: Sequence[Policy], bring: Bring, check: Check) -> Policy:
    """Return the policy that follows on `policy` by a wish; `check` sees it before any bundle is brought.

    Raises
    ------
    UsageError
        It cannot be: unknown variants, shares that do not add up, a rollout on a rollout.
    """
    wish.check()
    ends_it = wish.rollback or wish.promote is not None
    more = wish.canary is not None or wish.split is not None or wish.sticky is not None
    if policy.rollout is not None and policy.is_rolling and more and not ends_it:
        raise UsageError(
            f"a rollout of {policy.rollout.candidate} is running (step {policy.rollout.step + 1} of "
            f"{len(policy.rollout.steps)}); wait for its end, or type --rollback or --promote first"
        )
    try:
        return checked(_wished(policy, wish, history, bring, check))
    except PolicyError as error:
        raise UsageError(str(error)) from None


def _wished(policy: Policy, wish: Wish, history: Sequence[Policy], bring: Bring, check: Check) -> Policy:
    why: list[str] = []
    changes: dict[str, Any] = {"held": ()}
    if wish.rollback:
        changes |= _back(policy, why)
    elif wish.promote is not None:
        changes |= _promoted(policy, wish.promote, why)
    elif wish.canary is not None and wish.steps is not None:
        changes |= _rolled_out(policy, wish, why)
    elif wish.canary is not None:
        changes |= _canary(policy, wish.canary, why)
    elif wish.split is not None:
        changes |= _split(policy, wish.split, why)
    if wish.shadow is not None:
        changes["shadow"] = tuple(name for name in wish.shadow if name.lower() not in _OFF)
        why.append(f"shadow {', '.join(changes['shadow'])}" if changes["shadow"] else "no shadow")
    elif "weights" in changes:
        changes["shadow"] = tuple(name for name in policy.shadow if not changes["weights"].get(name))
    if wish.sticky is not None:
        changes["sticky"] = None if wish.sticky.lower() in _OFF else wish.sticky
        why.append(f"sticky by {changes['sticky']}" if changes["sticky"] else "not sticky")
    check(msgspec.structs.replace(policy, **changes))
    changes["variants"] = _brought(policy, changes, bring)
    return msgspec.structs.replace(
        policy, number=policy.number + 1, at=now(), by=me(), why=", ".join(why), **changes
    )


def _brought(policy: Policy, changes: Mapping[str, Any], bring: Bring) -> dict[str, Variant]:
    rollout = changes.get("rollout")
    named = [
        changes.get("control", policy.control),
        *changes.get("weights", {}),
        *changes.get("shadow", ()),
        *([rollout.candidate] if rollout is not None else []),
    ]
    new = [name for name in dict.fromkeys(named) if name not in policy.variants]
    return {**policy.variants, **{name: bring(name) for name in new}}


def _back(policy: Policy, why: list[str]) -> dict[str, Any]:
    others = [name for name in policy.answering if name != policy.control]
    stopped = _ended(policy, "rolled back")
    if others or policy.is_rolling:
        gone = ", ".join(others) or (policy.rollout.candidate if policy.rollout else "")
        why.append(f"{gone} is rolled back by hand")
        return {"weights": {policy.control: 1.0}, "rollout": stopped}
    if policy.before is None:
        raise UsageError(
            f"nothing to roll back to: {policy.control} answers everything, and nothing did before it"
        )
    why.append(f"back from {policy.control} to {policy.before}")
    return {
        "weights": {policy.before: 1.0}, "control": policy.before, "before": policy.control, "rollout": stopped,
    }  # fmt: skip


def _ended(policy: Policy, state: Any) -> Rollout | None:
    if policy.rollout is None or not policy.is_rolling:
        return policy.rollout
    return msgspec.structs.replace(policy.rollout, state=state)


def _promoted(policy: Policy, name: str, why: list[str]) -> dict[str, Any]:
    if policy.answering == {name: 1.0} and policy.control == name:
        raise UsageError(f"{name} answers everything already")
    why.append(f"{name} is promoted by hand")
    before = policy.control if policy.control != name else policy.before
    return {
        "weights": {name: 1.0}, "control": name, "before": before, "rollout": _ended(policy, "finished"),
    }  # fmt: skip


def _canary(policy: Policy, wanted: Mapping[str, float | None], why: list[str]) -> dict[str, Any]:
    given: dict[str, float] = {}
    for name, share in wanted.items():
        if name == policy.control:
            raise UsageError(f"{name} is the control, which gets the rest; name a candidate, such as v2=10%")
        if share is None:
            raise UsageError(f"how much for {name}? type --canary {name}=10%, or give --steps too")
        given[name] = share
    total = math.fsum(given.values())
    if not total <= 1 or any(share < 0 for share in given.values()):
        raise UsageError(
            f"the canaries' shares add up to {100 * total:g}%; together they may have at most 100%"
        )
    why.append("canary " + ", ".join(f"{name}={100 * share:g}%" for name, share in given.items()))
    weights = {policy.control: 1 - total, **given}
    return {"weights": {name: share for name, share in weights.items() if share > 0}, "rollout": None}


def _split(policy: Policy, wanted: Mapping[str, float], why: list[str]) -> dict[str, Any]:
    if not wanted:
        raise UsageError("a split names every variant that answers: --split v1=50% v2=50%")
    why.append("split " + " ".join(f"{name}={100 * share:g}%" for name, share in wanted.items()))
    control = policy.control if wanted.get(policy.control) else max(wanted, key=lambda name: wanted[name])
    return {"weights": dict(wanted), "control": control, "rollout": None} | (
        {"before": policy.control} if control != policy.control else {}
    )


def _rolled_out(policy: Policy, wish: Wish, why: list[str]) -> dict[str, Any]:
    assert wish.canary is not None
    assert wish.steps is not None
    if len(wish.canary) != 1:
        raise UsageError(f"a rollout has one candidate, found {len(wish.canary)}; give one --canary")
    ((candidate, share),) = wish.canary.items()
    if share is not None:
        raise UsageError(f"the steps say how much {candidate} gets; type --canary {candidate} --steps …")
    if candidate == policy.control:
        raise UsageError(f"{candidate} is the control already; roll out another version")
    steps = tuple(wish.steps)
    rising = all(a < b for a, b in pairwise(steps))
    if not steps or not rising or not all(0 < step <= 1 for step in steps):
        shown = ",".join(f"{100 * step:g}%" for step in steps)
        raise UsageError(f"steps rise from above 0% to at most 100%, found {shown or 'none'}")
    if wish.every <= 0:
        raise UsageError(f"a step lasts longer than {wish.every:g} s; type --every 60s")
    if wish.least < 1:
        raise UsageError(f"a step needs at least 1 request, found {wish.least}")
    guards = tuple(parse(text).text for text in (wish.guard or DEFAULT))
    at = time.time()
    rollout = Rollout(candidate, steps, wish.every, guards, wish.least, 0, at, at)
    why.append(
        f"rollout of {candidate} in {len(steps)} steps from {100 * steps[0]:g}%, {wish.every:g} s each, "
        f"as long as {' and '.join(guards)}"
    )
    return {"weights": shares(policy, rollout, 0), "rollout": rollout}
