"""Jinja sources of the files that leave the notebook."""

from __future__ import annotations

from typing import Any


def render(template: str, /, **values: Any) -> str:
    """Render a template, such as ``bundle/card.md.j2``; a missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modelyard_templates", "."),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=lambda name: bool(
            name and name.endswith(".html.j2")
        ),  # the others are Markdown and Python
    )
    return environment.get_template(template).render(**values)
