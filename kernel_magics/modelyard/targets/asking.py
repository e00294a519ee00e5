"""Plan, fit and rehearse: what would become of a bundle on a target; nothing is deployed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from modelyard.catalog import checked_name, open_yard
from modelyard.errors import BundleError, InvalidNameError
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.targets.artifact import Artifact
from modelyard.targets.fitting import Fit, fit_of
from modelyard.targets.plan import Plan
from modelyard.targets.protocol import (
    Live,
    make_target,
    option_fields,
    recorded_options,
    recorded_target,
)
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard.targets.rehearsing.result import Rehearsal


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
        The target's own options, such as ``port`` of ``local``. Where a deployment of that name is on the same target,
        those of its options stay that are not given.
    """
    chosen = chosen_bundle(bundle)
    name = checked_name(name or chosen.name, "deployment")
    target, _ = chosen_target(to, name, options)
    with made_for_limits(target, chosen) as artifact:
        return planned(chosen, to, target, name, artifact)


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
    chosen = chosen_bundle(bundle)
    target = make_target(to, options)
    with _made(target, chosen) as artifact:
        yield chosen, target.limits, artifact


@contextmanager
def _made(target: Any, bundle: Bundle) -> Iterator[Artifact]:
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        yield target.make(bundle, Path(folder))


@contextmanager
def made_for_limits(target: Any, bundle: Bundle) -> Iterator[Artifact | None]:
    """Yield what a target makes of a bundle, where it has limits that this must keep; else ``None``."""
    if not target.limits.has_any:
        yield None
        return
    with _made(target, bundle) as artifact:
        yield artifact


def planned(bundle: Bundle, to: str, target: Any, name: str, artifact: Artifact | None) -> Plan:
    limits: Limits = target.limits
    live = _live(to, name)
    options = {option.name: getattr(target, option.name) for option in option_fields(type(target))}
    found: Plan = replaced(target.plan(bundle, name, artifact, live), options=options)
    if live is not None:
        found = replaced(found, changes=(*found.changes, *_changed_options(name, target)))
    if artifact is None:
        return replaced(found, fit=Fit(bundle.tag, to, f"{limits.source}, {limits.as_of}"))
    return replaced(found, fit=fit_of(bundle.tag, to, limits, artifact))


def _changed_options(name: str, target: Any) -> Iterator[str]:
    """Yield the options that a deployment of that name has otherwise."""
    before = recorded_target(open_yard().get("deployment", name).payload)
    for option in option_fields(type(target)):
        was, is_now = getattr(before, option.name), getattr(target, option.name)
        if was != is_now and not option.metadata.get("plan_only"):
            yield f"{option.name}: {_or_default(was)}, then {_or_default(is_now)}"


def _or_default(value: Any) -> str:
    return "its default" if value is None else str(value)


def chosen_target(to: str, name: str, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the target for a deployment of that name, and all of its options.

    Those that are not given are the ones of the deployment of that name, where it is on the same target.

    Raises
    ------
    InvalidNameError
        The place takes no name that is as long.
    UnknownNameError, MissingExtraError, UsageError
        As of `make_target`.
    """
    record = open_yard().find("deployment", name)
    there: Mapping[str, Any] | None = None if record is None else record.payload
    if (
        there is not None and there["desired"] == "starting"
    ):  # what was interrupted is typed again, perhaps mended
        there = there.get("before")
    kept = recorded_options(there) if there is not None and there["target"] == to else {}
    known = {**kept, **options}
    target = make_target(to, known)
    most = target.limits.name_length
    if most is not None and len(name) > most:
        raise InvalidNameError(
            f"{to} takes names of at most {most} characters, {name!r} has {len(name)}; choose a shorter --name"
        )
    return target, known


def _live(to: str, name: str) -> Live | None:
    record = open_yard().find("deployment", name)
    if record is None or record.payload["target"] != to or record.payload["desired"] == "starting":
        return None
    return Live(record.payload["bundle"], record.payload["digest"], record.payload["state"])


def chosen_bundle(bundle: Bundle | str) -> Bundle:
    chosen = find_bundle(bundle) if isinstance(bundle, str) else bundle
    if not isinstance(chosen, Bundle):
        raise BundleError(
            f"deploy takes a bundle or its name, found {type(bundle).__name__}; "
            "package the model first: %package MODEL X y --name NAME"
        )
    chosen.check()  # a bundle that is gone or changed is said now, before anything is written
    return chosen
