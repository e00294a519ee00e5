"""How a result shows itself: one sentence, one table, one JSON payload that panels and tests read."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

PAYLOAD_SCHEMA = 1


@dataclass(frozen=True)
class Table:
    """A small table of text: what is printed, escaped into HTML, and drawn by panels."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)

    def text(self) -> str:
        cells = [list(self.columns), *[list(row) for row in self.rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells
        ]
        return "\n".join(line.rstrip() for line in lines)

    def html(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def number(value: float) -> str:
    """Return a figure as people read it: four significant digits, no needless zeros.

    >>> number(0.98765432), number(12.0), number(float("nan"))
    ('0.9877', '12', '–')
    """
    return "–" if value != value else f"{value:.4g}"


class Result:
    """A frozen result that shows itself; stages subclass it as frozen dataclasses with ``repr=False``.

    ``repr`` is one sentence. The MIME bundle holds that sentence and the table as plain text and as
    escaped HTML, and the payload as ``application/vnd.modelyard.<kind>+json``. Showing never computes.
    """

    kind: ClassVar[str]

    def sentence(self) -> str:
        """Return what this is, in one readable sentence."""
        raise NotImplementedError

    def notes(self) -> Sequence[str]:
        """Return remarks to show under the sentence, most important first."""
        return ()

    def table(self) -> Table | None:
        """Return the table that is shown under the sentence, if there is one."""
        return None

    def payload(self) -> dict[str, Any]:
        """Return the JSON object that panels, the Lab extension and tests read."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.sentence()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        table, notes = self.table(), list(self.notes())
        text = "\n".join([self.sentence(), *([table.text()] if table else []), *notes])
        markup = f"<p>{html.escape(self.sentence())}</p>"
        markup += table.html() if table else ""
        if notes:
            markup += "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>"
        return {
            "text/plain": text,
            "text/html": markup,
            f"application/vnd.modelyard.{self.kind}+json": {
                "schema": PAYLOAD_SCHEMA,
                "sentence": self.sentence(),
                "notes": notes,
                "table": {"columns": list(table.columns), "rows": [list(r) for r in table.rows]}
                if table
                else None,
                **self.payload(),
            },
        }
