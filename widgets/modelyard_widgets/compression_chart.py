"""The picture of a compression: the score of every candidate over the size of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.presentation import number
from modelyard.units import size_text
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
    finite,
)

_LOOKS = {
    "original": (GREY, "square"),
    "pruning": (BLUE, "circle"),
    "quantization": (GREEN, "triangle-up"),
    "distillation": (VIOLET, "triangle-down"),
}
_OTHER = ("#2a8f9d", "cross")
_FAINT = 0.45


def compression_chart(payload: Mapping[str, Any], picked: Mapping[str, Any] | None = None) -> Picture | None:
    """Draw score over size (log), coloured by technique: those on the front full, dominated ones faint and grey.

    `picked` is the candidate that somebody looks at: it stands out, and is seen however bad it is.
    """
    metric = payload["metric"]
    points = [
        {
            "technique": each["technique"] if each["technique"] in _LOOKS else "combined",
            "what": f"{each['technique']} {each['settings']}".strip(),
            "kB": each["size_bytes"] / 1000,
            "score": each["score"],
            "low": each["ci_low"],
            "high": each["ci_high"],
            "on_front": each["on_front"],
            "chosen": each["chosen"],
            "picked": each is picked,
            "shown": each["on_front"] or each["chosen"] or each["technique"] == "original" or each is picked,
        }
        for each in payload["candidates"]
        if each["size_bytes"] and each["score"] is not None
    ]
    if not points:
        return None
    kinds = [kind for kind in (*_LOOKS, "combined") if any(point["technique"] == kind for point in points)]
    looks = [_LOOKS.get(kind, _OTHER) for kind in kinds]
    clear = [point for point in points if point["shown"]]
    sizes = [point["kB"] for point in points]
    x: Spec = {
        "field": "kB",
        "type": "quantitative",
        "title": "size of the ONNX file (kB), log scale",
        "scale": {"type": "log", "domain": [0.75 * min(sizes), 1.35 * max(sizes)], "nice": False},
        "axis": {"tickCount": 5, "grid": True, "format": "~g"},
    }
    y: Spec = {
        "field": "score",
        "type": "quantitative",
        "title": metric if payload["greater_is_better"] else f"{metric} (less is better)",
        "scale": {"domain": _shown_scores(points), "nice": True, "clamp": True},
        "axis": {"tickCount": 6},
    }
    shape: Spec = {
        "field": "technique",
        "type": "nominal",
        "title": None,
        "scale": {"domain": kinds, "range": [look for _, look in looks]},
    }
    color: Spec = {
        **{key: value for key, value in shape.items() if key != "scale"},
        "scale": {"domain": kinds, "range": [color for color, _ in looks]},
        "legend": {"orient": "bottom", "columns": 3, "symbolOpacity": 1},
    }
    spec: Spec = {
        "width": WIDTH,
        "height": 240,
        "layer": [  # the legend looks like the first layer that has its scales
            {
                "data": {"values": [p for p in clear if p["chosen"] and p["low"] is not None]},
                "mark": {"type": "rule", "color": ORANGE, "strokeWidth": 1.5, "opacity": 0.8, "clip": True},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": clear},
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 0.95},
                "encoding": {"x": x, "y": y, "shape": shape, "color": color},
            },
            {
                "data": {"values": [point for point in points if not point["shown"]]},
                "mark": {"type": "point", "filled": True, "size": 40, "color": GREY, "opacity": _FAINT},
                "encoding": {"x": x, "y": y, "shape": shape},
            },
            {
                "data": {"values": [point for point in points if point["chosen"]]},
                "mark": {"type": "point", "filled": False, "size": 280, "strokeWidth": 2.5, "color": ORANGE},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": [point for point in points if point["picked"]]},
                "mark": {
                    "type": "point",
                    "filled": False,
                    "shape": "square",
                    "size": 420,
                    "strokeWidth": 2,
                    "color": "currentColor",
                },
                "encoding": {"x": x, "y": y},
            },
        ],
        "title": {
            "text": "ring: chosen, with its 95 % interval · grey and faint: beaten by another one"
            + (" · square: picked" if picked else ""),
            **KEY,
        },
    }
    return drawn(spec, _told(payload, points))


def _shown_scores(points: list[dict[str, Any]]) -> list[float]:
    """Return the ends of the axis: very bad candidates do not squeeze the others together."""
    clear = finite([point["score"] for point in points if point["shown"]])
    ends = finite([end for point in points if point["chosen"] for end in (point["low"], point["high"])])
    return domain([*clear, *ends])


def _told(payload: Mapping[str, Any], points: list[dict[str, Any]]) -> str:
    metric, count = payload["metric"], len(points)
    chosen = next((point for point in points if point["chosen"]), None)
    original = next((point for point in points if point["technique"] == "original"), None)
    words = f"{metric} of {count} models against the size of their files"
    if chosen is None or original is None or chosen is original:
        return f"{words}; the original stays."
    return (
        f"{words}. Chosen: {chosen['what']}, {size_text(1000 * chosen['kB'])} with {metric} {number(chosen['score'])}; "
        f"the original has {size_text(1000 * original['kB'])} and {number(original['score'])}."
    )
