"""The pictures of an attribution: which columns count, which way they push, and how one answer comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, GREY, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_MOST_BARS = 12
_BINS = 60
_DIGIT = 6.5  # pixels of a character of 11 pixels' height
_GAP = 4  # pixels between a bar and its figure
_MOST_DOTS = 500
_CLEAR = 0.3  # a correlation below is told as no direction
#: From low to high. The pair is told apart with every kind of colour vision.
_RAMP = {"domain": [0, 1], "range": [BLUE, ORANGE], "interpolate": "lab"}


def attribution_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw how one answer comes about, or of many rows the mean size of each column's values."""
    return waterfall_picture(payload) if payload["waterfall"] else _importance(payload)


def attribution_pictures(payload: Mapping[str, Any]) -> list[Picture]:
    """Draw every value of the first columns, and those of the first one over what stood in its cells."""
    points = payload["points"]
    if not points or not any(finite(each["values"]) for each in points):
        return []
    found = [_beeswarm(payload)]
    dependence = value_picture(payload, points[0])
    return [*found, dependence] if dependence else found


def _importance(payload: Mapping[str, Any]) -> Picture | None:
    bars = payload["importance"][:_MOST_BARS]
    if not bars:
        return None
    order = [bar["column"] for bar in bars]
    y: Spec = {"field": "column", "type": "nominal", "sort": order, "axis": _names()}
    x: Spec = {"field": "value", "type": "quantitative", "title": f"mean |value| ({payload['scale']})"}
    x["axis"] = {"tickCount": 5}
    x["scale"] = {"domain": [0, 1.15 * max(bar["value"] for bar in bars) or 1]}
    spec: Spec = {
        "data": {"values": [{**bar, "text": number(bar["value"])} for bar in bars]},
        "width": WIDTH,
        "height": 22 * len(bars),
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": BLUE, "height": 14, "cornerRadiusEnd": 2}},
            {
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 4,
                    "color": "currentColor",
                    "fontSize": 11,
                },
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }
    first = ", ".join(f"{bar['column']} {number(bar['value'])}" for bar in bars[:3])
    hidden = payload["columns"] - len(bars)
    more = f"; {hidden} more count less" if hidden > 0 else ""
    return drawn(
        spec,
        f"Mean size of the values of {payload['rows']} rows by column, the largest first: {first}{more}.",
    )


