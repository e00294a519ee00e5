"""A compression: every candidate, the front among them, and the model that was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from modelyard.compression.choosing import Tolerance
from modelyard.compression.judging import Slice
from modelyard.presentation import Result, Table, number
from modelyard.tuning.cost import Cost
from modelyard.units import size_text, time_text

_DOMINATED_SHOWN = 10
_SLICES_TOLD = 3


@dataclass(frozen=True, repr=False, eq=False)
class Compression(Result):
    """What compressing a model found.

    Attributes
    ----------
    name : str
        Of its record in the project's catalog.
    model : str
        What was compressed, in words.
    metric : str
        What `score` and `drop` are of.
    greater_is_better : bool
    candidates : DataFrame
        One row per candidate: ``technique`` (``original`` is one), ``settings``, ``size_bytes`` (of the ONNX file),
        ``latency_us`` (one row, in ONNX Runtime on one thread), ``latency_1k_us`` (a thousand rows at once), ``score``
        with its 95 % interval ``ci_low`` and ``ci_high``, ``drop`` (above 0: worse than the original) with
        ``drop_low``, ``drop_high`` and its standard error ``drop_se``, ``agreement`` (the share of rows with the
        original's label; of numbers R²),
        ``form`` (``onnx``, or ``python`` where there is no faithful graph), ``on_front`` and ``chosen``. All of them
        were made of 70 % of the rows, and judged on the rest.
    best : estimator-like
        The chosen recipe applied to the model that was given and to all rows: ``predict``, ``predict_proba`` and
        ``classes_`` where the original has them, and ``size_bytes``. ``%package`` takes it.
    original_cost, best_cost : Cost
        Of the model that was given and of `best`: measured again, against each other.
    original_1k_us, best_1k_us : float
        Microseconds of both for a thousand rows at once.
    tolerance : Tolerance
        How much a candidate may lose, and how surely.
    budget : str
        What the model had to keep to, in words.
    held_out : int
        How many rows the candidates were judged on.
    slices : tuple of Slice
        Where ``by`` was given: what became of each slice, the largest drop first.
    remarks : tuple of str
        What the reader should know: what was left out and why, what stopped the search.
    seconds : float
    """

    kind: ClassVar[str] = "compression"

    name: str
    model: str
    metric: str
    greater_is_better: bool
    candidates: pd.DataFrame
    best: Any
    original_cost: Cost
    best_cost: Cost
    original_1k_us: float
    best_1k_us: float
    tolerance: Tolerance
    budget: str
    held_out: int
    slices: tuple[Slice, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def front(self) -> pd.DataFrame:
        """The candidates that none other beats in size, latency and score, the smallest first."""
        return self.candidates[self.candidates["on_front"]].sort_values("size_bytes", kind="stable")

    @property
    def chosen(self) -> pd.Series[Any]:
        """The row of the chosen candidate."""
        return self.candidates[self.candidates["chosen"]].iloc[0]

    def sentence(self) -> str:
        chosen = self.chosen
        if chosen["technique"] == "original":
            return (
                f"{self.model} stays as it is, with {size_text(self.original_cost.size_bytes)}: no smaller candidate "
                f"of {len(self.candidates) - 1} has {self.tolerance.text(self.metric)}"
                f"{self._within()}"
            )
        return (
            f"{self.model} by {chosen['technique']} ({chosen['settings']}): "
            f"{size_text(self.original_cost.size_bytes)} to {size_text(self.best_cost.size_bytes)} "
            f"({_times(self.original_cost.size_bytes, self.best_cost.size_bytes)} smaller), one row "
            f"{time_text(self.original_cost.latency_us)} to {time_text(self.best_cost.latency_us)}, "
            f"{self.metric} {number(self._original['score'])} to {number(chosen['score'])} on {self.held_out} held-out "
            f"rows{self._within()}"
        )

    def _within(self) -> str:
        return f", within {self.budget}" if self.budget else ""

    @property
    def _original(self) -> pd.Series[Any]:
        return self.candidates[self.candidates["technique"] == "original"].iloc[0]

    def notes(self) -> Sequence[str]:
        return (*self._said_of_agreement(), *self._said_of_slices(), *self.remarks)

    def _said_of_agreement(self) -> Iterator[str]:
        chosen = self.chosen
        if chosen["technique"] == "original":
            return
        interval = (
            f" (standard error {number(chosen['drop_se'])}, 95 % interval {number(chosen['drop_low'])} to "
            f"{number(chosen['drop_high'])})"
            if chosen["drop_low"] == chosen["drop_low"]
            else ""
        )
        yield f"the drop of {self.metric} is {number(chosen['drop'])}{interval}"
        if self.greater_is_better and self.metric in ("r2",):
            yield f"R² between its answers and the original's is {number(chosen['agreement'])}"
        else:
            yield f"it agrees with the original by {number(chosen['agreement'])} on the held-out rows"
        yield (
            f"of all rows: {size_text(self.best_cost.size_bytes)} and {time_text(self.best_1k_us)} for 1,000 rows, "
            f"the original {size_text(self.original_cost.size_bytes)} and {time_text(self.original_1k_us)}"
        )

    def _said_of_slices(self) -> Iterator[str]:
        fallen = [part for part in self.slices if part.drop > 0][:_SLICES_TOLD]
        if fallen:
            parts = "; ".join(
                f"{part.name} ({part.rows} rows) from {number(part.before)} to {number(part.after)}"
                for part in fallen
            )
            yield f"{self.metric} fell most where {parts}"
        elif self.slices:
            yield f"{self.metric} fell in none of {len(self.slices)} slices"

    def table(self) -> Table:
        columns = (
            "", "technique", "settings", "size", "one row", "1k rows", self.metric, "95 % interval", "drop",
            "agreement",
        )  # fmt: skip
        dominated = self.candidates[~self.candidates["on_front"]].sort_values("size_bytes", kind="stable")
        kept = dominated[dominated["chosen"] | (dominated["technique"] == "original")]
        others = dominated.drop(kept.index).head(_DOMINATED_SHOWN)
        rows = [*map(_row, self.front.to_dict("records")), *map(_row, kept.to_dict("records"))]
        return Table(columns, (*rows, *(_row(each, bracketed=True) for each in others.to_dict("records"))))

    def payload(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.model,
            "metric": self.metric,
            "greater_is_better": self.greater_is_better,
            "max_drop": self.tolerance.max_drop,
            "caution": self.tolerance.caution,
            "budget": self.budget,
            "held_out": self.held_out,
            "candidates": [
                {str(key): _plain(value) for key, value in row.items()}
                for row in self.candidates.to_dict("records")
            ],
            "original": _measured(self.original_cost, self.original_1k_us),
            "best": _measured(self.best_cost, self.best_1k_us),
            "slices": [
                {"slice": p.name, "rows": p.rows, "before": p.before, "after": p.after, "drop": p.drop}
                for p in self.slices
            ],
            "remarks": list(self.remarks),
            "seconds": round(self.seconds, 3),
        }


def _times(before: float, after: float) -> str:
    if not after or after != after:
        return "?"
    ratio = before / after
    return f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def _measured(cost: Cost, many: float) -> dict[str, Any]:
    return {
        "size_bytes": _plain(cost.size_bytes),
        "latency_us": _plain(cost.latency_us),
        "latency_1k_us": _plain(many),
        "form": cost.form,
        "why": cost.why,
    }


def _row(each: dict[Any, Any], bracketed: bool = False) -> tuple[str, ...]:
    low, high = each["ci_low"], each["ci_high"]
    cells = (
        each["technique"],
        each["settings"],
        size_text(each["size_bytes"]),
        time_text(each["latency_us"]),
        time_text(each["latency_1k_us"]),
        number(each["score"]),
        f"{number(low)} to {number(high)}" if low == low else "–",
        number(each["drop"]),
        number(each["agreement"]),
    )
    mark = "chosen" if each["chosen"] else ""
    return (mark, f"({cells[0]})", *cells[1:]) if bracketed else (mark, *cells)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return bool(value) if isinstance(value, bool) else value
