"""The pictures of fairness: one measure, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_NAMES: Spec = {"title": None, "ticks": False, "domain": False, "labelPadding": 6, "labelLimit": 320}
_MOST_LETTERS = 32


def fairness_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw the measure in which the groups differ most, group by group with its 95 % interval."""
    ranked = ranked_measures(payload)
    return groups_picture(payload, ranked[0]) if ranked else None


def fairness_pictures(payload: Mapping[str, Any]) -> list[Picture]:
    """Draw the other measures, those first in which the groups differ more."""
    return [groups_picture(payload, line) for line in ranked_measures(payload)[1:]]


def ranked_measures(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the measures in which groups could be compared, those first in which they surely differ more."""
    known = [line for line in payload["disparities"] if line["difference"] is not None]
    return sorted(known, key=lambda line: -(line["difference_low"] or 0))


def groups_of(payload: Mapping[str, Any], line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the groups that a line of the disparities is about."""
    wanted = (line["by"], line["metric"])
    return [group for group in payload["groups"] if (group["by"], group["metric"]) == wanted]


def groups_picture(payload: Mapping[str, Any], line: Mapping[str, Any]) -> Picture:
    """Draw one measure, group by group."""
    by, metric = line["by"], line["metric"]
    known = [group for group in groups_of(payload, line) if group["value"] is not None]
    groups = [{**group, "label": label} for group, label in zip(known, _labels(known), strict=True)]
    ends = finite([group[end] for group in groups for end in ("value", "ci_low", "ci_high")])
    y: Spec = {
        "field": "label",
        "type": "nominal",
        "sort": [group["label"] for group in groups],
        "axis": _NAMES,
    }
    x: Spec = {"type": "quantitative", "title": metric, "axis": {"tickCount": 6}}
    x["scale"] = {"domain": _domain(ends), "zero": False}
    spec: Spec = {
        "width": WIDTH,
        "height": 26 * len(groups),
        "encoding": {"y": y},
        "layer": [
            {
                "data": {"values": [group for group in groups if group["ci_low"] is not None]},
                "mark": {"type": "bar", "height": 12, "color": ORANGE, "opacity": 0.4, "cornerRadius": 2},
                "encoding": {"x": {**x, "field": "ci_low"}, "x2": {"field": "ci_high"}},
            },
            {
                "data": {"values": groups},
                "mark": {"type": "point", "filled": True, "size": 70, "color": BLUE, "opacity": 1},
                "encoding": {"x": {**x, "field": "value"}},
            },
        ],
        "title": {"text": "dot: one group (rows) · band: 95 % interval; none for too few rows", **KEY},
    }
    title = f"{metric[0].upper()}{metric[1:]} by {by}"
    if not line["difference"]:
        return drawn(spec, f"{title}: no difference between {len(groups)} groups.", title)
    low, high = line["difference_low"], line["difference_high"]
    sure = "" if None in (low, high) else f" (95 % {number(low)} to {number(high)})"
    apart = f"{number(line['difference'])} apart{sure}"
    alt = f"{title}: lowest for {line['lowest']}, highest for {line['highest']}, {apart}."
    return drawn(spec, alt, title)


def _labels(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each group with its rows; long names lose their ends, unless two would then be the same."""
    names = [str(group["group"]) for group in groups]
    short = [name if len(name) <= _MOST_LETTERS else f"{name[:_MOST_LETTERS]}…" for name in names]
    shown = short if len(set(short)) == len(short) else names
    return [f"{name} ({group['rows']})" for name, group in zip(shown, groups, strict=True)]


def _domain(ends: Sequence[float]) -> list[float]:
    """Return the ends of the axis: a share has no room below 0 and above 1."""
    low, high = domain(ends)
    return [max(low, 0.0), min(high, 1.0)] if min(ends) >= 0 and max(ends) <= 1 else [low, high]
