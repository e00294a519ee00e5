"""The panel of one result: its sentence, its picture, its table and its notes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from modelyard.presentation import Result
from modelyard_widgets.charts import Picture, chart, further_charts


class ResultPanel(anywidget.AnyWidget):
    """A live view of a result's payload; assigning another payload redraws it.

    Attributes
    ----------
    kind : str
        What is shown, such as ``evaluation``.
    payload : dict
        What ``application/vnd.modelyard.<kind>+json`` holds.
    picture : dict or None
        ``svg`` and ``alt``.
    further : list of dict
        Pictures below the table: ``title``, ``svg`` and ``alt``.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    kind = traitlets.Unicode("result").tag(sync=True)
    payload: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    picture = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    further: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)

    def __init__(
        self,
        kind: str,
        payload: dict[str, Any],
        picture: Picture | None = None,
        further: Sequence[Picture] = (),
    ) -> None:
        super().__init__(
            kind=kind,
            payload=payload,
            picture={"svg": picture.svg, "alt": picture.alt} if picture else None,
            further=[{"title": each.title, "svg": each.svg, "alt": each.alt} for each in further],
        )


def panel_mimebundle(result: Result, include: object = None, exclude: object = None) -> dict[str, Any]:
    """Return what a result shows in a page: the panel, and what stands in where there is no live kernel.

    An IPython formatter for `Result`. The HTML is the result's own, which is escaped, and its picture.
    """
    data = result._repr_mimebundle_()
    payload = data[f"application/vnd.modelyard.{result.kind}+json"]
    picture = chart(result.kind, payload)
    if picture:
        data["text/html"] += _image(picture)
    further = further_charts(result.kind, payload)
    for each in further:
        data["text/html"] += (
            f'<p>{html.escape(each.title)}</p><img src="{each.data_uri}" alt="{html.escape(each.alt)}">'
        )
    shown = ResultPanel(result.kind, payload, picture, further)._repr_mimebundle_()
    return {**(shown[0] if shown else {}), **data}


def _image(picture: Picture) -> str:
    return f'<img src="{picture.data_uri}" alt="{html.escape(picture.alt)}">'
