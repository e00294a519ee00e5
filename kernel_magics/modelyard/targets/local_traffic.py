"""Several bundles behind one endpoint of this machine: files in the deployment's folder, which its workers follow."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from filelock import FileLock
from prometheus_client.parser import text_string_to_metric_families

import modelyard_router
from modelyard.errors import BundleError, DeploymentError
from modelyard.packaging import Bundle
from modelyard.packaging.sites import child_lock, needs_child
from modelyard.progress import track
from modelyard.targets.connection import connect
from modelyard.targets.local_environment import Environment
from modelyard.targets.traffic import Routed, Seen
from modelyard_router import counters, workers
from modelyard_router.guards import Window
from modelyard_router.policy import Policy, PolicyChangedError, PolicyError, PolicyFile, Variant, me, now
from modelyard_router.rollout import read as read_rollout
from modelyard_runtime.doors import ROUTER_FOLDER
from modelyard_runtime.metrics import SECONDS, STATUSES

_POLL_S = 0.02
_REACHED_S = 10.0
_LOADED_S = 120.0
_ASK_S = 5.0


def install_router(folder: Path) -> None:
    """Put the router's package into a deployment's folder."""
    source = Path(modelyard_router.__file__).parent
    target = folder / ROUTER_FOLDER / source.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def first_policy(folder: Path, bundle: Bundle) -> Policy:
    """Write the policy of a deployment that has one bundle; its number follows on what was before."""
    name, file = f"v{bundle.version}", PolicyFile(folder)
    variant = Variant(
        bundle.tag, bundle.digest, _path(bundle)
    )  # its site is in the environment of the server
    return file.write(
        Policy(
            file.first_number(), now(), me(), f"{bundle.tag} is deployed", {name: variant}, name, {name: 1.0}
        )
    )


def _path(bundle: Bundle) -> str:
    return f"home/bentos/{bundle.name}/{bundle.version}"


def add_variant(folder: Path, bundle: Bundle, environment: Environment) -> Variant:
    """Copy a bundle into a deployment, with what its lock names if it holds Python.

    Raises
    ------
    DeploymentError
        There is no room for it, or what its lock names is not installed here, and cannot be.
    """
    with FileLock(folder / "variants.lock"):  # another notebook may bring the same one now
        return _added(folder, bundle, environment)


def _added(folder: Path, bundle: Bundle, environment: Environment) -> Variant:
    path = folder / _path(bundle)
    if not path.exists():
        aside = path.with_name(f".{path.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(bundle.path, aside)
            aside.rename(path)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise DeploymentError(
                f"{bundle.tag} cannot be copied into the deployment: {_told(error)}"
            ) from None
    site = None
    if needs_child(bundle.manifest):
        site = f"sites/v{bundle.version}"
        make_site(folder / site, child_lock(bundle.model_folder), bundle.tag, environment)
    return Variant(bundle.tag, bundle.digest, _path(bundle), site)


def _told(error: OSError) -> str:
    """Return one line; copying a tree raises an error with a list of what happened to each file."""
    first = error.args[0][0][2] if isinstance(error, shutil.Error) else error
    return str(first).splitlines()[0]


def make_site(site: Path, lock: list[str], tag: str, environment: Environment) -> None:
    """Make the folder from which a model's child imports, unless it is there.

    Raises
    ------
    DeploymentError
        What the lock names is not installed here, or cannot be.
    """
    if site.is_dir():
        return
    fresh = site.with_name(f".{site.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        environment.fill(lock, fresh, tag)
        fresh.rename(site)
    except (BundleError, DeploymentError, OSError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise DeploymentError(f"the model cannot run here: {error}") from None


def put_in_force(folder: Path, policy: Policy, *, runs: bool) -> None:
    """Write a policy, and wait until every worker answers by it.

    Variants that no worker holds yet are brought up first, under a policy that gives them nothing to do.

    Raises
    ------
    PolicyChangedError
        Another policy stands there by now.
    DeploymentError
        A variant does not load, or the disk is full, and the policy of before is in force; or a worker is late to take
        the new one up.
    """
    file = PolicyFile(folder)
    if runs and (missing := _missing(folder, policy)):
        policy = _loaded_first(folder, file, policy, missing)
    _write(file, policy)
    if runs:
        _wait(folder, policy.number, _REACHED_S)


def _missing(folder: Path, policy: Policy) -> tuple[str, ...]:
    said = workers.living(folder)
    return tuple(name for name in policy.needed if any(name not in worker.loaded for worker in said))


def _loaded_first(folder: Path, file: PolicyFile, policy: Policy, missing: tuple[str, ...]) -> Policy:
    """Let every worker load what is missing; return `policy` as the one that follows on that."""
    before = file.read()
    if before.number != policy.number - 1:
        raise PolicyChangedError(before)
    everything = {**before.variants, **{name: policy.variants[name] for name in missing}}
    idle = msgspec.structs.replace(
        before, number=policy.number, at=policy.at, by=policy.by, variants=everything,
        why=f"{', '.join(missing)} is being loaded", weights={**before.weights, **dict.fromkeys(missing, 0.0)},
        held=missing,
    )  # fmt: skip
    began = {worker.pid for worker in workers.living(folder)}
    _write(file, idle)
    try:
        _wait(folder, idle.number, _LOADED_S, missing, began)
    except BaseException as error:  # also Ctrl-C: nothing has changed
        why = f"{', '.join(missing)} was not taken: {str(error) or type(error).__name__}"
        with suppress(PolicyChangedError, DeploymentError):  # why it does not load is said all the same
            _write(
                file, msgspec.structs.replace(before, number=idle.number + 1, at=now(), by=policy.by, why=why)
            )
        raise
    return msgspec.structs.replace(policy, number=idle.number + 1)


def _write(file: PolicyFile, policy: Policy) -> None:
    try:
        file.write(policy)
    except OSError as error:
        raise DeploymentError(f"the policy cannot be written, the one before is in force: {error}") from None


def _wait(
    folder: Path, number: int, seconds: float, loaded: tuple[str, ...] = (), began: Collection[int] = ()
) -> None:
    """Return when every living worker answers by that policy, or a later one, and holds these variants.

    Parameters
    ----------
    began : collection of int
        The workers that there were: none of them may end over it.

    Raises
    ------
    DeploymentError
        One of them cannot load a variant, or has ended; or it takes too long.
    """
    deadline = time.monotonic() + seconds
    what = f"{', '.join(loaded)} is being loaded" if loaded else "every worker takes up the policy"
    with track(what, None, "s") as waiting:
        while True:
            said = workers.living(folder)
            for worker in said:
                for name in loaded:
                    if name in worker.failed and worker.policy >= number:  # not at an earlier attempt
                        raise DeploymentError(f"{name} does not load: {worker.failed[name]}")
            if not {worker.pid for worker in said}.issuperset(began):  # else those that follow would end too
                raise DeploymentError(f"{', '.join(loaded)} does not load: a worker ended meanwhile")
            if said and all(w.policy >= number and set(loaded) <= set(w.loaded) for w in said):
                return
            if time.monotonic() > deadline:
                raise DeploymentError(
                    f"{sum(w.policy >= number for w in said)} of {len(said)} workers took up policy {number}, which is "
                    f"written, within {seconds:g} s; look at %yard"
                )
            time.sleep(_POLL_S)
            waiting.advance(0)


def shares_told(state: Mapping[str, Any]) -> str:
    """Return how requests are spread, where that is not all to the bundle that was deployed: ``; v1 90%, v2 10%``."""
    try:
        policy = PolicyFile(Path(state["folder"])).read()
    except PolicyError:
        return ""
    deployed = f"v{str(state['tag']).partition(':')[2]}"
    if policy.answering == {deployed: 1.0} and not policy.shadow:
        return ""
    told = [f"{name} {100 * share:g}%" for name, share in policy.answering.items()]
    return f"; {', '.join([*told, *(f'shadow {name}' for name in policy.shadow)])}"


def look(folder: Path, url: str, token: str, *, runs: bool) -> Routed:
    """Return how a deployment routes.

    Raises
    ------
    DeploymentError
        It was deployed by a version that could not.
    """
    file = PolicyFile(folder)
    if not file.path.exists():
        raise DeploymentError(
            "this endpoint cannot serve several bundles yet: it was deployed by an earlier version; "
            "type %deploy NAME --replace"
        )
    try:
        policy = file.read()
    except PolicyError as error:
        raise DeploymentError(str(error)) from None
    samples = _samples(url, token) if runs else {}
    said = workers.living(folder) if runs else ()
    seen = {name: _seen(samples, name) for name in policy.variants}
    guards: tuple[str, ...] = ()
    waits_for = ""
    if policy.is_rolling and policy.rollout is not None:
        window = _window(folder, samples, policy)
        if window is not None:
            found = read_rollout(policy, window, time.time())
            guards, waits_for = found.values, found.waits_for
    failed = {name: why for worker in said for name, why in worker.failed.items()}
    failed |= workers.failed_shadows(folder) if runs else {}
    reached = tuple(worker.policy for worker in said)
    return Routed(policy, file.history(policy), seen, reached, failed, guards, waits_for)


Samples = dict[str, list[tuple[dict[str, str], float]]]


def _samples(url: str, token: str) -> Samples:
    try:
        with connect(url, _ASK_S) as client:
            text = client.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}).text
    except httpx.HTTPError:
        return {}
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _tally(samples: Samples, variant: str) -> dict[str, list[float]]:
    statuses = [*STATUSES, 0]
    requests = dict.fromkeys(statuses, 0.0)
    for labels, value in samples.get("modelyard_requests_total", []):
        if labels["variant"] == variant and labels["path"] in ("/predict", "/v1", "/v2"):
            requests[int(labels["status"])] += value
    cumulative = [
        value
        for labels, value in samples.get("modelyard_predict_seconds_bucket", [])
        if labels["variant"] == variant
    ]
    counts = np.diff([0.0, *cumulative]).tolist() if cumulative else [0.0] * (len(SECONDS) + 1)
    return {"requests": [requests[status] for status in statuses], "seconds": counts}


def _compared(samples: Samples, field: str, variant: str) -> float:
    return sum(
        value
        for labels, value in samples.get(f"modelyard_compared_{field}_total", [])
        if labels["variant"] == variant
    )


def _seen(samples: Samples, variant: str) -> Seen:
    both = [_compared(samples, field, variant) for field in ("rows", "differing")]
    if all(labels["variant"] != variant for labels, _ in samples.get("modelyard_rows_total", [])):
        return Seen(
            math.nan, math.nan, compared=both[0], differing=both[1]
        )  # nobody holds it, so nobody tells
    window = counters.as_window({**_tally(samples, variant), "compared": both}, {})
    return Seen(window.requests, window.errors, window.quantile(0.5), window.quantile(0.99), *both)


def _window(folder: Path, samples: Samples, policy: Policy) -> Window | None:
    then = counters.begun(folder, policy)
    if then is None or policy.rollout is None or not samples:
        return None
    candidate = policy.rollout.candidate
    both = {candidate, policy.control}
    rows, differing = (sum(_compared(samples, f, name) for name in both) for f in ("rows", "differing"))
    lost = workers.lost_since(folder, policy.rollout.began)
    found = {**_tally(samples, candidate), "compared": [rows, differing]}
    return counters.as_window(found, then, crashes=lost)
