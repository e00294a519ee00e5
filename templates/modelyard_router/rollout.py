"""A rollout's next step: on, back, or neither; nothing here reads a clock or a file."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from modelyard_router.guards import ALWAYS, Guard, Window, parse
from modelyard_router.policy import Policy, Rollout, now

AUTHOR = "rollout"


@dataclass(frozen=True)
class Reading:
    """How a rollout stands at one moment.

    Attributes
    ----------
    values : tuple of str
        Each guard with its value, as ``p99 3.1ms (<20ms)``.
    waits_for : str
        What the step waits for: time, or requests.
    """

    values: tuple[str, ...]
    waits_for: str


def guards_of(rollout: Rollout) -> tuple[Guard, ...]:
    """Return the guards, with the one that is always there."""
    found = tuple(parse(text) for text in rollout.guards)
    crashes = any(guard.metric == "crashes" for guard in found)
    return found if crashes else (*found, parse(ALWAYS))


def shares(policy: Policy, rollout: Rollout, step: int) -> dict[str, float]:
    """Return the weights of one step."""
    share = rollout.steps[step]
    return {rollout.candidate: 1.0} if share >= 1 else {policy.control: 1 - share, rollout.candidate: share}


def read(policy: Policy, window: Window, at: float) -> Reading:
    """Say how the running rollout of `policy` stands, `at` seconds of the epoch."""
    rollout = _running(policy)
    values = tuple(f"{g.shown(window)} (<{g.text.partition('<')[2]})" for g in guards_of(rollout))
    left = rollout.since + rollout.every_s - at
    if left > 0:
        return Reading(values, f"{left:.0f} s more")
    return Reading(values, f"{_lacking(rollout, window)} more requests to {rollout.candidate}")


def advanced(policy: Policy, window: Window, at: float) -> Policy | None:
    """Return the policy that follows on the running rollout of `policy`; ``None`` while it goes on as it is."""
    rollout = _running(policy)
    guards = guards_of(rollout)
    for guard in guards:
        if guard.is_broken(window):
            return _rolled_back(policy, guard, window, "")
    if at - rollout.since < rollout.every_s or _lacking(rollout, window):
        return None
    for guard in guards:
        if not guard.holds(window):
            return _rolled_back(policy, guard, window, f" after {at - rollout.since:.0f} s")
    return _stepped(policy, window, at)


def _running(policy: Policy) -> Rollout:
    if policy.rollout is None or policy.rollout.state != "running":
        raise ValueError("no rollout is running")
    return policy.rollout


def _lacking(rollout: Rollout, window: Window) -> int:
    seen = window.requests
    if any(guard.wants_comparison for guard in guards_of(rollout)):
        seen = min(seen, window.compared)
    return max(0, int(rollout.least - seen))


def _where(rollout: Rollout, window: Window) -> str:
    return (
        f"at {100 * rollout.steps[rollout.step]:g}% (step {rollout.step + 1} of {len(rollout.steps)}, "
        f"{window.requests:.0f} requests)"
    )


def _stepped(policy: Policy, window: Window, at: float) -> Policy:
    rollout = _running(policy)
    held = ", ".join(guard.shown(window) for guard in guards_of(rollout))
    following = rollout.step + 1
    if following < len(rollout.steps):
        next_ = msgspec.structs.replace(rollout, step=following, since=at)
        here, there = (f"{100 * rollout.steps[step]:g}%" for step in (rollout.step, following))
        why = f"{rollout.candidate} from {here} to {there}: {held}"
        return _next(policy, why, weights=shares(policy, rollout, following), rollout=next_)
    done = msgspec.structs.replace(rollout, state="finished")
    if rollout.steps[-1] < 1:
        return _next(
            policy, f"{rollout.candidate} stays at {100 * rollout.steps[-1]:g}%: {held}", rollout=done
        )
    return _next(
        policy, f"{rollout.candidate} is promoted: {held}", rollout=done, control=rollout.candidate,
        before=policy.control, weights={rollout.candidate: 1.0},
    )  # fmt: skip


def _rolled_back(policy: Policy, guard: Guard, window: Window, after: str) -> Policy:
    rollout = _running(policy)
    why = (
        f"{rollout.candidate} is rolled back: {guard.shown(window)} is not <{guard.text.partition('<')[2]}, "
        f"{_where(rollout, window)}{after}"
    )
    done = msgspec.structs.replace(rollout, state="rolled back")
    return _next(policy, why, rollout=done, weights={policy.control: 1.0})


def _next(policy: Policy, why: str, **changes: object) -> Policy:
    return msgspec.structs.replace(policy, number=policy.number + 1, at=now(), by=AUTHOR, why=why, **changes)
