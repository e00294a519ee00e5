"""LIME: a small linear model around each row, and how well it stands for the model there.

M. T. Ribeiro, S. Singh and C. Guestrin, "Why should I trust you? Explaining the predictions of any classifier", KDD
2016. The library of that name has had no release since 2020; this is its method for tables on scikit-learn's ``Ridge``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from modelyard.errors import UsageError
from modelyard.explanation.attribution import Attribution
from modelyard.explanation.question import Question
from modelyard.explanation.used_rows import notes_of
from modelyard.presentation import number
from modelyard.progress import track

_MOST_ROWS = 50  # where none are asked for
_SAMPLES = 2_000
_POOL = 5_000  # rows of X that values are drawn from
_AT_ONCE = 20_000  # rows answered in one call
_TRUSTED = 0.5
_MOST_NAMED = 5

Matrix = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class LocalAttribution(Attribution):
    """What each column adds to each answer in a linear model that was fitted around the row.

    A column's value is by how much the answer is higher, on average, where the column keeps its quarter of the numbers,
    or its category, than where it does not. It is an `Attribution`, of which `base_values` are the mean of
    `intercepts`, `answers` what the linear models say of the rows, and `additivity` their largest difference from the
    model.

    Attributes
    ----------
    fidelity : ndarray of shape (rows,)
        The weighted R² of each linear model on the neighbours that it was fitted on; near 1 it stands for the model.
    intercepts : ndarray of shape (rows, outputs)
        What each linear model says where every column is somewhere else.
    """

    fidelity: Matrix
    intercepts: Matrix

    def sentence(self) -> str:
        rows = "1 row" if len(self.data) == 1 else f"{len(self.data)} rows"
        first = ", ".join(f"{name} {number(value)}" for name, value in self.importance.iloc[:3].items())
        return (
            f"LIME values of {rows} of {self.model}, in units of the {self.scale}: most by {first}; "
            f"fidelity {number(float(np.median(self.fidelity)))}"
        )

    def notes(self) -> Sequence[str]:
        return (*self._doubts(), self.explainer, *self.remarks)

    def _doubts(self) -> list[str]:
        poor = np.flatnonzero(~(self.fidelity >= _TRUSTED))
        if not len(poor):
            return []
        named = ", ".join(f"{self.rows[i]} ({number(float(self.fidelity[i]))})" for i in poor[:_MOST_NAMED])
        more = f" and {len(poor) - _MOST_NAMED} more" if len(poor) > _MOST_NAMED else ""
        rows = "row" if len(poor) == 1 else "rows"
        return [
            f"do not trust the values of {rows} {named}{more}: the linear model has a fidelity below {_TRUSTED:g} "
            "there; type method='shap'"
        ]

    def payload(self) -> dict[str, Any]:
        return {
            **super().payload(),
            "method": "lime",
            "fidelity": [float(each) if math.isfinite(each) else None for each in self.fidelity],
        }


class LimeMethod:
    """Fits a weighted linear model to the model's answers for neighbours of each row."""

    options: ClassVar[Mapping[str, str]] = {
        "samples": "how many neighbours of each row are asked about (2000)",
        "width": "the width of the kernel that weighs them (0.75 times the root of the number of columns)",
    }

    def explain(self, question: Question) -> LocalAttribution:
        """Explain the rows one by one.

        Raises
        ------
        UsageError
            `samples` or `width` is no number that makes sense.
        """
        started = time.perf_counter()
        explained = question.explained
        samples = int(_amount(question.options.get("samples"), "samples", _SAMPLES, 50))
        width = _amount(
            question.options.get("width"), "width", 0.75 * math.sqrt(len(explained.columns)), 1e-3
        )
        rng = np.random.default_rng(question.seed)
        notes, places = notes_of(question, rows=True, background=False), question.places
        if question.rows_by_default and len(places) > _MOST_ROWS:
            notes = notes_of(question, rows=False, background=False)
            places = np.sort(rng.choice(places, _MOST_ROWS, replace=False, shuffle=False))
            notes.append(
                f"{_MOST_ROWS} of {len(question.frame):,} rows, drawn by the seed; type rows= for others"
            )
        rows = question.frame.iloc[places]
        drawn = np.sort(rng.permutation(len(question.frame))[:_POOL])
        near = _Neighbours(question.frame.iloc[drawn], rows)
        shape = (len(rows), len(explained.outputs))
        values = np.empty((len(rows), len(explained.columns), len(explained.outputs)))
        intercepts, said, fidelity = np.empty(shape), np.empty(shape), np.empty(len(rows))
        at_once = max(1, _AT_ONCE // samples)
        with track("lime", len(rows), "row") as tracker:
            for first in range(0, len(rows), at_once):
                part = range(first, min(len(rows), first + at_once))
                cells = [near.drawn(row, samples, rng) for row in part]
                found = explained.answer(near.frame(np.concatenate(cells))).reshape(len(part), samples, -1)
                for row, taken, answers in zip(part, cells, found, strict=True):
                    same = near.same(row, taken)
                    values[row], intercepts[row], fidelity[row] = _fitted(same, answers, width)
                    said[row] = answers[0]
                tracker.advance(len(part))
        local = intercepts + values.sum(axis=1)
        return LocalAttribution.made_of(
            question,
            places,
            values,
            base_values=intercepts.mean(axis=0),
            answers=local,
            scale=explained.scale,
            explainer=f"ridge regression on {samples} neighbours of each row, by whether a column keeps its quarter of "
            "the numbers or its category",
            additivity=float(np.abs(local - said).max()),
            remarks=tuple(notes),
            seconds=time.perf_counter() - started,
            fidelity=fidelity,
            intercepts=intercepts,
        )


class _Neighbours:
    """Rows around a row: each cell is the row's own or, with even chances, that of a row drawn from the pool."""

    def __init__(self, pool: pd.DataFrame, rows: pd.DataFrame) -> None:
        self._all = pd.concat([pool, rows], ignore_index=True)
        self._pool = len(pool)
        self._parts = np.column_stack([_parts(self._all[name], len(pool)) for name in self._all.columns])

    def drawn(self, row: int, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return for every cell of `samples` neighbours which row it is of; the first neighbour is the row itself."""
        own = self._pool + row
        shape = (samples, self._parts.shape[1])
        cells = np.where(rng.random(shape) < 0.5, own, rng.integers(self._pool, size=shape))
        cells[0] = own
        return cells

    def frame(self, cells: NDArray[np.intp]) -> pd.DataFrame:
        return pd.DataFrame(
            {
                name: self._all[name].array.take(cells[:, place])
                for place, name in enumerate(self._all.columns)
            }
        )

    def same(self, row: int, cells: NDArray[np.intp]) -> Matrix:
        """Return 1 where a neighbour's cell is in the same part of its column as the row's, else 0."""
        columns = np.arange(self._parts.shape[1])
        return np.asarray(self._parts[cells, columns] == self._parts[self._pool + row], dtype=float)


def _parts(column: pd.Series[Any], pool: int) -> NDArray[np.intp]:
    """Return in which part of its column each cell is: a quarter of the numbers, a category, or null."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        known = numbers[:pool][~np.isnan(numbers[:pool])]
        if not len(known):
            return np.zeros(len(numbers), dtype=np.intp)
        edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75]))
        return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="left"))
    return np.asarray(pd.factorize(column)[0], dtype=np.intp)


def _fitted(same: Matrix, answers: Matrix, width: float) -> tuple[Matrix, Matrix, float]:
    """Return the weights of shape (columns, outputs), the intercepts, and the weighted R² of the linear model.

    The kernel is the paper's, exp(-d² / width²) with d the distance of the binary rows, and its root as in the authors'
    own code.
    """
    far = (1 - same).sum(axis=1)
    weights = np.sqrt(np.exp(-far / width**2))
    linear = Ridge(alpha=1.0).fit(same, answers, sample_weight=weights)
    said = linear.predict(same).reshape(answers.shape)
    fidelity = float(r2_score(answers, said, sample_weight=weights, multioutput="variance_weighted"))
    coefficients = np.atleast_2d(linear.coef_).T
    return coefficients, np.broadcast_to(linear.intercept_, answers.shape[1:]), fidelity


def _amount(given: Any, name: str, usual: float, least: float) -> float:
    if given is None:
        return usual
    try:
        amount = float(given)
    except (TypeError, ValueError):
        amount = math.nan
    if not (math.isfinite(amount) and amount >= least):
        raise UsageError(f"{name} is a number from {least:g} up, found {given!r}; type {name}={usual:.4g}")
    return amount
