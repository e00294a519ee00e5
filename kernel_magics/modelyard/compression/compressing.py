"""Compressing: make smaller models, measure each on held-out rows, and take the smallest that is good enough."""

from __future__ import annotations

import math
import time
from typing import Any

from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

from modelyard.compression.candidates import candidates_table
from modelyard.compression.choosing import Wish
from modelyard.compression.final import made_of_all
from modelyard.compression.judging import Judge, parted
from modelyard.compression.protocol import Technique, techniques
from modelyard.compression.result import Compression
from modelyard.compression.search import Search
from modelyard.errors import (
    InterruptedRunError,
    InvalidInputError,
    NotFittedError,
    UsageError,
    did_you_mean,
    listing,
)
from modelyard.evaluation.inputs import check_estimator, checked_samples, describe_model
from modelyard.evaluation.metrics import objective_metric
from modelyard.evaluation.slicing import slices_of
from modelyard.tuning.budget import serving_budget


def compress(
    model: Any,
    X: Any,
    y: Any,
    max_drop: float = 0.005,
    techniques: Any = None,
    scoring: Any = None,
    seed: int = 0,
    *,
    target_size: str | float | None = None,
    target_latency: str | float | None = None,
    for_: str | None = None,
    timeout: float | None = None,
    by: Any = None,
) -> Compression:
    """Make a model smaller and faster without changing much of what it says.

    30 % of the rows are put aside. A clone of the model is fitted on the others; of it the smaller models are made, and
    all of them, the clone being ``original``, are judged on the rows put aside: the model that was given has
    probably seen these. In the end the chosen recipe is applied to the model that was given and to all rows, and its
    size and latency are measured again, against that model. The score of `best` itself is therefore not known;
    that of the same recipe on 70 % of the rows is. The smallest of many candidates is chosen by these very rows, so
    that its score is somewhat too good.

    Parameters
    ----------
    model : estimator
        Fitted; of a pipeline the last step is made smaller. It is not changed.
    X, y
        The rows that it was fitted on, and their targets.
    max_drop : float
        How much of the score may be lost, in its own unit: 0.005 of accuracy is half a point. It is held against the
        drop that was measured; the interval around it is shown.
    techniques : str or list of str, optional
        Of the installed ones, such as ``pruning``, ``quantization``, ``distillation`` (or one student:
        ``distillation:tree``). By default all that fit the model. With ``quantization`` among them, the
        smallest candidates of the others are quantized too.
    scoring : str or callable, optional
        One metric, as in `cross_validate`. By default roc_auc for two classes, else accuracy; r2 for numbers.
    seed : int
        Decides which rows are put aside, and everything else that is drawn.
    target_size : str or float, optional
        What the served model's file may take: ``"200kB"``, or bytes.
    target_latency : str or float, optional
        What one row may take in ONNX Runtime on one thread: ``"50us"``, or microseconds. With it the fastest
        candidate is chosen, else the smallest.
    for_ : str, optional
        An installed deployment target whose limits the model must keep to.
    timeout : float, optional
        Seconds after which no candidate is begun.
    by : str, array, Series, DataFrame or list of them, optional
        Also tell what became of slices: the values of a column of X, or quarters of its numbers.

    Returns
    -------
    Compression
        After Ctrl-C, of the candidates that had been measured until then.

    Raises
    ------
    BudgetError
        Nothing keeps to the targets with so small a drop; names what came closest.
    UsageError, UnknownNameError, MissingExtraError
        An argument makes no sense, or there is no such technique or target.
    InvalidInputError, NotFittedError
        The model or the data cannot be used.
    InterruptedRunError
        Ctrl-C before there was anything to choose from.
    """
    began = time.perf_counter()
    _check_request(max_drop, timeout)
    check_estimator(model)
    wanted = _wanted(techniques)
    samples = checked_samples(model, X, y)
    if samples.columns:
        raise InvalidInputError(
            f"compressing judges one target, y has {len(samples.columns)} columns; compress a model of each column"
        )
    _check_fitted(model)
    metric = objective_metric(scoring, model, samples)
    budget = serving_budget(target_latency, target_size, for_, prefix="target_")
    if by is not None:
        next(slices_of(samples, by), None)  # a column that is not there is told before anything is fitted
    parts = parted(samples, seed)
    search = Search(
        wanted,
        parts,
        Judge(parts.held_out, metric, seed),
        seed,
        math.inf if timeout is None else began + timeout,
        max_drop,
    )
    try:
        search.measure_original(model)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError("compressing stopped before anything was measured; run it again") from stop
    search.run()
    wish = Wish(budget, max_drop, metric.name, fastest=target_latency is not None)
    try:
        chosen, final = made_of_all(search.found, model, samples, wish)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(
            "compressing stopped while the chosen model was made of all rows; run it again with fewer techniques"
        ) from stop
    slices = (
        ()
        if by is None
        else tuple(search.judge.fallen(samples, by, parts.held_rows, search.found[0].judged, chosen.judged))
    )
    return Compression(
        model=describe_model(model),
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        candidates=candidates_table(search.found, chosen, metric.greater_is_better),
        best=final.best,
        original_cost=final.original.cost,
        best_cost=final.footprint.cost,
        original_1k_us=final.original.latency_1k_us,
        best_1k_us=final.footprint.latency_1k_us,
        max_drop=max_drop,
        budget=budget.text(),
        held_out=parts.held_out.rows,
        slices=slices,
        remarks=(
            *search.remarks(),
            *final.remarks,
            *budget.remarks,
            *budget.remarks_on(final.footprint.cost),
        ),
        seconds=time.perf_counter() - began,
    )


def _check_request(max_drop: Any, timeout: Any) -> None:
    for name, value, least in (
        ("max_drop", max_drop, "0 or more"),
        ("timeout", timeout, "in seconds and above 0"),
    ):
        if value is None and name == "timeout":
            continue
        given = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not given or value < 0 or (name == "timeout" and value == 0):
            typed = "max_drop=0.005" if name == "max_drop" else "timeout=60"
            raise UsageError(f"{name} is {least}, found {value!r}; type {typed}")


def _wanted(asked: Any) -> list[tuple[str, str, Technique]]:
    """Return the techniques that are asked for, or all: name, what follows the colon, and an instance."""
    if asked is None:
        found = [(name, "", techniques[name]()) for name in techniques]
    else:
        words = [asked] if isinstance(asked, str) else list(asked)
        if not words or not all(isinstance(word, str) for word in words):
            raise UsageError(
                f"techniques are names, found {asked!r}; type techniques='pruning', or leave it away for all"
            )
        found = []
        for word in dict.fromkeys(words):
            name, _, option = word.partition(":")
            technique = techniques[name]()
            if option and option not in technique.options:
                raise UsageError(
                    f"{name} knows no {option!r}; there: {listing(technique.options)}"
                    f"{did_you_mean(option, technique.options)}"
                )
            found.append((name, option, technique))
    return sorted(found, key=lambda each: each[2].order)


def _check_fitted(model: Any) -> None:
    try:
        check_is_fitted(model)
    except SklearnNotFittedError as error:
        raise NotFittedError(
            f"this {type(model).__name__} is not fitted; call its fit(X, y) first"
        ) from error
    except TypeError:  # an estimator that scikit-learn cannot ask
        pass
