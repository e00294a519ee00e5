"""Many points as what can be seen of them: how many lie in each small part of a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from modelyard_widgets.drawing import BLUE, Spec

#: Above, a picture of dots takes too long and too many bytes, and the dots hide one another.
MOST_DOTS = 300
COUNTED = "blue: the more trials, the darker"
_COLUMNS, _ROWS = 36, 18

Point = tuple[float, float]


def counted(points: Sequence[Point], log: bool = False) -> list[Spec]:
    """Return the parts that hold points: their ends, and the count as a ``share`` of the most.

    With `log`, parts are of equal width on the logarithm of x.
    """
    if not points:
        return []
    xs, ys = [math.log(x) if log else x for x, _ in points], [y for _, y in points]
    (left, width), (low, height) = _parts(xs, _COLUMNS), _parts(ys, _ROWS)
    found = Counter(
        (min(int((x - left) / width), _COLUMNS - 1), min(int((y - low) / height), _ROWS - 1))
        for x, y in zip(xs, ys, strict=True)
    )
    most = max(found.values())

    def end(place: int) -> float:
        at = left + place * width
        return math.exp(at) if log else at

    return [
        {
            "x": end(column),
            "x2": end(column + 1),
            "y": low + row * height,
            "y2": low + (row + 1) * height,
            "share": math.sqrt(count / most),
        }
        for (column, row), count in found.items()
    ]


def counts(parts: Sequence[Spec], x: Spec, y: Spec) -> Spec:
    """Return the layer that draws `counted` parts on the axes `x` and `y`."""
    shade: Spec = {"field": "share", "type": "quantitative", "legend": None}
    shade["scale"] = {"domain": [0, 1], "range": [0.15, 1]}
    return {
        "data": {"values": list(parts)},
        "mark": {"type": "rect", "color": BLUE},
        "encoding": {
            "x": {**x, "field": "x"},
            "x2": {"field": "x2"},
            "y": {**y, "field": "y"},
            "y2": {"field": "y2"},
            "opacity": shade,
        },
    }


def _parts(values: Sequence[float], count: int) -> tuple[float, float]:
    """Return where the first part begins, and how wide each is."""
    low, high = min(values), max(values)
    return low, (high - low) / count or 1.0
