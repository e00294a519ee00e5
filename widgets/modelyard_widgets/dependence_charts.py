"""The pictures of how a model depends on its columns: their worth, curves and pairs, and what flips an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, GREY, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_MOST_BARS = 15
_MOST_TOLD = 3
#: Pictures that are drawn before anybody asks, but for the first.
_AT_ONCE = 4
_NAMES: Spec = {"title": None, "ticks": False, "domain": False, "labelPadding": 6, "labelLimit": 200}


def importance_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw what each column is worth, with its 95 % interval."""
    bars = [
        {"column": column, **figures}
        for column, figures in zip(payload["columns"], payload["intervals"], strict=True)
        if figures["mean"] is not None
    ][:_MOST_BARS]
    if not bars:
        return None
    ends = finite([bar[end] for bar in bars for end in ("mean", "ci_low", "ci_high")])
    y: Spec = {"field": "column", "type": "nominal", "sort": [bar["column"] for bar in bars], "axis": _NAMES}
    x: Spec = {"type": "quantitative", "title": f"loss of {payload['metric']}", "axis": {"tickCount": 6}}
    x["scale"] = {"domain": domain([0.0, *ends]), "nice": True}
    spec: Spec = {
        "data": {"values": bars},
        "width": WIDTH,
        "height": 22 * len(bars),
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "bar", "color": BLUE, "height": 12, "cornerRadiusEnd": 2},
                "encoding": {"x": {**x, "field": "mean"}},
            },
            {
                "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 3},
                "encoding": {"x": {**x, "field": "ci_low"}, "x2": {"field": "ci_high"}},
            },
        ],
        "title": {"text": "bar: mean loss where the column is shuffled · line: 95 % interval", **KEY},
    }
    told = "; ".join(
        f"{bar['column']} {number(bar['mean'])} ({number(bar['ci_low'])} to {number(bar['ci_high'])})"
        for bar in bars[:_MOST_TOLD]
    )
    hidden = len(payload["columns"]) - len(bars)
    more = f"; {hidden} more {'column costs' if hidden == 1 else 'columns cost'} less" if hidden else ""
    return drawn(
        spec, f"Loss of {payload['metric']} where each column is shuffled, the largest first: {told}{more}."
    )


def interactions_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw how strongly each pair of columns interacts."""
    bars = [
        {"pair": f"{pair['a']} × {pair['b']}", **pair, "text": f"H {pair['h']:.2f}"}
        for pair in payload["pairs"][:_MOST_BARS]
    ]
    if not bars:
        return None
    y: Spec = {"field": "pair", "type": "nominal", "sort": [bar["pair"] for bar in bars]}
    y["axis"] = {**_NAMES, "labelLimit": 280}
    x: Spec = {"field": "strength", "type": "quantitative", "title": f"strength ({payload['scale']})"}
    x["axis"] = {"tickCount": 5}
    x["scale"] = {"domain": [0, 1.2 * max(bar["strength"] for bar in bars) or 1], "nice": True}
    text: Spec = {"type": "text", "align": "left", "dx": 4, "color": "currentColor", "fontSize": 11}
    spec: Spec = {
        "data": {"values": bars},
        "width": WIDTH,
        "height": 22 * len(bars),
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": BLUE, "height": 14, "cornerRadiusEnd": 2}},
            {"mark": text, "encoding": {"text": {"field": "text"}}},
        ],
        "title": {"text": "H: share of what the pair does that is not the sum of the two", **KEY},
    }
    told = "; ".join(
        f"{bar['a']} and {bar['b']} {number(bar['strength'])} (H {number(bar['h'])})"
        for bar in bars[:_MOST_TOLD]
    )
    return drawn(spec, f"Strength of the interaction of each pair of columns, the largest first: {told}.")


def dependence_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw the column, or pair, that moves the answers most."""
    found = ranked(payload)
    return curve_picture(payload, found[0]) if found else None


def dependence_pictures(payload: Mapping[str, Any]) -> list[Picture]:
    """Draw a few of the other columns, those first that move the answers more; the panel draws what is asked for."""
    return [curve_picture(payload, each) for each in ranked(payload)[1:_AT_ONCE]]


