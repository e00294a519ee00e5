"""What an endpoint counts, read now and then: rates and quantiles of the last minute, and each column's values."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from weakref import WeakValueDictionary

import httpx
from prometheus_client.parser import text_string_to_metric_families

from modelyard.errors import DeploymentError, ModelyardError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.targets.connection import connect
from modelyard_runtime import bundle_format

_TIMEOUT_S = 2.0
_KEPT_S = 300.0  # of history
_WINDOW_S = 60.0  # of what is called now
_RATE_S = 10.0
_FRESH_S = 0.5  # several panels of one endpoint read it once
_PREDICTING = ("/predict", "/v1", "/v2")
_OUTSIDE = ("below", "above", "other")
_ENOUGH = 50  # values, for a distance that says something


@dataclass
class Counts:
    """The counters of an endpoint at one moment, over all its variants.

    Attributes
    ----------
    at : float
        Seconds of a clock that only rises.
    seconds : dict of float to float
        Requests that took at most so long; the histogram.
    flags, values : dict
        Values that were flagged, by column; and all, by column and bin of the profile.
    """

    at: float
    requests: float = 0.0
    errors: float = 0.0
    refused: float = 0.0
    rows: float = 0.0
    seconds: dict[float, float] = field(default_factory=dict)
    flags: dict[str, float] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    variants: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """How it went in the last minute: requests a second, their quantiles in seconds, how many failed or were refused.

    Where nothing was asked in that time, the quantiles are those since it began.
    """

    rate: float
    p50_s: float | None
    p95_s: float | None
    errors: float
    refused: float
    lately: bool = False


def counted(text: str, at: float) -> Counts:
    """Return the counters in a text of Prometheus's format."""
    found = Counts(at)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            _add(found, sample.name, sample.labels, sample.value)
    return found


def _add(found: Counts, name: str, labels: Mapping[str, str], value: float) -> None:
    if name == "modelyard_requests_total" and labels["path"] in _PREDICTING:
        found.requests += value
        found.errors += value if labels["status"] >= "500" else 0.0
        found.refused += value if "400" <= labels["status"] < "500" else 0.0
        found.variants[labels["variant"]] = found.variants.get(labels["variant"], 0.0) + value
    elif name == "modelyard_rows_total":
        found.rows += value
    elif name == "modelyard_predict_seconds_bucket":
        bound = float(labels["le"])
        found.seconds[bound] = found.seconds.get(bound, 0.0) + value
    elif name == "modelyard_flags_total":
        found.flags[labels["column"]] = found.flags.get(labels["column"], 0.0) + value
    elif name == "modelyard_values_total":
        bins = found.values.setdefault(labels["column"], {})
        bins[labels["bin"]] = bins.get(labels["bin"], 0.0) + value


class Reader:
    """Reads one endpoint, for all of its panels.

    Parameters
    ----------
    deployment : Deployment
    """

    _all: ClassVar[WeakValueDictionary[tuple[str, str], Reader]] = WeakValueDictionary()

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._reading = threading.Lock()
        self._past: deque[Counts] = deque()
        self._paces: deque[tuple[float, Pace]] = deque()

    @classmethod
    def of(cls, deployment: Deployment) -> Reader:
        key = (str(deployment.root), deployment.name)
        found = cls._all.get(key)
        if found is None:
            cls._all[key] = found = cls(deployment)
        return found

    def read(self) -> Counts:
        """Ask the endpoint, unless somebody just has.

        Raises
        ------
        DeploymentError
            It does not answer, or tells no figures.
        """
        with self._reading:
            now = time.monotonic()
            if self._past and now - self._past[-1].at < _FRESH_S:
                return self._past[-1]
            found = counted(self._asked(), now)
            if self._past and found.requests < self._past[-1].requests:
                self._past.clear()  # it was replaced: its counters begin again
            self._past.append(found)
            while now - self._past[0].at > _KEPT_S:
                self._past.popleft()
            self._paces.append((now, self._pace()))
            while now - self._paces[0][0] > _KEPT_S:
                self._paces.popleft()
            return found

    def pace(self) -> Pace:
        """Return how it went lately, as far as was read."""
        return self._paces[-1][1] if self._paces else Pace(0.0, None, None, 0.0, 0.0)

    def history(self) -> list[tuple[float, Pace]]:
        """Return how it went: seconds before now, oldest first."""
        now = time.monotonic()
        return [(at - now, pace) for at, pace in list(self._paces)]

    def _pace(self) -> Pace:
        last = self._past[-1]
        soon, then = self._before(_RATE_S), self._before(_WINDOW_S)
        passed = last.at - soon.at
        rate = (last.requests - soon.requests) / passed if passed > 0 else 0.0
        was_asked = last.requests > then.requests
        base = then.seconds if was_asked else {}
        lately = {bound: count - base.get(bound, 0.0) for bound, count in last.seconds.items()}
        errors, refused = last.errors - then.errors, last.refused - then.refused
        return Pace(rate, quantile(lately, 0.5), quantile(lately, 0.95), errors, refused, was_asked)

    def _before(self, seconds: float) -> Counts:
        last = self._past[-1].at
        return next(past for past in self._past if last - past.at <= seconds)

    def _asked(self) -> str:
        name, url = self._deployment.name, self._deployment.url
        headers = {"Authorization": f"Bearer {self._deployment.token}"}
        try:
            with connect(url, _TIMEOUT_S, headers) as client:
                answer = client.get(f"{url}/metrics")
        except httpx.HTTPError as error:
            raise DeploymentError(f"{name!r} does not answer at {url} ({type(error).__name__})") from None
        if answer.status_code != 200:
            raise DeploymentError(f"{name!r} tells no figures: it answered {answer.status_code}")
        return answer.text