def _beeswarm(payload: Mapping[str, Any]) -> Picture:
    columns = payload["points"]
    order = [each["column"] for each in columns]
    every = [value for each in columns for value in finite(each["values"])]
    step = -(-len(every) // _MOST_DOTS) or 1
    dots = [dot for each in columns for dot in _dots(_thinned(each, step), min(every), max(every))]
    y: Spec = {"field": "column", "type": "nominal", "sort": order, "axis": _names()}
    named = _named(payload)
    x: Spec = {"field": "value", "type": "quantitative", "title": f"value{named} ({payload['scale']})"}
    x |= {"scale": {"domain": domain([*every, 0.0]), "nice": False}, "axis": {"tickCount": 6}}
    lowest_first: Spec = {
        "field": "level",
        "type": "quantitative",
        "scale": _RAMP,
        "legend": {
            "title": "the column's own value",
            "titleColor": "currentColor",
            "titleFontWeight": "normal",
            "titleFontSize": 12,
            "orient": "bottom",
            "direction": "horizontal",
            "gradientLength": 160,
            "values": [0, 1],
            "labelExpr": "datum.value == 0 ? 'low' : 'high'",
        },
    }
    mark: Spec = {"type": "point", "filled": True, "size": 22, "opacity": 0.85}
    swarm: Spec = {
        "x": x,
        "y": y,
        "yOffset": {"field": "offset", "type": "quantitative", "scale": {"domain": [-1, 1]}},
    }
    spec: Spec = {
        "width": WIDTH,
        "height": 30 * len(order),
        "layer": [
            {
                "data": {"values": [{}]},
                "mark": {"type": "rule", "color": "currentColor", "opacity": 0.5},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {
                "data": {"values": [dot for dot in dots if dot["level"] is None]},
                "mark": {**mark, "color": GREY},
                "encoding": swarm,
            },
            {
                "data": {"values": [dot for dot in dots if dot["level"] is not None]},
                "mark": mark,
                "encoding": {**swarm, "color": lowest_first},
            },
        ],
        "title": {
            "text": f"dot: one row{f' of {step}' if step > 1 else ''} · grey: a text, or null",
            **KEY,
        },
    }
    told = "; ".join(f"{each['column']} {_direction(each)}" for each in columns[:4])
    alt = f"Value of each row{named}, by column, coloured by what the column holds: {told}."
    return drawn(spec, alt, f"Every row's values{named}")


def _thinned(column: Mapping[str, Any], step: int) -> dict[str, Any]:
    return {**column, "values": column["values"][::step], "levels": column["levels"][::step]}


def _dots(column: Mapping[str, Any], low: float, high: float) -> list[Spec]:
    """Return the dots of one column, those of nearly the same value spread above and below its line."""
    spread = (high - low) or 1.0
    filled: dict[int, int] = {}
    dots: list[Spec] = []
    for value, level in zip(column["values"], column["levels"], strict=True):
        if value is None:
            continue
        place = round(_BINS * (value - low) / spread)
        count = filled[place] = filled.get(place, -1) + 1
        offset = (count + 1) // 2 * (1 if count % 2 else -1)
        dots.append({"column": column["column"], "value": value, "level": level, "offset": offset})
    room = max([abs(dot["offset"]) for dot in dots] + [8])
    for dot in dots:
        dot["offset"] = 0.8 * dot["offset"] / room
    return dots


def _direction(column: Mapping[str, Any]) -> str:
    pairs = [
        (level, value)
        for level, value in zip(column["levels"], column["values"], strict=True)
        if None not in (level, value)
    ]
    values = finite(column["values"])
    ends = f"from {number(min(values))} to {number(max(values))}"
    slope = _correlation(pairs)
    if abs(slope) < _CLEAR:
        return ends
    return f"{ends}, {'up' if slope > 0 else 'down'} where it is high"


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    if len(pairs) < 2:
        return 0.0
    xs, ys = zip(*pairs, strict=True)
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    both = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    alone = sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys)
    return float(both / alone**0.5) if alone > 0 else 0.0


def value_picture(payload: Mapping[str, Any], column: Mapping[str, Any]) -> Picture | None:
    """Draw the values of one column over what stood in its cells."""
    name, named = column["column"], _named(payload)
    dots = [
        {"cell": cell, "value": value}
        for cell, value in zip(column["cells"], column["values"], strict=True)
        if cell is not None and value is not None
    ]
    if not dots:
        return None
    texts = any(isinstance(dot["cell"], str) for dot in dots)
    y: Spec = {"field": "value", "type": "quantitative", "title": f"value of {name}{named}"}
    y["axis"] = {"tickCount": 6}
    y["scale"] = {"domain": domain([dot["value"] for dot in dots]), "nice": True}
    x: Spec = {"field": "cell", "title": name}
    if texts:
        x |= {"type": "nominal", "axis": {"labelLimit": 110, "labelAngle": -30}}
    else:
        x |= {"type": "quantitative", "axis": {"tickCount": 6}}
        x["scale"] = {"domain": domain([dot["cell"] for dot in dots]), "nice": False}
    spec: Spec = {
        "width": WIDTH,
        "height": 180,
        "layer": [
            {
                "data": {"values": [{}]},
                "mark": {"type": "rule", "color": "currentColor", "opacity": 0.5},
                "encoding": {"y": {"datum": 0, "type": "quantitative"}},
            },
            {
                "data": {"values": dots},
                "mark": {"type": "point", "filled": True, "size": 30, "color": BLUE, "opacity": 0.75},
                "encoding": {"x": x, "y": y},
            },
        ],
        "title": {"text": "dot: one row · line: adds nothing", **KEY},
    }
    return drawn(spec, _dependence_told(name, named, dots, texts), f"{name}: its value and what that adds")


def _dependence_told(name: str, named: str, dots: Sequence[Mapping[str, Any]], texts: bool) -> str:
    lead = f"What {name} adds{named}, over what it is:"
    if texts:
        groups: dict[str, list[float]] = {}
        for dot in dots:
            groups.setdefault(str(dot["cell"]), []).append(dot["value"])
        means = sorted((sum(values) / len(values), cell) for cell, values in groups.items())
        (low, least), (high, most) = means[0], means[-1]
        return f"{lead} least for {least} ({number(low)} in the mean), most for {most} ({number(high)})."
    ordered = sorted(dots, key=lambda dot: dot["cell"])
    third = max(1, len(ordered) // 3)
    low = sum(dot["value"] for dot in ordered[:third]) / third
    high = sum(dot["value"] for dot in ordered[-third:]) / third
    return (
        f"{lead} {number(low)} in the mean for its lowest third, up to {number(ordered[third - 1]['cell'])}, and "
        f"{number(high)} for its highest, from {number(ordered[-third]['cell'])}."
    )


def waterfall_picture(payload: Mapping[str, Any]) -> Picture:
    """Draw how the base value becomes the answer of one row, column by column."""
    fall = payload["waterfall"]
    at, bars = fall["base"], []
    steps = [(f"{step['column']} = {step['cell']}", step["value"]) for step in fall["steps"]]
    if fall["others"]:
        steps.append((f"{fall['others']} others", fall["rest"]))
    for label, value in steps:
        sign = "+" if value >= 0 else "−"
        bars.append(
            {
                "label": label, "from": at, "to": at + value,
                "push": "up" if value >= 0 else "down", "text": f"{sign}{number(abs(value))}",
            }
        )  # fmt: skip
        at += value
    order = [bar["label"] for bar in bars]
    y: Spec = {"field": "label", "type": "nominal", "sort": order, "axis": {**_names(), "labelLimit": 240}}
    ends = [fall["base"], fall["answer"], *(bar["to"] for bar in bars)]
    low, high = domain(ends)
    high += 0.1 * (high - low)  # room for the figures
    scale = {"domain": [low, high], "nice": False}
    to_right, to_left = _figures(bars, (fall["base"], fall["answer"]), low, high)
    title = payload["scale"] + (f" of {fall['output']}" if len(payload["outputs"]) > 1 else "")
    x: Spec = {"type": "quantitative", "title": title, "scale": scale, "axis": {"tickCount": 6}}
    lines = [
        {"at": fall["base"], "what": "base"},
        {"at": fall["answer"], "what": "answer"},
    ]
    spec: Spec = {
        "width": WIDTH,
        "height": 24 * len(bars),
        "layer": [
            {
                "data": {"values": lines},
                "mark": {"type": "rule", "color": "currentColor", "opacity": 0.45, "strokeWidth": 1.5},
                "encoding": {
                    "x": {**x, "field": "at"},
                    "strokeDash": {
                        "field": "what", "type": "nominal", "legend": None,
                        "scale": {"domain": ["base", "answer"], "range": [[4, 3], [1, 0]]},
                    },
                },
            },
            {
                "data": {"values": bars},
                "mark": {"type": "bar", "height": 14, "cornerRadius": 2},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "from"},
                    "x2": {"field": "to"},
                    "color": {
                        "field": "push", "type": "nominal", "legend": None,
                        "scale": {"domain": ["down", "up"], "range": [BLUE, ORANGE]},
                    },
                },
            },
            *(
                {
                    "data": {"values": figures},
                    "mark": {"type": "text", "align": align, "dx": dx, "color": "currentColor", "fontSize": 11},
                    "encoding": {"y": y, "x": {**x, "field": "side"}, "text": {"field": "text"}},
                }
                for figures, align, dx in ((to_right, "left", _GAP), (to_left, "right", -_GAP))
            ),
        ],
        "title": {"text": "dashes: base value · line: the answer · orange adds, blue takes away", **KEY},
    }  # fmt: skip
    told = ", ".join(f"{bar['label']} {bar['text']}" for bar in bars[:3])
    of = f" for {fall['output']}" if len(payload["outputs"]) > 1 else ""
    way = f"from the base value {number(fall['base'])} to {number(fall['answer'])}"
    return drawn(spec, f"Row {fall['row']}{of}: {way}; most by {told}.")


def _figures(
    bars: Sequence[Spec], lines: Sequence[float], low: float, high: float
) -> tuple[list[Spec], list[Spec]]:
    """Place each bar's figure at its right end; where a line strikes it through, at its left or behind the line."""
    to_right: list[Spec] = []
    to_left: list[Spec] = []
    pixel = (high - low) / WIDTH
    for bar in bars:
        gap = _GAP * pixel
        room = gap + _DIGIT * len(bar["text"]) * pixel
        start, end = sorted((bar["from"], bar["to"]))
        striking = [line for line in lines if gap < line - end < room]
        free = start - room > low and not any(gap < start - line < room for line in lines)
        found, side = (to_left, start) if striking and free else (to_right, max([end, *striking]))
        found.append({"label": bar["label"], "text": bar["text"], "side": side})
    return to_right, to_left


def _names() -> Spec:
    return {"title": None, "ticks": False, "domain": False, "labelPadding": 6, "labelLimit": 180}


def _named(payload: Mapping[str, Any]) -> str:
    return f" for {payload['shown']}" if len(payload["outputs"]) > 1 else ""