def ranked(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns looked at, those first that move the answers more."""
    shown = payload["shown"]

    def span(each: Mapping[str, Any]) -> float:
        values = _flat(each["average"][shown])
        return min(values) - max(values)

    return sorted(payload["dependences"], key=span)


def _flat(values: Any) -> list[float]:
    return [inner for value in values for inner in _flat(value)] if isinstance(values, list) else [values]


def curve_picture(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Picture:
    """Draw one column, or a pair."""
    if len(each["columns"]) == 2:
        return _surface(payload, each)
    return _curve(payload, each) if each["numeric"][0] else _steps(payload, each)


def _answer(payload: Mapping[str, Any]) -> str:
    scale, outputs = payload["scale"], payload["outputs"]
    return scale if len(outputs) == 1 else f"{scale} of {outputs[payload['shown']]}"


def _points(payload: Mapping[str, Any], each: Mapping[str, Any]) -> tuple[list[Spec], list[Spec]]:
    grid, average = each["grid"][0], each["average"][payload["shown"]]
    means = [{"value": value, "answer": answer} for value, answer in zip(grid, average, strict=True)]
    single = [
        {"value": value, "answer": answer, "row": row}
        for row, answers in enumerate(each["individual"] or ())
        for value, answer in zip(grid, answers, strict=True)
    ]
    return means, single


def _curve(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Picture:
    """Draw the mean answer over a number, with the curves of single rows behind it."""
    means, single = _points(payload, each)
    name = each["columns"][0]
    x: Spec = {"field": "value", "type": "quantitative", "title": name, "axis": {"tickCount": 6}}
    x["scale"] = {"domain": [means[0]["value"], means[-1]["value"]], "nice": False, "zero": False}
    if means[0]["value"] == means[-1]["value"]:
        x["scale"] = {"zero": False}
    y = _answers(payload, [*means, *single])
    spec: Spec = {
        "width": WIDTH,
        "height": 200,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "data": {"values": _in_one_line(single)},
                "mark": {"type": "line", "color": GREY, "opacity": 0.4, "strokeWidth": 1},
                "encoding": {"order": {"field": "place", "type": "quantitative"}},
            },
            {
                "data": {"values": means},
                "mark": {
                    "type": "line",
                    "color": ORANGE,
                    "strokeWidth": 3,
                    "point": {"size": 25, "color": ORANGE},
                },
            },
            {
                "data": {"values": [{"value": point["value"]} for point in means]},
                "mark": {"type": "rule", "color": BLUE, "strokeWidth": 1.5},
                "encoding": {"x": x, "y": {"value": 200}, "y2": {"value": 193}},
            },
        ],
        "title": {"text": _key(payload, single, "line", "blue ticks: quantiles of the column"), **KEY},
    }
    return drawn(spec, _told(payload, name, means, single), f"Dependence on {name}")


def _in_one_line(single: Sequence[Spec]) -> list[Spec]:
    """Return the curves of single rows as one line with gaps, which is drawn in half the time."""
    found: list[Spec] = []
    for point in single:
        if found and found[-1]["row"] != point["row"]:
            found.append({**point, "answer": None})
        found.append(point)
    return [{**point, "place": place} for place, point in enumerate(found)]


def _steps(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Picture:
    """Draw the mean answer of each category, with the answers for single rows."""
    means, single = _points(payload, each)
    means = [{**point, "value": _word(point["value"])} for point in means]
    single = [{**point, "value": _word(point["value"])} for point in single]
    name = each["columns"][0]
    y: Spec = {"field": "value", "type": "nominal", "sort": [point["value"] for point in means]}
    y["axis"] = {**_NAMES, "title": name}
    x = _answers(payload, [*means, *single])
    spec: Spec = {
        "width": WIDTH,
        "height": 30 * len(means),
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "data": {"values": single},
                "mark": {"type": "point", "filled": True, "color": GREY, "opacity": 0.45, "size": 24},
            },
            {
                "data": {"values": means},
                "mark": {"type": "tick", "height": 22, "thickness": 4, "color": ORANGE, "opacity": 1},
            },
        ],
        "title": {"text": _key(payload, single, "dot"), **KEY},
    }
    return drawn(spec, _told(payload, name, means, single), f"Dependence on {name}")


def _surface(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Picture:
    """Draw the mean answer for every pair of two columns' values, as shades with their figures."""
    one, other = each["columns"]
    labels = [[_label(value) for value in axis] for axis in each["grid"]]
    table = each["average"][payload["shown"]]
    spread = max(_flat(table)) - min(_flat(table))
    digits = min(6, max(0, 2 - math.ceil(math.log10(spread)))) if spread > 0 else 2
    cells = [
        {"x": labels[0][i], "y": labels[1][j], "answer": answer, "text": f"{answer:.{digits}f}"}
        for i, line in enumerate(table)
        for j, answer in enumerate(line)
    ]
    axis: Spec = {"ticks": False, "domain": False, "labelLimit": 90}
    x: Spec = {
        "field": "x",
        "type": "ordinal",
        "title": one,
        "sort": labels[0],
        "axis": {**axis, "labelAngle": -45},
    }
    y: Spec = {"field": "y", "type": "ordinal", "title": other, "sort": labels[1][::-1], "axis": axis}
    values = [cell["answer"] for cell in cells]
    shade: Spec = {"field": "answer", "type": "quantitative", "legend": None}
    shade["scale"] = {"domain": [min(values), max(values)], "range": [0.05, 0.75], "zero": False}
    spec: Spec = {
        "data": {"values": cells},
        "width": min(WIDTH, 46 * len(labels[0])),
        "height": 28 * len(labels[1]),
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "rect", "color": ORANGE}, "encoding": {"opacity": shade}},
            {
                "mark": {"type": "text", "fontSize": 10, "color": "currentColor"},
                "encoding": {"text": {"field": "text"}},
            },
        ],
        "title": {"text": f"number and shade: mean {_answer(payload)}", **KEY},
    }
    low, high = min(cells, key=lambda cell: cell["answer"]), max(cells, key=lambda cell: cell["answer"])
    alt = (
        f"Mean {_answer(payload)} for each pair of {one} and {other}: from {number(low['answer'])} at {one} {low['x']} "
        f"and {other} {low['y']} to {number(high['answer'])} at {one} {high['x']} and {other} {high['y']}."
    )
    return drawn(spec, alt, f"Dependence on {one} and {other}")


