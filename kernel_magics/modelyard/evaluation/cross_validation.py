"""Cross-validation: fit a clone on each training part, measure it on the rest."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pandas as pd

from modelyard.catalog import open_yard
from modelyard.engines import Engine, open_engine, processes_here
from modelyard.errors import InterruptedRunError, UsageError, listing
from modelyard.evaluation.checks import findings
from modelyard.evaluation.closed_form import exact_leave_one_out
from modelyard.evaluation.comparison import Comparison, compared, named_models
from modelyard.evaluation.curves import pictures
from modelyard.evaluation.failures import failed_fold
from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples, checked_samples, describe_model, stem_of
from modelyard.evaluation.intervals import corrected_error, student_interval
from modelyard.evaluation.measuring import Outcome, fold_outcomes, measure_fold, pooled_figures
from modelyard.evaluation.metrics import Metric, Response, chosen_metrics
from modelyard.evaluation.predictions import OutOfFold, answers_to_keep, out_of_fold
from modelyard.evaluation.result import Evaluation
from modelyard.evaluation.slices import sliced
from modelyard.evaluation.slicing import slices_of
from modelyard.evaluation.splitters import plan_folds
from modelyard.evaluation.tracked import evaluation_entry
from modelyard.progress import track
from modelyard.tracking import log_or_remark, open_tracking

__all__ = ["Outcome", "Scored", "cross_validate", "fold_outcomes", "measure_fold", "score_folds", "scored"]


@overload
def cross_validate(
    model: list[Any] | tuple[Any, ...] | dict[str, Any], X: Any, y: Any, *how: Any, **options: Any
) -> Comparison: ...
@overload
def cross_validate(model: Any, X: Any, y: Any, *how: Any, **options: Any) -> Evaluation: ...
def cross_validate(
    model: Any,
    X: Any,
    y: Any,
    cv: Any = "stratified",
    scoring: Any = None,
    groups: Any = None,
    repeats: int | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
    *,
    folds: int | None = None,
    by: Any = None,
    engine: str = "local",
    track: str | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> Any:
    """Judge a model on rows it has not learned from, and keep the result in the yard.

    Parameters
    ----------
    model : estimator, list of them, or dict of them by name
        Fitted or not; clones are fitted, `model` itself is never changed. Several are compared on the same folds.
    X : DataFrame, array, list of rows or sparse matrix of shape (rows, features)
    y : Series, array, list or frame of shape (rows,), or (rows, columns)
        Several columns are labels, each 0 or 1, or numbers of a model that predicts several at once.
    cv : str, int, splitter or list of (train, test)
        ``stratified[:n]`` (five folds), ``kfold[:n]``, a number of folds, ``loo``, ``group:COLUMN[:n]`` and
        ``stratified-group:COLUMN[:n]`` (rows of one group stay together), ``time[:gap]`` (each fold learns from rows
        that stand before those it judges, and `gap` rows between are left out), ``repeated[:n]`` (`repeats` times, ten
        by default), ``nested[:n]`` (around a model that is itself a search), or a scikit-learn splitter.
        Folds are shuffled with `seed`; those of groups have even sizes, and are shuffled only when they are
        repeated. On a regression target, and on several labels, ``stratified`` means plain folds.
    scoring : str, callable or list of them, optional
        Of classes: accuracy, precision, recall, f1, roc_auc, pr_auc, balanced_accuracy, log_loss, brier. Of numbers:
        mae, mse, r2, mape, median_ae, ``quantile:0.9`` (pinball loss). Of labels: f1, precision, recall, accuracy (all
        labels of a row), hamming, roc_auc, pr_auc. Or any scikit-learn scorer name, or a callable ``(model, X, y)``. By
        default the first five, three and six. With two classes the positive one is the second in sorted order; with
        more, and of labels, precision, recall and f1 are macro averages, roc_auc and pr_auc means of one-vs-rest.
    groups : array of shape (rows,) or str, optional
        For ``group`` and group splitters: one group per row, or the name of a column of X.
    repeats : int, optional
        Times to repeat, with the seeds `seed`, `seed` + 1, …; once, and ten times of ``repeated``.
    seed : int
        Shuffles the rows.
    n_jobs : int, optional
        Processes (joblib); -1 is one per core.
    folds : int, optional
        The number of folds, of every spec that has one.
    by : str, array, Series, DataFrame or list of them, optional
        Also measure slices: the values of a column of X, or quarters of its numbers.
    engine : str
        Where folds run: ``local``, ``local:N`` (as `n_jobs`), ``dask://host:port``, ``ray://host:port``, or ``dask``
        and ``ray`` for workers on this machine. Workers need this version of modelyard and the model's libraries;
        what a notebook's cell defines travels to them.
    track : str, optional
        Also tell a tracking server: ``mlflow:URI``, or ``mlflow`` for ``MLFLOW_TRACKING_URI``.
    fitted : dict of str to object, optional
        Fitted transformers and tables by name: a transformer that makes `X` out of one of the tables was fitted outside
        of the folds, and is named in the warnings. The magic gives those of the notebook.

    Returns
    -------
    Evaluation or, of several models, Comparison
        Intervals are corrected for folds that share what they learn from (`corrected_error`).
        In leave-one-out, a metric that one row does not define (precision, recall, f1, roc_auc, r2, …) is
        measured once on the pooled out-of-fold predictions: NaN per fold, and the summary's mean is the
        pooled value without std and interval; of the others the interval is Student's over the rows.

    Raises
    ------
    UsageError
        An argument makes no sense.
    InvalidInputError
        The data or the model cannot be used; names the fold that could not be fitted.
    InterruptedRunError
        Ctrl-C; nothing is recorded.
    EngineError, TrackingError
        The workers or the tracking server cannot be reached.
    """
    started = time.perf_counter()
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0):
        raise UsageError(
            f"n_jobs must be a whole number but 0, found {n_jobs!r}; type n_jobs=2, or -1 for all cores"
        )
    n_jobs = processes_here(engine) or n_jobs
    if (named := named_models(model)) is not None:
        return _all_compared(
            named, X, y, (cv, groups, repeats, seed, folds), scoring, n_jobs=n_jobs, by=by, engine=engine, track=track,
            fitted=fitted,
        )  # fmt: skip
    samples = checked_samples(model, X, y)
    planned = plan_folds(cv, samples, groups, repeats, seed, folds, model)
    metrics, remarks = chosen_metrics(scoring, model, samples)
    if by is not None:
        next(slices_of(samples, by), None)  # a column that is not there is told before anything is fitted
    keep = answers_to_keep(model, samples, planned, metrics)
    tracking = open_tracking(track, open_yard().root.name)
    try:
        with open_engine("local" if processes_here(engine) else engine) as opened:
            found = score_folds(model, samples, planned, metrics, n_jobs, keep, opened)
        warnings = (*findings(samples, planned, fitted), *planned.remarks, *remarks, *found.remarks)
        answers = found.answers
        slices, notes = _slices(answers, samples, metrics, by, seed)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError("cross-validation stopped; nothing was recorded, run it again") from stop
    evaluation = Evaluation(
        name="",
        model=describe_model(model),
        cv=planned.label,
        scores=found.scores,
        summary=found.summary,
        warnings=warnings,
        method=found.method,
        rows=samples.rows,
        features=samples.features,
        smaller_is_better=tuple(metric.name for metric in metrics if not metric.greater_is_better),
        predictions=None if answers is None else answers.frame(samples),
        slices=slices,
        slice_notes=notes,
        pictures={} if answers is None else pictures(answers, samples, seed),
        fit_seconds=found.fit_seconds,
        seconds=time.perf_counter() - started,
    )
    record = open_yard().add_numbered("evaluation", stem_of(model), evaluation.facts())
    evaluation = dataclasses.replace(evaluation, name=record.name)
    if tracking is None:
        return evaluation
    entry = evaluation_entry(evaluation, model, seed, f"{record.name} {record.created}")
    return dataclasses.replace(evaluation, warnings=(*evaluation.warnings, log_or_remark(tracking, entry)))


def _all_compared(
    named: Mapping[str, Any], X: Any, y: Any, how: tuple[Any, ...], scoring: Any, **options: Any
) -> Comparison:
    """Evaluate each model on the same folds, also where a splitter draws anew whenever it is asked."""
    cv, groups, repeats, seed, folds = how
    judged = {name: checked_samples(model, X, y) for name, model in named.items()}
    regression = {name for name, samples in judged.items() if samples.regression}
    if regression and len(regression) < len(judged):
        classes = ", ".join(name for name in judged if name not in regression)
        raise UsageError(
            f"the models predict different things: {classes} classes, {listing(regression)} numbers; "
            "compare models of one kind"
        )
    first = next(iter(named))
    metric = chosen_metrics(scoring, named[first], judged[first])[0][0]
    planned = plan_folds(cv, judged[first], groups, repeats, seed, folds, named[first])
    evaluations = {
        name: cross_validate(model, X, y, planned, scoring, seed=seed, **options)
        for name, model in named.items()
    }
    return compared(evaluations, metric, planned.test_over_train)


def _slices(
    answers: OutOfFold | None, samples: Samples, metrics: tuple[Metric, ...], by: Any, seed: int
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    if by is None:
        return None, ()
    if answers is None:
        return None, (
            "slices are left out: so many predictions are not kept; type cv='kfold:5' without repeats",
        )
    return sliced(answers, samples, metrics, by, seed)


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of every fold, their summary, remarks about what is undefined, and the answers where they were kept."""

    scores: pd.DataFrame
    summary: pd.DataFrame
    remarks: tuple[str, ...]
    answers: OutOfFold | None = None
    fit_seconds: tuple[float, ...] = ()
    method: str = ""


