"""The model card: what a bundle's manifest, contract and profile say, for people to read."""

from __future__ import annotations

from typing import Any

from modelyard.presentation import number
from modelyard_runtime.contract import Contract
from modelyard_templates import render

CARD = "card.md"

_MOST_LABELS = 12
_FORMS = {
    "onnx": "ONNX",
    "hybrid": "Python for its first steps, ONNX for the rest",
    "skops": "Python (skops)",
}


def card(manifest: dict[str, Any], contract: Contract, profile: dict[str, Any]) -> str:
    """Return the content of ``card.md``; it says nothing that these three do not."""
    model, parity = manifest["model"], manifest["parity"]
    return render(
        "bundle/card.md.j2",
        name=manifest["name"],
        estimator=manifest["estimator"],
        task=model["task"],
        form=_FORMS.get(model["kind"], model["kind"]),
        rows=manifest["rows"],
        columns=contract.columns,
        nulls={name: found["nulls"] for name, found in profile["columns"].items() if found["nulls"]},
        target=_target(profile["output"]),
        training=_figures(manifest["metrics"]["training"]),
        evaluation=manifest["metrics"].get("evaluation"),
        groups=manifest["metrics"].get("groups"),
        figure=number,
        cell=_cell,
        given=_given,
        interval=_interval,
        golden=manifest["golden"],
        compared=parity["rows_compared"],
        mismatches=parity["label_mismatches"],
        max_absolute=parity["max_absolute"],
        tolerance=parity["tolerance"],
        keeps=manifest["keeps"],
        notes=manifest["notes"],
        tools=manifest["tools"],
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _given(value: float | None) -> str:
    return "undefined" if value is None else number(value)


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{number(low)} to {number(high)}"


def _figures(found: dict[str, float | None]) -> list[tuple[str, str]]:
    return [(name, _given(value)) for name, value in found.items()]


def _target(output: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the model's own answers to the training rows are spread, as label and share or as quantiles."""
    if "edges" in output:
        edges = output["edges"]
        return [
            ("lowest", number(edges[0])),
            ("median", number(edges[len(edges) // 2])),
            ("highest", number(edges[-1])),
        ]
    counts = output["counts"]
    total = sum(counts.values()) + output["other"]
    shown = [(label, f"{count / total:.1%}") for label, count in list(counts.items())[:_MOST_LABELS]]
    return shown + (
        [("others", f"{1 - sum(counts[n] for n, _ in shown) / total:.1%}")]
        if len(counts) > _MOST_LABELS
        else []
    )
