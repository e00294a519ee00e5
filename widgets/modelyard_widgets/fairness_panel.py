"""The panel of fairness: one measure at a time, group by group, and in words for whom it is low."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.presentation import Table, number
from modelyard_widgets.blocks import (
    Block,
    choice,
    controls,
    figure,
    figures,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.fairness_charts import groups_of, groups_picture, ranked_measures
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing, plain_blocks
from modelyard_widgets.views import Views
from modelyard_widgets.wording import ends_text, interval_text, number_text

Line = Mapping[str, Any]


def fairness_panel(shown: Showing) -> Panel:
    """Return the panel; first comes the measure in which the groups surely differ most."""
    if not shown.picture:
        return Panel(shown.title, plain_blocks(shown))
    measures = _Measures(shown)
    made = {"Groups": measures.blocks, "All measures": lambda: _all(shown)}
    views = Views(made, title="Views of the fairness")
    blocks = [sentence(shown.payload["sentence"]), views.block]
    if shown.payload["notes"]:
        blocks.append(notes(shown.payload["notes"]))
    panel = Panel(shown.title, blocks)
    panel.does("by", lambda by: panel.show(measures.chosen(by=str(by))))
    panel.does("measure", lambda metric: panel.show(measures.chosen(metric=str(metric))))
    return views.fill(panel)


class _Measures:
    """The measure that is looked at, of the groups of one column."""

    def __init__(self, shown: Showing) -> None:
        self._payload = shown.payload
        ranked = ranked_measures(shown.payload)
        self._lines = {
            (line["by"], line["metric"]): line for line in (*ranked, *shown.payload["disparities"])
        }
        self._drawn = dict(zip(self._lines, [shown.picture, *shown.further], strict=False))
        self._by, self._metric = next(iter(self._lines))

    def blocks(self) -> list[Block]:
        columns, metrics = ([*dict.fromkeys(key[place] for key in self._lines)] for place in (0, 1))
        offered = [choice("measure", "Measure", metrics, self._metric)]
        if len(columns) > 1:
            offered.insert(0, choice("by", "Groups of", columns, self._by))
        return [controls("measures", *offered), self.chosen()]

    def chosen(self, *, by: str | None = None, metric: str | None = None) -> Block:
        self._by, self._metric = by or self._by, metric or self._metric
        line = self._lines[self._by, self._metric]
        said = text("measure-words", " ".join(_words(self._payload, line)))
        blocks = [said] if line["difference"] is None else [_apart(line), said, self._picture(line)]
        return stack("measure-shown", [*blocks, _groups(self._payload, line)])

    def _picture(self, line: Line) -> Block:
        ready = self._drawn.get((self._by, self._metric))
        return picture("measure-picture", ready or groups_picture(self._payload, line))


def _all(shown: Showing) -> list[Block]:
    return [table("table", shown.table, "How far the groups are apart")] if shown.table else []


def _apart(line: Line) -> Block:
    found = [
        figure(label, number_text(line[name]), interval_text(line[f"{name}_low"], line[f"{name}_high"]))
        for name, label in (("difference", "Difference"), ("ratio", "Lowest over highest"))
    ]
    return figures("measure-figures", found)


def _groups(payload: Mapping[str, Any], line: Line) -> Block:
    rows = [
        (
            str(each["group"]),
            str(each["rows"]),
            number_text(each["value"]),
            ends_text(each["ci_low"], each["ci_high"]),
        )
        for each in groups_of(payload, line)
    ]
    shown = Table(("group", "rows", line["metric"], "95 % interval"), rows)
    return table("measure-groups", shown, f"{line['metric']} of each group")


def _words(payload: Mapping[str, Any], line: Line) -> list[str]:
    """Return who is at which end, how sure that is, and what it depends on."""
    if line["difference"] is None:
        return ["Fewer than two of these groups have rows enough, and a value, so they are not compared."]
    groups = {each["group"]: each for each in groups_of(payload, line)}
    low, high = groups.get(line["lowest"]), groups.get(line["highest"])
    if low is None or high is None:
        return ["All of these groups have the same value."]
    ends = f"{low['group']} ({_value(line, low)})", f"{high['group']} ({_value(line, high)})"
    said = _who(line["metric"], payload["positive"], *ends)
    return [said, *_sure(low, high), *_depends(line["metric"], payload["positive"])]


def _who(metric: str, positive: str, low: str, high: str) -> str:
    match metric:
        case "selection rate":
            return f"The model says {positive} least often for {low}, most often for {high}."
        case "true positive rate":
            return f"Of those that are {positive} it finds the fewest in {low}, the most in {high}."
        case "false positive rate":
            return (
                f"Of those that are not {positive} it takes the most for it in {high}, the fewest in {low}."
            )
        case "accuracy":
            return f"The model is right least often for {low}, most often for {high}."
    return f"{metric[0].upper()}{metric[1:]} is lowest for {low}, highest for {high}."


def _sure(low: Line, high: Line) -> list[str]:
    if low["ci_high"] is None or high["ci_low"] is None:
        return []
    if low["ci_high"] < high["ci_low"]:
        return ["Their 95 % intervals do not overlap."]
    return ["Their 95 % intervals overlap: it may be chance."]


def _depends(metric: str, positive: str) -> list[str]:
    if not metric.endswith(" rate") or not positive:
        return []
    return [f"Which of the two is at a disadvantage depends on whether {positive} is what one wishes for."]


def _value(line: Line, group: Line) -> str:
    share = line["metric"] == "accuracy" or line["metric"].endswith(" rate")
    return f"{100 * group['value']:.3g} %" if share else number(group["value"])
