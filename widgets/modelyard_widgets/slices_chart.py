"""The picture of an evaluation's slices: the metric on each part of the table, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, GREY, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_MOST = 30
_LEAST_CHANCE = 0.05


def slices_chart(
    metric: str, slices: Sequence[Mapping[str, Any]], smaller_is_better: bool = False
) -> Picture | None:
    """Draw each slice's value with its 95 % interval; what is worse than the rest beyond chance is orange."""
    points = [
        {
            "slice": f"{each['slice']} ({each['rows']})",
            "value": each["value"],
            "low": each["ci_low"],
            "high": each["ci_high"],
            "worse": _is_worse(each, smaller_is_better),
        }
        for each in slices
        if each["value"] is not None
    ][:_MOST]
    if not points:
        return None
    whole = next(
        (
            each["value"] - each["difference"]
            for each in slices
            if None not in (each["value"], each["difference"])
        ),
        None,
    )
    ends = finite([*(point[end] for point in points for end in ("value", "low", "high")), whole])
    x: Spec = {"type": "quantitative", "axis": {"tickCount": 6}}
    x["title"] = f"{metric} (less is better)" if smaller_is_better else metric
    x["scale"] = {"domain": domain(ends), "nice": True}
    names: Spec = {"title": None, "ticks": False, "domain": False, "labelPadding": 6, "labelLimit": 240}
    y: Spec = {
        "field": "slice",
        "type": "nominal",
        "sort": [point["slice"] for point in points],
        "axis": names,
    }
    color: Spec = {"condition": {"test": "datum.worse", "value": ORANGE}, "value": BLUE}
    spec: Spec = {
        "data": {"values": points},
        "width": WIDTH,
        "height": 24 * len(points),
        "layer": [
            *(
                [
                    {
                        "data": {"values": [{}]},
                        "mark": {"type": "rule", "color": GREY, "strokeDash": [4, 3], "strokeWidth": 1.5},
                        "encoding": {"x": {**x, "datum": whole}},
                    }
                ]
                if whole is not None
                else []
            ),
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.5},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": color},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {"y": y, "x": {**x, "field": "value"}, "color": color},
            },
        ],
        "title": {"text": "line: 95 % interval · dashes: all rows · orange: worse beyond chance", **KEY},
    }
    told = "; ".join(f"{point['slice']} {number(point['value'])}" for point in points[:4])
    worse = [point["slice"] for point in points if point["worse"]]
    beyond = f"; worse beyond chance: {', '.join(worse)}" if worse else "; none is worse beyond chance"
    return drawn(spec, f"{metric} of each slice with its 95 % interval: {told}{beyond}.")


def _is_worse(each: Mapping[str, Any], smaller_is_better: bool) -> bool:
    if each["p"] is None or each["difference"] is None or each["p"] >= _LEAST_CHANCE:
        return False
    return bool(each["difference"] > 0 if smaller_is_better else each["difference"] < 0)
