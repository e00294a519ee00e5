"""What a bundle says of itself, as blocks: its figures, its evaluation, what its columns weigh, its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.errors import BundleError
from modelyard.packaging import Bundle
from modelyard.presentation import Table, number
from modelyard_widgets import blocks
from modelyard_widgets.blocks import Block
from modelyard_widgets.what_if_controls import importance
from modelyard_widgets.wording import number_text

_SHOWN = 15
_FORMS = {"onnx": "ONNX graph", "skops": "Python (skops)", "hybrid": "Python, then ONNX"}


def overview(bundle: Bundle) -> list[Block]:
    """Return the few figures, and the notes."""
    known = bundle.manifest
    parity = known["parity"]
    shown = [
        blocks.figure(
            "Task", known["model"]["task"], _FORMS.get(known["model"]["kind"], known["model"]["kind"])
        ),
        blocks.figure("Trained on", f"{known['rows']:,} rows", f"{_columns_of(bundle)} columns"),
        *_quality(known["metrics"]),
        blocks.figure(
            "Golden rows", str(parity["golden_rows"]), f"largest difference {parity['max_absolute']:.2g}"
        ),
    ]
    found: list[Block] = [blocks.figures("figures", shown)]
    if notes := bundle.notes():
        found.append(blocks.notes(notes))
    return found


def _columns_of(bundle: Bundle) -> str:
    try:
        return str(len(bundle.contract.columns))
    except OSError:
        raise BundleError(
            f"bundle {bundle.tag} is gone from {bundle.path}; package the model again"
        ) from None


def _quality(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    evaluation = metrics.get("evaluation")
    if evaluation is None:
        return [blocks.figure("Evaluation", "none", "it was packaged without one", "warning")]
    return [
        blocks.figure(name, number_text(found["mean"]), _interval(found))
        for name, found in list(evaluation["summary"].items())[:2]
    ]


def _interval(found: Mapping[str, float | None]) -> str:
    low, high = found.get("ci_low"), found.get("ci_high")
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def quality(bundle: Bundle) -> list[Block]:
    """Return what is known of how good the model is: in cross-validation, on its training rows, by groups."""
    metrics = bundle.manifest["metrics"]
    evaluation, training = metrics.get("evaluation"), metrics["training"]
    found: list[Block] = [blocks.heading("quality-heading", "How good it is")]
    if evaluation is None:
        found.append(blocks.text("quality-none", "No evaluation on rows it has not seen came with it."))
    rows = [
        (name, *_measured(evaluation, name), number_text(training.get(name)))
        for name in dict.fromkeys([*((evaluation or {}).get("summary", {})), *training])
    ]
    columns = ("metric", "cross-validated", "95 % interval", "on its training rows")
    found.append(blocks.table("quality", Table(columns, rows), "Metrics"))
    if evaluation is not None:
        found.append(
            blocks.text("quality-how", f"Cross-validation {evaluation['cv']}, {evaluation['rows']:,} rows.")
        )
        found.append(blocks.notes(evaluation["findings"], "quality-findings"))
    if (groups := metrics.get("groups")) is not None:
        found += _groups(groups)
    return found


def _measured(evaluation: Mapping[str, Any] | None, name: str) -> tuple[str, str]:
    found = (evaluation or {}).get("summary", {}).get(name)
    return ("–", "–") if found is None else (number_text(found["mean"]), _interval(found) or "–")


def _groups(groups: Mapping[str, Any]) -> list[Block]:
    rows = [
        (
            line["by"],
            line["group"],
            str(line["rows"]),
            line["metric"],
            number_text(line["value"]),
            _interval(line) or "–",
        )
        for line in groups["groups"]
    ]
    columns = ("by", "group", "rows", "metric", "value", "95 % interval")
    return [
        blocks.heading("groups-heading", "By groups"),
        blocks.table("groups", Table(columns, rows), "Metrics by groups"),
    ]


def weights(bundle: Bundle) -> list[Block]:
    """Return what each column weighs, where an explainer travels with the bundle."""
    found = importance(bundle)
    if not found:
        return []
    rows = bundle.manifest["explainer"]["golden"]["rows"]
    most = max(found.values()) or 1.0
    shown = [
        blocks.bar(name, number(value / rows), value / most) for name, value in found.most_common(_SHOWN)
    ]
    title = f"Mean absolute SHAP value over {rows} golden rows"
    return [blocks.heading("weights-heading", "What it looks at"), blocks.bars("weights", title, shown)]


def columns(bundle: Bundle) -> list[Block]:
    """Return what each column must look like."""
    rows = [(c.name, c.learned, c.policy) for c in bundle.contract.columns]
    title = "What a row must look like"
    shown = Table(("column", "learned", "a value beyond that"), rows)
    return [blocks.heading("columns-heading", title), blocks.table("columns", shown, title)]


def identity(bundle: Bundle) -> list[Block]:
    """Return what it is made of, and by what it is known."""
    known = bundle.manifest
    rows = [
        ("estimator", known["estimator"]),
        ("digest", bundle.digest),
        ("travels as", _FORMS.get(known["model"]["kind"], known["model"]["kind"])),
        *((name, str(version)) for name, version in known["tools"].items()),
    ]
    shown = blocks.table("identity", Table(("what", "found"), rows), "What it is made of")
    return [blocks.details("identity-details", "What it is made of", [shown])]
