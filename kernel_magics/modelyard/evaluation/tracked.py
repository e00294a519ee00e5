"""An evaluation as a tracking server keeps it."""

from __future__ import annotations

from typing import Any

from modelyard.evaluation.result import Evaluation
from modelyard.tracking import Entry


def evaluation_entry(evaluation: Evaluation, model: Any, seed: int, key: str) -> Entry:
    """Return settings, the mean and spread of every metric, and every fold by its number."""
    metrics = {}
    for metric, row in evaluation.summary.iterrows():
        metrics[str(metric)] = float(row["mean"])
        metrics |= {f"{metric}_{column}": float(row[column]) for column in ("std", "ci_low", "ci_high")}
    return Entry(
        name=evaluation.name,
        key=key,
        params={
            "model": evaluation.model,
            "cv": evaluation.cv,
            "seed": seed,
            "rows": evaluation.rows,
            "features": evaluation.features,
            **_plain_parameters(model),
        },
        metrics={**metrics, "seconds": evaluation.seconds},
        series={f"fold/{metric}": evaluation.scores[metric].tolist() for metric in evaluation.scores.columns},
        tags={"modelyard.kind": "evaluation"},
        note="\n\n".join(evaluation.warnings),
    )


def _plain_parameters(model: Any) -> dict[str, Any]:
    """Return the model's parameters that are a word or a number; the parts of a pipeline are named by its own."""
    return {
        name: value
        for name, value in model.get_params(deep=True).items()
        if value is None or isinstance(value, bool | int | float | str)
    }
