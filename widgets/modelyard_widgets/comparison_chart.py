"""The picture of a comparison: every model's scores on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.drawing import BLUE, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn, finite

_MOST_DOTS = 200  # of a model; leave-one-out has one per row


def comparison_chart(payload: Mapping[str, Any]) -> Picture | None:
    """Draw each model's score in each fold, with the mean and its 95 % interval, on the scale that all share."""
    scores = {model: finite(values) for model, values in payload["scores"].items()}
    means = {
        model: {"model": model, **payload["summary"][model]}
        for model in scores
        if payload["summary"][model]["mean"] is not None
    }
    if not means:
        return None
    metric, models = payload["metric"], list(scores)
    dots = [
        {"model": model, "score": value}
        for model, values in scores.items()
        for value in values[:: max(1, len(values) // _MOST_DOTS)]
    ]
    ends = [figures[end] for figures in means.values() for end in ("mean", "ci_low", "ci_high")]
    title = metric if payload["greater_is_better"] else f"{metric} (less is better)"
    y: Spec = {
        "field": "model",
        "type": "nominal",
        "sort": models,
        "axis": {"title": None, "labelLimit": 200},
    }
    x: Spec = {
        "type": "quantitative",
        "title": title,
        "scale": {"domain": domain(finite([*ends, *(dot["score"] for dot in dots)])), "nice": True},
        "axis": {"tickCount": 6},
    }
    spec: Spec = {
        "width": WIDTH,
        "height": 36 * len(models),
        "title": {"text": "dot: one fold · line: mean · band: 95 % interval of the mean", **KEY},
        "layer": [
            {
                "data": {"values": [each for each in means.values() if each["ci_low"] is not None]},
                "mark": {"type": "bar", "height": 16, "color": ORANGE, "opacity": 0.3, "cornerRadius": 2},
                "encoding": {"y": y, "x": {**x, "field": "ci_low"}, "x2": {"field": "ci_high"}},
            },
            {
                "data": {"values": dots},
                "mark": {"type": "point", "size": 50, "filled": True, "color": BLUE, "opacity": 0.7},
                "encoding": {"y": y, "x": {**x, "field": "score"}},
            },
            {
                "data": {"values": list(means.values())},
                "mark": {"type": "tick", "height": 24, "thickness": 3, "color": ORANGE, "opacity": 1},
                "encoding": {"y": y, "x": {**x, "field": "mean"}},
            },
        ],
    }
    phrases = [f"{model} {number(figures['mean'])}" for model, figures in means.items()]
    return drawn(
        spec,
        f"Scores of each model in each fold, with mean and 95 % interval of {title}: {'; '.join(phrases)}.",
    )
