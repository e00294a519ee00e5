"""The panel of a compression: the front, and what changes for whom with the candidate that is picked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.presentation import Table
from modelyard.units import size_text, time_text
from modelyard_widgets.blocks import (
    Block,
    Tone,
    figure,
    figures,
    heading,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.compression_chart import compression_chart
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing
from modelyard_widgets.wording import interval_text, number_text

_MOST_LISTED = 60


def compression_panel(shown: Showing) -> Panel:
    """Return the panel: those on the front first, then the original, then what another one beats."""
    payload = shown.payload
    listed = sorted(payload["candidates"], key=_order)[:_MOST_LISTED]
    first = next((place for place, each in enumerate(listed) if each["chosen"]), 0)
    blocks: list[Block] = [sentence(payload["sentence"])]
    if shown.picture:
        blocks.append(stack("front", [picture("picture", shown.picture)]))
    blocks.append(_candidates(payload, listed, first))
    if listed:
        blocks.append(_change(payload, listed[first]))
    if payload["notes"]:
        # they stay when another one is picked
        blocks += [heading("notes-title", _of_whom(listed)), notes(payload["notes"])]
    panel = Panel(shown.title, blocks)

    def pick(place: Any) -> None:
        each = listed[int(place)]
        panel.show(_candidates(payload, listed, int(place)), _change(payload, each))
        if drawing := compression_chart(payload, picked=each):
            panel.show(stack("front", [picture("picture", drawing)]))

    panel.does("pick", pick)
    return panel


def _of_whom(listed: list[Any]) -> str:
    chosen = next((each for each in listed if each["chosen"]), None)
    return f"Of the chosen one, {chosen['technique']} {chosen['settings']}".rstrip() if chosen else "Notes"


def _order(each: Mapping[str, Any]) -> tuple[bool, bool, float]:
    return (not each["on_front"], each["technique"] != "original", each["size_bytes"] or 0)


def _candidates(payload: Mapping[str, Any], listed: list[Any], picked: int) -> Block:
    columns = ("kept", "technique", "settings", "size", "one row", payload["metric"], "drop", "agreement")
    rows = [
        (
            "chosen" if each["chosen"] else "front" if each["on_front"] else "",
            each["technique"],
            each["settings"],
            _size(each["size_bytes"]),
            _time(each["latency_us"]),
            number_text(each["score"]),
            number_text(each["drop"]),
            number_text(each["agreement"]),
        )
        for each in listed
    ]
    return table("table", Table(columns, rows), "Candidates", choose="pick", chosen=picked)


def _change(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Block:
    """Return what becomes of size, time and answers with one candidate."""
    before = next(other for other in payload["candidates"] if other["technique"] == "original")
    blocks = [heading("change-title", f"With {each['technique']} {each['settings']}".rstrip())]
    if each is before:
        blocks.append(text("change-same", "This is the model as it was given: nothing changes."))
        return stack("change", blocks)
    by_numbers = payload["metric"] == "r2"
    agreement = number_text(each["agreement"]) if by_numbers else _share(each["agreement"])
    shown = [
        figure("Size", _size(each["size_bytes"]), f"was {_size(before['size_bytes'])}"),
        figure("One row", _time(each["latency_us"]), f"was {_time(before['latency_us'])}"),
        figure(
            f"Drop of {payload['metric']}",
            number_text(each["drop"]),
            interval_text(each.get("drop_low"), each.get("drop_high")),
            tone=_tone(payload, each),
        ),
        figure(
            "R² with the original" if by_numbers else "Same answer",
            agreement,
            f"of {payload['held_out']} held-out rows",
        ),
    ]
    return stack("change", [*blocks, figures("change-figures", shown), *_for_whom(payload, each)])


def _for_whom(payload: Mapping[str, Any], each: Mapping[str, Any]) -> list[Block]:
    slices = payload["slices"]
    if not slices:
        advice = "For whom it changes is measured with --by COLUMN (by=[…])."
        return [text("change-whom", advice)]
    if not each["chosen"]:
        return [text("change-whom", "For whom it changes was measured for the chosen candidate only.")]
    rows = [
        (
            part["slice"],
            str(part["rows"]),
            number_text(part["before"]),
            number_text(part["after"]),
            number_text(part["drop"]),
        )
        for part in slices
    ]
    shown = Table(("slice", "rows", f"{payload['metric']} before", "after", "drop"), rows)
    title = "For whom it changes"
    return [heading("change-whom", title), table("change-slices", shown, title)]


def _tone(payload: Mapping[str, Any], each: Mapping[str, Any]) -> Tone | None:
    if each["drop"] is None:
        return None
    return "good" if each["drop"] <= payload["max_drop"] else "warning"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.4g} %"


def _size(value: float | None) -> str:
    return "–" if value is None else size_text(value)


def _time(value: float | None) -> str:
    return "–" if value is None else time_text(value)
