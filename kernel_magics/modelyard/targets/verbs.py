"""Fit, rehearse, plan, deploy and undo: a bundle goes to a target."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from modelyard.catalog import Record, Yard, checked_name, open_yard
from modelyard.errors import BundleError, DeploymentError, NameTakenError
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.carrying_out import take_back
from modelyard.targets.deployment import Deployment, deployment_lock
from modelyard.targets.fitting import Fit, fit_of
from modelyard.targets.journal import Journal
from modelyard.targets.placing import going_on, is_interrupted, placed
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, Live, make_target
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard.targets.rehearsing.result import Rehearsal
from modelyard.targets.tokens import make_token
from modelyard_runtime.predictor import class_key


def plan(bundle: Bundle | str, to: str = "local", name: str | None = None, **options: Any) -> Plan:
    """Say what `deploy` would do; nothing is written and nobody is called.

    Parameters
    ----------
    bundle : Bundle or str
        The bundle, or its tag: ``churn`` (newest) or ``churn:3``.
    to : str
        The target's name.
    name : str, optional
        The deployment's name; the bundle's own by default.
    **options
        The target's own options, such as ``port`` of ``local``.
    """
    chosen = _bundle(bundle)
    target = make_target(to, options)
    return _planned(chosen, to, target, checked_name(name or chosen.name, "deployment"))


def fit(bundle: Bundle | str, to: str = "local", **options: Any) -> Fit:
    """Make what would go to a target, in a folder of its own, and hold it against the target's limits.

    Parameters
    ----------
    bundle, to, **options
        As for `plan`.

    Raises
    ------
    DeploymentError
        It cannot be made here.
    """
    with _made_of(bundle, to, options) as (chosen, limits, artifact):
        return fit_of(chosen.tag, to, limits, artifact)


def rehearse(bundle: Bundle | str, to: str = "local", **options: Any) -> Rehearsal:
    """Run a target's real handler here, under the target's limits, and let it answer the golden rows.

    Parameters
    ----------
    bundle, to, **options
        As for `plan`.

    Raises
    ------
    DeploymentError
        What would be run cannot be made here. Whatever goes wrong after that is a finding.
    """
    with _made_of(bundle, to, options) as (chosen, limits, artifact):
        return rehearsed(chosen, to, limits, artifact)


@contextmanager
def _made_of(
    bundle: Bundle | str, to: str, options: Mapping[str, Any]
) -> Iterator[tuple[Bundle, Limits, Artifact]]:
    chosen = _bundle(bundle)
    target = make_target(to, options)
    with _made(target, chosen) as artifact:
        yield chosen, target.limits, artifact


@contextmanager
def _made(target: Any, bundle: Bundle) -> Iterator[Artifact]:
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        yield target.make(bundle, Path(folder))


def _planned(bundle: Bundle, to: str, target: Any, name: str) -> Plan:
    live, limits = _live(to, name), target.limits
    if not limits.has_any:
        planned: Plan = target.plan(bundle, name, None, live)
        return replaced(planned, fit=Fit(bundle.tag, to, f"{limits.source}, {limits.as_of}"))
    with _made(target, bundle) as artifact:
        planned = target.plan(bundle, name, artifact, live)
        return replaced(planned, fit=fit_of(bundle.tag, to, limits, artifact))


def _live(to: str, name: str) -> Live | None:
    record = open_yard().find("deployment", name)
    if record is None or record.payload["target"] != to or record.payload["desired"] == "starting":
        return None
    return Live(record.payload["bundle"], record.payload["digest"], record.payload["state"])


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
    chosen = _bundle(bundle)
    target = make_target(to, options)
    name = checked_name(name or chosen.name, "deployment")
    planned = _planned(chosen, to, target, name)
    if not (target.acts_at_once if apply is None else apply):
        return planned
    if planned.fit is not None and not planned.fit.ok:
        raise DeploymentError(planned.fit.sentence())
    yard = open_yard()
    with deployment_lock(yard, name):
        return _deployed(yard, chosen, to, target, name, options, replace)


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
    target, kept = make_target(record.payload["target"], {}), yard.deployment_folder(name) / STATE_KEPT
    before = record.payload.get("before")
    made_calls = bool(Journal(kept).made)
    if before is None:
        Deployment.from_record(yard.root, record).remove()
        return None
    if made_calls:
        with deployment_lock(yard, name):
            take_back(target.sender(record.payload["state"]), kept, everything=False)
            return Deployment.from_record(yard.root, yard.record("deployment", name, before))
    back = deploy(
        before["bundle"], before["target"], name, apply=True, replace=True, **before.get("options", {})
    )
    assert isinstance(back, Deployment)
    again = yard.get("deployment", name)
    return Deployment.from_record(
        yard.root, yard.record("deployment", name, {**again.payload, "before": None})
    )


def _bundle(bundle: Bundle | str) -> Bundle:
    chosen = find_bundle(bundle) if isinstance(bundle, str) else bundle
    if not isinstance(chosen, Bundle):
        raise BundleError(
            f"deploy takes a bundle or its name, found {type(bundle).__name__}; "
            "package the model first: %package MODEL X y --name NAME"
        )
    chosen.check()  # a bundle that is gone or changed is said now, before anything is written
    return chosen


def _deployed(
    yard: Yard, bundle: Bundle, to: str, target: Any, name: str, options: dict[str, Any], replace: bool
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
        endpoint = target.apply(bundle, name, yard.deployment_folder(name), token, previous)
    payload |= {"url": endpoint.url, "state": dict(endpoint.state), "desired": "running"}
    return Deployment.from_record(yard.root, yard.record("deployment", name, payload))


def _before(existing: Record | None, goes_on: bool) -> dict[str, Any] | None:
    """Return what `undo` puts back: the deployment that is replaced, without the one before that."""
    if existing is None:
        return None
    before: dict[str, Any] | None = existing.payload.get("before") if goes_on else existing.payload
    return None if before is None else {**before, "before": None}
