"""An evaluation: the scores of every fold, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from modelyard.presentation import Result, Table, number


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(Result):
    """What cross-validation found.

    Attributes
    ----------
    name : str
        The record in the yard, such as ``logistic-regression-1``.
    model : str
        What was evaluated, in words.
    cv : str
        The folds that were really used, such as ``stratified:5``.
    scores : DataFrame of shape (folds, metrics)
        One row per fold (index ``fold``, from 1; repeats follow each other), NaN where undefined.
    summary : DataFrame
        Indexed by metric: ``mean``, ``std`` (n - 1), ``ci_low`` and ``ci_high``, the 95 % interval.
    warnings : tuple of str
        What makes the figures untrustworthy, and what to type instead.
    rows, features : int
        The shape of the data.
    seconds : float
        Wall time.
    """

    kind: ClassVar[str] = "evaluation"

    name: str
    model: str
    cv: str
    scores: pd.DataFrame
    summary: pd.DataFrame
    warnings: tuple[str, ...] = ()
    rows: int = 0
    features: int = 0
    seconds: float = field(default=0.0)

    def sentence(self) -> str:
        metric = str(self.summary.index[0])
        return (
            f"{self.model} in {len(self.scores)} folds ({self.cv}) of {self.rows} rows: "
            f"{metric} {number(self._figure(metric, 'mean'))} ± {number(self._figure(metric, 'std'))}; "
            f"kept as {self.name}"
        )

    def notes(self) -> Sequence[str]:
        return self.warnings

    def table(self) -> Table:
        rows = []
        for metric in map(str, self.summary.index):
            mean, std, low, high = (self._figure(metric, c) for c in ("mean", "std", "ci_low", "ci_high"))
            interval = f"{number(low)} to {number(high)}" if low == low else "–"
            rows.append((metric, number(mean), number(std), interval))
        return Table(("metric", "mean", "std", "95 % interval"), tuple(rows))

    def payload(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.model,
            "cv": self.cv,
            "scores": {str(metric): _plain(self.scores[metric].tolist()) for metric in self.scores.columns},
            "summary": {
                str(metric): dict(zip(self.summary.columns, _plain(row.tolist()), strict=True))
                for metric, row in self.summary.iterrows()
            },
            "warnings": list(self.warnings),
            "rows": self.rows,
            "features": self.features,
            "seconds": round(self.seconds, 3),
        }

    def _figure(self, metric: str, column: str) -> float:
        return float(self.summary[column].loc[metric])


def _plain(values: Sequence[float]) -> list[float | None]:
    return [value if value == value and abs(value) != float("inf") else None for value in map(float, values)]
