"""What an endpoint of this machine counts: read on the server's side, with the user's token, told as a few figures."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from modelyard.catalog import Record, Yard
from modelyard.errors import DeploymentError
from modelyard_lab.engine import importing
from modelyard_lab.workspace import is_loopback

WINDOW_S = 60.0

_TIMEOUT_S = 2.0
_MOST_BYTES = 8_000_000
_LEAST_BETWEEN_S = 0.5
_PREDICTING = ("/predict", "/v1", "/v2")
#: Of so many rows, so large a part outside of what training saw is worth a warning.
_DRIFT_ROWS, _DRIFT_SHARE = 100, 0.05


@dataclass
class Counted:
    """What one variant has counted since it was first there; `buckets` are cumulative, by upper bound in seconds."""

    requests: float = 0.0
    refused: float = 0.0
    errors: float = 0.0
    rows: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    flagged: dict[str, float] = field(default_factory=dict)

    def plus(self, other: Counted, sign: int = 1) -> Counted:
        bounds = {**other.buckets, **self.buckets}
        columns = {**other.flagged, **self.flagged}
        return Counted(
            self.requests + sign * other.requests,
            self.refused + sign * other.refused,
            self.errors + sign * other.errors,
            self.rows + sign * other.rows,
            {b: self.buckets.get(b, 0.0) + sign * other.buckets.get(b, 0.0) for b in bounds},
            {c: self.flagged.get(c, 0.0) + sign * other.flagged.get(c, 0.0) for c in columns},
        )

    def quantile_ms(self, q: float) -> float | None:
        """Return a quantile of the latency, in ms, by linear interpolation within its bucket; ``None`` without any.

        One beyond the last bound is that bound: it is at least so much.
        """
        bounds = sorted(self.buckets)
        whole = self.buckets[bounds[-1]] if bounds else 0.0
        if whole <= 0:
            return None
        wanted, low, below = q * whole, 0.0, 0.0
        for bound in bounds:
            if self.buckets[bound] >= wanted:
                if bound == float("inf"):
                    return 1e3 * low
                return 1e3 * (
                    low + (bound - low) * (wanted - below) / max(self.buckets[bound] - below, 1e-12)
                )
            low, below = bound, self.buckets[bound]
        return 1e3 * low


@dataclass(frozen=True)
class Sample:
    """Everything that an endpoint has counted, by variant, at one moment of the monotonic clock."""

    at: float
    variants: dict[str, Counted]


def parsed(text: str, at: float) -> Sample:
    """Return what Prometheus's text says of an endpoint; what is not of modelyard's runtime is left out.

    Raises
    ------
    ValueError
        It is not in that format.
    """
    found: dict[str, Counted] = defaultdict(Counted)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            variant = sample.labels.get("variant")
            if variant is not None:
                _add(found[variant], sample.name, sample.labels, sample.value)
    return Sample(at, dict(found))


def _add(counted: Counted, name: str, labels: dict[str, str], value: float) -> None:
    if name == "modelyard_requests_total" and labels.get("path") in _PREDICTING:
        counted.requests += value
        counted.refused += value if labels.get("status", "").startswith("4") else 0
        counted.errors += value if labels.get("status", "").startswith("5") else 0
    elif name == "modelyard_rows_total":
        counted.rows += value
    elif name == "modelyard_predict_seconds_bucket":
        bound = float(labels["le"])
        counted.buckets[bound] = counted.buckets.get(bound, 0.0) + value
    elif name == "modelyard_flags_total" and value:
        counted.flagged[labels.get("column", "")] = value


def sampled(yard: Yard, record: Record) -> Sample:
    """Ask a deployment of this machine for its counters.

    Raises
    ------
    DeploymentError
        It is elsewhere, does not answer, answers something else, or this user has no token of it.
    """
    with importing():
        from modelyard.targets.connection import connect
        from modelyard.targets.tokens import header_file, read_token

    url = str(record.payload.get("url", ""))
    if not is_loopback(url):
        raise DeploymentError(
            f"{record.name!r} does not answer on this machine; its figures are where it runs"
        )
    if not header_file(yard.root, record.name).exists():
        raise DeploymentError(f"you have no token of {record.name!r}; the user who deployed it has it")
    token = read_token(yard.root, record.name)
    try:
        # no redirect is followed: the token is for this URL
        with (
            connect(url, _TIMEOUT_S, {"Authorization": f"Bearer {token}"}) as client,
            client.stream("GET", f"{url}/metrics") as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise DeploymentError(
                    f"{record.name!r} answers {answer.status_code} when it is asked for its figures"
                )
            text = _at_most(answer, record.name)
        return parsed(text, time.monotonic())
    except httpx.HTTPError:
        raise DeploymentError(f"{record.name!r} does not answer") from None
    except (ValueError, KeyError):
        raise DeploymentError(f"what answers for {record.name!r} counts in another way") from None


def _at_most(answer: httpx.Response, name: str) -> str:
    content = bytearray()
    for part in answer.iter_bytes():
        content += part
        if len(content) > _MOST_BYTES:
            raise DeploymentError(f"{name!r} tells more than {_MOST_BYTES:,} bytes of figures")
    return content.decode("utf-8", errors="replace")


class Meter:
    """The counters of one endpoint over the last minute; several threads may read and take."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()
        self._lock = threading.Lock()

    def take(self, sample: Sample) -> None:
        """Add what was just read; counters that went back are of an endpoint that began anew."""
        with self._lock:
            if self._samples and _began_anew(self._samples[-1], sample):
                self._samples.clear()
            while len(self._samples) > 1 and self._samples[1].at < sample.at - WINDOW_S:
                self._samples.popleft()
            if len(self._samples) > 1 and sample.at - self._samples[-2].at < _LEAST_BETWEEN_S:
                self._samples.pop()
            self._samples.append(sample)

    def told(self) -> dict[str, Any]:
        """Return rates over the last minute and counts since the beginning, of all and by variant."""
        with self._lock:
            samples = list(self._samples)
        last, first = (samples[-1], samples[0]) if samples else (Sample(0.0, {}), Sample(0.0, {}))
        seconds = last.at - first.at
        variants = {
            name: _figures(counted, counted.plus(first.variants.get(name, Counted()), -1), seconds)
            for name, counted in sorted(last.variants.items())
        }
        return {
            "window_s": round(seconds, 3),
            "total": _figures(_sum(last), _sum(last).plus(_sum(first), -1), seconds),
            "variants": variants,
        }

    def drift(self) -> str | None:
        """Return the column with the most values outside of what training saw, if they are many: ``age: 12%``."""
        with self._lock:
            if not self._samples:
                return None
            whole = _sum(self._samples[-1])
        if whole.rows < _DRIFT_ROWS or not whole.flagged:
            return None
        column, count = max(whole.flagged.items(), key=lambda item: item[1])
        share = count / whole.rows
        return f"{column}: {100 * share:.0f}%" if share >= _DRIFT_SHARE else None


def _began_anew(before: Sample, after: Sample) -> bool:
    return any(
        after.variants.get(name, Counted()).requests < counted.requests
        for name, counted in before.variants.items()
    )


def _sum(sample: Sample) -> Counted:
    whole = Counted()
    for counted in sample.variants.values():
        whole = whole.plus(counted)
    return whole


def _figures(whole: Counted, recent: Counted, seconds: float) -> dict[str, Any]:
    timed = recent if recent.quantile_ms(0.5) is not None else whole
    return {
        "requests_per_s": round(recent.requests / seconds, 3) if seconds else None,
        "errors_per_s": round(recent.errors / seconds, 3) if seconds else None,
        "p50_ms": _rounded(timed.quantile_ms(0.5)),
        "p95_ms": _rounded(timed.quantile_ms(0.95)),
        "requests": int(whole.requests),
        "refused": int(whole.refused),
        "errors": int(whole.errors),
        "rows": int(whole.rows),
        "flagged": {column: int(count) for column, count in sorted(whole.flagged.items())},
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else float(f"{milliseconds:.3g}")
