"""One model, compressed in each of several folds, and judged on rows that nothing has seen."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from modelyard.compression import compress


@dataclass(frozen=True)
class Case:
    """A model, its rows, and the keywords of `compress`."""

    model: Any
    data: tuple[Any, Any]
    options: dict[str, Any]


def compressed(case: Case, folds: int) -> dict[str, Any]:
    """Return what each fold came to, and the mean of each figure with its 95 % interval (Student's)."""
    X, y = case.data
    found = []
    for learned, judged in StratifiedKFold(folds, shuffle=True, random_state=0).split(X, y):
        model = clone(case.model).fit(X[learned], y[learned])
        small = compress(model, X[learned], y[learned], **case.options)
        before = float(np.mean(model.predict(X[judged]) == y[judged]))
        after = float(np.mean(small.best.predict(X[judged]) == y[judged]))
        found.append(
            {
                "chosen": f"{small.chosen['technique']} ({small.chosen['settings']})",
                "size_kb": small.best_cost.size_bytes / 1000,
                "times_smaller": small.original_cost.size_bytes / small.best_cost.size_bytes,
                "times_faster_1": small.original_cost.latency_us / small.best_cost.latency_us,
                "times_faster_1k": small.original_1k_us / small.best_1k_us,
                "score": after,
                "points_lost": 100 * (before - after),
                "agreement": float(np.mean(model.predict(X[judged]) == small.best.predict(X[judged]))),
                "seconds": small.seconds,
            }
        )
    figures = [name for name in found[0] if name != "chosen"]
    return {"folds": found, "summary": {name: _mean([each[name] for each in found]) for name in figures}}


def _mean(values: list[float]) -> dict[str, float]:
    mean = statistics.fmean(values)
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "ci_low": mean - half, "ci_high": mean + half}
