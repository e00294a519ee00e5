"""How much smaller and faster `compress` makes known models, and what that costs in score.

``python benchmarks/compression.py --json``: in each of five folds a model is fitted on the training rows and compressed
with them alone; the model and the compressed one are then both judged on the fold's own rows, which neither of them,
nor the choice between candidates, has seen. Sizes are of the ONNX files, times of ONNX Runtime on one thread.
``--case`` measures one model alone. ``check.py`` compares the means with what must be reached; the intervals are
beside them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _measure.bounds import COMPRESSION
from _measure.compressions import Case, compressed
from _measure.run import parser, run
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

FOREST = ["pruning", "quantization"]


def cases() -> dict[str, Case]:
    """Return what is compressed, how, and what it may lose."""
    digits, cancer = load_digits(return_X_y=True), load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(500, random_state=0)
    network = make_pipeline(StandardScaler(), MLPClassifier((512, 256), max_iter=100, random_state=0))
    boosted = HistGradientBoostingClassifier(random_state=0)
    few = {
        "scoring": "accuracy",
        "max_drop": 0.005,
    }  # and the standard error of the drop counts, as it does by default
    return {
        "forest_digits": Case(forest, digits, {**few, "techniques": FOREST}),
        "forest_cancer": Case(forest, cancer, {**few, "techniques": FOREST}),
        "network_digits": Case(network, digits, {**few, "max_drop": 0.003, "techniques": ["quantization"]}),
        "distilled_digits": Case(
            forest,
            digits,
            {
                **few,
                "max_drop": 0.02,
                "target_size": "10kB",
                "techniques": ["distillation:mlp", "quantization"],
            },
        ),
        "boosted_digits": Case(boosted, digits, {**few, "max_drop": 0.003, "techniques": FOREST}),
        "boosted_cancer": Case(boosted, cancer, {**few, "max_drop": 0.003, "techniques": FOREST}),
    }


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return every case, fold by fold."""
    folds = 2 if wanted.quick else 5
    with threadpool_limits(1):
        found = {
            name: compressed(case, folds) for name, case in cases().items() if wanted.case in (None, name)
        }
    return {"cases": found, "folds": folds}


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, case in found["cases"].items():
        for figure, summary in case["summary"].items():
            values[f"{name}_{figure}"] = summary["mean"]
    return values


def main() -> None:
    """Measure."""
    options = parser(__doc__)
    options.add_argument("--case", choices=cases(), help="one of them alone")
    run(options.parse_args(), measured, _values, COMPRESSION)


if __name__ == "__main__":
    main()
