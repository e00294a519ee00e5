"""The Pareto front of a study: the finalists of which none is better in everything, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from modelyard.errors import BudgetError, UsageError, did_you_mean, listing
from modelyard.tuning.budget import ServingBudget, serving_budget
from modelyard.tuning.finalists import Finalist, no_finalist
from modelyard.tuning.objectives import OF_SERVING, Objective

Array = np.ndarray[Any, Any]


def non_dominated(values: Array, greater_is_better: Sequence[bool]) -> Array:
    """Return which rows no other row dominates: as good in every column, and better in one.

    Parameters
    ----------
    values : array of shape (rows, objectives)
        Without NaN.
    greater_is_better : sequence of bool

    Examples
    --------
    >>> non_dominated(np.array([[0.9, 5.0], [0.8, 1.0], [0.8, 2.0]]), [True, False]).tolist()
    [True, True, False]
    """
    losses = np.where(np.asarray(greater_is_better), -values, values)
    kept: Array = np.ones(len(losses), dtype=bool)
    for place, row in enumerate(losses):
        kept[place] = not ((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any()
    return kept


def front_of(finalists: Sequence[Finalist], objectives: Sequence[Objective]) -> tuple[Finalist, ...]:
    """Return the finalists that none dominates by its measured figures, the best by the first objective first."""
    if not finalists:
        return ()
    values = np.array([[finalist.figure(o.figure) for o in objectives] for finalist in finalists])
    known = ~np.isnan(values).any(axis=1)
    kept = [f for f, there in zip(finalists, known, strict=True) if there]
    on_front = non_dominated(values[known], [o.greater_is_better for o in objectives])
    return ordered([f for f, on in zip(kept, on_front, strict=True) if on], objectives[0])


def ordered(finalists: Sequence[Finalist], objective: Objective) -> tuple[Finalist, ...]:
    """Return finalists, the best by one objective first."""
    return tuple(
        sorted(finalists, key=lambda f: f.figure(objective.figure), reverse=objective.greater_is_better)
    )


def front_table(finalists: Sequence[Finalist]) -> pd.DataFrame:
    """Return one row per finalist: ``trial``, its metrics, ``latency_us``, ``latency_noise_us``, ``size_bytes``,
    ``form`` and ``params_NAME``.
    """
    rows = [
        {
            "trial": finalist.number,
            **finalist.scores,
            "latency_us": finalist.cost.latency_us,
            "latency_noise_us": finalist.cost.noise_us,
            "size_bytes": finalist.cost.size_bytes,
            "form": finalist.cost.form,
            **{f"params_{name}": value for name, value in finalist.params.items()},
        }
        for finalist in finalists
    ]
    return pd.DataFrame(rows)


def chosen(
    finalists: Sequence[Finalist],
    objectives: Sequence[Objective],
    best: str | None,
    latency: str | float | None,
    size: str | float | None,
    score: float | None,
    study: str,
) -> Finalist:
    """Return the best finalist by one objective within the limits; see `Study.pick`.

    Raises
    ------
    UsageError
        There are no finalists, or `best` is no objective of the study.
    BudgetError
        None keeps to the limits; the message says how near the nearest comes.
    """
    if not finalists:
        raise UsageError(
            f"study {study!r} measured no finalists; search with objectives=['roc_auc', 'latency', 'size'] "
            "or with budget_latency= and budget_size="
        )
    known = {o.name: o for o in objectives}
    known |= {name: Objective(name, figure, False, None) for name, figure in OF_SERVING.items()}
    if best is not None and best not in known:
        raise UsageError(
            f"{best!r} is no objective of study {study!r}; there: {listing(known)}{did_you_mean(best, known)}"
        )
    budget = serving_budget(latency, size, prefix="")
    first = next(o for o in objectives if not o.of_serving)
    good = [f for f in finalists if score is None or _reaches(f, first, score)]
    if not good:
        nearest = ordered(finalists, first)[0]
        sign = ">=" if first.greater_is_better else "<="
        raise BudgetError(
            f"no model of {study!r} has {first.name} {sign} {score:g}; the nearest is trial {nearest.number} with "
            f"{nearest.figure(first.figure):.4g}; ask for less, or search on with resume=True (--resume)"
        )
    return _within(ordered(good, known[best] if best else objectives[0]), budget, study)


def _reaches(finalist: Finalist, metric: Objective, score: float) -> bool:
    value = finalist.figure(metric.figure)
    return value >= score if metric.greater_is_better else value <= score


def _within(finalists: Sequence[Finalist], budget: ServingBudget, study: str) -> Finalist:
    for finalist in finalists:
        if budget.is_met(finalist.cost):
            return finalist
    raise no_finalist(finalists, budget, study)
