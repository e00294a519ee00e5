"""Fit, rehearse, plan and deploy: a bundle goes to a target."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from modelyard.catalog import Record, Yard, checked_name, open_yard
from modelyard.errors import BundleError, DeploymentError, NameTakenError
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.deployment import Deployment, deployment_lock, replaced_folder
from modelyard.targets.fitting import Fit, fit_of
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import STATE_KEPT, State, make_target
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard.targets.rehearsing.result import Rehearsal
from modelyard.targets.tokens import forget_token, make_token
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
    chosen = _bundle(bundle)
    target = make_target(to, options)
    with _made(target, chosen) as artifact:
        return fit_of(chosen.tag, to, target.limits, artifact)


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
    chosen = _bundle(bundle)
    target = make_target(to, options)
    with _made(target, chosen) as artifact:
        return rehearsed(chosen, to, target.limits, artifact)


@contextmanager
def _made(target: Any, bundle: Bundle) -> Iterator[Artifact]:
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        yield target.make(bundle, Path(folder))


def _planned(bundle: Bundle, to: str, target: Any, name: str) -> Plan:
    planned: Plan = target.plan(bundle, name)
    if not target.limits.has_any:
        return replaced(planned, fit=Fit(bundle.tag, to, f"{target.limits.source}, {target.limits.as_of}"))
    with _made(target, bundle) as artifact:
        return replaced(planned, fit=fit_of(bundle.tag, to, target.limits, artifact))


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
        It does not fit, or the endpoint did not come up. Nothing is left of it.
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
        return _deployed(yard, chosen, to, target, name, replace)


def _bundle(bundle: Bundle | str) -> Bundle:
    chosen = find_bundle(bundle) if isinstance(bundle, str) else bundle
    if not isinstance(chosen, Bundle):
        raise BundleError(
            f"deploy takes a bundle or its name, found {type(bundle).__name__}; "
            "package the model first: %package MODEL X y --name NAME"
        )
    chosen.check()  # a bundle that is gone or changed is said now, before anything is written
    return chosen


def _deployed(yard: Yard, bundle: Bundle, to: str, target: Any, name: str, replace: bool) -> Deployment:
    existing = yard.find("deployment", name)
    if existing is not None and not replace:
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
        "url": "",
        "columns": list(bundle.contract.names),
        "classes": None if classes is None else [class_key(label) for label in classes],
        "desired": "starting",
        "state": {"folder": str(yard.deployment_folder(name))},
    }
    with _place(yard, name, existing) as previous:
        yard.record("deployment", name, payload)
        token = make_token(yard.root, name)
        endpoint = target.apply(bundle, name, yard.deployment_folder(name), token, previous)
    payload |= {"url": endpoint.url, "state": dict(endpoint.state), "desired": "running"}
    return Deployment.from_record(yard.root, yard.record("deployment", name, payload))


@contextmanager
def _place(yard: Yard, name: str, existing: Record | None) -> Iterator[State | None]:
    """Make room for a deployment; after a failure, or Ctrl-C, all is as it was before.

    Yields the state of the deployment that is replaced, which has been stopped.
    """
    folder = yard.deployment_folder(name)
    aside = replaced_folder(folder)
    if existing is not None:
        make_target(existing.payload["target"], {}).stop(existing.payload["state"])
        if aside.exists() and not folder.exists():  # a replacement was killed as it began
            aside.rename(folder)
        _move_state(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)
        if folder.exists():
            folder.rename(aside)
    folder.mkdir(parents=True)
    _move_state(aside, folder)
    try:
        yield None if existing is None else existing.payload["state"]
    except BaseException:
        if existing is not None:
            _move_state(folder, aside)
        shutil.rmtree(folder, ignore_errors=True)
        if existing is None:
            forget_token(yard.root, name)
            yard.delete("deployment", name)
        else:
            if aside.exists():
                aside.rename(folder)
            yard.record("deployment", name, existing.payload)
            if existing.payload["desired"] == "running":
                make_target(existing.payload["target"], {}).start(existing.payload["state"])
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _move_state(origin: Path, to: Path) -> None:
    """Move what a deployment keeps when it is replaced, unless that has been done."""
    if (origin / STATE_KEPT).is_dir() and to.is_dir() and not (to / STATE_KEPT).exists():
        (origin / STATE_KEPT).rename(to / STATE_KEPT)
