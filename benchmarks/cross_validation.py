"""What cross-validation costs beside scikit-learn's own, with the same folds, metrics and jobs.

``python benchmarks/cross_validation.py --json`` cross-validates a line, a forest and a boosted model on 20,000 rows in
this process, and the forest in two; then the line on 1e3 to 1e6 rows, and its peak memory in a process of its own; then
leave-one-out on digits. modelyard does all that it does for a user meanwhile: it checks the data, keeps the
predictions, computes the pictures and writes the record. ``check.py`` compares the figures with what must be reached.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _measure.bounds import EVALUATION
from _measure.cross_validations import Case, compared, growth, peak_megabytes
from _measure.leave_one_out import leave_one_out
from _measure.run import parser, run
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

FEATURES = 30
LINEAR_FEATURES = 10


def cases(quick: bool) -> list[Case]:
    """Return what is compared; folds in two processes come in pairs, so that no core waits for the last one."""
    rows = 2_000 if quick else 20_000
    forest = RandomForestClassifier(50, random_state=0)
    return [
        Case("logistic regression", LogisticRegression(), rows, FEATURES),
        Case("forest", forest, rows, FEATURES),
        Case("boosting", HistGradientBoostingClassifier(random_state=0), rows, FEATURES),
        Case("forest, 2 jobs", forest, rows, FEATURES, folds=4, jobs=2),
    ]


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything."""
    found: dict[str, Any] = {"cases": {}, "rows": {}}
    most = 100_000 if wanted.quick else 1_000_000
    with threadpool_limits(1):  # a job is a core: what a library starts beside it is not counted by n_jobs
        for case in cases(wanted.quick):
            found["cases"][case.name] = compared(case, wanted.rounds)
        for rows in (1_000, most):
            case = Case("rows", LogisticRegression(), rows, LINEAR_FEATURES)
            found["rows"][rows] = compared(case, wanted.rounds)
    found["growth"] = growth(found["rows"])
    here = str(Path(__file__).parent)
    found["peak_mb"] = {
        name: peak_megabytes(side, most, LINEAR_FEATURES, here)
        for name, side in (("modelyard", "ours"), ("sklearn", "theirs"))
    }
    found["leave_one_out"] = leave_one_out(wanted.quick)
    return found


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    several = [*found["cases"].values(), *found["rows"].values()]
    alone = found["leave_one_out"]
    fitted = {name: each for name, each in found["cases"].items() if name != "logistic regression"}
    return {
        "cv_over_sklearn": max(each["ratio"] for each in found["cases"].values()),
        "cv_over_fit_time": max(each["over_fit_time"] for each in fitted.values()),
        "growth_over_sklearn": found["growth"]["bounded"],
        "memory_over_sklearn": found["peak_mb"]["modelyard"] / found["peak_mb"]["sklearn"],
        "same_scores": float(all(each["same_scores"] for each in several)),
        "loo_knn_over_sklearn": alone.get("loo_knn_over_sklearn"),
        "loo_ridge_over_sklearn": alone.get("loo_ridge_over_sklearn"),
    }


def main() -> None:
    """Measure."""
    run(parser(__doc__).parse_args(), measured, _values, EVALUATION)


if __name__ == "__main__":
    main()
