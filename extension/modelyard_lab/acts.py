"""What a person may do to a deployment from the page: what the Python verbs do, with the same engine."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from modelyard.catalog import Yard
from modelyard.errors import UsageError
from modelyard_lab.engine import importing

if TYPE_CHECKING:
    from modelyard_router.policy import Variant

_ONE_AT_A_TIME: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True)
class Done:
    """Whether something was to do, and one line that says what was done or why not."""

    changed: bool
    message: str


def stop(yard: Yard, name: str) -> Done:
    """Stop a deployment; the second of two who ask is told that it is stopped already."""
    with importing():
        from modelyard.targets.deployment import Deployment

    with _ONE_AT_A_TIME[name]:
        record = yard.get("deployment", name)
        deployment = Deployment.from_record(yard.root, record)
        if record.payload["desired"] == "stopped" and deployment.status().health == "stopped":
            return Done(False, f"{name} is already stopped")
        deployment.stop()
        return Done(True, f"{name} is stopped")


def start(yard: Yard, name: str) -> Done:
    """Let a stopped deployment answer again."""
    with importing():
        from modelyard.targets.deployment import Deployment

    with _ONE_AT_A_TIME[name]:
        record = yard.get("deployment", name)
        deployment = Deployment.from_record(yard.root, record)
        if record.payload["desired"] == "running" and deployment.status().health == "ready":
            return Done(False, f"{name} already answers")
        deployment.start()
        return Done(True, f"{name} answers at {deployment.url}")


def roll_back(yard: Yard, name: str) -> Done:
    """Give everything back to the control, as ``modelyard.traffic(name, rollback=True)`` does.

    Raises
    ------
    UsageError
        There is nothing to go back to, or somebody else was faster.
    """
    with importing():
        from modelyard.routing.wishes import Wish, followed
        from modelyard.targets.protocol import recorded_target
        from modelyard.targets.tokens import read_token
        from modelyard.targets.traffic import RoutingTarget, can_route
        from modelyard_router.policy import PolicyChangedError

    with _ONE_AT_A_TIME[name]:
        record = yard.get("deployment", name)
        found = recorded_target(record.payload)
        if not can_route(found):
            raise UsageError(
                f"target {record.payload['target']!r} serves one bundle: there is nothing to roll back"
            )
        target, state = cast(RoutingTarget, found), record.payload["state"]
        routed = target.routed(state, read_token(yard.root, name))
        wished = followed(routed.policy, Wish(rollback=True), routed.history, _nobody, target.check_policy)
        try:
            target.route(state, wished)
        except PolicyChangedError as error:
            raise UsageError(str(error)) from None
        return Done(True, f"{name}: {wished.why}")


def _nobody(variant: str) -> Variant:
    """Bring no bundle: a rollback names only variants that are there."""
    raise UsageError(f"variant {variant!r} is no longer there")


ACTS: dict[str, Callable[[Yard, str], Done]] = {"stop": stop, "start": start, "roll-back": roll_back}
