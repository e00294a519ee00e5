"""What must hold of a candidate: ``errors<1%``, ``p99<20ms``, ``disagreement<5%``, ``crashes<1``.

Each guard but the last bounds a rate: of requests that failed, that took longer than a limit, of rows that were
answered otherwise. It is looked at many times a second, so a rate that looks bad for a moment must not count: within a
step a guard is broken when a test that stays valid under any number of looks says so (a mixture of likelihood ratios
is a non-negative supermartingale while the rate keeps the bound; Ville 1939). When a step is over, the rate itself
must keep it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelyard_router.policy import PolicyError

#: How often a guard may break within a step by chance alone, although the rate keeps it.
_ALPHA = 0.001
_ALTERNATIVES = 24
_METRICS = ("errors", "refused", "disagreement", "crashes", "p50", "p90", "p95", "p99")
_GUARD = re.compile(r"(?P<metric>\w+)\s*<\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|ms|s|us)?")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

DEFAULT = ("errors<1%",)
#: Always there: a variant must not take its process with it.
ALWAYS = "crashes<1"


@dataclass(frozen=True)
class Window:
    """What happened to the candidate since a step began.

    Attributes
    ----------
    requests, errors, refused : float
        Answers to requests, those with status 5xx, those with 4xx.
    seconds : array of shape (bounds + 1,)
        Predictions by duration: at most each bound, and above all.
    bounds : tuple of float
        In seconds.
    compared, differing : float
        Rows that control and candidate both answered, and those they answered otherwise.
    crashes : int
        Workers that were lost since the rollout began.
    """

    requests: float
    errors: float
    refused: float
    seconds: np.ndarray
    bounds: tuple[float, ...]
    compared: float = 0.0
    differing: float = 0.0
    crashes: int = 0

    def quantile(self, q: float) -> float:
        """Return a latency in seconds, with a straight line within a bound's interval; nan without predictions."""
        total = float(self.seconds.sum())
        if not total:
            return math.nan
        position = int(np.searchsorted(np.cumsum(self.seconds), q * total))
        if position >= len(self.bounds):
            return math.inf
        low = self.bounds[position - 1] if position else 0.0
        before = float(self.seconds[:position].sum())
        within = (q * total - before) / max(float(self.seconds[position]), 1e-12)
        return low + within * (self.bounds[position] - low)


@dataclass(frozen=True)
class Guard:
    """One guard: a metric and its limit, a rate from 0 to 1, seconds, or a count."""

    text: str
    metric: str
    limit: float

    @property
    def wants_comparison(self) -> bool:
        return self.metric == "disagreement"

    def value(self, window: Window) -> float:
        """Return the metric as it is; nan where nothing was seen of it."""
        if self.metric == "crashes":
            return float(window.crashes)
        if self.metric.startswith("p"):
            return window.quantile(int(self.metric[1:]) / 100)
        bad, seen, _ = self._counted(window)
        return bad / seen if seen else math.nan

    def _counted(self, window: Window) -> tuple[float, float, float]:
        """Return how many were bad, of how many, and which share may be."""
        if self.metric == "errors":
            return window.errors, window.requests, self.limit
        if self.metric == "refused":
            return window.refused, window.requests, self.limit
        if self.metric == "disagreement":
            return window.differing, window.compared, self.limit
        # slower than the limit: more than 1 - q of them means that the quantile q is above it
        first = int(np.searchsorted(window.bounds, self.limit))
        slow = float(window.seconds[first + 1 :].sum())
        return slow, float(window.seconds.sum()), 1 - int(self.metric[1:]) / 100

    def is_broken(self, window: Window) -> bool:
        """Whether it is already certain enough that the limit is not kept."""
        if self.metric == "crashes":
            return window.crashes >= self.limit
        bad, seen, allowed = self._counted(window)
        return _evidence(bad, seen, allowed) >= math.log(1 / _ALPHA)

    def holds(self, window: Window) -> bool:
        """Whether the limit is kept, as far as is seen; what was not seen does not break it."""
        value = self.value(window)
        return math.isnan(value) or value < self.limit

    def shown(self, window: Window) -> str:
        """Return the value as people read it: ``errors 2.1%``."""
        value = self.value(window)
        if math.isnan(value):
            return f"{self.metric} –"
        if self.metric == "crashes":
            return f"{self.metric} {value:.0f}"
        if self.metric.startswith("p"):
            return f"{self.metric} {1e3 * value:.3g}ms"
        return f"{self.metric} {100 * value:.3g}%"


def _evidence(bad: float, seen: float, allowed: float) -> float:
    """Return the logarithm of the mixture of likelihood ratios of higher rates against `allowed`."""
    if not seen or bad / seen <= allowed:
        return -math.inf
    if allowed <= 0:
        return math.inf
    higher = allowed + (1 - allowed) * np.linspace(0, 1, _ALTERNATIVES + 2)[1:-1] ** 2
    logs = bad * np.log(higher / allowed) + (seen - bad) * np.log((1 - higher) / (1 - allowed))
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def parse(text: str) -> Guard:
    """Read one guard.

    Raises
    ------
    PolicyError
        No such metric, or a limit without its unit.

    >>> parse("p99 < 20ms")
    Guard(text='p99<20ms', metric='p99', limit=0.02)
    >>> parse("errors<1%").limit
    0.01
    """
    found = _GUARD.fullmatch(text.strip())
    if found is None:
        raise PolicyError(f"a guard is METRIC<LIMIT, as errors<1% or p99<20ms; found {text!r}")
    metric, number, unit = found["metric"], float(found["number"]), found["unit"]
    if metric not in _METRICS:
        raise PolicyError(f"no metric {metric!r} to guard; there: {', '.join(_METRICS)}")
    if metric == "crashes":
        wanted, limit = None, number
    elif metric.startswith("p"):
        wanted, limit = "ms", number * _SECONDS.get(unit or "", math.nan)
    else:
        wanted, limit = "%", number / 100
    if (unit in _SECONDS) != (wanted == "ms") or (unit == "%") != (wanted == "%"):
        example = {"ms": f"{metric}<20ms", "%": f"{metric}<1%", None: f"{metric}<1"}[wanted]
        raise PolicyError(f"the guard {text!r} has the wrong unit; type {example}")
    if not limit:
        raise PolicyError(f"the guard {text!r} never holds: nothing is below 0")
    return Guard(f"{metric}<{found['number']}{unit or ''}", metric, limit)


def tally(now: Mapping[str, list[float]], then: Mapping[str, list[float]], key: str) -> np.ndarray:
    """Return how much the counters of `key` have grown between two readings, never less than 0."""
    before = np.asarray(then.get(key, np.zeros(len(now[key]))), dtype=float)
    grown: np.ndarray = np.maximum(np.asarray(now[key], dtype=float) - before, 0.0)
    return grown
