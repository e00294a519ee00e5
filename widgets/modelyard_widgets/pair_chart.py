"""The picture of a pair of models: how far apart they are in each fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, GREY, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_MOST_DOTS = 200  # leave-one-out has one per row
_HEIGHT = 64


def pair_chart(payload: Mapping[str, Any], pair: Mapping[str, Any]) -> Picture | None:
    """Draw the difference of two models in each fold, with its mean and 95 % interval, and where they are equal."""
    one, other = pair["a"], pair["b"]
    scores = zip(payload["scores"][one], payload["scores"][other], strict=True)
    apart = finite([first - second for first, second in scores if None not in (first, second)])
    if not apart or pair["difference"] is None:
        return None
    sure = None not in (pair["ci_low"], pair["ci_high"])
    ends = finite([0.0, *apart, pair["difference"], pair["ci_low"], pair["ci_high"]])
    x: Spec = {"type": "quantitative", "title": f"{payload['metric']} of {one} less that of {other}"}
    x |= {"scale": {"domain": domain(ends), "nice": True}, "axis": {"tickCount": 6}}
    figures = {key: pair[key] for key in ("difference", "ci_low", "ci_high")}
    spec: Spec = {
        "width": WIDTH,
        "height": _HEIGHT,
        "title": {"text": "dot: one fold · line: mean · band: 95 % interval · dashes: equal", **KEY},
        "layer": [
            {
                "data": {"values": [figures] if sure else []},
                "mark": {"type": "bar", "height": 30, "color": ORANGE, "opacity": 0.3, "cornerRadius": 2},
                "encoding": {"x": {**x, "field": "ci_low"}, "x2": {"field": "ci_high"}},
            },
            {
                "data": {"values": [{}]},
                "mark": {"type": "rule", "color": GREY, "strokeDash": [4, 3], "strokeWidth": 1.5},
                "encoding": {"x": {**x, "datum": 0}},
            },
            {
                "data": {"values": [{"apart": each} for each in apart[:: max(1, len(apart) // _MOST_DOTS)]]},
                "mark": {"type": "point", "size": 50, "filled": True, "color": BLUE, "opacity": 0.7},
                "encoding": {"x": {**x, "field": "apart"}},
            },
            {
                "data": {"values": [figures]},
                "mark": {"type": "tick", "height": 40, "thickness": 3, "color": ORANGE, "opacity": 1},
                "encoding": {"x": {**x, "field": "difference"}},
            },
        ],
    }
    above = sum(each > 0 for each in apart)
    interval = f" (95 % {number(pair['ci_low'])} to {number(pair['ci_high'])})" if sure else ""
    alt = (
        f"{payload['metric']} of {one} less that of {other}: {number(pair['difference'])} on the average{interval}; "
        f"above 0 in {above} of {len(apart)} folds."
    )
    return drawn(spec, alt)
