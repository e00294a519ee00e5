"""Cross-validation: fit a clone on each training part, measure it on the rest."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import stdtrit
from sklearn.base import clone

from modelyard.catalog import open_yard
from modelyard.errors import InterruptedRunError, InvalidInputError, UsageError
from modelyard.evaluation.checks import findings
from modelyard.evaluation.inputs import Samples, checked_samples, describe_model, stem_of
from modelyard.evaluation.metrics import Metric, chosen_metrics, class_scores
from modelyard.evaluation.result import Evaluation
from modelyard.evaluation.splitters import Folds, Split, first_line, plan_folds
from modelyard.progress import track


def cross_validate(
    model: Any,
    X: Any,
    y: Any,
    cv: Any = "stratified:5",
    scoring: Any = None,
    groups: Any = None,
    repeats: int = 1,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Evaluation:
    """Judge a model on rows it has not learned from, and keep the result in the yard.

    Parameters
    ----------
    model : estimator
        Fitted or not; clones are fitted, `model` itself is never changed.
    X : DataFrame, array, list of rows or sparse matrix of shape (rows, features)
    y : Series, array, list or frame of one column, of shape (rows,)
    cv : str, int, splitter or list of (train, test)
        ``stratified[:n]``, ``kfold[:n]``, ``loo``, a number of folds, or a scikit-learn splitter.
        Folds are shuffled with `seed`. On a regression target ``stratified`` means ``kfold``.
    scoring : str, callable or list of them, optional
        accuracy, precision, recall, f1, roc_auc, mae, mse, r2, any scikit-learn scorer name, or a
        callable ``(model, X, y)``. By default all of those that fit the target. With two classes the
        positive one is the second in sorted order; with more, precision, recall and f1 are macro
        averages and roc_auc is one-vs-rest.
    groups : array of shape (rows,), optional
        For group splitters.
    repeats : int
        Times to repeat, with the seeds `seed`, `seed` + 1, …
    seed : int
        Shuffles the rows.
    n_jobs : int, optional
        Processes (joblib); -1 is one per core.

    Returns
    -------
    Evaluation
        In leave-one-out, a metric that one row does not define (precision, recall, f1, roc_auc, r2) is
        measured once on the pooled out-of-fold predictions: NaN per fold, and the summary's mean is the
        pooled value without std and interval.

    Raises
    ------
    UsageError
        An argument makes no sense.
    InvalidInputError
        The data or the model cannot be used; names the fold that could not be fitted.
    InterruptedRunError
        Ctrl-C; nothing is recorded.
    """
    started = time.perf_counter()
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0):
        raise UsageError(
            f"n_jobs must be a whole number but 0, found {n_jobs!r}; type n_jobs=2, or -1 for all cores"
        )
    samples = checked_samples(model, X, y)
    folds = plan_folds(cv, samples, groups, repeats, seed)
    metrics, remarks = chosen_metrics(scoring, model, samples)
    try:
        scored = score_folds(model, samples, folds, metrics, n_jobs)
        warnings = (*findings(samples, folds), *remarks, *scored.remarks)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError("cross-validation stopped; nothing was recorded, run it again") from stop
    evaluation = Evaluation(
        name="",
        model=describe_model(model),
        cv=folds.label,
        scores=scored.scores,
        summary=scored.summary,
        warnings=warnings,
        rows=samples.rows,
        features=samples.features,
        seconds=time.perf_counter() - started,
    )
    facts = {key: value for key, value in evaluation.payload().items() if key != "name"}
    record = open_yard().add_numbered("evaluation", stem_of(model), facts)
    return dataclasses.replace(evaluation, name=record.name)


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of every fold, their summary, and remarks about what is undefined."""

    scores: pd.DataFrame
    summary: pd.DataFrame
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Outcome:
    figures: dict[str, float]
    labels: NDArray[Any] | None = None
    scores: NDArray[Any] | None = None
    failure: ValueError | TypeError | None = None


