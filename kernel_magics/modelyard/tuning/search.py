"""The search for a model's parameters: what was asked for, turned into a run."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from modelyard.catalog import open_yard
from modelyard.engines import checked_engine, open_engine
from modelyard.errors import UsageError
from modelyard.evaluation.inputs import check_estimator, checked_samples, describe_model
from modelyard.evaluation.splitters import plan_folds
from modelyard.tracking import open_tracking
from modelyard.tuning.background import StudyRun
from modelyard.tuning.beliefs import Beliefs
from modelyard.tuning.budget import serving_budget
from modelyard.tuning.contract import contract_of
from modelyard.tuning.control import current_control
from modelyard.tuning.defaults import default_space
from modelyard.tuning.nested import Searched, nested_folds, outer_evaluation
from modelyard.tuning.objectives import chosen_objectives
from modelyard.tuning.prefixes import prefix_cache
from modelyard.tuning.run import Search, run
from modelyard.tuning.samplers import Drawer, checked_method, points_of
from modelyard.tuning.selection import Serving
from modelyard.tuning.space import as_space, resolve_names
from modelyard.tuning.storage import open_storage, quiet_optuna
from modelyard.tuning.studies import find_study, keep_contract, new_study, resumed_study
from modelyard.tuning.study import Study
from modelyard.tuning.takeover import done_among
from modelyard.tuning.tracked import tracked
from modelyard.tuning.trial import PointScorer
from modelyard.tuning.warm_start import Older, older_study, own_labels, own_point

_DEFAULT_TRIALS = 50


def tune(
    model: Any,
    X: Any,
    y: Any,
    space: Any = None,
    method: str = "bayes",
    trials: int | None = None,
    timeout: float | None = None,
    cv: Any = "stratified:5",
    scoring: Any = None,
    objectives: Any = None,
    storage: str | None = None,
    name: str | None = None,
    resume: bool = False,
    engine: str = "local",
    seed: int = 0,
    *,
    prune: bool | None = None,
    warm_start: str | None = None,
    min_gain: float | None = None,
    names: Mapping[str, Any] | None = None,
    budget_latency: str | float | None = None,
    budget_size: str | float | None = None,
    target: str | None = None,
    bg: bool = False,
    track: str | None = None,
) -> Study | StudyRun:
    """Search for the parameters with which a model scores best in cross-validation.

    The model's own parameters are tried first, where they lie in the space.

    Parameters
    ----------
    model : estimator
        Clones are fitted; `model` itself is never changed.
    X, y
        Rows and targets, as in `cross_validate`.
    space : str or dict, optional
        See `parse_space` and `as_space`. By default the space of the common estimators of scikit-learn,
        lightgbm, xgboost and catboost.
    method : {'bayes', 'gp', 'random', 'sobol', 'grid'}
        Optuna's TPE sampler in turn with a small Gaussian process of our own (`Surrogate`; TPE alone where parameters
        depend on each other), Optuna's Gaussian process (``pip install 'modelyard[gp]'``), random points, a scrambled
        Sobol sequence, or a grid (all choices, up to 10 whole numbers, 5 points of a continuous range). No method
        tries a point twice; a finite space ends the search.
    trials : int, optional
        The total budget, trials from before a resume included. By default 50, the whole grid, or no limit
        when there is a `timeout`; a resumed study keeps the budget it had.
    timeout : float, optional
        Seconds after which no trial is begun; a trial that runs is not cut short.
    cv, scoring
        As in `cross_validate`. The first metric is searched by. By default roc_auc for two classes, else
        accuracy; r2 for numbers. ``cv="nested:5x3"`` searches with three folds, and judges the search itself: in
        each of five outer folds it runs again on the training rows alone, with the same budget.
    objectives : list, optional
        Several things to improve at once, instead of `scoring`: metrics, ``latency`` (of one row) and ``size``, as
        in ``["roc_auc", "latency", "size"]``. Each trial's model is converted and measured, and the models that
        none beats in everything are `Study.front`. The best is the best by the first metric. Every trial does all
        of its folds.
    storage : str, optional
        An Optuna URL, such as ``postgresql://host/database``, or ``env:NAME`` for the URL in that variable; by
        default the project's own SQLite file. Several kernels, and on PostgreSQL several machines, may work on
        one study at once: the others give its `name` and ``resume=True``.
    name : str, optional
        Of the study; by default the model's class with a number.
    resume : bool
        Go on with the study `name`, or with the newest of that model class. Space, cv, scoring, method,
        data and the model's other parameters must be what they were; the folds stay those of the study.
    engine : str
        Where trials run: ``local`` (this process), ``local:N`` (N processes), ``dask://host:port``,
        ``ray://host:port``, or ``dask`` and ``ray`` for workers on this machine. As many trials run at a time as
        there are workers. A worker that dies costs its trial, which is tried once more.
    seed : int
        Of the folds and the sampler.
    prune : bool, optional
        Stop a trial after a fold where it cannot beat the best one any more, at 95 % confidence (`Rival`). The best
        is never such a trial. By default yes, but for ``grid``, whose every point is asked for.
    warm_start : str, optional
        An older study: its best points in the space are tried first, and on the same data, folds and metric all of
        its trials inform the sampler.
    min_gain : float, optional
        End before the budget is spent, when ten more trials are expected to gain less than this (`expects_less`).
    names : dict, optional
        What the names of classes in `space` stand for, such as ``globals()``; otherwise they are scikit-learn's.
    budget_latency : str or float, optional
        What one row may take in the served model: ``"1ms"``, or microseconds. The trials with the best scores are
        fitted on all rows, converted and measured in ONNX Runtime on one thread, and the best that keeps to it
        wins. While searching, the model of a first fold is measured as long as that takes a second, or a twentieth of
        the time, and a trial that is plainly over the budget ends there. A model without an ONNX form is measured in
        Python.
    budget_size : str or float, optional
        What the served model's file may take: ``"200kB"``, or bytes.
    target : str, optional
        An installed deployment target whose limits of size, memory and time the model must keep to.
    bg : bool
        Return at once, and search in a process beside this one, which ends with it.
    track : str, optional
        Also tell a tracking server in the end: ``mlflow:URI``, or ``mlflow`` for ``MLFLOW_TRACKING_URI``.

    Returns
    -------
    Study or StudyRun
        ``outer`` of a study is the `Evaluation` of the outer folds, where they are nested. With `bg` a run that
        can be paused, stopped and given more trials, and whose ``result()`` is the study.

    Raises
    ------
    UsageError, InvalidInputError, UnknownNameError, NameTakenError, MissingExtraError
        An argument makes no sense, or every trial failed (InvalidInputError with the first reason).
    BudgetError
        No trial keeps to the budget; names the nearest. All finished trials are kept.
    InterruptedRunError
        Ctrl-C; all finished trials are kept.
    EngineError, TrackingError
        The workers or the tracking server cannot be reached; finished trials are kept.
    """
    request = dict(locals())
    began = time.perf_counter()
    _check_request(trials, timeout)
    checked_engine(engine)
    _check_shortening(prune, min_gain)
    method = checked_method(method)
    check_estimator(model)
    full = resolve_names(as_space(space, names or {}) if space is not None else default_space(model), model)
    points = points_of(method, full)
    samples = checked_samples(model, X, y)
    aims = chosen_objectives(objectives, scoring, model, samples)
    metrics = tuple(aim.metric for aim in aims if aim.metric is not None)
    metric = metrics[0]
    budget = serving_budget(budget_latency, budget_size, target)
    serving = Serving.of(aims, budget, samples)
    nested = nested_folds(cv)
    inner = cv if nested is None else f"stratified:{nested[1]}"
    folds = plan_folds(inner, samples, None, 1, seed)
    _check_serving(serving is not None, prune, min_gain, nested is not None)
    prunes = method != "grid" and serving is None if prune is None else prune
    yard = open_yard()
    tracking = open_tracking(track, yard.root.name)
    with quiet_optuna(), open_engine("local" if bg else engine) as opened:
        found = find_study(yard, model, name, storage) if resume else None
        place = found.storage if found else open_storage(yard, storage)
        with closing(place):
            seed_of_folds = seed
            if found and found.seed not in (None, seed):
                seed_of_folds = found.seed
                folds = plan_folds(inner, samples, None, 1, seed_of_folds)
            if trials is None and timeout is None:
                trials = (found.wanted if found else None) or (None if method == "grid" else _DEFAULT_TRIALS)
            directions = [aim.direction for aim in aims]
            label = folds.label if nested is None else f"{folds.label} in {nested[0]} outer folds"
            scored_by = ", ".join(aim.name for aim in aims)
            contract = contract_of(model, samples, full, label, scored_by, method)
            own = own_point(model, full)
            older = (
                older_study(yard, warm_start, full, contract, own_labels(model, full))
                if warm_start
                else Older()
            )
            study, record = (
                resumed_study(yard, found, directions)
                if found
                else new_study(yard, place, model, name, directions)
            )
            keep_contract(study, contract, seed_of_folds)
            existing = study.get_trials(deepcopy=False)
            beliefs = Beliefs(full, directions)
            for point, value in older.known if len(aims) == 1 else ():
                beliefs.remember(point, value)
            first = [*([own] if own else []), *older.first]
            record.write(
                "running",
                storage=place.shown,
                in_yard=place.in_yard,
                model=describe_model(model),
                method=method,
                metric=metric.name,
                scoring=scored_by,
                direction=directions[0],
                space=contract["space"],
                cv=label,
                seed=seed_of_folds,
                trials=trials,
                finished=done_among(existing),
            )
            if bg:
                again = {"space": full, "names": None, "name": study.study_name, "resume": True, "bg": False}
                return StudyRun(study.study_name, metric.name, trials, request | again, yard, directions[0])
            cache = prefix_cache(model, full, metric, len(folds.splits))
            search = Search(
                model=model,
                samples=samples,
                folds=folds,
                metric=metric,
                space=full,
                method=method,
                trials=trials,
                points=points,
                began=began,
                deadline=math.inf if timeout is None else began + timeout,
                existed=done_among(existing),
                study=study,
                storage=place,
                record=record,
                drawer=Drawer(method, full, seed, beliefs, len(existing), first),
                scorer=PointScorer(model, samples, folds, metrics, cache, serving),
                engine=opened,
                control=current_control(),
                prune=prunes,
                min_gain=min_gain,
                remarks=(*budget.remarks, *((older.remark,) if older.remark else ())),
                serving=serving,
            )
            result = run(search)
        if nested is None:
            return result if tracking is None else tracked(result, study, contract, tracking)
        searched = Searched(
            model, full, method, trials, timeout, nested[1], scoring, prunes, min_gain, seed_of_folds
        )
        outer = outer_evaluation(searched, X, y, nested[0], scoring, seed_of_folds)
        result = dataclasses.replace(result, outer=outer, seconds=time.perf_counter() - began)
        return result if tracking is None else tracked(result, study, contract, tracking)


def _check_request(trials: Any, timeout: Any) -> None:
    if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise UsageError(f"trials must be a whole number from 1 up, found {trials!r}; type trials=50")
    number_given = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number_given and timeout > 0):
        raise UsageError(f"timeout is in seconds and above 0, found {timeout!r}; type timeout=60")


def _check_serving(serves: bool, prune: Any, min_gain: Any, nested: bool) -> None:
    if not serves:
        return
    if prune:
        raise UsageError(
            "with several objectives or a budget of serving every trial does all its folds: what cannot win the score "
            "may win otherwise; leave prune=True away"
        )
    if min_gain is not None:
        raise UsageError(
            "min_gain is of one score, and here serving counts too; leave it away, or give a budget of time: timeout=60"
        )
    if nested:
        raise UsageError(
            "nested folds judge a search by one score; type cv='stratified:5' beside objectives or a budget of serving"
        )


def _check_shortening(prune: Any, min_gain: Any) -> None:
    if prune is not None and not isinstance(prune, bool):
        raise UsageError(
            f"prune is yes or no, found {prune!r}; type prune=False to do all folds of each trial"
        )
    number_given = isinstance(min_gain, int | float) and not isinstance(min_gain, bool)
    if min_gain is not None and not (number_given and min_gain > 0):
        raise UsageError(
            f"min_gain is above 0, in units of the metric, found {min_gain!r}; type min_gain=0.001"
        )
