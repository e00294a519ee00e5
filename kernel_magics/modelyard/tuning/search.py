"""The search for a model's parameters: what was asked for, turned into a run."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import Any

from modelyard.catalog import open_yard
from modelyard.errors import UsageError
from modelyard.evaluation.inputs import check_estimator, checked_samples, describe_model
from modelyard.evaluation.metrics import objective_metric
from modelyard.evaluation.splitters import plan_folds
from modelyard.tuning.contract import contract_of
from modelyard.tuning.defaults import default_space
from modelyard.tuning.run import Search, run
from modelyard.tuning.samplers import checked_method, points_of, sampler_for
from modelyard.tuning.space import as_space, resolve_names
from modelyard.tuning.storage import open_storage, quiet_optuna
from modelyard.tuning.studies import Direction, find_study, keep_contract, new_study, resumed_study
from modelyard.tuning.study import Study
from modelyard.tuning.takeover import counts

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
) -> Study:
    """Search for the parameters with which a model scores best in cross-validation.

    Parameters
    ----------
    model : estimator
        Clones are fitted; `model` itself is never changed.
    X, y
        Rows and targets, as in `cross_validate`.
    space : str or dict, optional
        See `parse_space` and `as_space`. By default the space of the common scikit-learn estimators.
    method : {'bayes', 'random', 'grid'}
        Optuna's TPE sampler, random points, or a grid (all choices, up to 10 whole numbers, 5 points of
        a continuous range). No method tries a point twice; a finite space ends the search.
    trials : int, optional
        The total budget, trials from before a resume included. By default 50, the whole grid, or no limit
        when there is a `timeout`; a resumed study keeps the budget it had.
    timeout : float, optional
        Seconds after which no trial is begun; a trial that runs is not cut short.
    cv, scoring
        As in `cross_validate`. The first metric is searched by. By default roc_auc for two classes, else
        accuracy; r2 for numbers.
    objectives, engine
        Not supported in this version but for ``None`` and ``"local"``.
    storage : str, optional
        An Optuna URL; by default the project's own SQLite file.
    name : str, optional
        Of the study; by default the model's class with a number.
    resume : bool
        Go on with the study `name`, or with the newest of that model class. Space, cv, scoring, method,
        data and the model's other parameters must be what they were; the folds stay those of the study.
    seed : int
        Of the folds and the sampler.

    Returns
    -------
    Study

    Raises
    ------
    UsageError, InvalidInputError, UnknownNameError, NameTakenError
        An argument makes no sense, or every trial failed (InvalidInputError with the first reason).
    InterruptedRunError
        Ctrl-C; all finished trials are kept.
    """
    began = time.perf_counter()
    _check_request(objectives, engine, trials, timeout)
    method = checked_method(method)
    check_estimator(model)
    full = resolve_names(as_space(space) if space is not None else default_space(model), model)
    points = points_of(method, full)
    samples = checked_samples(model, X, y)
    metric = objective_metric(scoring, model, samples)
    folds = plan_folds(cv, samples, None, 1, seed)
    yard = open_yard()
    with quiet_optuna():
        found = find_study(yard, model, name, storage) if resume else None
        place = found.storage if found else open_storage(yard, storage)
        with closing(place):
            seed_of_folds = seed
            if found and found.seed not in (None, seed):
                seed_of_folds = found.seed
                folds = plan_folds(cv, samples, None, 1, seed_of_folds)
            if trials is None and timeout is None:
                trials = (found.wanted if found else None) or (None if method == "grid" else _DEFAULT_TRIALS)
            direction: Direction = "maximize" if metric.greater_is_better else "minimize"
            contract = contract_of(model, samples, full, folds.label, metric.name, method)
            study, record = (
                resumed_study(yard, found, direction)
                if found
                else new_study(yard, place, model, name, direction)
            )
            keep_contract(study, contract, seed_of_folds)
            existing = study.get_trials(deepcopy=False)
            study.sampler = sampler_for(method, full, seed, len(existing))
            record.write(
                "running",
                storage=place.shown,
                in_yard=place.in_yard,
                model=describe_model(model),
                method=method,
                metric=metric.name,
                scoring=metric.name,
                direction=direction,
                space=contract["space"],
                cv=folds.label,
                seed=seed_of_folds,
                trials=trials,
                finished=sum(map(counts, existing)),
            )
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
                existed=sum(map(counts, existing)),
                study=study,
                storage=place,
                record=record,
            )
            return run(search)


def _check_request(objectives: Any, engine: Any, trials: Any, timeout: Any) -> None:
    if objectives is not None:
        raise UsageError(
            f"objectives={objectives!r} is not supported in this version; type scoring= with one metric"
        )
    if engine != "local":
        raise UsageError(f"no search engine {engine!r} in this version; type engine='local'")
    if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise UsageError(f"trials must be a whole number from 1 up, found {trials!r}; type trials=50")
    number_given = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number_given and timeout > 0):
        raise UsageError(f"timeout is in seconds and above 0, found {timeout!r}; type timeout=60")
