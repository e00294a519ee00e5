"""The pictures of each kind of result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelyard_widgets.comparison_chart import comparison_chart
from modelyard_widgets.compression_chart import compression_chart
from modelyard_widgets.dependence_charts import (
    counterfactuals_chart,
    dependence_chart,
    dependence_pictures,
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
    drawn,
)
from modelyard_widgets.evaluation_charts import evaluation_chart, evaluation_pictures
from modelyard_widgets.explanation_charts import attribution_chart, attribution_pictures
from modelyard_widgets.fairness_charts import fairness_chart, fairness_pictures
from modelyard_widgets.study_charts import study_chart

__all__ = ["Picture", "chart", "evaluation_chart", "further_charts", "study_chart", "traffic_chart"]


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
