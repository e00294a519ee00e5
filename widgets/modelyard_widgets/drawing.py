"""How every picture is drawn: Vega-Lite rendered to SVG in this process, without a browser or a network.

The specifications are written out because importing altair to build them costs 1.8 s before the first
result of a notebook can show; vl-convert brings Vega-Lite itself and imports in 5 ms.

Text and lines are drawn in ``currentColor``: a panel sets it to the page's colour, and an ``<img>`` alone
falls back to a grey that reads on white and on black. Marks have a contrast of 3:1 on both.

Room for words is measured in a font that vl-convert holds itself, about as wide as the widest that a page may have;
measured in the page's own, of the system, a picture takes four times as long.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert

Spec = dict[str, Any]

_VEGA_LITE = "6.1"
WIDTH = 440
BLUE, ORANGE, GREY = "#3b87c8", "#d9730d", "#777777"
GREEN, VIOLET = "#2b8a5e", "#9a5bc0"
#: Of up to ten curves in one picture; each also has its own dashes.
COLORS = [BLUE, ORANGE, GREEN, VIOLET, "#c2455e", "#2a8f9d", "#a07d1c", "#8a6d5b", "#6a7fdb", GREY]
_MEASURED, _SHOWN = "Liberation Mono", "system-ui, 'DejaVu Sans', sans-serif"
_CONFIG: Spec = {
    "background": "transparent",
    "aria": False,  # the whole has words of its own
    "font": _MEASURED,
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
KEY: Spec = {
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
    title: str = ""

    @property
    def data_uri(self) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def drawn(spec: Spec, alt: str, title: str = "") -> Picture:
    """Render a specification; `alt` says in words what it shows."""
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **spec}
    svg = vl_convert.vegalite_to_svg(whole, vl_version=_VEGA_LITE, allowed_base_urls=[])
    svg = svg.replace(f'font-family="{_MEASURED}"', f'font-family="{_SHOWN}"')
    return Picture(svg.replace("<svg ", f'<svg color="{GREY}" ', 1), alt, title)


def finite(values: Sequence[float | None]) -> list[float]:
    """Return the values that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]


def domain(values: Sequence[float]) -> list[float]:
    """Return the ends of an axis that shows the values with some room around."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.05
    return [low - room, high + room]
