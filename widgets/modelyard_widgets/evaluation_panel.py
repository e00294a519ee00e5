"""The panel of an evaluation: its folds, metrics with their intervals, slices, findings, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import Table, number
from modelyard_widgets.blocks import (
    Block,
    choice,
    controls,
    figure,
    figures,
    group,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing
from modelyard_widgets.slices_chart import slices_chart
from modelyard_widgets.views import Make, Views
from modelyard_widgets.wording import ends_text, interval_text, number_text

_MOST_FIGURES = 4
_MOST_FOLDS = 200
_LEAST_CHANCE = 0.05


def evaluation_panel(shown: Showing) -> Panel:
    """Return the panel; the curves, folds and slices are sent when their tab is opened."""
    payload = shown.payload
    slices = _Slices(payload)
    made: dict[str, Make] = {
        "Overview": lambda: _overview(shown),
        "Folds": lambda: [table("folds", _folds(shown), "Scores of each fold"), *_told_of_folds(payload)],
    }
    if payload.get("slices"):
        made["Slices"] = slices.blocks
    if shown.further:
        made["Curves"] = lambda: [
            group("further", [picture(f"further-{place}", each) for place, each in enumerate(shown.further)])
        ]
    findings = payload["notes"]
    if len(findings) > 1:
        made[f"Findings ({len(findings)})"] = lambda: [notes(findings, key="findings")]
    views = Views(made, title="Views of the evaluation")
    panel = Panel(shown.title, [sentence(payload["sentence"]), views.block])
    panel.does("slices-metric", lambda metric: panel.show(slices.of(metric)))
    return views.fill(panel)


def _overview(shown: Showing) -> list[Block]:
    payload = shown.payload
    blocks: list[Block] = []
    if means := [_figure(metric, each) for metric, each in payload["summary"].items() if each]:
        blocks.append(figures("figures", means[:_MOST_FIGURES]))
    if shown.picture:
        blocks.append(picture("picture", shown.picture))
    if (found := shown.table) is not None:
        # the slices, which follow the metrics, have a view of their own
        rows = found.rows[: len(payload["summary"])] if payload.get("slices") else found.rows
        blocks.append(table("table", Table(found.columns, rows), f"{shown.title} in figures"))
    if findings := payload["notes"]:
        more = f"{len(findings) - 1} more under Findings"
        blocks.append(notes([findings[0], *([more] if len(findings) > 1 else [])]))
    return blocks


def _figure(metric: str, found: Mapping[str, float | None]) -> dict[str, Any]:
    return figure(
        metric, number_text(found.get("mean")), interval_text(found.get("ci_low"), found.get("ci_high"))
    )


def _folds(shown: Showing) -> Table:
    scores: Mapping[str, Sequence[float | None]] = shown.payload["scores"]
    seconds = getattr(shown.result, "fit_seconds", ())
    count = max(map(len, scores.values()), default=0)
    timed = len(seconds) == count > 0
    rows = [
        (
            str(place + 1),
            *(number_text(values[place]) for values in scores.values()),
            *([f"{seconds[place]:.2g} s"] if timed else []),
        )
        for place in range(min(count, _MOST_FOLDS))
    ]
    return Table(("fold", *scores, *(["fit"] if timed else [])), rows)


def _told_of_folds(payload: Mapping[str, Any]) -> list[Block]:
    count = max(map(len, payload["scores"].values()), default=0)
    if count <= _MOST_FOLDS:
        return []
    return [text("folds-told", f"The first {_MOST_FOLDS} of {count} folds; .scores has them all.")]


class _Slices:
    """The slices by one of the metrics that they were measured in."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload
        self._metrics = list(dict.fromkeys(each["metric"] for each in payload.get("slices", ())))

    def blocks(self) -> list[Block]:
        first = self._metrics[0]
        chosen = controls("slices-of", choice("slices-metric", "Metric", self._metrics, first))
        return [*([chosen] if len(self._metrics) > 1 else []), self.of(first)]

    def of(self, metric: str) -> Block:
        found = [each for each in self._payload["slices"] if each["metric"] == metric]
        whole = self._payload["summary"].get(metric, {}).get("mean")
        blocks: list[Block] = []
        if drawing := slices_chart(metric, found, metric in self._payload.get("smaller_is_better", ())):
            blocks.append(picture("slices-picture", drawing))
        blocks.append(table("slices-table", _slices(metric, found), f"{metric} of each slice"))
        if whole is not None:
            blocks.append(
                text(
                    "slices-told",
                    f"p: of the slice against all other rows, times the slices compared; below {_LEAST_CHANCE} is more "
                    f"than chance. The mean of the folds is {number(whole)}.",
                )
            )
        return stack("slices-shown", blocks)


def _slices(metric: str, found: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            each["slice"],
            str(each["rows"]),
            number_text(each["value"]),
            ends_text(each["ci_low"], each["ci_high"]),
            number_text(each["difference"]),
            number_text(each["p"]),
        )
        for each in found
    ]
    return Table(("slice", "rows", metric, "95 % interval", "difference", "p"), rows)
