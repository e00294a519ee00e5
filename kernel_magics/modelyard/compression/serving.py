"""What a model takes once it is served: the bytes of its file, and its time for one row and for a thousand."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.tuning.cost import Cost
from modelyard.tuning.serving import Rows, Served, measured, served

MANY = 1000
_SECONDS = 0.05
_MANY_SECONDS = 0.1
_MANY_ROUNDS = (3, 50)


@dataclass(frozen=True, eq=False)
class Footprint:
    """A model in the form that a bundle would hold, measured.

    Attributes
    ----------
    served : Served
    cost : Cost
        Of one row.
    latency_1k_us : float
        Microseconds for a thousand rows at once.
    """

    served: Served
    cost: Cost
    latency_1k_us: float


def footprints(models: list[Any], rows: Rows, seconds: float = _SECONDS) -> list[Footprint]:
    """Convert models, load them, and time them against each other, on one thread."""
    forms = [served(model, rows, proven=True) for model in models]
    costs = measured(forms, seconds)
    many = _many(forms)
    return [Footprint(*found) for found in zip(forms, costs, many, strict=True)]


def _many(forms: list[Served]) -> list[float]:
    """Return the median time of each for a thousand rows; they take turns."""
    asks = [form.many(MANY) for form in forms]
    taken: list[list[int]] = [[] for _ in forms]
    least, most = _MANY_ROUNDS
    until = time.perf_counter() + _MANY_SECONDS * len(forms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names and unknown categories: fitting has shown them
        for ask in asks:
            ask()  # warm
        for number in range(most):
            if number >= least and time.perf_counter() >= until:
                break
            for times, ask in zip(taken, asks, strict=True):
                started = time.perf_counter_ns()
                ask()
                times.append(time.perf_counter_ns() - started)
    return [float(np.median(times)) / 1e3 for times in taken]
