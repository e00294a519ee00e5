"""The pictures of an evaluation: the scores of its folds, and what its predictions look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import (
    BLUE,
    COLORS,
    GREY,
    KEY,
    ORANGE,
    WIDTH,
    Picture,
    Spec,
    domain,
    drawn,
    finite,
)

_SIDE = 260
_MOST_LISTED = 4
#: A curve of many is told apart by its dashes too.
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4], [3, 1], [6, 2, 2, 2], [12, 3], [1, 3]]


def evaluation_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each metric's scores as one dot per fold, with the mean and its 95 % interval."""
    scores = {metric: finite(values) for metric, values in payload["scores"].items()}
    scores = {metric: values for metric, values in scores.items() if values}
    if not scores:
        return None
    strips = [_strip(metric, values, payload["summary"][metric]) for metric, values in scores.items()]
    phrases = [
        f"{metric} from {number(min(values))} to {number(max(values))}" for metric, values in scores.items()
    ]
    alt = f"Scores of each fold, with mean and 95 % interval: {'; '.join(phrases)}."
    key = {"text": "dot: one fold · line: mean · band: 95 % interval of the mean", **KEY}
    return drawn({"vconcat": strips, "spacing": 10, "title": key}, alt)


def _strip(metric: str, values: Sequence[float], figures: Mapping[str, float | None]) -> Spec:
    mean, low, high = (figures[name] for name in ("mean", "ci_low", "ci_high"))
    x: Spec = {
        "type": "quantitative",
        "scale": {"domain": domain(finite([*values, low, high])), "nice": True},
        "axis": {"title": None, "tickCount": 6},
    }
    band = {
        "mark": {"type": "bar", "height": 16, "color": ORANGE, "opacity": 0.3, "cornerRadius": 2},
        "encoding": {"x": {**x, "datum": low}, "x2": {"datum": high}},
    }
    dots = {
        "data": {"values": [{"score": value} for value in values]},
        "mark": {"type": "point", "size": 60, "filled": True, "color": BLUE, "opacity": 0.8},
        "encoding": {"x": {**x, "field": "score"}},
    }
    line = {
        "mark": {"type": "tick", "height": 24, "thickness": 3, "color": ORANGE, "opacity": 1},
        "encoding": {"x": {**x, "datum": mean}},
    }
    label = {"title": None, "domain": False, "ticks": False, "labelPadding": 10, "labelLimit": 150}
    return {
        "data": {"values": [{}]},
        "width": WIDTH,
        "height": 28,
        "encoding": {"y": {"datum": metric, "type": "nominal", "axis": label}},
        "layer": [
            *([band] if low is not None and high is not None else []),
            dots,
            *([line] if mean is not None else []),
        ],
    }


def evaluation_pictures(payload: Mapping[str, Any]) -> list[Picture]:
    """Draw what the out-of-fold predictions allow: confusion, ROC, precision and recall, calibration, residuals."""
    points = payload.get("pictures") or {}
    found: list[Picture] = []
    if "confusion" in points:
        found.append(_confusion(points["confusion"]))
    if points.get("roc"):
        found.append(_roc(points["roc"]))
    if points.get("precision_recall"):
        found.append(_precision_recall(points["precision_recall"]))
    if points.get("calibration"):
        found.append(_calibration(points["calibration"]))
    return found + [_residuals(target) for target in points.get("residuals", ())]


