"""How long ``%tune`` takes to what other searches find; and what it costs beside the fits.

``python benchmarks/tuning.py --json`` searches two models on four tables with three seeds, three times each, in
turn and in one process: scikit-learn's ``RandomizedSearchCV`` with 60 trials, ``OptunaSearchCV`` of
optuna-integration with 60, and ``tune`` with 60, as it is. Model, distributions, folds and scorer are the same. A
ratio is the time until ``tune`` had the score that the other one had at its end, over the other one's time; where
it never had it, all of its own time. Every run is in the table. A third of each table is held out from all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _measure.bounds import TUNING
from _measure.run import parser, run
from _measure.searches import DATA, KINDS, optuna_search, our_search, random_search, task_of
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_limits

import modelyard
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.metrics import objective_metric
from modelyard.evaluation.splitters import plan_folds
from modelyard.tuning.trial import PointScorer

TRIALS = 60
SEEDS = 3


def compared(data: str, kind: str, seed: int, trials: int) -> dict[str, Any]:
    """Run the three searches on one table, one after the other; which begins goes round with the seed."""
    task = task_of(data, kind, seed)
    sides = {"random": random_search, "optuna": optuna_search, "ours": our_search}
    order = list(sides)[seed % 3 :] + list(sides)[: seed % 3]
    found: dict[str, Any] = {name: sides[name](task, trials, seed) for name in order}
    ours, row = found["ours"], {"data": data, "model": kind, "seed": seed}
    for name in ("random", "optuna"):
        other = found[name]
        seconds, reached = ours.seconds_to(other.score)
        row |= {
            f"{name}_s": other.seconds,
            f"over_{name}": seconds / other.seconds,
            f"reached_{name}": reached,
            f"score_{name}": other.score,
            f"held_out_over_{name}": ours.held_out - other.held_out,
        }
    return row | {
        "ours_s": ours.seconds,
        "score_ours": ours.score,
        "pruned": ours.pruned,
        "trials": ours.trials,
    }


class Nothing(ClassifierMixin, BaseEstimator):
    """A model that costs nothing."""

    def __init__(self, a: float = 0.5, b: float = 0.5, c: int = 3) -> None:
        self.a, self.b, self.c = a, b, c

    def fit(self, X: Any, y: Any) -> Nothing:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[int(self.a > 0.3)])


def overheads(trials: int) -> dict[str, float]:
    """Return milliseconds of a trial beside its fits, and the seconds of a resume that has nothing left to do."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 4)), rng.integers(0, 2, 200)
    model, space = Nothing(), "a: float 0..1\nb: float 1e-3..1 log\nc: int 1..50"
    settings: dict[str, Any] = {"trials": trials, "cv": "stratified:2", "scoring": "accuracy", "prune": False}
    began = time.perf_counter()
    found = modelyard.tune(model, X, y, space, name=f"nothing-{trials}", **settings)
    searched = time.perf_counter() - began
    samples = checked_samples(model, X, y)
    scorer = PointScorer(
        model, samples, plan_folds("stratified:2", samples), (objective_metric("accuracy", model, samples),)
    )
    began = time.perf_counter()
    for row in found.trials.to_dict("records"):
        scorer({name: row[f"params_{name}"] for name in ("a", "b", "c")})
    fitted = time.perf_counter() - began
    began = time.perf_counter()
    modelyard.tune(model, X, y, space, name=f"nothing-{trials}", resume=True, **settings)
    return {
        "overhead_per_trial_ms": (searched - fitted) / trials * 1000,
        "resume_overhead_s": time.perf_counter() - began,
    }


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything."""
    seeds, trials = (1, 12) if wanted.quick else (SEEDS, TRIALS)
    tables = DATA[:1] if wanted.quick else DATA
    with threadpool_limits(1):
        overheads(5)  # imports, and the first database
        runs = [
            compared(data, kind, seed, trials) for data in tables for kind in KINDS for seed in range(seeds)
        ]
        return {"trials": trials, "runs": runs, **overheads(100)}


def values(found: dict[str, Any]) -> dict[str, float | None]:
    """Return the figures: medians over all runs, and how far the held-out median is above what chance explains.

    ``held_out`` is the median difference (ours less theirs) plus twice its standard error, from 2,000 bootstrap
    samples of the runs: below 0, our models are worse on rows that no search saw.
    """
    runs = found["runs"]
    rng = np.random.default_rng(0)
    figures: dict[str, float | None] = {
        name: found[name] for name in ("overhead_per_trial_ms", "resume_overhead_s")
    }
    for name in ("random", "optuna"):
        figures[f"tune_over_{name}"] = statistics.median(row[f"over_{name}"] for row in runs)
        lost = np.array([row[f"held_out_over_{name}"] for row in runs])
        medians = np.median(rng.choice(lost, size=(2000, len(lost))), axis=1)
        found[f"held_out_over_{name}"] = {"median": float(np.median(lost)), "error": float(medians.std())}
        figures[f"held_out_over_{name}"] = float(np.median(lost) + 2 * medians.std())
    return figures


def table(found: dict[str, Any]) -> str:
    """Return every run, losses included."""
    lines = [
        f"{'data':20} {'model':9} seed  over random       over optuna       held out, over random and optuna"
    ]
    for row in found["runs"]:
        ratios = "".join(
            f"  {row[f'over_{name}']:6.2f} {'' if row[f'reached_{name}'] else 'not reached':11}"
            for name in ("random", "optuna")
        )
        held = f"{row['held_out_over_random']:+.4f} {row['held_out_over_optuna']:+.4f}"
        lines.append(f"{row['data']:20} {row['model']:9} {row['seed']:4}{ratios}  {held}")
    return "\n".join(lines)


def main() -> None:
    wanted = parser(__doc__).parse_args()
    if wanted.json:
        run(wanted, measured, values, TUNING)
        return

    def shown(folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
        found = measured(folder, flags)
        print(table(found))
        return found

    run(wanted, shown, values, TUNING)


if __name__ == "__main__":
    main()
