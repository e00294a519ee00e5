"""The pictures of each kind of result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.comparison_chart import comparison_chart
from modelyard_widgets.compression_chart import compression_chart
from modelyard_widgets.dependence_charts import (
    counterfactuals_chart,
    dependence_chart,
    dependence_pictures,
    fairness_chart,
    fairness_pictures,
    importance_chart,
    interactions_chart,
)
from modelyard_widgets.drawing import (
    BLUE,
    GREEN,
    GREY,
    KEY,
    ORANGE,
    VIOLET,
    WIDTH,
    Picture,
    Spec,
    domain,
    drawn,
)
from modelyard_widgets.evaluation_charts import evaluation_chart, evaluation_pictures
from modelyard_widgets.explanation_charts import attribution_chart, attribution_pictures

__all__ = ["Picture", "chart", "evaluation_chart", "further_charts", "study_chart", "traffic_chart"]


def study_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw the value of each trial over its number, with the best so far; where serving counts, score over latency."""
    if payload.get("serving"):
        return _front_chart(payload)
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
    y["scale"] = {"domain": domain([value for _, value in trials]), "nice": True}
    spec: Spec = {
        "data": {"values": points},
        "width": WIDTH,
        "height": 180,
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "line", "interpolate": "step-after", "color": ORANGE, "strokeWidth": 2.5},
                "encoding": {"y": {**y, "field": "best"}},
            },
            {
                "mark": {"type": "point", "size": 50, "filled": True, "color": BLUE, "opacity": 0.8},
                "encoding": {"y": {**y, "field": "value"}},
            },
        ],
        "title": {"text": "dot: one trial · line: best so far", **KEY},
    }
    counted = f"{len(points)} trials" if len(points) > 1 else "1 trial"
    return drawn(
        spec, f"{metric} of {counted} in their order, and the best so far, which ends at {number(last)}."
    )


def _front_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each trial's score over the latency of its model, as large as its file; the finalists stand out."""
    metric, serving = payload["metric"], payload["serving"]
    kinds = (("trials", "trial, model of one fold"), ("finalists", "finalist, fitted on all rows"))
    best = "best within the budget" if serving["budget"] else f"best by {metric}"
    points = [
        {
            "trial": point["number"],
            "score": point["score"],
            "latency": point["latency_us"],
            "kB": point["size_bytes"] / 1000,
            "kind": kind if point["number"] != serving["best_number"] else best,
        }
        for group, kind in kinds
        for point in serving[group]
        if None not in (point["score"], point["latency_us"], point["size_bytes"])
    ]
    if not points:
        return None
    shown = [kind for kind in (*(kind for _, kind in kinds), best) if _any_of(points, kind)]
    colors = {kinds[0][1]: GREY, kinds[1][1]: BLUE, best: ORANGE}
    shapes = {kinds[0][1]: "circle", kinds[1][1]: "circle", best: "diamond"}
    key: Spec = {
        "orient": "bottom",
        "titleColor": "currentColor",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
    }
    x: Spec = {"field": "latency", "type": "quantitative", "title": "one row (µs), log scale"}
    latencies = [point["latency"] for point in points]
    ends = [0.8 * min(latencies), 1.25 * max(latencies)]
    x |= {"scale": {"type": "log", "domain": ends, "nice": False}, "axis": {"tickCount": 5, "grid": True}}
    y: Spec = {"field": "score", "type": "quantitative", "title": metric, "axis": {"tickCount": 6}}
    y["scale"] = {"domain": domain([point["score"] for point in points]), "nice": True}
    sizes = {"range": [30, 400], "type": "sqrt", "zero": False}
    spec: Spec = {
        "data": {"values": points},
        "width": WIDTH,
        "height": 220,
        "mark": {"type": "point", "filled": True, "opacity": 0.75},
        "encoding": {
            "x": x,
            "y": y,
            "size": {
                "field": "kB", "type": "quantitative", "title": "size (kB)", "scale": sizes,
                "legend": {**key, "values": _round_steps([point["kB"] for point in points]), "symbolFillColor": GREY},
            },
            "color": {
                "field": "kind", "type": "nominal", "title": None,
                "scale": {"domain": shown, "range": [colors[kind] for kind in shown]},
                "legend": {**key, "columns": 1},
            },
            "shape": {
                "field": "kind", "type": "nominal", "title": None,
                "scale": {"domain": shown, "range": [shapes[kind] for kind in shown]},
            },
        },
    }  # fmt: skip
    finalists = serving["finalists"]
    fast = min(finalists, key=lambda point: point["latency_us"] or math.inf, default=None)
    told = ""
    if fast is not None:
        told = f" The fastest of {len(finalists)} finalists, trial {fast['number']}, takes "
        told += f"{number(fast['latency_us'])} µs with {metric} {number(fast['score'])}."
    counted = f"{len(points)} models" if len(points) > 1 else "1 model"
    return drawn(
        spec, f"{metric} of {counted} against the time for one row, the size of a point is its file's.{told}"
    )


def _any_of(points: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(point["kind"] == kind for point in points)


def _round_steps(values: Sequence[float]) -> list[float]:
    """Return up to three round values from the smallest to the largest, for a legend."""
    low, high = min(values), max(values)
    middle = math.sqrt(low * high) if low > 0 else high / 2
    return sorted({float(f"{value:.1g}") for value in (low, middle, high)})


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
    colors = [BLUE, ORANGE, GREEN, VIOLET, GREY]
    spec: Spec = {
        "data": {"values": points},
        "width": WIDTH,
        "height": 130,
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5, "point": {"size": 45}},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "variant", "type": "nominal", "scale": {"range": colors}},
            "strokeDash": {"field": "variant", "type": "nominal"},
        },
        "title": {"text": "each variant's share of the requests, policy by policy", **KEY},
    }
    now = ", ".join(f"{name} {100 * share:g}%" for name, share in last["weights"].items() if share)
    alt = f"Shares of {', '.join(names)} over {len(history)} policies; now {now}. Last: {last['why']}."
    return drawn(spec, alt)


def chart(kind: str, payload: Mapping[str, Any]) -> Picture | None:
    """Return the picture of a result of that kind, if there is one to draw."""
    draw = _CHARTS.get(kind)
    return draw(payload) if draw else None


def further_charts(kind: str, payload: Mapping[str, Any]) -> list[Picture]:
    """Return what is drawn below the first picture of a result, each with its title."""
    draw = _FURTHER.get(kind)
    return draw(payload) if draw else []


_CHARTS: dict[str, Callable[[Mapping[str, Any]], Picture | None]] = {
    "attribution": attribution_chart,
    "comparison": comparison_chart,
    "compression": compression_chart,
    "counterfactuals": counterfactuals_chart,
    "evaluation": evaluation_chart,
    "fairness": fairness_chart,
    "importance": importance_chart,
    "interactions": interactions_chart,
    "partial_dependence": dependence_chart,
    "study": study_chart,
    "traffic": traffic_chart,
}

_FURTHER: dict[str, Callable[[Mapping[str, Any]], list[Picture]]] = {
    "attribution": attribution_pictures,
    "evaluation": evaluation_pictures,
    "fairness": fairness_pictures,
    "partial_dependence": dependence_pictures,
}
