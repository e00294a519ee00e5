"""An attribution: what each column adds to each answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.explanation.question import Question
from modelyard.presentation import Result, Table, number

_MOST_LISTED = 15
_MOST_DRAWN = 12
_MOST_POINTS = 200


@dataclass(frozen=True, repr=False, eq=False)
class Attribution(Result):
    """SHAP values of some rows, on the columns that the model was given.

    Attributes
    ----------
    model : str
        What was explained, in words.
    columns, outputs : tuple of str
        The original columns; the classes, or ``("prediction",)``.
    is_classifier : bool
    values : ndarray of shape (rows, columns) or (rows, columns, outputs)
        With outputs of a classifier, and of a regression of several targets. Those of a row and an output add up, with
        the base value, to `answers`.
    base_values : ndarray of shape (outputs,)
        The mean answer of the background.
    answers : ndarray of shape (rows, outputs)
        What the base value and the values of each row add up to.
    data : DataFrame
        The explained rows; its index is that of `X`.
    rows : ndarray of int
        Their positions in `X`.
    importance : Series
        The mean of ``|value|`` over rows and outputs, by column, the largest first.
    scale : str
        What the values add up to: ``probability``, ``log-odds``, ``decision score`` or ``prediction``.
    explainer : str
        Which one was chosen, and why, in words.
    additivity : float
        The largest difference between base and values together and what the model says of the same rows.
    remarks : tuple of str
    seconds : float
        Wall time.
    """

    kind: ClassVar[str] = "attribution"

    model: str
    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    is_classifier: bool
    values: NDArray[np.float64]
    base_values: NDArray[np.float64]
    answers: NDArray[np.float64]
    data: pd.DataFrame
    rows: NDArray[np.intp]
    importance: pd.Series
    scale: str
    explainer: str
    additivity: float
    remarks: tuple[str, ...]
    seconds: float

    @classmethod
    def made_of(
        cls, question: Question, places: NDArray[np.intp], values: NDArray[np.float64], **more: Any
    ) -> Self:
        """Return the attribution of `values`, shape (rows, columns, outputs), to the rows at `places`.

        `more` are the fields that do not follow from these.
        """
        explained = question.explained
        sizes = np.abs(values).mean(axis=(0, 2))
        order = np.argsort(-sizes, kind="stable")
        single = len(explained.outputs) == 1 and not explained.is_classifier
        return cls(
            model=explained.name,
            columns=explained.columns,
            outputs=explained.outputs,
            is_classifier=explained.is_classifier,
            values=values[:, :, 0] if single else values,
            data=question.frame.iloc[places],
            rows=places,
            importance=pd.Series(
                sizes[order], index=[explained.columns[place] for place in order], name="importance"
            ),
            **more,
        )

    def of(self, output: str | int) -> pd.DataFrame:
        """Return the values of one output as a frame of rows by columns; an output by its name or its place.

        Raises
        ------
        UsageError
            There is no such output.
        """
        from modelyard.errors import UsageError, listing

        if isinstance(output, int) and -len(self.outputs) <= output < len(self.outputs):
            place = output
        elif str(output) in self.outputs:
            place = self.outputs.index(str(output))
        else:
            raise UsageError(f"no output {output!r}; there: {listing(self.outputs)}")
        return pd.DataFrame(self._deep[:, :, place], index=self.data.index, columns=list(self.columns))

    @property
    def _deep(self) -> NDArray[np.float64]:
        return self.values[..., None] if self.values.ndim == 2 else self.values

    @property
    def shown_output(self) -> int:
        """The place of the output that tables and pictures are about.

        Of one row, what is predicted; of two classes the second; else the class whose values are the largest.
        """
        if len(self.outputs) == 1:
            return 0
        if len(self.data) == 1 and self.is_classifier:
            return int(np.argmax(self.answers[0]))
        if len(self.outputs) == 2 and self.is_classifier:
            return 1
        return int(np.argmax(np.abs(self._deep).mean(axis=(0, 1))))

    def sentence(self) -> str:
        rows = "1 row" if len(self.data) == 1 else f"{len(self.data)} rows"
        first = ", ".join(f"{name} {number(value)}" for name, value in self.importance.iloc[:3].items())
        return f"SHAP values of {rows} of {self.model}, in {_units(self.scale)}: most by {first}"

    def notes(self) -> Sequence[str]:
        return (self.explainer, self._sum_note(), *self.remarks)

    def _sum_note(self) -> str:
        return f"base value and values add up to what the model says, to {self.additivity:.1g}"

    def table(self) -> Table:
        shown, order = self.shown_output, self._order[:_MOST_LISTED]
        named = "" if len(self.outputs) == 1 else f" for {self.outputs[shown]}"
        if len(self.data) == 1:
            cells = [
                (self.columns[i], _text(self.data.iloc[0, i]), _signed(self._deep[0, i, shown]))
                for i in order
            ]
            return Table(("column", "value", f"adds{named}"), tuple(cells))
        total = float(self.importance.sum()) or 1.0
        rows = [
            (self.columns[i], number(size), f"{100 * size / total:.0f}%")
            for i, size in zip(order, self.importance.iloc[:_MOST_LISTED], strict=False)
        ]
        return Table(("column", "mean |value|", "share"), tuple(rows))

    @property
    def _order(self) -> list[int]:
        """The places of the columns, the most important first."""
        where = {name: place for place, name in enumerate(self.columns)}
        return [where[name] for name in self.importance.index]

    def payload(self) -> dict[str, Any]:
        shown = self.shown_output
        return {
            "model": self.model,
            "rows": len(self.data),
            "columns": len(self.columns),
            "outputs": list(self.outputs),
            "scale": self.scale,
            "explainer": self.explainer,
            "additivity": self.additivity,
            "base_values": dict(zip(self.outputs, _plain(self.base_values), strict=True)),
            "importance": [
                {"column": str(name), "value": float(value)}
                for name, value in self.importance.iloc[:20].items()
            ],
            "shown": self.outputs[shown],
            "points": self.points(shown) if len(self.data) > 1 else [],
            "waterfall": self.waterfall(0, shown) if len(self.data) == 1 else None,
            "seconds": round(self.seconds, 3),
        }

    def points(self, output: int, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return what pictures draw of the values of an output: of up to 200 rows, spread evenly over them.

        One dict for each of the columns, by default those that count most: ``column``, ``values``, ``cells`` (numbers,
        texts or null) and ``levels`` (how high each number stands among the others, from 0 to 1).
        """
        step = -(-len(self.data) // _MOST_POINTS)
        found = []
        for place in self._order[:_MOST_DRAWN] if columns is None else map(self.columns.index, columns):
            cells, values = self.data.iloc[::step, place], self._deep[::step, place, output]
            found.append(
                {
                    "column": self.columns[place],
                    "values": _plain(values),
                    "cells": [_cell(cell) for cell in cells],
                    "levels": _levels(cells),
                }
            )
        return found

    def waterfall(self, place: int, output: int) -> dict[str, Any]:
        """Return how the base value of an output becomes the answer of the explained row at `place`.

        ``row`` (its position in X), ``output``, ``base``, ``answer``, ``steps`` (``column``, ``cell``, ``value``; the
        largest first), and of the columns that are left out ``others``, their number, and ``rest``, their sum.
        """
        order = sorted(self._order, key=lambda i: -abs(self._deep[place, i, output]))
        return {
            "row": int(self.rows[place]),
            "output": self.outputs[output],
            "base": float(self.base_values[output]),
            "answer": float(self.answers[place, output]),
            "steps": [
                {
                    "column": self.columns[i],
                    "cell": _text(self.data.iloc[place, i]),
                    "value": float(self._deep[place, i, output]),
                }
                for i in order[:_MOST_DRAWN]
            ],
            "others": len(order[_MOST_DRAWN:]),
            "rest": float(sum(self._deep[place, i, output] for i in order[_MOST_DRAWN:])),
        }


def _units(scale: str) -> str:
    return {"prediction": "units of the prediction", "decision score": "units of the decision score"}.get(
        scale, scale
    )


def _levels(cells: pd.Series) -> list[float | None]:
    """Return how high each number stands among the others, from 0 to 1; ``None`` for nulls and for texts."""
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        return [None] * len(cells)
    ranks = cells.astype(float).rank(method="average")
    low, high = ranks.min(), ranks.max()
    spread = high - low
    levels = (ranks - low) / spread if spread else ranks * 0 + 0.5
    return _plain(levels.tolist())


def _cell(value: Any) -> Any:
    """Return a cell as JSON has it: a number, a text, or null."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _text(value: Any) -> str:
    cell = _cell(value)
    return "null" if cell is None else number(cell) if isinstance(cell, float) else cell


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{number(abs(value))}"


def _plain(values: Any) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]
