"""Look at an endpoint's traffic, and change it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import cast

from modelyard.catalog import Record, Yard, open_yard
from modelyard.errors import (
    ContractError,
    DeploymentError,
    InterruptedRunError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.progress import Tracker, track
from modelyard.routing.outcomes import OUTCOMES
from modelyard.routing.verdict import verdict
from modelyard.routing.view import Traffic
from modelyard.routing.wishes import Wish, followed
from modelyard.targets.protocol import STATE_KEPT, recorded_target
from modelyard.targets.tokens import read_token
from modelyard.targets.traffic import Routed, RoutingTarget, can_route
from modelyard_router.policy import PolicyChangedError, Variant
from modelyard_runtime.bundle_format import FORMAT
from modelyard_runtime.contract import Contract

_LOOK_S = 0.5


def traffic(
    name: str,
    canary: Mapping[str, float | None] | str | None = None,
    split: Mapping[str, float] | None = None,
    shadow: Sequence[str] | str | None = None,
    promote: str | None = None,
    rollback: bool = False,
    sticky: str | None = None,
    steps: Sequence[float] | None = None,
    every: float = 60.0,
    guard: Sequence[str] | str | None = None,
    least: int = 50,
    outcome: str = "correct",
    effect: float = 0.02,
    watch: float | None = None,
) -> Traffic:
    """Show how a deployment's requests are spread over its variants, and change it.

    Variant ``vN`` is version N of the bundle that is deployed. A change is in force on every worker when this
    returns; no request fails for it, and no variant that runs is started again.

    Parameters
    ----------
    name : str
        The deployment's name.
    canary : mapping of str to float, or str
        Shares of candidates, as ``{"v2": 0.1}``; the control gets the rest. With `steps`, the candidate alone.
    split : mapping of str to float
        The share of every variant; they add up to 1.
    shadow : sequence of str
        Variants that get a copy of each request and are heard by nobody; ``()`` ends that.
    promote : str
        The variant that shall answer everything.
    rollback : bool
        Back to the control; from a promoted variant back to the one before it.
    sticky : str
        A header, or a column of the rows, whose value keeps a caller on one variant; ``"off"`` ends that.
    steps : sequence of float
        A rollout: the candidate's rising shares, the last one usually 1. It advances and rolls back by itself.
    every : float
        Seconds that a step lasts at least.
    guard : sequence of str
        What must hold: ``errors<1%``, ``refused<1%``, ``p50<5ms``, ``p90…``, ``p95…``, ``p99<20ms``,
        ``disagreement<5%``, ``crashes<1`` (always there). ``errors<1%`` by default.
    least : int
        Requests to the candidate without which no step is over.
    outcome : {"correct", "label"}
        What a success is, once labels have come by ``/feedback``: that the label was predicted, or the label itself.
    effect : float
        The difference of rates that is worth finding; the comparison is made for it.
    watch : float, optional
        Show a rollout live until it ends, for at most that many seconds; Ctrl-C ends only the watching.

    Raises
    ------
    UnknownNameError
        No such deployment or bundle version.
    UsageError
        What was asked for cannot be; nothing has changed.
    ContractError
        A bundle takes other columns; the difference is named.
    DeploymentError
        A variant does not load, or the policy cannot be written; nothing has changed.
    """
    wish = Wish(
        {canary: None} if isinstance(canary, str) else canary, split,
        (shadow,) if isinstance(shadow, str) else shadow, promote, rollback, sticky, steps, every,
        (guard,) if isinstance(guard, str) else guard, least,
    )  # fmt: skip
    if outcome not in OUTCOMES:
        raise UsageError(
            f"an outcome is correct or label, found {outcome!r}{did_you_mean(outcome, OUTCOMES)}"
        )
    yard = open_yard()
    record = yard.get("deployment", name)
    target = _target(record)
    if wish.changes_something:
        _change(yard, record, target, wish)
    if watch is not None:
        _watch(yard, record, target, watch)
    routed = _routed(yard, record, target)
    state = yard.deployment_folder(name) / STATE_KEPT
    found = verdict(routed.policy, routed.history, state, outcome, effect)
    return Traffic(name, routed, found)


def _target(record: Record) -> RoutingTarget:
    target = recorded_target(record.payload)
    if not can_route(target):
        raise UsageError(
            f"target {record.payload['target']!r} cannot serve several bundles behind one endpoint"
        )
    return cast("RoutingTarget", target)


def _routed(yard: Yard, record: Record, target: RoutingTarget) -> Routed:
    return target.routed(record.payload["state"], read_token(yard.root, record.name))


def _change(yard: Yard, record: Record, target: RoutingTarget, wish: Wish) -> None:
    now = _routed(yard, record, target)
    stem = record.payload["bundle"].partition(":")[0]
    control = find_or_none(now.policy.variants[now.policy.control].tag)

    def bring(variant: str) -> Variant:
        bundle = _version(stem, variant)
        bundle.check()
        _check_format(bundle)
        if control is not None:
            _check_contract(control, bundle)
        return target.as_variant(record.payload["state"], bundle)

    wished = followed(now.policy, wish, now.history, bring, target.check_policy)
    try:
        target.route(record.payload["state"], wished)
    except PolicyChangedError as error:
        raise UsageError(str(error)) from None


def _version(stem: str, variant: str) -> Bundle:
    number = variant.removeprefix("v").removeprefix(f"{stem}:")
    if not number.isdigit():
        raise UnknownNameError(
            f"no variant {variant!r}: a variant is named vN, for version N of the bundle {stem!r}"
        )
    try:
        return find_bundle(f"{stem}:{number}")
    except UnknownNameError as error:
        raise UnknownNameError(f"no variant {variant!r}: {error}") from None


def find_or_none(tag: str) -> Bundle | None:
    """Return a bundle of the store, if it is still there."""
    try:
        return find_bundle(tag)
    except UnknownNameError:
        return None


def _check_format(bundle: Bundle) -> None:
    if bundle.manifest["format"] > FORMAT:
        raise DeploymentError(
            f"{bundle.tag} is of format {bundle.manifest['format']}, what runs reads up to {FORMAT}; "
            "type %deploy with --replace"
        )


def _check_contract(control: Bundle, candidate: Bundle) -> None:
    """Refuse a bundle that takes other columns.

    Raises
    ------
    ContractError
    """
    first, second = (_columns(each.contract) for each in (control, candidate))
    told = [
        *(f"it has no column {name!r}" for name in first if name not in second),
        *(f"it wants a column {name!r} more" for name in second if name not in first),
        *(
            f"{name!r} is {second[name]} instead of {first[name]}"
            for name in first
            if name in second and first[name] != second[name]
        ),
    ]
    if told:
        raise ContractError(
            f"{candidate.tag} takes other rows than {control.tag}: {'; '.join(told[:5])}"
            f"{'; …' if len(told) > 5 else ''}; deploy it under a name of its own"
        )
    tasks = [each.manifest["model"]["task"] for each in (control, candidate)]
    if tasks[0] != tasks[1]:
        raise ContractError(f"{candidate.tag} does {tasks[1]}, {control.tag} does {tasks[0]}")


def _columns(contract: Contract) -> dict[str, str]:
    return {column.name: column.type for column in contract.columns}


def _watch(yard: Yard, record: Record, target: RoutingTarget, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    policy = _routed(yard, record, target).policy
    if policy.rollout is None or not policy.is_rolling:
        return
    try:
        with track(f"rollout of {policy.rollout.candidate}", len(policy.rollout.steps), "step") as shown:
            _show_steps(yard, record, target, deadline, shown)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"the watching is over, the rollout goes on; look with %traffic {record.name}"
        ) from None


def _show_steps(yard: Yard, record: Record, target: RoutingTarget, deadline: float, shown: Tracker) -> None:
    done = 0
    while time.monotonic() < deadline:
        routed = _routed(yard, record, target)
        rollout = routed.policy.rollout
        if rollout is None or not routed.policy.is_rolling:
            return
        share = 100 * rollout.steps[rollout.step]
        shown.advance(rollout.step - done, note=f"{share:g}%: {', '.join(routed.guards)}")
        done = rollout.step
        time.sleep(_LOOK_S)