def _confusion(points: Mapping[str, Any]) -> Picture:
    classes, counts = points["classes"], points["counts"]
    cells = [
        {"true": true, "predicted": said, "rows": rows, "share": rows / max(1, sum(line))}
        for true, line in zip(classes, counts, strict=True)
        for said, rows in zip(classes, line, strict=True)
    ]
    side = min(_SIDE + 60, 56 * len(classes) + 60)
    axis: Spec = {"ticks": False, "domain": False, "labelLimit": 110}
    longest = max(map(len, classes))
    leaning = longest > 8 or (len(classes) > 5 and longest > 3)
    order: Spec = {"scale": {"domain": list(classes)}, "type": "ordinal"}
    x: Spec = {
        "field": "predicted",
        "title": "predicted",
        "axis": {**axis, "labelAngle": -45 if leaning else 0},
        **order,
    }
    y: Spec = {"field": "true", "title": "true", "axis": axis, **order}
    share: Spec = {"field": "share", "type": "quantitative", "legend": None}
    spec: Spec = {
        "data": {"values": cells},
        "width": side,
        "height": side * 0.8,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "rect", "color": BLUE, "stroke": "currentColor", "strokeOpacity": 0.25},
                "encoding": {"opacity": {**share, "scale": {"domain": [0, 1], "range": [0.04, 0.7]}}},
            },
            {
                "mark": {
                    "type": "text",
                    "fontSize": 12 if len(classes) <= 10 else 9,
                    "color": "currentColor",
                },
                "encoding": {"text": {"field": "rows", "type": "quantitative"}},
            },
        ],
        "title": {"text": "number: rows · shade: share of the true class", **KEY},
    }
    lines = []
    for name, line, place in zip(classes, counts, range(len(classes)), strict=True):
        wrong = [(rows, other) for other, rows in zip(classes, line, strict=True) if rows and other != name]
        most = f", most of the others taken for {max(wrong)[1]}" if wrong else ""
        lines.append(f"of {sum(line)} rows of {name} {line[place]} are right{most}")
    return drawn(spec, f"Confusion matrix: {_told(lines)}.", "Confusion matrix")


def _told(phrases: Sequence[str]) -> str:
    more = f"; and {len(phrases) - _MOST_LISTED} more" if len(phrases) > _MOST_LISTED else ""
    return "; ".join(phrases[:_MOST_LISTED]) + more


def _roc(curves: Sequence[Mapping[str, Any]]) -> Picture:
    labels = [f"{curve['name']} (area {number(curve['area'])})" for curve in curves]
    points = [{"x": x, "y": y} for x, y in ((0, 0), (1, 1))]
    spec = _curves(curves, labels, "false positive rate", "true positive rate", points, "dashed: by chance")
    return drawn(spec, f"ROC curve of {_told(labels)}; one half would be chance.", "ROC curve")


def _precision_recall(curves: Sequence[Mapping[str, Any]]) -> Picture:
    labels = [f"{curve['name']} (average precision {number(curve['area'])})" for curve in curves]
    single = curves[0]["share"] if len(curves) == 1 else None
    points = [{"x": x, "y": single} for x in (0, 1)] if single is not None else []
    key = "dashed: by chance" if points else ""
    spec = _curves(curves, labels, "recall", "precision", points, key)
    chance = f"; {number(single)} would be chance" if single is not None else ""
    return drawn(spec, f"Precision over recall of {_told(labels)}{chance}.", "Precision and recall")


def _calibration(curves: Sequence[Mapping[str, Any]]) -> Picture:
    labels = [str(curve["name"]) for curve in curves]
    points = [{"x": x, "y": y} for x, y in ((0, 0), (1, 1))]
    spec = _curves(curves, labels, "mean predicted probability", "share that was true", points, "", dots=True)
    del spec["title"]
    bars = [
        {"x": mean, "rows": rows, "curve": label}
        for curve, label in zip(curves, labels, strict=True)
        for mean, _, rows in curve["points"]
    ]
    x: Spec = {"field": "x", "type": "quantitative", "scale": {"domain": [0, 1]}, "title": None}
    below: Spec = {
        "data": {"values": bars},
        "width": _SIDE + 60,
        "height": 50,
        "mark": {"type": "bar", "width": 10, "opacity": 0.8},
        "encoding": {
            "x": {**x, "axis": {"labels": False, "ticks": False, "grid": False}},
            "y": {
                "field": "rows",
                "type": "quantitative",
                "title": "rows",
                "stack": True,
                "axis": {"tickCount": 2},
            },
            "color": _color(labels),
        },
    }
    whole: Spec = {
        "vconcat": [spec, below],
        "spacing": 8,
        "title": {"text": "dashed: perfect · size and bars: rows in each tenth", **KEY},
    }
    off = [
        f"{label}: off by {number(_miscalibration(curve['points']))} on average"
        for curve, label in zip(curves, labels, strict=True)
    ]
    return drawn(
        whole,
        f"Calibration, how often what was given a probability came true: {_told(off)}.",
        "Calibration",
    )


