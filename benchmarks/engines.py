"""What it costs to work on a cluster: Dask with two workers against joblib with two processes, on the same cores.

``python benchmarks/engines.py --json``. Both cross-validate the same model on the same folds, in turn, so that a
machine whose speed drifts treats both alike; the cluster's scheduler and workers run before the clock does, as
joblib's processes do. Trials of a search are measured likewise, against ``local:2``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from _measure.bounds import ENGINES
from _measure.project import scratch_project

_WORKERS = 2


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_argument("--quick", action="store_true", help="one short round of each: to see that it works")
    flags.add_argument("--rounds", type=int, default=7, help="counted rounds (7)")
    flags.add_argument("--seconds", type=int, help="means nothing here: a round is one cross-validation")
    return flags


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each in turn, one more round than is counted, and who is first by turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        names = list(works) if number % 2 else list(works)[::-1]
        for name in names:
            found[name].append(seconds(works[name]))
    return {name: times[1:] for name, times in found.items()}


def measure(rounds: int, rows: int, trees: int) -> dict[str, Any]:
    """Return the seconds of every round."""
    from distributed.deploy.subprocess import SubprocessCluster
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier

    import modelyard

    X, y = make_classification(rows, 20, n_informative=10, random_state=0)
    model = RandomForestClassifier(trees, random_state=0)
    space = {"max_depth": list(range(3, 15))}
    quiet = {"dashboard": False}
    with SubprocessCluster(scheduler_kwargs=quiet, worker_kwargs={"nthreads": 1, **quiet}) as cluster:
        cluster.scale(_WORKERS)
        cluster.wait_for_workers(_WORKERS)
        engine = cluster.scheduler_address.replace("tcp://", "dask://")

        def validate(**where: Any) -> Any:
            return modelyard.cross_validate(model, X, y, cv="kfold:8", scoring="accuracy", **where)

        def search(where: str) -> Any:
            return modelyard.tune(
                model, X, y, space, method="grid", cv="kfold:2", scoring="accuracy", engine=where
            )

        same = (validate(engine=engine).scores == validate(n_jobs=_WORKERS).scores).all().all()
        found = in_turn(
            {"cv_joblib": lambda: validate(n_jobs=_WORKERS), "cv_dask": lambda: validate(engine=engine)},
            rounds,
        )
        found |= in_turn(
            {"tune_local": lambda: search(f"local:{_WORKERS}"), "tune_dask": lambda: search(engine)}, rounds
        )
    return {"seconds": found, "same_scores": bool(same)}


def values(found: dict[str, Any]) -> dict[str, float]:
    """Return the figures that have bounds: medians of the ratios round by round."""
    times = found["seconds"]

    def ratio(ours: str, theirs: str) -> float:
        return statistics.median(b / a for a, b in zip(times[ours], times[theirs], strict=True))

    return {
        "dask_over_joblib": ratio("cv_dask", "cv_joblib"),
        "tune_dask_over_local": ratio("tune_dask", "tune_local"),
        "same_scores": float(found["same_scores"]),
    }


def main() -> None:
    """Measure, and print text or JSON."""
    wanted = parser().parse_args()
    rounds, rows, trees = (1, 2000, 20) if wanted.quick else (wanted.rounds, 4000, 100)
    before = os.getloadavg()
    with scratch_project():
        found = measure(rounds, rows, trees)
    reached = values(found)
    found["figures"] = {name: bound.judged(reached.get(name)) for name, bound in ENGINES.items()}
    found["missed"] = [name for name, figure in found["figures"].items() if not figure["kept"]]
    found["load"] = {"before": before, "after": os.getloadavg()}
    found["client"] = f"{_WORKERS} workers, {rows} rows, {trees} trees"
    if wanted.json:
        print(json.dumps(found, indent=1))
        return
    for name, figure in found["figures"].items():
        kept = "ok  " if figure["kept"] else "MISS"
        print(f"{kept} {figure['value']:>8.3g}  {figure['bound']:<6} {name}: {figure['what']}")


if __name__ == "__main__":
    main()
