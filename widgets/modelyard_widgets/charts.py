"""Pictures of results: Vega-Lite rendered to SVG in this process, without a browser or a network.

The specifications are written out because importing altair to build them costs 1.8 s before the first
result of a notebook can show; vl-convert brings Vega-Lite itself and imports in 5 ms.

Text and lines are drawn in ``currentColor``: a panel sets it to the page's colour, and an ``<img>`` alone
falls back to a grey that reads on white and on black. Marks have a contrast of 3:1 on both.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import vl_convert

from modelyard.presentation import number

Spec = dict[str, Any]

_VEGA_LITE = "6.1"
_WIDTH = 440
_BLUE, _ORANGE, _GREY = "#3b87c8", "#d9730d", "#777777"
_GREEN, _VIOLET = "#2b8a5e", "#9a5bc0"
_CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, 'DejaVu Sans', sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "gridOpacity": 0.12,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": "currentColor", "labelFontSize": 12},
    "legend": {"labelColor": "currentColor", "labelFontSize": 12},
}
_KEY: Spec = {
    "orient": "bottom",
    "anchor": "start",
    "offset": 10,
    "color": "currentColor",
    "fontSize": 12,
    "fontWeight": "normal",
}


@dataclass(frozen=True)
class Picture:
    """An SVG drawing and the words that stand for it."""

    svg: str
    alt: str

    @property
    def data_uri(self) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def _drawn(spec: Spec, alt: str) -> Picture:
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **spec}
    svg = vl_convert.vegalite_to_svg(whole, vl_version=_VEGA_LITE, allowed_base_urls=[])
    return Picture(svg.replace("<svg ", f'<svg color="{_GREY}" ', 1), alt)


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def evaluation_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each metric's scores as one dot per fold, with the mean and its 95 % interval."""
    scores = {metric: _finite(values) for metric, values in payload["scores"].items()}
    scores = {metric: values for metric, values in scores.items() if values}
    if not scores:
        return None
    strips = [_strip(metric, values, payload["summary"][metric]) for metric, values in scores.items()]
    phrases = [
        f"{metric} from {number(min(values))} to {number(max(values))}" for metric, values in scores.items()
    ]
    alt = f"Scores of each fold, with mean and 95 % interval: {'; '.join(phrases)}."
    key = {"text": "dot: one fold · line: mean · band: 95 % interval of the mean", **_KEY}
    return _drawn({"vconcat": strips, "spacing": 10, "title": key}, alt)


def _strip(metric: str, values: Sequence[float], figures: Mapping[str, float | None]) -> Spec:
    mean, low, high = (figures[name] for name in ("mean", "ci_low", "ci_high"))
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": _domain(_finite([*values, low, high])), "nice": True},
        "axis": {"title": None, "tickCount": 6},
    }
    band = {
        "mark": {"type": "bar", "height": 16, "color": _ORANGE, "opacity": 0.3, "cornerRadius": 2},
        "encoding": {"x": {**x, "datum": low}, "x2": {"datum": high}},
    }
    dots = {
        "data": {"values": [{"score": value} for value in values]},
        "mark": {"type": "point", "size": 60, "filled": True, "color": _BLUE, "opacity": 0.8},
        "encoding": {"x": {**x, "field": "score"}},
    }
    line = {
        "mark": {"type": "tick", "height": 24, "thickness": 3, "color": _ORANGE, "opacity": 1},
        "encoding": {"x": {**x, "datum": mean}},
    }
    label = {"title": None, "domain": False, "ticks": False, "labelPadding": 10, "labelLimit": 150}
    return {
        "data": {"values": [{}]},
        "width": _WIDTH,
        "height": 28,
        "encoding": {"y": {"datum": metric, "type": "nominal", "axis": label}},
        "layer": [
            *([band] if low is not None and high is not None else []),
            dots,
            *([line] if mean is not None else []),
        ],
    }


def _domain(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.05
    return [low - room, high + room]


def study_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw the value of each trial over its number, with the line of the best value so far."""
    trials = [(trial["number"], trial["value"]) for trial in payload["history"] if trial["value"] is not None]
    if not trials:
        return None
    metric, best = payload["metric"], min if payload["direction"] == "minimize" else max
    records = accumulate((value for _, value in trials), best)
    points = [
        {"trial": trial, "value": value, "best": record}
        for (trial, value), record in zip(trials, records, strict=True)
    ]
    last = points[-1]["best"]
    x: Spec = {"field": "trial", "type": "quantitative", "title": "trial"}
    x |= {"axis": {"tickMinStep": 1, "grid": False}, "scale": {"zero": False, "nice": False, "padding": 8}}
    y: Spec = {"type": "quantitative", "title": metric, "axis": {"tickCount": 6}}
    y["scale"] = {"domain": _domain([value for _, value in trials]), "nice": True}
    spec: Spec = {
        "data": {"values": points},
        "width": _WIDTH,
        "height": 180,
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "line", "interpolate": "step-after", "color": _ORANGE, "strokeWidth": 2.5},
                "encoding": {"y": {**y, "field": "best"}},
            },
            {
                "mark": {"type": "point", "size": 50, "filled": True, "color": _BLUE, "opacity": 0.8},
                "encoding": {"y": {**y, "field": "value"}},
            },
        ],
        "title": {"text": "dot: one trial · line: best so far", **_KEY},
    }
    counted = f"{len(points)} trials" if len(points) > 1 else "1 trial"
    return _drawn(
        spec, f"{metric} of {counted} in their order, and the best so far, which ends at {number(last)}."
    )


def traffic_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each variant's share of the requests from policy to policy."""
    history = payload["history"]
    if len(history) < 2:
        return None
    names = sorted({name for past in history for name in past["weights"]})
    points = [
        {"policy": past["number"], "variant": name, "share": past["weights"].get(name, 0.0)}
        for past in history
        for name in names
    ]
    last = history[-1]
    x: Spec = {"field": "policy", "type": "quantitative"}
    x["axis"] = {"tickMinStep": 1, "format": "d", "grid": False}
    x["scale"] = {"zero": False, "nice": False, "padding": 10}
    y: Spec = {"field": "share", "type": "quantitative", "axis": {"format": "%", "tickCount": 5}}
    y["scale"] = {"domain": [0, 1]}
    colors = [_BLUE, _ORANGE, _GREEN, _VIOLET, _GREY]
    spec: Spec = {
        "data": {"values": points},
        "width": _WIDTH,
        "height": 130,
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5, "point": {"size": 45}},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "variant", "type": "nominal", "scale": {"range": colors}},
            "strokeDash": {"field": "variant", "type": "nominal"},
        },
        "title": {"text": "each variant's share of the requests, policy by policy", **_KEY},
    }
    now = ", ".join(f"{name} {100 * share:g}%" for name, share in last["weights"].items() if share)
    alt = f"Shares of {', '.join(names)} over {len(history)} policies; now {now}. Last: {last['why']}."
    return _drawn(spec, alt)


def chart(kind: str, payload: Mapping[str, Any]) -> Picture | None:
    """Return the picture of a result of that kind, if there is one to draw."""
    draw = _CHARTS.get(kind)
    return draw(payload) if draw else None


_CHARTS: dict[str, Callable[[Mapping[str, Any]], Picture | None]] = {
    "evaluation": evaluation_chart,
    "study": study_chart,
    "traffic": traffic_chart,
}
