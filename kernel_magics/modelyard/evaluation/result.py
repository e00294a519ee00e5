"""An evaluation: the scores of every fold, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        Indexed by metric: ``mean``, ``std`` (n - 1), ``ci_low`` and ``ci_high``, the 95 % interval,
        which ends where the metric does.
    warnings : tuple of str
        What makes the figures untrustworthy, and what to type instead.
    rows, features : int
        The shape of the data.
    smaller_is_better : tuple of str
        The metrics of which less is better.
    predictions : DataFrame or None
        What was said of rows that the model had not learned from: ``row`` (place in X), ``fold``, ``target``,
        ``prediction``, and ``p_CLASS`` for each class where the model gives probabilities. Of several targets
        ``target_NAME`` and ``prediction_NAME``. Not kept in the yard; ``None`` beyond five million predictions.
    slices : DataFrame or None
        Where ``by`` was given: ``slice, rows, metric, value, ci_low, ci_high, difference, p``.
    slice_notes : tuple of str
        The worst slice if it is worse beyond chance, and slices that are too small to compare.
    pictures : dict
        The points of the pictures, such as ``roc``; see `modelyard.evaluation.curves.pictures`.
    fit_seconds : tuple of float
        Wall time of each fold's fit.
    seconds : float
        Wall time.
    method : str
        How leave-one-out was computed, where not by one fit per row.
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
    smaller_is_better: tuple[str, ...] = ()
    predictions: pd.DataFrame | None = None
    slices: pd.DataFrame | None = None
    slice_notes: tuple[str, ...] = ()
    pictures: Mapping[str, Any] = field(default_factory=dict)
    fit_seconds: tuple[float, ...] = ()
    seconds: float = field(default=0.0)
    method: str = ""

    def sentence(self) -> str:
        metric = str(self.summary.index[0])
        return (
            f"{self.model} in {len(self.scores)} folds ({self.cv}) of {self.rows} rows: "
            f"{metric} {number(self._figure(metric, 'mean'))} ± {number(self._figure(metric, 'std'))}; "
            f"kept as {self.name}"
        )

    def notes(self) -> Sequence[str]:
        return (*self.slice_notes, *self.warnings, *([self.method] if self.method else []))

    def table(self) -> Table:
        rows = []
        for metric in map(str, self.summary.index):
            mean, std, low, high = (self._figure(metric, c) for c in ("mean", "std", "ci_low", "ci_high"))
            name = f"{metric} (less is better)" if metric in self.smaller_is_better else metric
            rows.append((name, number(mean), number(std), _interval(low, high)))
        return Table(("metric", "mean", "std", "95 % interval"), (*rows, *self._slice_rows()))

    def _slice_rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the slices of the first metric that could be measured."""
        if self.slices is None or self.slices.empty:
            return
        metric = self.slices["metric"].iloc[0]
        for part in self.slices[self.slices["metric"] == metric].itertuples():
            name = f"{metric} where {part.slice} ({part.rows} rows)"
            yield name, number(part.value), "–", _interval(part.ci_low, part.ci_high)

    def payload(self) -> dict[str, Any]:
        return {"name": self.name, **self.facts(), "pictures": dict(self.pictures)}

    def facts(self) -> dict[str, Any]:
        """Return what the yard keeps: everything small."""
        return {
            "model": self.model,
            "cv": self.cv,
            "scores": {str(metric): _plain(self.scores[metric].tolist()) for metric in self.scores.columns},
            "summary": {
                str(metric): dict(zip(self.summary.columns, _plain(row.tolist()), strict=True))
                for metric, row in self.summary.iterrows()
            },
            "smaller_is_better": list(self.smaller_is_better),
            "slices": _records(self.slices),
            "warnings": list(self.warnings),
            "rows": self.rows,
            "features": self.features,
            "seconds": round(self.seconds, 3),
            "method": self.method,
        }

    def _figure(self, metric: str, column: str) -> float:
        return float(self.summary[column].loc[metric])


def _interval(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}" if low == low else "–"


def _records(slices: pd.DataFrame | None) -> list[dict[str, Any]]:
    if slices is None:
        return []
    names = ["slice", "rows", "metric"]
    figures = [name for name in slices.columns if name not in names]
    return [
        {**{name: getattr(part, name) for name in names}, **dict(zip(figures, _plain(values), strict=True))}
        for part, values in zip(slices.itertuples(), slices[figures].to_numpy(float).tolist(), strict=True)
    ]


def _plain(values: Sequence[float]) -> list[float | None]:
    return [value if value == value and abs(value) != float("inf") else None for value in map(float, values)]
