"""Deploy and undo: a bundle goes to a target, and back."""

from __future__ import annotations

from typing import Any

from modelyard.catalog import Record, Yard, checked_name, open_yard
from modelyard.errors import DeploymentError, NameTakenError
from modelyard.packaging import Bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.asking import chosen_bundle, chosen_target, made_for_limits, planned
from modelyard.targets.carrying_out import take_back
from modelyard.targets.deployment import Deployment, deployment_lock
from modelyard.targets.journal import Journal
from modelyard.targets.placing import going_on, is_interrupted, placed
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, make_target, recorded_options, recorded_target
from modelyard.targets.tokens import STALE, make_token, read_token
from modelyard_runtime.predictor import class_key


def deploy(
    bundle: Bundle | str,
    to: str = "local",
    name: str | None = None,
    apply: bool | None = None,
    replace: bool = False,
    **options: Any,
) -> Deployment | Plan:
    """Deploy a bundle; return the endpoint when it answers, or the plan where it was not applied.

    Parameters
    ----------
    bundle, to, name, **options
        As for `plan`.
    apply : bool, optional
        Whether to act. By default it acts at once only where the target costs nothing and stays on this
        machine.
    replace : bool
        Stop a deployment of that name and put this one in its place: same URL, same token, same counters and
        prediction log.

    Raises
    ------
    UnknownNameError, UsageError, InvalidNameError
        No such bundle, target or option; a name that cannot be one.
    NameTakenError
        A deployment of that name exists.
    BundleError
        The bundle is gone, or was changed after packaging.
    DeploymentError
        It does not fit, or the endpoint did not come up. Nothing is left of it, but where a call of its plan failed:
        then what was made is named, the same again goes on, and `undo` takes it back.
    """
    chosen = chosen_bundle(bundle)
    name = checked_name(name or chosen.name, "deployment")
    target, options = chosen_target(to, name, options)
    with made_for_limits(target, chosen) as artifact:
        found = planned(chosen, to, target, name, artifact)
        if not (target.acts_at_once if apply is None else apply):
            return found
        if found.fit is not None and not found.fit.ok:
            raise DeploymentError(found.fit.sentence())
        return _deployed(chosen, to, target, name, artifact, options, replace)


def undo(name: str) -> Deployment | None:
    """Take back what the newest deploy of `name` did; return what answers now.

    Where it replaced a deployment, that one answers again, at the same URL; otherwise nothing is left, and ``None`` is
    returned. A deploy that was interrupted is taken back as far as it went.

    Raises
    ------
    UnknownNameError
        There is no such deployment.
    DeploymentError
        Something could not be taken back; what is left is named. Type it again to go on.
    BundleError
        The bundle that answered before is gone.
    """
    yard = open_yard()
    record = yard.get("deployment", name)
    target, kept = recorded_target(record.payload), yard.deployment_folder(name) / STATE_KEPT
    before = record.payload.get("before")
    made_calls = bool(Journal(kept).made)
    if before is None:
        Deployment.from_record(yard.root, record).remove()
        return None
    if made_calls:
        with deployment_lock(yard, name):
            take_back(target.sender(record.payload["state"]), kept)
            if before.get("token") == STALE:
                state = recorded_target(before).change_token(before["state"], read_token(yard.root, name))
                before = {**before, "state": dict(state), "token": None}
            return Deployment.from_record(yard.root, yard.record("deployment", name, before))
    chosen, to, options = chosen_bundle(before["bundle"]), before["target"], recorded_options(before)
    target = make_target(to, options)
    with made_for_limits(target, chosen) as artifact:
        _deployed(chosen, to, target, name, artifact, options, replace=True)
    again = yard.get("deployment", name)
    return Deployment.from_record(
        yard.root, yard.record("deployment", name, {**again.payload, "before": None})
    )


def _deployed(
    bundle: Bundle,
    to: str,
    target: Any,
    name: str,
    artifact: Artifact | None,
    options: dict[str, Any],
    replace: bool,
) -> Deployment:
    yard = open_yard()
    with deployment_lock(yard, name):
        return _placed(yard, bundle, to, target, name, artifact, options, replace)


def _placed(
    yard: Yard,
    bundle: Bundle,
    to: str,
    target: Any,
    name: str,
    artifact: Artifact | None,
    options: dict[str, Any],
    replace: bool,
) -> Deployment:
    existing = yard.find("deployment", name)
    goes_on = existing is not None and is_interrupted(yard, existing)
    asked = (bundle.digest, to)
    if existing is not None and goes_on and (existing.payload["digest"], existing.payload["target"]) != asked:
        raise NameTakenError(
            f"the deploy of {existing.payload['bundle']} to {existing.payload['target']} as {name!r} was interrupted; "
            f"type that one again to go on, or take it back: %deploy {name} --undo"
        )
    if existing is not None and not replace and not goes_on:
        raise NameTakenError(
            f"deployment {name!r} exists ({existing.payload['bundle']} at {existing.payload['url']}); type --replace "
            f"to put this bundle in its place, --name for a second one, or let both answer: "
            f"%traffic {name} --canary v{bundle.version}=10%"
        )
    classes = bundle.manifest["model"]["classes"]
    payload: dict[str, Any] = {
        "target": to,
        "bundle": bundle.tag,
        "digest": bundle.digest,
        "options": options,
        "url": "",
        "columns": list(bundle.contract.names),
        "classes": None if classes is None else [class_key(label) for label in classes],
        "desired": "starting",
        "state": {"folder": str(yard.deployment_folder(name))},
        "before": _before(existing, goes_on),
    }
    place = going_on if goes_on else placed
    with place(yard, name, existing) as previous:
        yard.record("deployment", name, payload)
        token = make_token(yard.root, name)
        endpoint = target.apply(bundle, name, yard.deployment_folder(name), token, previous, artifact)
    payload |= {"url": endpoint.url, "state": dict(endpoint.state), "desired": "running"}
    return Deployment.from_record(yard.root, yard.record("deployment", name, payload))


def _before(existing: Record | None, goes_on: bool) -> dict[str, Any] | None:
    """Return what `undo` puts back: the deployment that is replaced, without the one before that."""
    if existing is None:
        return None
    before: dict[str, Any] | None = existing.payload.get("before") if goes_on else existing.payload
    return None if before is None else {**before, "before": None}
