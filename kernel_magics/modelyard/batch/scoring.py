"""What a scoring came to, as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.presentation import Result, Table, number

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


@dataclass(frozen=True, repr=False)
class Scoring(Result):
    """What a scoring came to.

    Attributes
    ----------
    model, source : str
        What answered, and what was read.
    rows, refused : int
        All rows; those that break the contract, which have no prediction and say why in `error`.
    flagged : dict of str to int
        By column: how many values were let through although training never saw their like.
    seconds : float
        How long this run took.
    resumed_from : int
        How many rows an earlier run had answered.
    path : Path or None
        The scored file.
    frame : pandas.DataFrame or None
        The scored rows, where no file was asked for.
    """

    kind = "scoring"

    model: str
    source: str
    rows: int
    refused: int
    flagged: dict[str, int]
    seconds: float
    resumed_from: int = 0
    path: Path | None = None
    frame: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def rate(self) -> float:
        """Rows a second that this run answered."""
        return (self.rows - self.resumed_from) / self.seconds if self.seconds else 0.0

    def sentence(self) -> str:
        where = f" into {self.path}" if self.path is not None else ""
        return (
            f"{self.model} scored {self.rows:,} rows of {self.source}{where} "
            f"({self.refused:,} refused, {self.rate:,.0f} rows/s)"
        )

    def table(self) -> Table:
        if self.frame is None:
            return Table(("column", "flagged values"), [(n, f"{c:,}") for n, c in self.flagged.items()])
        head = self.frame.head(_SHOWN)
        return Table(
            [str(name) for name in head.columns], [[_shown(v) for v in row] for row in head.to_numpy(object)]
        )

    def notes(self) -> Sequence[str]:
        found = []
        if self.resumed_from:
            found.append(f"the first {self.resumed_from:,} rows were answered by an earlier run")
        if self.refused:
            found.append("a refused row has no prediction; its column 'error' says why")
        return found

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "source": self.source,
            "rows": self.rows,
            "refused": self.refused,
            "flagged": self.flagged,
            "seconds": self.seconds,
            "rows_per_second": self.rate,
            "resumed_from": self.resumed_from,
            "path": None if self.path is None else str(self.path),
        }


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return number(value) if isinstance(value, float) else str(value)
