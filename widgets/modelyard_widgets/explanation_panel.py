"""The panels of explanations: what counts overall, how one column does, one row, and what would flip an answer."""

from __future__ import annotations

from typing import Any, cast

from modelyard.explanation.attribution import Attribution
from modelyard.presentation import Table, number
from modelyard_widgets.blocks import (
    Block,
    choice,
    controls,
    figure,
    figures,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.dependence_charts import curve_picture, ranked
from modelyard_widgets.explanation_charts import value_picture, waterfall_picture
from modelyard_widgets.panel import Panel
from modelyard_widgets.row_choice import RowChoice
from modelyard_widgets.showing import Showing, plain_blocks
from modelyard_widgets.views import Make, Views


def attribution_panel(shown: Showing) -> Panel:
    """Return the panel of SHAP or LIME values; of one row it is that row's waterfall."""
    if not isinstance(shown.result, Attribution) or len(shown.result.data) == 1:
        return Panel("Explanation", plain_blocks(shown))
    views = _AttributionViews(shown, shown.result)
    return views.panel()


class _AttributionViews:
    """What is shown of the values of many rows; one column, and one row, for the output that is chosen beside it."""

    def __init__(self, shown: Showing, result: Attribution) -> None:
        self._shown, self._result = shown, result
        self._rows = RowChoice(result.rows.tolist())
        self._column_of = self._row_of = result.shown_output
        self._column = str(result.importance.index[0])
        self._place = 0

    def panel(self) -> Panel:
        made: dict[str, Make] = {"Importance": self._overview}
        if self._shown.further:
            made["All rows"] = lambda: [
                picture("swarm", self._shown.further[0]),
                *self._told_of_sample("swarm-told"),
            ]
        made["One column"] = self._columns
        made["One row"] = self._one_row
        views = Views(made, title="Views of the explanation")
        panel = Panel("Explanation", [sentence(self._shown.payload["sentence"]), views.block])

        def column(name: Any) -> None:
            self._column = str(name)
            panel.show(self._dependence())

        def row(said: Any) -> None:
            self._place = self._rows.place(said)
            panel.show(self._waterfall())
            panel.tell("")

        def column_of(output: Any) -> None:
            self._column_of = self._result.outputs.index(str(output))
            panel.show(self._dependence())

        def row_of(output: Any) -> None:
            self._row_of = self._result.outputs.index(str(output))
            panel.show(self._waterfall())

        for key, act in {"column": column, "row": row, "column-of": column_of, "row-of": row_of}.items():
            panel.does(key, act)
        return views.fill(panel)

    def _overview(self) -> list[Block]:
        shown = self._shown
        blocks = [picture("picture", shown.picture)] if shown.picture else []
        if shown.table:
            blocks.append(table("table", shown.table, "Importance of the columns"))
        return [*blocks, notes(shown.payload["notes"])]

    def _columns(self) -> list[Block]:
        names = [str(name) for name in self._result.importance.index]
        return [
            controls(
                "columns",
                choice("column", "Column", names, self._column),
                *self._of("column-of", self._column_of),
            ),
            self._dependence(),
            *self._told_of_sample("column-told"),
        ]

    def _one_row(self) -> list[Block]:
        return [controls("rows", self._rows.control(), *self._of("row-of", self._row_of)), self._waterfall()]

    def _of(self, key: str, output: int) -> list[Any]:
        outputs = self._result.outputs
        return [choice(key, "Answer", outputs, outputs[output])] if len(outputs) > 1 else []

    def _payload(self, output: int) -> dict[str, Any]:
        return {**self._shown.payload, "shown": self._result.outputs[output]}

    def _dependence(self) -> Block:
        [points] = self._result.points(self._column_of, [self._column])
        drawing = value_picture(self._payload(self._column_of), points)
        if drawing is None:
            return stack(
                "column-shown", [text("column-none", f"{self._column} is null in all of these rows.")]
            )
        return stack("column-shown", [picture("column-picture", drawing)])

    def _waterfall(self) -> Block:
        fall = self._result.waterfall(self._place, self._row_of)
        shown = [
            figure(
                f"Answer for {fall['output']}" if len(self._result.outputs) > 1 else "Answer",
                number(fall["answer"]),
                self._result.scale,
            ),
            figure("Base value", number(fall["base"]), "the mean of the background"),
        ]
        drawing = waterfall_picture({**self._payload(self._row_of), "waterfall": fall})
        return stack("row-shown", [figures("row-figures", shown), picture("row-picture", drawing)])

    def _told_of_sample(self, key: str) -> list[Block]:
        drawn = -(-len(self._result.data) // 200)
        if drawn == 1:
            return []
        return [
            text(key, f"Every {drawn:,}th of {len(self._result.data):,} rows is drawn; .values has them all.")
        ]


def dependence_panel(shown: Showing) -> Panel:
    """Return the panel of partial dependence: one column at a time, the one that moves the answers most first."""
    payload = shown.payload
    found = {" * ".join(each["columns"]): each for each in ranked(payload)}
    if len(found) < 2 or not shown.picture:
        return Panel("Dependence", plain_blocks(shown))
    drawn = dict(zip(found, [shown.picture, *shown.further], strict=False))
    names = list(found)

    def curve(name: str) -> Block:
        return stack("curve", [picture("picture", drawn.get(name) or curve_picture(payload, found[name]))])

    blocks = [sentence(payload["sentence"])]
    blocks.append(controls("columns", choice("column", "Column", names, names[0])))
    blocks.append(curve(names[0]))
    if shown.table:
        blocks.append(table("table", shown.table, "How far each column moves the answers"))
    if payload["notes"]:
        blocks.append(notes(payload["notes"]))
    panel = Panel("Dependence", blocks)
    panel.does("column", lambda name: panel.show(curve(str(name))))
    return panel


def counterfactuals_panel(shown: Showing) -> Panel:
    """Return the panel of counterfactuals: what changes most often, and the changes of one row as a table."""
    payload = shown.payload
    rows = list(dict.fromkeys(int(each["row"]) for each in payload["found"]))
    if not rows:
        return Panel("Counterfactuals", plain_blocks(shown))
    choosing = RowChoice(rows)

    def overview() -> list[Block]:
        blocks = [picture("picture", shown.picture)] if shown.picture else []
        if shown.table:
            blocks.append(table("table", shown.table, "Changes that flip the answer"))
        return [*blocks, *([notes(payload["notes"])] if payload["notes"] else [])]

    made: dict[str, Make] = {
        "One row": lambda: [controls("rows", choosing.control()), _changes(payload, rows[0])],
        "All rows": overview,
    }
    views = Views(made, title="Views of the counterfactuals")
    panel = Panel("Counterfactuals", [sentence(payload["sentence"]), views.block])

    def row(said: Any) -> None:
        panel.show(_changes(payload, rows[choosing.place(said)]))
        panel.tell("")

    panel.does("row", row)
    return views.fill(panel)


def _changes(payload: dict[str, Any], row: int) -> Block:
    """Return what would have to be otherwise in one row, for each of its counterfactuals."""
    blocks: list[Block] = []
    for found in (each for each in payload["found"] if each["row"] == row):
        place = found["number"]
        changes = [each for each in payload["changes"] if (each["row"], each["number"]) == (row, place)]
        scale = str(payload["scale"])
        blocks.append(
            figures(
                f"change-figures-{place}",
                [
                    figure(
                        f"{scale.capitalize()} of {found['wanted']}",
                        _said(found["after"]),
                        f"before: {_said(found['before'])}",
                    ),
                    figure("Changed columns", str(found["changed"])),
                ],
            )
        )
        lines = [(str(each["column"]), _said(each["from"]), _said(each["to"])) for each in changes]
        blocks.append(
            table(f"change-{place}", Table(("column", "from", "to"), lines), f"Changes {place} of row {row}")
        )
    return stack("changes", blocks)


def _said(value: Any) -> str:
    return (
        "null" if value is None else number(value) if isinstance(value, float) else str(cast("object", value))
    )