def score_folds(
    model: Any, samples: Samples, folds: Folds, metrics: tuple[Metric, ...], n_jobs: int | None = None
) -> Scored:
    """Fit and measure every fold; records nothing.

    Raises
    ------
    InvalidInputError
        A fold cannot be fitted or predicted; names it, and keeps the model's own error as the cause.
    """
    outcomes: list[_Outcome] = []
    with track("cross-validation", len(folds.splits), "fold") as tracker:
        for place, outcome in enumerate(_outcomes(model, samples, folds, metrics, n_jobs), start=1):
            if outcome.failure is not None:
                raise InvalidInputError(
                    f"{type(model).__name__} failed in fold {place} of {len(folds.splits)}: "
                    f"{first_line(outcome.failure)}; mend the data or the model's parameters"
                ) from outcome.failure
            outcomes.append(outcome)
            tracker.advance()
    index = pd.RangeIndex(1, len(outcomes) + 1, name="fold")
    names = [metric.name for metric in metrics]
    scores = pd.DataFrame([outcome.figures for outcome in outcomes], index=index, columns=names, dtype=float)
    pooled = _pooled(outcomes, samples, folds, metrics) if folds.one_row_each else {}
    return Scored(scores, _summary(scores, pooled), tuple(_undefined(scores, pooled)))


def _outcomes(
    model: Any, samples: Samples, folds: Folds, metrics: tuple[Metric, ...], n_jobs: int | None
) -> Iterator[_Outcome]:
    alone = folds.one_row_each
    if n_jobs in (None, 1):
        return (_fit_and_measure(model, samples, split, metrics, alone) for split in folds.splits)
    work = (delayed(_fit_and_measure)(model, samples, split, metrics, alone) for split in folds.splits)
    running: Iterator[_Outcome] = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    return running


def _fit_and_measure(
    model: Any, samples: Samples, split: Split, metrics: tuple[Metric, ...], alone: bool
) -> _Outcome:
    train, test = split
    X, y = samples.take(test), samples.y[test]
    responses = {metric.response for metric in metrics}
    given: dict[str, NDArray[Any]] = {}
    figures: dict[str, float] = {}
    try:
        fitted = clone(model).fit(samples.take(train), samples.y[train])
        if "labels" in responses:
            given["labels"] = np.asarray(fitted.predict(X)).reshape(len(test), -1)[:, 0]
        if "scores" in responses and samples.classes is not None:
            given["scores"] = class_scores(fitted, X, samples.classes)
        for metric in metrics:
            if metric.response == "model":
                figures[metric.name] = float(metric.measure(fitted, X, y))
            elif alone and not metric.on_one_row:
                figures[metric.name] = float("nan")
            else:
                figures[metric.name] = metric.measure(y, given[metric.response], samples.classes)
    except (ValueError, TypeError) as error:
        return _Outcome(figures, failure=error)
    keep = given if alone else {}
    return _Outcome(figures, labels=keep.get("labels"), scores=keep.get("scores"))


def _pooled(
    outcomes: list[_Outcome], samples: Samples, folds: Folds, metrics: tuple[Metric, ...]
) -> dict[str, float]:
    y = samples.y[np.concatenate([test for _, test in folds.splits])]
    values = {}
    for metric in metrics:
        if metric.on_one_row:
            continue
        parts = [o.labels if metric.response == "labels" else o.scores for o in outcomes]
        response = np.concatenate([part for part in parts if part is not None])
        values[metric.name] = metric.measure(y, response, samples.classes)
    return values


def _summary(scores: pd.DataFrame, pooled: dict[str, float]) -> pd.DataFrame:
    """Return mean, standard deviation (n - 1) and 95 % interval of every metric.

    The interval is Student's: mean ± t(0.975, n - 1) · std / √n. Folds share training rows, so that it is
    somewhat too narrow (Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52,
    2003); their correction for repeated folds is future work.
    """
    rows = {}
    for name in scores.columns:
        values = scores[name].dropna().to_numpy()
        count = len(values)
        if name in pooled:
            rows[name] = (pooled[name], np.nan, np.nan, np.nan)
            continue
        mean = float(values.mean()) if count else np.nan
        std = float(values.std(ddof=1)) if count > 1 else np.nan
        half = float(stdtrit(count - 1, 0.975)) * std / np.sqrt(count) if count > 1 else np.nan
        rows[name] = (mean, std, mean - half, mean + half)
    summary = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "std", "ci_low", "ci_high"])
    summary.index.name = "metric"
    return summary


def _undefined(scores: pd.DataFrame, pooled: dict[str, float]) -> Iterator[str]:
    for name in scores.columns:
        gone = int(scores[name].isna().sum())
        if gone and name not in pooled:
            yield (
                f"{name} is undefined in {gone} of {len(scores)} folds, which hold too few rows or classes; "
                "the mean leaves them out; type cv='stratified:5' or fewer folds"
            )
