"""The last minutes of an endpoint in a small picture."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard_widgets.drawing import BLUE, ORANGE, WIDTH, Picture, Spec, drawn
from modelyard_widgets.endpoint_reading import Pace

_HEIGHT = 64
_SPAN_S = 300


def history_picture(history: Sequence[tuple[float, Pace]]) -> Picture | None:
    """Return requests a second and the 95 % quantile of latency over the last five minutes; ``None`` of no time."""
    if len(history) < 2:
        return None
    rows = [
        {"s": round(at, 1), "rate": pace.rate, "ms": None if pace.p95_s is None else 1e3 * pace.p95_s}
        for at, pace in history
    ]
    span = max(30.0, min(_SPAN_S, -history[0][0]))
    last = history[-1][1]
    slow = "nothing was asked" if last.p95_s is None else f"95 % answered within {1e3 * last.p95_s:.3g} ms"
    alt = (
        f"Over the last {span:.0f} s, at most {max(pace.rate for _, pace in history):.1f} requests a second; "
        f"now {last.rate:.1f}, and {slow}."
    )
    spec: Spec = {
        "data": {"values": rows},
        "vconcat": [
            _chart("rate", "requests/s", BLUE, span, max(pace.rate for _, pace in history)),
            _chart("ms", "p95 ms", ORANGE, span, max(1e3 * (pace.p95_s or 0.0) for _, pace in history)),
        ],
        "spacing": 8,
    }
    return drawn(spec, alt)


def _chart(what: str, title: str, color: str, span: float, most: float) -> Spec:
    below = what == "ms"
    return {
        "width": WIDTH - 60,
        "height": _HEIGHT,
        "mark": {"type": "area", "line": {"color": color}, "color": color, "opacity": 0.3},
        "encoding": {
            "x": {
                "field": "s",
                "type": "quantitative",
                "scale": {"domain": [-span, 0]},
                "axis": {"title": "seconds before now" if below else None, "labels": below, "tickCount": 6},
            },
            "y": {
                "field": what,
                "type": "quantitative",
                "scale": {"domain": [0, most or 1.0], "nice": True},
                "axis": {"title": title, "tickCount": 3},
            },
        },
    }
