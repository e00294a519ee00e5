"""The pictures of a study's parameters: their importance, all of them together, and one over its values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.presentation import number
from modelyard_widgets.density import COUNTED, MOST_DOTS, counted, counts
from modelyard_widgets.drawing import BLUE, KEY, ORANGE, WIDTH, Picture, Spec, domain, drawn

_MOST_LINES = 60
_MOST_AXES = 8
_MOST_LABELS = 6
_LEAST_LABELS = 2
_PARTS = 24
_NAMES: Spec = {"title": None, "ticks": False, "domain": False, "labelPadding": 6, "labelLimit": 200}


@dataclass(frozen=True)
class Trials:
    """The complete trials of a study.

    Attributes
    ----------
    metric : str
    minimize : bool
    values : list of float
    params : list of dict
        Of each trial.
    log : set of str
        The parameters whose range is logarithmic.
    """

    metric: str
    minimize: bool
    values: list[float]
    params: list[Mapping[str, Any]]
    log: frozenset[str] = frozenset()

    @classmethod
    def of(cls, payload: Mapping[str, Any], log: frozenset[str] = frozenset()) -> Trials:
        complete = [
            trial for trial in payload["history"] if trial["value"] is not None and trial.get("params")
        ]
        minimize = payload["direction"] == "minimize"
        values = [trial["value"] for trial in complete]
        return cls(payload["metric"], minimize, values, [trial["params"] for trial in complete], log)

    @property
    def names(self) -> list[str]:
        """The parameters that took more than one value, in their order."""
        every = dict.fromkeys(name for params in self.params for name in params)
        return [name for name in every if len({repr(params.get(name)) for params in self.params}) > 1]

    def best_first(self) -> list[int]:
        return sorted(range(len(self.values)), key=lambda i: self.values[i] * (1 if self.minimize else -1))


def importance_picture(shares: Mapping[str, float], what: str) -> Picture | None:
    """Draw the importance of each parameter, the largest first; `what` says of what."""
    bars = [{"name": name, "share": share, "text": f"{100 * share:.0f}%"} for name, share in shares.items()]
    if not bars:
        return None
    y: Spec = {"field": "name", "type": "nominal", "sort": [bar["name"] for bar in bars], "axis": _NAMES}
    x: Spec = {"field": "share", "type": "quantitative", "title": "importance", "axis": {"format": "%"}}
    x["scale"] = {"domain": [0, 1.15 * max(shares.values()) or 1]}
    text: Spec = {"type": "text", "align": "left", "dx": 4, "color": "currentColor", "fontSize": 11}
    spec: Spec = {
        "data": {"values": bars},
        "width": WIDTH,
        "height": 24 * len(bars),
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": BLUE, "height": 14, "cornerRadiusEnd": 2}},
            {"mark": text, "encoding": {"text": {"field": "text"}}},
        ],
    }
    told = ", ".join(f"{bar['name']} {bar['text']}" for bar in bars[:4])
    return drawn(spec, f"Importance of the parameters for {what}, the largest first: {told}.")


class _Axis:
    """Where the values of one parameter lie between 0 and 1, and what is written beside."""

    def __init__(self, name: str, values: Sequence[Any], log: bool) -> None:
        self.name = name
        known = [value for value in values if value is not None]
        self._numbers = bool(known) and all(_is_number(value) for value in known)
        self._log = log and self._numbers and min(known) > 0
        if self._numbers:
            low, high = min(known), max(known)
            self._low, self._spread = self._at(low), (self._at(high) - self._at(low)) or 1.0
            self.ticks = [(0.0, number(low)), (1.0, number(high))]
        else:
            self._choices = sorted({_word(value) for value in values})
            steps = max(1, len(self._choices) - 1)
            shown = (
                self._choices if len(self._choices) <= _MOST_LABELS else [self._choices[0], self._choices[-1]]
            )
            self.ticks = [(self._choices.index(word) / steps, word) for word in shown]

    def place(self, value: Any) -> float | None:
        if self._numbers:
            return None if value is None else (self._at(value) - self._low) / self._spread
        return self._choices.index(_word(value)) / max(1, len(self._choices) - 1)

    def _at(self, value: float) -> float:
        return math.log(value) if self._log else float(value)


def parallel_picture(trials: Trials) -> Picture | None:
    """Draw each of the best trials as a line over all its parameters; the better, the more orange."""
    names = trials.names[:_MOST_AXES]
    if not names or not trials.values:
        return None
    best = trials.best_first()[:_MOST_LINES]
    axes = [_Axis(name, [trials.params[i].get(name) for i in best], name in trials.log) for name in names]
    score = _Axis(trials.metric, [trials.values[i] for i in best], False)
    points = [
        {"trial": rank, "axis": axis.name, "place": place, "level": 1 - rank / max(1, len(best) - 1)}
        for rank, i in reversed(list(enumerate(best)))
        for axis, value in [
            *((axis, trials.params[i].get(axis.name)) for axis in axes),
            (score, trials.values[i]),
        ]
        if (place := axis.place(value)) is not None
    ]
    order = [axis.name for axis in (*axes, score)]
    labels = [
        {"axis": axis.name, "place": at, "text": text[:14]}
        for axis in (*axes, score)
        for at, text in axis.ticks
    ]
    x: Spec = {"field": "axis", "type": "nominal", "sort": order, "scale": {"padding": 0.4}}
    x["axis"] = {"title": None, "labelAngle": 0 if len(order) <= _MOST_LABELS - 1 else -25, "labelLimit": 150}
    x["axis"] |= {
        "labelOverlap": False,
        "grid": True,
        "gridOpacity": 0.5,
        "domain": False,
        "ticks": False,
        "labelPadding": 16,
    }
    y: Spec = {"field": "place", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1]}}
    color: Spec = {"field": "level", "type": "quantitative", "legend": None}
    color["scale"] = {"domain": [0, 1], "range": [BLUE, ORANGE], "interpolate": "lab"}
    spec: Spec = {
        "width": max(WIDTH, 118 * len(order)),
        "height": 200,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "data": {"values": points},
                "mark": {"type": "line", "strokeWidth": 1.6, "opacity": 0.7},
                "encoding": {
                    "detail": {"field": "trial", "type": "nominal"},
                    "color": color,
                    "order": {"field": "axis", "type": "nominal", "sort": order},
                },
            },
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 11, "color": "currentColor"},
                "encoding": {"text": {"field": "text"}},
            },
        ],
        "title": {"text": f"line: one of the best {len(best)} trials · orange: the best of them", **KEY},
    }
    first = trials.params[best[0]]
    told = ", ".join(f"{name} {_shown(first.get(name))}" for name in names)
    return drawn(
        spec,
        f"The best {len(best)} of {len(trials.values)} trials over their parameters; the best has {told}.",
    )


def slice_picture(trials: Trials, name: str) -> Picture | None:
    """Draw the value of each trial over one parameter; of many, how many lie where and the best in each part."""
    pairs = [
        (params[name], value)
        for params, value in zip(trials.params, trials.values, strict=True)
        if params.get(name) is not None
    ]
    if not pairs:
        return None
    if not all(_is_number(at) for at, _ in pairs):
        return _choices_picture(trials, name, [(_word(at), value) for at, value in pairs])
    log = name in trials.log and min(at for at, _ in pairs) > 0
    many = len(pairs) > MOST_DOTS
    ends = [min(at for at, _ in pairs), max(at for at, _ in pairs)]
    x: Spec = {"type": "quantitative", "title": f"{name}, log scale" if log else name}
    x |= {"axis": {"tickCount": 6, "grid": False}, "scale": {"zero": False, "nice": False, "padding": 8}}
    if log:
        x["scale"] |= {"type": "log"}
        x["axis"] |= {"format": "~g", "tickCount": 4}
    y = _scores(trials)
    dots: Spec = {
        "data": {"values": [{"at": at, "value": value} for at, value in pairs]},
        "mark": {"type": "point", "size": 45, "filled": True, "color": BLUE, "opacity": 0.75},
        "encoding": {"x": {**x, "field": "at"}, "y": {**y, "field": "value"}},
    }
    line: Spec = {
        "data": {"values": _best_of_parts(pairs, log, trials.minimize)},
        "mark": {"type": "line", "color": ORANGE, "strokeWidth": 2.5},
        "encoding": {"x": {**x, "field": "at"}, "y": {**y, "field": "value"}},
    }
    best = (min if trials.minimize else max)(pairs, key=lambda pair: pair[1])
    spec: Spec = {
        "width": WIDTH,
        "height": 200,
        "layer": [counts(counted(pairs, log), x, y), line] if many else [dots],
        "title": {"text": f"{COUNTED} · line: best in each part" if many else "dot: one trial", **KEY},
    }
    return drawn(
        spec,
        f"{trials.metric} of {len(pairs)} trials over {name}, from {number(ends[0])} to {number(ends[1])}; the best, "
        f"{number(best[1])}, is at {number(best[0])}.",
    )


def _choices_picture(trials: Trials, name: str, pairs: Sequence[tuple[str, float]]) -> Picture:
    best = min if trials.minimize else max
    groups: dict[str, list[float]] = {}
    for word, value in pairs:
        groups.setdefault(word, []).append(value)
    order = sorted(groups)
    x: Spec = {"field": "at", "type": "nominal", "title": name, "sort": order}
    x["axis"] = {"labelAngle": 0 if len(order) <= _MOST_LABELS else -30, "labelLimit": 120, "grid": False}
    y = _scores(trials)
    step = -(-len(pairs) // MOST_DOTS)
    spec: Spec = {
        "width": WIDTH,
        "height": 200,
        "layer": [
            {
                "data": {"values": [{"at": word, "value": value} for word, value in pairs[::step]]},
                "mark": {"type": "tick", "thickness": 2, "width": 26, "color": BLUE, "opacity": 0.45},
                "encoding": {"x": x, "y": {**y, "field": "value"}},
            },
            {
                "data": {"values": [{"at": word, "value": best(values)} for word, values in groups.items()]},
                "mark": {
                    "type": "point",
                    "filled": True,
                    "shape": "diamond",
                    "size": 90,
                    "color": ORANGE,
                    "opacity": 1,
                },
                "encoding": {"x": x, "y": {**y, "field": "value"}},
            },
        ],
        "title": {
            "text": f"blue: one trial{f' of {step}' if step > 1 else ''} · orange: best of the value",
            **KEY,
        },
    }
    told = "; ".join(
        f"{word} {number(best(groups[word]))} in {len(groups[word])}" for word in order[:_MOST_LABELS]
    )
    return drawn(spec, f"{trials.metric} of {len(pairs)} trials by {name}; the best of each value: {told}.")


def _scores(trials: Trials) -> Spec:
    y: Spec = {"type": "quantitative", "title": trials.metric, "axis": {"tickCount": 6}}
    y["scale"] = {"domain": domain(trials.values), "nice": True}
    return y


def _best_of_parts(pairs: Sequence[tuple[float, float]], log: bool, minimize: bool) -> list[Spec]:
    at = [math.log(where) if log else where for where, _ in pairs]
    low, width = min(at), (max(at) - min(at)) / _PARTS or 1.0
    found: dict[int, float] = {}
    for where, (_, value) in zip(at, pairs, strict=True):
        part = min(int((where - low) / width), _PARTS - 1)
        found[part] = (min if minimize else max)(found.get(part, value), value)
    middles = {part: low + (part + 0.5) * width for part in found}
    return [
        {"at": math.exp(middles[part]) if log else middles[part], "value": found[part]}
        for part in sorted(found)
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(value: Any) -> str:
    return "–" if value is None else str(value)


def _shown(value: Any) -> str:
    return number(value) if isinstance(value, float) else _word(value)
