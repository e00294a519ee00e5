"""One fold: fit a clone on what it may learn from, measure it on the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone

from modelyard.engines import Engine, Workers
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric, Response
from modelyard.evaluation.responses import answers
from modelyard.evaluation.splitters import Folds, Split

_BUNDLES = 8  # for each worker


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one fold gave.

    Attributes
    ----------
    figures : dict
        The value of each metric; NaN where undefined.
    labels, scores, probabilities : ndarray or None
        The answers on the test rows, where they were to be kept.
    failure : ValueError, TypeError or None
        Why it could not be fitted or measured.
    fit_seconds : float
        Wall time of the fit alone.
    """

    figures: dict[str, float]
    labels: NDArray[Any] | None = None
    scores: NDArray[Any] | None = None
    probabilities: NDArray[Any] | None = None
    failure: ValueError | TypeError | None = None
    fit_seconds: float = math.nan


def measure_fold(
    model: Any,
    samples: Samples,
    split: Split,
    metrics: tuple[Metric, ...],
    alone: bool,
    keep: tuple[Response, ...] = (),
) -> Outcome:
    """Fit a clone on the training rows of one split and measure it on the test rows.

    Parameters
    ----------
    alone : bool
        The test part is one row of leave-one-out: what one row does not define is NaN, and the answers that
        the pooled metrics need are kept.
    keep : tuple of {'labels', 'scores', 'probabilities'}
        Answers to keep besides.
    """
    train, test = split
    X, y = samples.take(test), samples.y[test]
    asked = {metric.response for metric in metrics} - {"model"}
    found: dict[str, NDArray[Any]] = {}
    figures: dict[str, float] = {}
    spent = math.nan
    try:
        began = time.perf_counter()
        fitted = clone(model).fit(samples.take(train), samples.y[train])
        spent = time.perf_counter() - began
        found = answers(fitted, X, samples, {*asked, *keep}, len(test))
        for metric in metrics:
            if metric.response == "model":
                figures[metric.name] = float(metric.measure(fitted, X, y))
            elif alone and not metric.on_one_row:
                figures[metric.name] = float("nan")
            else:
                figures[metric.name] = metric.measure(y, found[metric.response], samples.classes)
    except (ValueError, TypeError) as error:
        return Outcome(figures, failure=error, fit_seconds=spent)
    kept = {*keep, *(asked if alone else ())}
    left = {name: part for name, part in found.items() if name in kept}
    return Outcome(figures, left.get("labels"), left.get("scores"), left.get("probabilities"), None, spent)


def fold_outcomes(
    model: Any,
    samples: Samples,
    folds: Folds,
    metrics: tuple[Metric, ...],
    n_jobs: int | None = None,
    keep: tuple[Response, ...] = (),
    engine: Engine | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of each fold in the order of the folds, each measured when it is asked for.

    With `n_jobs` the folds run in processes, with an engine on its workers, ahead of the caller. A failed fold is
    an outcome with a failure.

    Raises
    ------
    EngineError
        A fold ended two workers, or there are none left.
    """
    alone = folds.one_row_each
    if engine is not None:
        return _on_workers(engine, model, samples, folds, metrics, keep)
    if n_jobs in (None, 1):
        return (measure_fold(model, samples, split, metrics, alone, keep) for split in folds.splits)
    work = (delayed(measure_fold)(model, samples, split, metrics, alone, keep) for split in folds.splits)
    running: Iterator[Outcome] = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    return running


def _on_workers(
    engine: Engine,
    model: Any,
    samples: Samples,
    folds: Folds,
    metrics: tuple[Metric, ...],
    keep: tuple[Response, ...],
) -> Iterator[Outcome]:
    """Send folds out in bundles, so that the many small ones of leave-one-out do not wait for the network."""
    count = len(folds.splits)
    workers = Workers(engine, (model, samples, folds, metrics, keep))
    size = max(1, count // (workers.slots * _BUNDLES))
    bundles = [range(first, min(first + size, count)) for first in range(0, count, size)]
    for outcomes in workers.map(_measured, bundles):
        yield from outcomes


def _measured(shared: tuple[Any, ...], places: range) -> list[Outcome]:
    model, samples, folds, metrics, keep = shared
    alone = folds.one_row_each
    return [measure_fold(model, samples, folds.splits[place], metrics, alone, keep) for place in places]


def pooled_figures(
    outcomes: list[Outcome], samples: Samples, folds: Folds, metrics: tuple[Metric, ...]
) -> dict[str, float]:
    """Return, of folds of one row each, what no single row defines: measured on the answers of all."""
    y = samples.y[folds.judged]
    values = {}
    for metric in metrics:
        if metric.on_one_row:
            continue
        parts = [getattr(outcome, metric.response) for outcome in outcomes]
        response = np.concatenate([part for part in parts if part is not None])
        values[metric.name] = metric.measure(y, response, samples.classes)
    return values
