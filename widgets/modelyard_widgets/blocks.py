"""What panels are made of: plain JSON that ``page/*.js`` draws; ``page/types.js`` says it for the page.

A block has a key that no other block of its panel has. What is shown again under the same key is changed in its
place, and keeps the reader's focus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from modelyard.presentation import Table
from modelyard_widgets.drawing import Picture

Block = dict[str, Any]
Control = dict[str, Any]
Tone = Literal["good", "warning", "error"]


def sentence(text: str, key: str = "sentence") -> Block:
    """Return what the panel says first."""
    return {"key": key, "type": "sentence", "text": text}


def heading(key: str, text: str) -> Block:
    return {"key": key, "type": "heading", "text": text}


def text(key: str, text: str) -> Block:
    return {"key": key, "type": "text", "text": text}


def told(key: str, text: str = "", tone: Tone = "good") -> Block:
    """Return a line that a screen reader reads when it changes; without text it is not seen."""
    return {"key": key, "type": "told", "text": text, "tone": tone}


def notes(items: Iterable[str], key: str = "notes") -> Block:
    return {"key": key, "type": "notes", "items": list(items)}


def figure(label: str, value: str, note: str = "", tone: Tone | None = None) -> dict[str, Any]:
    """One of `figures`."""
    return {"label": label, "value": value, "note": note, **({"tone": tone} if tone else {})}


def figures(key: str, shown: Iterable[dict[str, Any]], live: bool = False) -> Block:
    """Return the few numbers that are looked at first; a screen reader says `live` ones when they change."""
    return {"key": key, "type": "figures", "figures": list(shown), **({"live": True} if live else {})}


def bar(label: str, value: str, share: float, tone: Tone | None = None) -> dict[str, Any]:
    """One of `bars`: its number in words, and how long it is, from 0 to 1."""
    return {"label": label, "value": value, "share": share, **({"tone": tone} if tone else {})}


def bars(key: str, title: str, shown: Iterable[dict[str, Any]]) -> Block:
    """Shares by their names: probabilities, what is spread over variants."""
    return {"key": key, "type": "bars", "title": title, "bars": list(shown)}


def progress(key: str, text: str, value: float | None, of: float) -> Block:
    """How far something is; ``None`` where nobody knows."""
    return {"key": key, "type": "progress", "text": text, "value": value, "max": of}


def code(key: str, text: str, label: str = "Code") -> Block:
    """Text to copy."""
    return {"key": key, "type": "code", "text": text, "label": label}


def picture(key: str, shown: Picture) -> Block:
    return {"key": key, "type": "picture", "svg": shown.svg, "alt": shown.alt, "title": shown.title}


def table(key: str, shown: Table, title: str, choose: str | None = None, chosen: int | None = None) -> Block:
    """Return a table; with `choose`, each row can be chosen, and ``do`` is told that key and the row's place."""
    block: Block = {"key": key, "type": "table", "title": title}
    block |= {"columns": list(shown.columns), "rows": [list(row) for row in shown.rows]}
    return block | ({"choose": choose, "chosen": chosen} if choose else {})


def group(key: str, blocks: Sequence[Block], layout: Literal["cells", "pinned"] | None = None) -> Block:
    """Blocks side by side where there is room; equally wide, or seen while what is below them is scrolled."""
    return {"key": key, "type": "group", "blocks": list(blocks), **({"layout": layout} if layout else {})}


def stack(key: str, blocks: Sequence[Block]) -> Block:
    """Blocks below each other, which are shown again together."""
    return {"key": key, "type": "stack", "blocks": list(blocks)}


def details(key: str, title: str, blocks: Sequence[Block], is_open: bool = False) -> Block:
    """Blocks that open on demand."""
    return {"key": key, "type": "details", "title": title, "blocks": list(blocks), "open": is_open}


def tabs(key: str, views: Mapping[str, Sequence[Block]], title: str = "Views") -> Block:
    """Return views by their labels, of which one is seen; ``do`` is told `key` and the label of the one opened."""
    shown = [{"key": label, "label": label, "blocks": list(blocks)} for label, blocks in views.items()]
    return {"key": key, "type": "tabs", "title": title, "tabs": shown}


def controls(key: str, *shown: Control) -> Block:
    return {"key": key, "type": "controls", "controls": list(shown)}


def slider(
    key: str,
    label: str,
    value: float,
    low: float,
    high: float,
    step: float | Literal["any"] = "any",
    **more: Any,
) -> Control:
    return {
        "key": key,
        "type": "range",
        "label": label,
        "value": value,
        "min": low,
        "max": high,
        "step": step,
        **more,
    }


def number_field(key: str, label: str, value: float | None, **more: Any) -> Control:
    """`more` may be min, max, step, help, disabled."""
    return {"key": key, "type": "number", "label": label, "value": value, "step": "any", **more}


def text_field(
    key: str, label: str, value: str = "", suggestions: Sequence[str] | None = None, **more: Any
) -> Control:
    offered = {"suggestions": list(suggestions)} if suggestions else {}
    return {"key": key, "type": "text", "label": label, "value": value, **offered, **more}


def choice(
    key: str, label: str, options: Iterable[str | tuple[str, str]], value: str, **more: Any
) -> Control:
    """One of several: each a value, or a value and its label. Few are better as ``type="radio"``."""
    pairs = [(each, each) if isinstance(each, str) else each for each in options]
    shown = [{"value": value, "label": label} for value, label in pairs]
    return {"key": key, "type": "select", "label": label, "value": value, "options": shown, **more}


def check(key: str, label: str, value: bool = False, **more: Any) -> Control:
    return {"key": key, "type": "check", "label": label, "value": value, **more}


def button(key: str, label: str, tone: Literal["primary", "danger"] | None = None, **more: Any) -> Control:
    """`more`: ``disabled``, ``help``, and ``always`` for what may be used while the panel is busy, such as Stop."""
    return {"key": key, "type": "button", "label": label, **({"tone": tone} if tone else {}), **more}


def replaced(blocks: Sequence[Block], fresh: Mapping[str, Block]) -> list[Block]:
    """Return `blocks` where each that `fresh` has a newer one of is that one, however deep it is."""
    found: list[Block] = []
    for block in blocks:
        now = fresh.get(block["key"], block)
        if "blocks" in now:
            now = {**now, "blocks": replaced(now["blocks"], fresh)}
        if "tabs" in now:
            now = {**now, "tabs": [{**tab, "blocks": replaced(tab["blocks"], fresh)} for tab in now["tabs"]]}
        found.append(now)
    return found