def _miscalibration(points: Sequence[Sequence[float]]) -> float:
    """Return the mean distance of what was said from what was true, each tenth by its rows."""
    return sum(abs(mean - share) * rows for mean, share, rows in points) / max(
        1, sum(point[2] for point in points)
    )


def _color(labels: Sequence[str]) -> Spec:
    legend: Spec | None = {
        "title": None,
        "orient": "bottom",
        "columns": 2,
        "symbolType": "stroke",
        "labelLimit": 260,
    }
    scale = {"domain": list(labels), "range": COLORS[: len(labels)]}
    return {"field": "curve", "type": "nominal", "scale": scale, "legend": legend, "sort": None}


def _curves(
    curves: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    x_title: str,
    y_title: str,
    chance: Sequence[Mapping[str, float]],
    key: str,
    *,
    dots: bool = False,
) -> Spec:
    values = [
        {"x": point[0], "y": point[1], "curve": label, "place": place, "rows": point[2] if dots else 1}
        for curve, label in zip(curves, labels, strict=True)
        for place, point in enumerate(curve["points"])
    ]
    unit = {"domain": [0, 1], "nice": False}
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "title": x_title,
        "scale": unit,
        "axis": {"tickCount": 5},
    }
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "title": y_title,
        "scale": unit,
        "axis": {"tickCount": 5},
    }
    dash: Spec = {"field": "curve", "type": "nominal", "sort": None, "legend": None}
    dash["scale"] = {"domain": list(labels), "range": _DASHES[: len(labels)]}
    line: Spec = {
        "data": {"values": values},
        "mark": {
            "type": "line",
            "strokeWidth": 2.2,
            "clip": True,
            "opacity": 0.45 if dots else 1,
        },
        "encoding": {
            "x": x,
            "y": y,
            "order": {"field": "place", "type": "quantitative"},
            "color": _color(labels),
            **({"strokeDash": dash} if len(labels) > 1 else {}),
        },
    }
    places: Spec = {
        "data": {"values": values},
        "mark": {"type": "point", "filled": True, "opacity": 0.9},
        "encoding": {
            "x": x,
            "y": y,
            "color": _color(labels),
            "size": {"field": "rows", "type": "quantitative", "legend": None, "scale": {"range": [12, 160]}},
        },
    }
    straight: Spec = {
        "data": {"values": list(chance)},
        "mark": {"type": "line", "color": GREY, "strokeDash": [4, 4], "strokeWidth": 1.5},
        "encoding": {"x": x, "y": y},
    }
    return {
        "width": _SIDE + 60,
        "height": _SIDE,
        "layer": [*([straight] if chance else []), line, *([places] if dots else [])],
        "title": {"text": key, **KEY},
    }


def _residuals(target: Mapping[str, Any]) -> Picture:
    values = [{"predicted": predicted, "residual": missed} for predicted, missed in target["points"]]
    of = f" of {target['name']}" if target["name"] else ""
    x: Spec = {
        "field": "predicted",
        "type": "quantitative",
        "title": f"predicted{of}",
        "axis": {"tickCount": 6},
    }
    x["scale"] = {"domain": domain([value["predicted"] for value in values]), "nice": True}
    y: Spec = {
        "field": "residual",
        "type": "quantitative",
        "title": "target minus prediction",
        "axis": {"tickCount": 6},
    }
    y["scale"] = {"domain": domain([0.0, *(value["residual"] for value in values)]), "nice": True}
    drawn_rows = (
        f"{len(values)} of {target['rows']} rows" if len(values) < target["rows"] else f"{len(values)} rows"
    )
    spec: Spec = {
        "data": {"values": values},
        "width": WIDTH,
        "height": 220,
        "layer": [
            {
                "data": {"values": [{}]},
                "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 2},
                "encoding": {"y": {"datum": 0, "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 35, "color": BLUE, "opacity": 0.7},
                "encoding": {"x": x, "y": y},
            },
        ],
        "title": {"text": f"dot: one row, {drawn_rows} · line: no error", **KEY},
    }
    largest = max((abs(value["residual"]) for value in values), default=0.0)
    alt = f"Residuals{of} over predictions of {drawn_rows}; the largest is {number(largest)}."
    return drawn(spec, alt, f"Residuals{of}")
