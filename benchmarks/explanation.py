"""What SHAP values on the original columns cost beside shap's own on the transformed matrix, and whether both agree.

``python benchmarks/explanation.py --json`` explains 200 rows with 100 rows of background, behind an imputer, a scaler
and one-hot columns, of a forest, three kinds of boosting and a line. shap is given the transformed matrix and nothing
else to do; modelyard takes the table, finds where each column came from, checks what shap reads, sums up and checks
the sums. Then 1e6 rows are explained with what is drawn by default in a process of its own. ``check.py`` compares the
figures with what must be reached.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _measure.attributions import Case, beyond_the_table, compared
from _measure.bounds import EXPLANATION
from _measure.run import parser, run
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier


def cases() -> list[Case]:
    """Return what is compared."""
    return [
        Case("forest", RandomForestClassifier(100, max_depth=10, random_state=0)),
        Case("boosting", HistGradientBoostingClassifier(random_state=0)),
        Case("lightgbm", LGBMClassifier(verbose=-1, n_jobs=1, random_state=0)),
        Case("xgboost", XGBClassifier(n_jobs=1, random_state=0)),
        Case("logistic regression", LogisticRegression(), "linear"),
    ]


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything."""
    rows, most = (1_000, 100_000) if wanted.quick else (5_000, 1_000_000)
    with threadpool_limits(1):
        found: dict[str, Any] = {case.name: compared(case, rows, 3 * wanted.rounds) for case in cases()}
        # what is imputed is often a threshold, where shap alone takes the wrong branch: shown, and held to no bound
        with_nulls = compared(
            Case("nulls", HistGradientBoostingClassifier(random_state=0), nulls=0.02), rows, 1
        )
    here = str(Path(__file__).parent)
    return {
        "cases": found,
        "with_nulls": with_nulls,
        "rows": most,
        "memory": beyond_the_table(most, "", here),
    }


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    trees = {name: each for name, each in found["cases"].items() if name != "logistic regression"}
    line = found["cases"]["logistic regression"]["seconds"]
    return {
        "difference_to_shap": max(each["difference"] for each in found["cases"].values()),
        "additivity": max(each["additivity"] for each in found["cases"].values()),
        "time_over_shap": max(each["ratio"] for each in trees.values()),
        "line_beyond_shap_ms": 1000 * (line["modelyard"] - line["shap"]),
        "memory_beyond_table_mb": found["memory"]["beyond_mb"],
    }


def main() -> None:
    """Measure."""
    run(parser(__doc__).parse_args(), measured, _values, EXPLANATION)


if __name__ == "__main__":
    main()
