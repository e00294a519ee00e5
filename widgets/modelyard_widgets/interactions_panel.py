"""The panel of interactions: the pairs of all columns or of one, the strongest first, and what to type to see one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.presentation import Table, number
from modelyard_widgets.blocks import (
    Block,
    choice,
    code,
    controls,
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
from modelyard_widgets.dependence_charts import interactions_chart
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import Showing, plain_blocks

_EVERY = ""
_MOST_LISTED = 200

Pair = Mapping[str, Any]


def interactions_panel(shown: Showing) -> Panel:
    """Return the panel; choosing a pair says how strong it is, and the call that draws its surface."""
    payload = shown.payload
    if not payload["pairs"]:
        return Panel(shown.title, plain_blocks(shown))
    pairs = _Pairs(payload)
    blocks = [sentence(payload["sentence"])]
    if len(pairs.columns) > 2:
        offered = [(_EVERY, "every column"), *((name, name) for name in pairs.columns)]
        blocks.append(controls("columns", choice("column", "Pairs of", offered, _EVERY)))
    blocks += [pairs.of(_EVERY, shown), pairs.one(0)]
    if payload["notes"]:
        blocks.append(notes(payload["notes"]))
    panel = Panel(shown.title, blocks)

    def column(name: Any) -> None:
        panel.show(pairs.of(str(name)), pairs.one(0))

    def pick(place: Any) -> None:
        panel.show(pairs.listed(int(place)), pairs.one(int(place)))

    panel.does("column", column)
    panel.does("pick", pick)
    return panel


class _Pairs:
    """The pairs that are listed: all of them, or those of one column."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload
        self._found: Sequence[Pair] = payload["pairs"]
        self.columns = list(dict.fromkeys(name for pair in self._found for name in (pair["a"], pair["b"])))

    def of(self, column: str, shown: Showing | None = None) -> Block:
        """Return the pairs of `column`, or all; the picture of all is in `shown` already."""
        every = self._payload["pairs"]
        self._found = [pair for pair in every if column in (_EVERY, pair["a"], pair["b"])]
        drawing = shown.picture if shown else interactions_chart({**self._payload, "pairs": self._found})
        blocks = [picture("picture", drawing)] if drawing else []
        blocks.append(self.listed(0))
        if len(self._found) > _MOST_LISTED:
            told = f"The first {_MOST_LISTED} of {len(self._found)} pairs; .pairs has them all."
            blocks.append(text("pairs-told", told))
        return stack("pairs", blocks)

    def listed(self, chosen: int) -> Block:
        rows = [
            (str(pair["a"]), str(pair["b"]), number(pair["strength"]), number(pair["h"]))
            for pair in self._found[:_MOST_LISTED]
        ]
        columns = ("column", "and", f"strength ({self._payload['scale']})", "H")
        return table("table", Table(columns, rows), "Pairs of columns", choose="pick", chosen=chosen)

    def one(self, place: int) -> Block:
        """Return one of those listed."""
        pair = self._found[place]
        one, other = pair["a"], pair["b"]
        rank = self._payload["pairs"].index(pair) + 1
        found = [
            figure("Strength", number(pair["strength"]), f"of {self._payload['scale']}, root mean square"),
            figure("H", number(pair["h"]), "0: the two add up; 1: nothing but interaction"),
            figure("Place", str(rank), f"of {len(self._payload['pairs'])} pairs"),
        ]
        call = f'modelyard.explain(model, X, method="pdp", columns=[({one!r}, {other!r})])'
        return stack(
            "pair",
            [
                heading("pair-title", f"{one} and {other}"),
                figures("pair-figures", found),
                text(
                    "pair-told", "What the model answers for each pair of their values is drawn by this call:"
                ),
                code("pair-call", call, "Call that draws the pair"),
            ],
        )
