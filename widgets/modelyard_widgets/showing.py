"""What a page is given of a result: its panel, and what stands in where there is no live kernel."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

from modelyard.presentation import PAYLOAD_SCHEMA, Result, Table
from modelyard_widgets.blocks import Block, group, notes, picture, sentence, table
from modelyard_widgets.charts import Picture, chart, further_charts
from modelyard_widgets.panel import Panel

#: Kinds of results whose panels are more than words, a picture and a table: the module and the function that makes it.
_PANELS: dict[str, tuple[str, str]] = {
    "bundle": ("bundle_panel", "bundle_panel"),
    "deployment": ("endpoint_panel", "deployment_panel"),
    "plan": ("plan_panel", "plan_panel"),
    "traffic": ("traffic_panel", "traffic_panel"),
    "comparison": ("comparison_panel", "comparison_panel"),
    "fairness": ("fairness_panel", "fairness_panel"),
    "interactions": ("interactions_panel", "interactions_panel"),
    "attribution": ("explanation_panel", "attribution_panel"),
    "compression": ("compression_panel", "compression_panel"),
    "counterfactuals": ("explanation_panel", "counterfactuals_panel"),
    "evaluation": ("evaluation_panel", "evaluation_panel"),
    "partial_dependence": ("explanation_panel", "dependence_panel"),
    "study": ("study_panel", "study_panel"),
    "study-run": ("study_run_panel", "study_run_panel"),
}

#: By which the Lab extension knows a panel: where the kernel that had it is gone, it shows the HTML instead.
PANEL = "application/vnd.modelyard.panel+json"


@dataclass(frozen=True)
class Showing:
    """A result that is being shown.

    Attributes
    ----------
    result : Result
    payload : dict
        What ``application/vnd.modelyard.<kind>+json`` holds.
    picture : Picture or None
    further : sequence of Picture
        Those below the table.
    """

    result: Result
    payload: dict[str, Any]
    picture: Picture | None
    further: Sequence[Picture]

    @property
    def title(self) -> str:
        return self.result.kind.replace("_", " ").replace("-", " ").capitalize()

    @property
    def table(self) -> Table | None:
        found = self.payload["table"]
        return Table(found["columns"], found["rows"]) if found else None


def plain_blocks(shown: Showing) -> list[Block]:
    """Return the blocks of any result: its sentence, picture, table, notes and further pictures."""
    blocks = [sentence(shown.payload["sentence"])]
    if shown.picture:
        blocks.append(picture("picture", shown.picture))
    if shown.table:
        blocks.append(table("table", shown.table, f"{shown.title} in figures"))
    if shown.payload["notes"]:
        blocks.append(notes(shown.payload["notes"]))
    if shown.further:
        blocks.append(
            group("further", [picture(f"further-{place}", each) for place, each in enumerate(shown.further)])
        )
    return blocks


def panel_mimebundle(result: Result, include: object = None, exclude: object = None) -> dict[str, Any]:
    """Return what a result shows in a page: the panel, and what stands in where there is no live kernel.

    An IPython formatter for `Result`. The HTML is the result's own, which is escaped, and its pictures.
    """
    if lacking := _lacking(result):
        return _other_version(result, f"it has no {lacking}")
    data = result._repr_mimebundle_()
    payload = data[f"application/vnd.modelyard.{result.kind}+json"]
    if (schema := payload["schema"]) != PAYLOAD_SCHEMA:
        return _other_version(result, f"its schema is {schema}, and this one reads {PAYLOAD_SCHEMA}")
    shown = _showing(result, payload)
    if shown.picture:
        data["text/html"] += _image(shown.picture)
    for each in shown.further:
        data["text/html"] += f"<p>{html.escape(each.title)}</p>{_image(each)}"
    panel = _panel(shown)
    if view := panel._repr_mimebundle_():
        return {PANEL: {"title": panel.title}, **view[0], **data}
    return data


def showing(result: Result) -> Showing:
    """Return a result and its pictures, for a panel that shows it within another."""
    return _showing(result, result._repr_mimebundle_()[f"application/vnd.modelyard.{result.kind}+json"])


def _showing(result: Result, payload: dict[str, Any]) -> Showing:
    return Showing(result, payload, chart(result.kind, payload), further_charts(result.kind, payload))


def _lacking(result: Result) -> str:
    """Return the first field that a result does not have: it was kept by an older version."""
    known: Sequence[Field[Any]] = fields(result) if is_dataclass(result) else ()
    return next((each.name for each in known if not hasattr(result, each.name)), "")


def _other_version(result: Result, why: str) -> dict[str, Any]:
    words = (
        f"This {type(result).__name__} is of another version of modelyard ({why}); make it again to see it."
    )
    return {"text/plain": words, "text/html": f"<p>{html.escape(words)}</p>"}


def _panel(shown: Showing) -> Panel:
    if shown.result.kind not in _PANELS:
        return Panel(shown.title, plain_blocks(shown))
    module, name = _PANELS[shown.result.kind]
    make: Callable[[Showing], Panel] = getattr(import_module(f"modelyard_widgets.{module}"), name)
    return make(shown)


def _image(picture: Picture) -> str:
    return f'<img src="{picture.data_uri}" alt="{html.escape(picture.alt)}">'