def score_folds(
    model: Any,
    samples: Samples,
    folds: Folds,
    metrics: tuple[Metric, ...],
    n_jobs: int | None = None,
    keep: tuple[Response, ...] = (),
    engine: Engine | None = None,
) -> Scored:
    """Fit and measure every fold; records nothing.

    Raises
    ------
    InvalidInputError
        A fold cannot be fitted or predicted; names it, and keeps the model's own error as the cause.
    """
    exact = exact_leave_one_out(model, samples, folds, metrics, n_jobs, keep)
    outcomes = (
        exact.outcomes if exact else fold_outcomes(model, samples, folds, metrics, n_jobs, keep, engine)
    )
    found = scored(_told(model, samples, folds, outcomes), samples, folds, metrics)
    return dataclasses.replace(found, method=exact.remark()) if exact else found


def _told(model: Any, samples: Samples, folds: Folds, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield outcomes, count them where someone watches, and stop at the first that failed."""
    with track("cross-validation", len(folds.splits), "fold") as tracker:
        for place, outcome in enumerate(outcomes, start=1):
            if outcome.failure is not None:
                raise failed_fold(model, samples, folds, place, outcome.failure) from outcome.failure
            yield outcome
            tracker.advance()


def scored(
    outcomes: Iterable[Outcome], samples: Samples, folds: Folds, metrics: tuple[Metric, ...]
) -> Scored:
    """Put the outcomes of all folds together."""
    done = list(outcomes)
    index = pd.RangeIndex(1, len(done) + 1, name="fold")
    names = [metric.name for metric in metrics]
    scores = pd.DataFrame([outcome.figures for outcome in done], index=index, columns=names, dtype=float)
    pooled = pooled_figures(done, samples, folds, metrics) if folds.one_row_each else {}
    return Scored(
        scores,
        _summary(scores, pooled, 0.0 if folds.one_row_each else folds.test_over_train, metrics),
        tuple(_undefined(scores, pooled)),
        out_of_fold(done, samples, folds),
        tuple(outcome.fit_seconds for outcome in done),
    )


def _summary(
    scores: pd.DataFrame, pooled: dict[str, float], test_over_train: float, metrics: tuple[Metric, ...]
) -> pd.DataFrame:
    """Return mean, standard deviation (n - 1) and 95 % interval of every metric."""
    rows = {}
    for metric in metrics:
        name = metric.name
        values = scores[name].dropna().to_numpy()
        if name in pooled:
            rows[name] = (pooled[name], np.nan, np.nan, np.nan)
            continue
        mean = float(values.mean()) if len(values) else np.nan
        std = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        rows[name] = (
            mean,
            std,
            *metric.within(student_interval(mean, corrected_error(values, test_over_train), len(values))),
        )
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
