"""The pictures of a study: the value of each trial in their order, and the front of its objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.density import COUNTED, MOST_DOTS, counted, counts
from modelyard_widgets.drawing import BLUE, GREY, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn

_MOST_OF_FRONT = 300


def study_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw the value of each trial over its number; where serving counts, score over latency."""
    if payload.get("serving"):
        return front_chart(payload)
    return history_chart(payload["metric"], payload["direction"], payload["history"])


def history_chart(metric: str, direction: str, history: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Draw the value of each trial over its number, with the best so far; of many trials, how many lie where."""
    trials = [(trial["number"], trial["value"]) for trial in history if trial["value"] is not None]
    if not trials:
        return None
    best = min if direction == "minimize" else max
    records = list(accumulate((value for _, value in trials), best))
    steps = [
        {"trial": trial, "best": record}
        for place, ((trial, _), record) in enumerate(zip(trials, records, strict=True))
        if place in (0, len(trials) - 1) or record != records[place - 1]
    ]
    many = len(trials) > MOST_DOTS
    x: Spec = {"field": "trial", "type": "quantitative", "title": "trial"}
    x |= {"axis": {"tickMinStep": 1, "grid": False}, "scale": {"zero": False, "nice": False, "padding": 8}}
    y: Spec = {"type": "quantitative", "title": metric, "axis": {"tickCount": 6}}
    y["scale"] = {"domain": domain([value for _, value in trials]), "nice": True}
    dots: Spec = {
        "data": {"values": [{"trial": trial, "value": value} for trial, value in trials]},
        "mark": {"type": "point", "size": 50, "filled": True, "color": BLUE, "opacity": 0.8},
        "encoding": {"x": x, "y": {**y, "field": "value"}},
    }
    line: Spec = {
        "data": {"values": steps},
        "mark": {"type": "line", "interpolate": "step-after", "color": ORANGE, "strokeWidth": 2.5},
        "encoding": {"x": x, "y": {**y, "field": "best"}},
    }
    spec: Spec = {
        "width": WIDTH,
        "height": 180,
        # the line lies below dots, which are few, and above counts, which would hide it
        "layer": [counts(counted(trials), x, y), line] if many else [line, dots],
        "title": {"text": f"{COUNTED if many else 'dot: one trial'} · line: best so far", **KEY},
    }
    told = f"{len(trials)} trials" if len(trials) > 1 else "1 trial"
    return drawn(
        spec, f"{metric} of {told} in their order, and the best so far, which ends at {number(records[-1])}."
    )


def front_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each trial's score over the latency of its model, as large as its file; the finalists stand out."""
    metric, serving = payload["metric"], payload["serving"]
    kinds = (("trials", "trial, model of one fold"), ("finalists", "finalist, fitted on all rows"))
    best = "best within the budget" if serving["budget"] else f"best by {metric}"
    step = -(-len(serving["trials"]) // _MOST_OF_FRONT) or 1
    groups = {"trials": serving["trials"][::step], "finalists": serving["finalists"]}
    points = [
        {
            "trial": point["number"],
            "score": point["score"],
            "latency": point["latency_us"],
            "kB": point["size_bytes"] / 1000,
            "kind": kind if point["number"] != serving["best_number"] else best,
        }
        for group, kind in kinds
        for point in groups[group]
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
    count = f"{len(points)} models" if len(points) > 1 else "1 model"
    if step > 1:
        count += f" (every {step}th of the trials)"
    return drawn(
        spec, f"{metric} of {count} against the time for one row, the size of a point is its file's.{told}"
    )


def _any_of(points: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(point["kind"] == kind for point in points)


def _round_steps(values: Sequence[float]) -> list[float]:
    """Return up to three round values from the smallest to the largest, for a legend."""
    low, high = min(values), max(values)
    middle = math.sqrt(low * high) if low > 0 else high / 2
    return sorted({float(f"{value:.1g}") for value in (low, middle, high)})