def quantile(cumulative: Mapping[float, float], share: float) -> float | None:
    """Return a quantile of a histogram, linear within its bin; ``None`` of nothing.

    >>> quantile({0.1: 5.0, 0.2: 10.0, float("inf"): 10.0}, 0.75)
    0.15...
    """
    bounds = sorted(cumulative)
    total = cumulative[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    low, below = 0.0, 0.0
    for bound in bounds:
        if cumulative[bound] >= share * total:
            inside = cumulative[bound] - below
            if bound == float("inf") or not inside:
                return low
            return low + (bound - low) * (share * total - below) / inside
        low, below = bound, cumulative[bound]
    return low


@dataclass(frozen=True)
class ColumnSeen:
    """What came in one column.

    Attributes
    ----------
    missing, outside : float
        Shares of its values: nulls, and those beyond what training saw.
    flagged : float
        How many were flagged.
    usual_missing : float or None
        The share of nulls in training.
    moved : float or None
        How far its values are spread otherwise than in training, from 0 to 1 (total variation over the profile's
        bins); ``None`` of few values.
    """

    name: str
    values: float
    missing: float
    outside: float
    flagged: float
    usual_missing: float | None = None
    moved: float | None = None


def columns_seen(
    counts: Counts, columns: Sequence[str], profile: Mapping[str, Mapping[str, object]]
) -> list[ColumnSeen]:
    """Return what came in each column, against the reference profile."""
    return [_seen(name, counts, profile.get(name)) for name in columns]


def _seen(name: str, counts: Counts, described: Mapping[str, object] | None) -> ColumnSeen:
    bins = counts.values.get(name, {})
    total = sum(bins.values())
    flagged = counts.flags.get(name, 0.0)
    if not total:
        return ColumnSeen(name, 0.0, 0.0, 0.0, flagged)
    outside = sum(bins.get(each, 0.0) for each in _OUTSIDE)
    usual = None if described is None else _usual(described)
    return ColumnSeen(
        name, total, bins.get("null", 0.0) / total, outside / total, flagged,
        None if usual is None else usual.get("null", 0.0),
        None if usual is None or total < _ENOUGH else _distance(usual, bins, total),
    )  # fmt: skip


def _usual(described: Mapping[str, object]) -> dict[str, float] | None:
    """Return the shares of a column's bins in training, named as the runtime's counters name them."""
    inner = described.get("lengths", described)
    counts = inner.get("counts") if isinstance(inner, dict) else None
    if isinstance(counts, dict):
        found = {str(name): float(count) for name, count in counts.items()}
        found["other"] = float(str(described.get("other", 0)))
    elif isinstance(counts, list):
        found = {str(number): float(count) for number, count in enumerate(counts, 1)}
    else:
        return None
    found["null"] = float(str(described.get("nulls", 0)))
    total = sum(found.values())
    return {name: count / total for name, count in found.items()} if total else None


def _distance(usual: Mapping[str, float], bins: Mapping[str, float], total: float) -> float:
    names = {*usual, *bins}
    return sum(abs(usual.get(name, 0.0) - bins.get(name, 0.0) / total) for name in names) / 2


def profile_of(bundle: Bundle) -> dict[str, dict[str, object]]:
    """Return the reference distribution of each column; empty where it cannot be read."""
    try:
        found: dict[str, dict[str, object]] = json.loads(
            (bundle.model_folder / bundle_format.PROFILE).read_bytes()
        )["columns"]
    except (OSError, ValueError, KeyError, ModelyardError):
        return {}
    return found
