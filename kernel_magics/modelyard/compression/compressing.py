"""Compressing: make smaller models, measure each on held-out rows, and take the smallest that is good enough."""

from __future__ import annotations

import math
import time
from typing import Any

from modelyard.compression.candidates import Candidate, candidates_table
from modelyard.compression.choosing import Tolerance, Wish
from modelyard.compression.final import made_of_all
from modelyard.compression.judging import Judge, Slice, parted
from modelyard.compression.records import CompressionRecord, new_record, resumed_record
from modelyard.compression.refitting import AS_IT_IS, model_facts, taken, words_of
from modelyard.compression.request import check_fitted, check_numbers, wanted_techniques
from modelyard.compression.result import Compression
from modelyard.compression.search import Search
from modelyard.conversion import is_torch
from modelyard.errors import BudgetError, InterruptedRunError, InvalidInputError
from modelyard.evaluation.inputs import Samples, samples_for
from modelyard.evaluation.metrics import Metric, objective_metric
from modelyard.evaluation.slicing import slices_of
from modelyard.tuning.budget import serving_budget
from modelyard.tuning.contract import data_facts


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
    caution: float = 1.0,
    name: str | None = None,
    resume: bool = False,
) -> Compression:
    """Make a model smaller and faster without changing much of what it says.

    30 % of the rows are put aside. A clone of the model is fitted on the others; of it the smaller models are made, and
    all of them, the clone being ``original``, are judged on the rows put aside: the model that was given has
    probably seen these. In the end the chosen recipe is applied to the model that was given and to all rows, and its
    size and latency are measured again, against that model. The score of `best` itself is therefore not known;
    that of the same recipe on 70 % of the rows is. The smallest of many candidates is chosen by these very rows, which
    makes its drop look smaller than it is: `caution` stands against that (see `Tolerance`).

    Each candidate is written into the project's catalog as soon as it is measured. Whatever stops the search, a killed
    kernel too, `resume` takes them up, and `kept_candidates` shows them.

    A torch module cannot be fitted again: the original is the module as it was given.

    Parameters
    ----------
    model : estimator or torch.nn.Module
        Fitted; of a pipeline the last step is made smaller. It is not changed.
    X, y
        The rows that it was fitted on, and their targets.
    max_drop : float
        How much of the score may be lost, in its own unit: 0.005 of accuracy is half a point.
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
        Seconds after which no candidate is begun, and one that is in the middle is given up: networks, torch modules
        and forests look at the clock while they are fitted. Not cut short are the fit of the original, other fits,
        a conversion, a measurement, and in the end the chosen recipe on all rows.
    by : str, array, Series, DataFrame or list of them, optional
        Also tell what became of slices: the values of a column of X, or quarters of its numbers.
    caution : float
        How many standard errors of its drop a candidate must keep away from `max_drop`; with 0 the drop itself counts.
    name : str, optional
        Of the record in the catalog; by default the model's class with a number.
    resume : bool
        Take up the compression `name`, or the newest of that model class: what it has measured is not measured again.
        Model, data, scoring and seed must be what they were; techniques, `max_drop`, targets and time may
        differ.

    Returns
    -------
    Compression
        After Ctrl-C, of the candidates that had been measured until then.

    Raises
    ------
    BudgetError
        Nothing keeps to the targets with so small a drop; names what came closest, and holds what was measured as
        ``candidates``.
    UsageError, UnknownNameError, NameTakenError, MissingExtraError
        An argument makes no sense; there is no such technique, target or compression; or that to resume is of another
        model or other data.
    InvalidInputError, NotFittedError
        The model or the data cannot be used.
    InterruptedRunError
        Ctrl-C before there was anything to choose from.
    """
    began = time.perf_counter()
    check_numbers(max_drop, timeout, caution)
    model = taken(model, X, y)
    wanted = wanted_techniques(techniques)
    samples = samples_for(model, X, y)
    if samples.columns:
        raise InvalidInputError(
            f"compressing judges one target, y has {len(samples.columns)} columns; compress a model of each column"
        )
    check_fitted(model)
    metric = objective_metric(scoring, model, samples)
    budget = serving_budget(target_latency, target_size, for_, prefix="target_")
    if by is not None:
        next(slices_of(samples, by), None)  # a column that is not there is told before anything is fitted
    parts = parted(samples, seed)
    record = (resumed_record if resume else new_record)(model, name, _contract(model, samples, metric, seed))
    tolerance = Tolerance(max_drop, caution)
    search = Search(
        wanted,
        parts,
        Judge(parts.held_out, metric, seed),
        seed,
        math.inf if timeout is None else began + timeout,
        tolerance,
        record,
    )
    try:
        search.measure_original(model)
        search.run()
        wish = Wish(budget, tolerance, metric.name, fastest=target_latency is not None)
        chosen, final = made_of_all(search.found, model, samples, wish)
        slices = () if by is None else tuple(_fallen(search, samples, by, chosen))
    except KeyboardInterrupt as stop:
        record.end("interrupted")
        raise _interrupted(record) from stop
    except BudgetError as error:
        record.end("nothing kept to the budget")
        raise _with_candidates(error, search) from error
    except BaseException:
        if not resume:  # a record that is refused stays as it was
            record.end("interrupted")
        raise
    record.end("interrupted" if search.why_left else "finished", chosen=chosen.name)
    return Compression(
        name=record.name,
        model=words_of(model),
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        candidates=candidates_table(search.found, chosen, metric.greater_is_better),
        best=final.best,
        original_cost=final.original.cost,
        best_cost=final.footprint.cost,
        original_1k_us=final.original.latency_1k_us,
        best_1k_us=final.footprint.latency_1k_us,
        tolerance=tolerance,
        budget=budget.text(),
        held_out=parts.held_out.rows,
        slices=slices,
        remarks=(
            *((AS_IT_IS,) if is_torch(model) else ()),
            *search.remarks(),
            *final.remarks,
            *budget.remarks,
            *budget.remarks_on(final.footprint.cost),
        ),
        seconds=time.perf_counter() - began,
    )


def _contract(model: Any, samples: Samples, metric: Metric, seed: int) -> dict[str, Any]:
    """Return what must be the same for the candidates of two runs to stand in one table, as JSON."""
    return {
        "scoring": metric.name,
        "greater_is_better": metric.greater_is_better,
        "seed": seed,
        "model": model_facts(model),
        **data_facts(samples),
    }


def _fallen(search: Search, samples: Samples, by: Any, chosen: Candidate) -> list[Slice]:
    one, other = (search.judged_of(each) for each in (search.found[0], chosen))
    return search.judge.fallen(samples, by, search.parts.held_rows, one, other)


def _interrupted(record: CompressionRecord) -> InterruptedRunError:
    if not record.count:
        return InterruptedRunError("compressing stopped before anything was measured; run it again")
    return InterruptedRunError(
        f"compressing stopped before the chosen model was made of all rows; its {record.count} candidates are kept; "
        f"to go on with them, {record.advice()}"
    )


def _with_candidates(error: BudgetError, search: Search) -> BudgetError:
    """Return the error with what was measured, and where that is kept."""
    told = BudgetError(
        f"{error}; what was measured is in error.candidates; to choose from it again, {search.record.advice()}"
    )
    told.candidates = candidates_table(search.found, None, search.judge.metric.greater_is_better)
    return told
