"""A result as one HTML file that needs no network: its sentence, pictures, table and notes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from modelyard.presentation import Result
from modelyard_templates import render
from modelyard_widgets.charts import Picture, chart, further_charts

#: Where an SVG names a part of itself, or refers to one.
_NAMED = re.compile(r'(\bid="|url\(#|href="#)')


def write_report(result: Result, path: Path) -> None:
    """Write a result to `path`; what stands there is replaced at once, or stays.

    Raises
    ------
    OSError
        It cannot be written.
    """
    payload = result._repr_mimebundle_()[f"application/vnd.modelyard.{result.kind}+json"]
    first = chart(result.kind, payload)
    pictures = [*([first] if first else []), *further_charts(result.kind, payload)]
    text = render(
        "report/explanation.html.j2",
        title=f"Why {payload['model']} answers as it does"
        if "model" in payload
        else "Why a model answers as it does",
        sentence=result.sentence(),
        pictures=[_apart(picture, place) for place, picture in enumerate(pictures)],
        table=result.table(),
        notes=list(result.notes()),
    )
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _apart(picture: Picture, place: int) -> Picture:
    """Give the parts of a picture names of its own: several stand in one page."""
    return replace(picture, svg=_NAMED.sub(rf"\g<1>p{place}-", picture.svg))