def _answers(payload: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> Spec:
    return {
        "field": "answer",
        "type": "quantitative",
        "title": _answer(payload),
        "axis": {"tickCount": 6},
        "scale": {"domain": domain([point["answer"] for point in points]), "nice": True, "zero": False},
    }


def _key(payload: Mapping[str, Any], single: Sequence[Any], mark: str, more: str = "") -> str:
    grey = f"grey {mark}: one row" if single else ""
    return " · ".join(part for part in (f"orange: mean of {payload['rows']} rows", grey, more) if part)


def _told(
    payload: Mapping[str, Any],
    name: str,
    means: Sequence[Mapping[str, Any]],
    single: Sequence[Mapping[str, Any]],
) -> str:
    low, high = min(means, key=lambda point: point["answer"]), max(means, key=lambda point: point["answer"])
    found = (
        f"Mean {_answer(payload)} over {name}: lowest, {number(low['answer'])}, at {_label(low['value'])}, highest, "
        f"{number(high['answer'])}, at {_label(high['value'])}"
    )
    if not single:
        return f"{found}."
    rows: dict[int, list[float]] = {}
    for point in single:
        rows.setdefault(point["row"], []).append(point["answer"])
    spans = sorted(max(answers) - min(answers) for answers in rows.values())
    return f"{found}; of single rows the answer moves by {number(spans[0])} to {number(spans[-1])}."


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label(value: Any) -> str:
    return (
        number(float(value))
        if isinstance(value, int | float) and not isinstance(value, bool)
        else _word(value)
    )


def counterfactuals_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw how many rows each column was changed in, and which way."""
    first = [change for change in payload["changes"] if change["number"] == 1]
    if not first:
        return None
    ways = {"raised": ORANGE, "lowered": BLUE, "another value": GREY}
    counts: dict[str, dict[str, int]] = {}
    for change in first:
        way = counts.setdefault(change["column"], dict.fromkeys(ways, 0))
        way[_way(change["from"], change["to"])] += 1
    order = sorted(counts, key=lambda column: -sum(counts[column].values()))[:_MOST_BARS]
    used = [way for way in ways if any(counts[column][way] for column in order)]
    bars = [
        {"column": column, "way": way, "rows": counts[column][way], "order": used.index(way)}
        for column in order
        for way in used
        if counts[column][way]
    ]
    rows = len({change["row"] for change in first})
    most = max(sum(by_way.values()) for by_way in counts.values())
    x: Spec = {
        "field": "rows",
        "type": "quantitative",
        "title": "rows",
        "axis": {"values": [*range(0, most + 1, -(-most // 6) or 1)], "format": "d"},
    }
    spec: Spec = {
        "data": {"values": bars},
        "width": WIDTH,
        "height": 22 * len(order),
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "y": {"field": "column", "type": "nominal", "sort": order, "axis": _NAMES},
            "x": x,
            "order": {"field": "order", "type": "quantitative"},
            "color": {
                "field": "way", "type": "nominal", "scale": {"domain": used, "range": [ways[way] for way in used]},
                "legend": {"title": None, "orient": "bottom", "symbolType": "square"},
            },
        },
    }  # fmt: skip
    told = []
    for column in order[:_MOST_TOLD]:
        parts = [f"{way} in {count}" for way, count in counts[column].items() if count]
        told.append(f"{column} {' and '.join(parts)}")
    alt = (
        f"Columns changed so that the model says {payload['wanted']}, of {rows} {'row' if rows == 1 else 'rows'}: "
        f"{'; '.join(told)}{_further(len(counts) - _MOST_TOLD)}."
    )
    return drawn(spec, alt)


def _further(count: int) -> str:
    return f"; and {count} more {'column' if count == 1 else 'columns'}" if count > 0 else ""


def _way(before: Any, after: Any) -> str:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after))
    if not numbers:
        return "another value"
    return "raised" if after > before else "lowered"
