"""What the counters of a deployment say of its variants: for guards, for ``/metrics``, for who looks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from modelyard_router import workers
from modelyard_router.files import replace
from modelyard_router.guards import Window, tally
from modelyard_router.policy import Policy
from modelyard_router.rollout import guards_of
from modelyard_runtime import metrics
from modelyard_runtime.cells import Cells
from modelyard_runtime.metrics import SECONDS, STATUSES, state_folder

if TYPE_CHECKING:
    from modelyard_router.crew import Crew

#: What is counted of two variants that answered the same rows.
COMPARED = ("requests", "rows", "differing", "failed", "seconds", "skipped_bytes")
_BASE = "rollout.json"

Tally = Mapping[str, list[float]]
_open: dict[tuple[Path, str], Cells] = {}


def compared_pairs(policy: Policy) -> dict[str, tuple[str, ...]]:
    """Return who answers again what others have answered: by the variant that answered first."""
    found: dict[str, list[str]] = {name: list(policy.shadow) for name in policy.answering}
    if policy.rollout is not None and policy.is_rolling:
        candidate = policy.rollout.candidate
        if any(guard.wants_comparison for guard in guards_of(policy.rollout)):
            found.setdefault(policy.control, []).append(candidate)
            found.setdefault(candidate, []).append(policy.control)
    return {name: tuple(dict.fromkeys(others)) for name, others in found.items() if others}


def pair_cells(state: Path, policy: Policy, first: str, second: str) -> Cells:
    """Return the counters of `second` answering what `first` had answered."""
    named = [policy.variants[name].digest[:12] for name in (first, second)]
    layout = f"compared-{first}-{named[0]}-{second}-{named[1]}"
    key = (state, layout)
    if key not in _open:
        _open[key] = Cells(len(COMPARED), state / "metrics", layout)
    return _open[key]


def compared(state: Path, policy: Policy, first: str, second: str) -> dict[str, float]:
    """Return what was counted of a pair, by `COMPARED`."""
    total = pair_cells(state, policy, first, second).total()
    return dict(zip(COMPARED, total.tolist(), strict=True))


def _now(state: Path, policy: Policy, crew: Crew) -> dict[str, list[float]] | None:
    assert policy.rollout is not None
    candidate = policy.rollout.candidate
    app = crew.app(candidate)
    if app is None:
        return None
    both = [
        compared(state, policy, *pair)
        for pair in ((policy.control, candidate), (candidate, policy.control))
    ]  # fmt: skip
    return {
        **app.predictor.metrics.tally(),
        "compared": [sum(pair["rows"] for pair in both), sum(pair["differing"] for pair in both)],
    }


def window(folder: Path, policy: Policy, crew: Crew) -> Window | None:
    """Return what happened to the candidate since its step began; ``None`` while it is not loaded.

    What the counters said at the beginning of the step stands in a file, so that a step outlives every worker.
    """
    rollout, state = policy.rollout, state_folder()
    if rollout is None or state is None:
        return None
    now = _now(state, policy, crew)
    if now is None:
        return None
    then = begun(folder, policy)
    if then is None:
        then = _begin(folder, policy, now)
    return as_window(now, then, crashes=workers.lost_since(folder, rollout.began))


def as_window(now: Tally, then: Tally, *, crashes: int = 0) -> Window:
    """Return what happened between two readings of a candidate's counters."""
    statuses = np.array([*STATUSES, 599])
    answered = tally(now, then, "requests")
    requests = np.where(statuses == 401, 0.0, answered)  # who is not let in proves nothing
    rows, differing = tally(now, then, "compared").tolist()
    return Window(
        requests=float(requests.sum()),
        errors=float(requests[statuses >= 500].sum()),
        refused=float(requests[(statuses >= 400) & (statuses < 500)].sum()),
        seconds=tally(now, then, "seconds"),
        bounds=SECONDS,
        compared=rows,
        differing=differing,
        crashes=crashes,
    )


def begun(folder: Path, policy: Policy) -> dict[str, list[float]] | None:
    """Return what the counters said when the step of the running rollout began; ``None`` where it has just begun."""
    try:
        said: dict[str, Any] = json.loads((folder / _BASE).read_text(encoding="utf-8"))
        return dict(said["counters"]) if said["of"] == _mark(policy) else None
    except (OSError, ValueError, KeyError):
        return None


def _mark(policy: Policy) -> list[Any]:
    assert policy.rollout is not None
    return [policy.rollout.candidate, policy.rollout.began, policy.rollout.step]


def _begin(folder: Path, policy: Policy, now: dict[str, list[float]]) -> dict[str, list[float]]:
    replace(folder / _BASE, json.dumps({"of": _mark(policy), "counters": now}).encode())
    return now


def as_text(crew: Crew) -> bytes:
    """Return the counters of all variants, and the router's own, in Prometheus's text format."""
    return metrics.as_text([app.predictor.metrics for app in crew.apps], _own(crew))


def _own(crew: Crew) -> Iterator[Metric]:
    policy, state = crew.policy, state_folder()
    if policy is None:
        return
    bundle = crew.apps[0].predictor.manifest["name"]
    weight = GaugeMetricFamily(
        "modelyard_weight", "Share of the requests that a variant answers", labels=["bundle", "variant"]
    )
    for name in policy.variants:
        weight.add_metric([bundle, name], policy.weights.get(name, 0.0))
    yield weight
    yield GaugeMetricFamily(
        "modelyard_policy", "Number of the policy that this worker answers by", crew.choice.number
    )
    pairs = [(first, second) for first, others in compared_pairs(policy).items() for second in others]
    if state is None or not pairs:
        return
    labels = ["bundle", "variant", "compared_with"]
    for field in ("rows", "differing"):
        family = CounterMetricFamily(
            f"modelyard_compared_{field}",
            "Rows that a second variant answered too"
            if field == "rows"
            else "Rows that it answered otherwise",
            labels=labels,
        )
        for first, second in pairs:
            family.add_metric([bundle, second, first], compared(state, policy, first, second)[field])
        yield family
