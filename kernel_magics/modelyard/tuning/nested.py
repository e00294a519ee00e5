"""Nested cross-validation: a search inside of each outer fold, judged on rows that it has not seen."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import optuna
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation import cross_validate
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.metrics import objective_metric
from modelyard.evaluation.result import Evaluation
from modelyard.evaluation.splitters import plan_folds
from modelyard.tuning.beliefs import Beliefs
from modelyard.tuning.loop import Loop, total_of
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.prefixes import prefix_cache
from modelyard.tuning.samplers import Drawer, points_of
from modelyard.tuning.takeover import owning
from modelyard.tuning.trial import PointScorer, with_params
from modelyard.tuning.warm_start import own_point

_NESTED = re.compile(r"nested(?::(?P<outer>\d+)x(?P<inner>\d+))?")
_OUTER, _INNER = 5, 3


def nested_folds(cv: Any) -> tuple[int, int] | None:
    """Return the numbers of outer and inner folds of ``nested:5x3``, or None where `cv` is something else.

    Raises
    ------
    UsageError
        It begins like one and cannot be read.
    """
    if not isinstance(cv, str) or not cv.strip().lower().startswith("nested"):
        return None
    found = _NESTED.fullmatch(cv.strip().lower())
    if found is None:
        raise UsageError(f"nested folds cannot be read, found {cv!r}; type cv='nested:5x3', outer x inner")
    return int(found["outer"] or _OUTER), int(found["inner"] or _INNER)


def outer_evaluation(searched: Searched, X: Any, y: Any, outer: int, scoring: Any, seed: int) -> Evaluation:
    """Judge a whole search: in each outer fold it runs on the training rows alone.

    Source: Varma & Simon, "Bias in error estimation when using cross-validation for model selection", BMC
    Bioinformatics 7:91, 2006.
    """
    evaluation = cross_validate(searched, X, y, cv=f"stratified:{outer}", scoring=scoring, seed=seed)
    assert isinstance(evaluation, Evaluation)  # of one model
    return evaluation


def _gives(name: str) -> Any:
    return available_if(lambda self: hasattr(self.model, name))


class Searched(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]  # scikit-learn is not typed
    """A model that searches its parameters whenever it is fitted; keeps no record.

    Parameters
    ----------
    model : estimator
    space : dict
    method, trials, timeout, inner, scoring, prune, min_gain, seed
        Of each search; `trials` is its own budget.
    """

    def __init__(
        self,
        model: Any,
        space: Mapping[str, Parameter],
        method: str,
        trials: int | None,
        timeout: float | None,
        inner: int,
        scoring: Any,
        prune: bool,
        min_gain: float | None,
        seed: int,
    ) -> None:
        self.model = model
        self.space = space
        self.method = method
        self.trials = trials
        self.timeout = timeout
        self.inner = inner
        self.scoring = scoring
        self.prune = prune
        self.min_gain = min_gain
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Searched:
        began = time.perf_counter()
        samples = checked_samples(self.model, X, y)
        metric = objective_metric(self.scoring, self.model, samples)
        folds = plan_folds(f"stratified:{self.inner}", samples, None, 1, self.seed)
        study = optuna.create_study(direction="maximize" if metric.greater_is_better else "minimize")
        beliefs = Beliefs(self.space, ["maximize" if metric.greater_is_better else "minimize"])
        own = own_point(self.model, self.space)
        drawer = Drawer(self.method, self.space, self.seed, beliefs, first=[own] if own else [])
        loop = Loop(
            study=study,
            lock=nullcontext(),
            space=self.space,
            drawer=drawer,
            wanted=total_of(self.trials, points_of(self.method, self.space)),
            deadline=math.inf if self.timeout is None else began + self.timeout,
            prune=self.prune,
            greater_is_better=metric.greater_is_better,
            min_gain=self.min_gain,
        )
        cache = prefix_cache(self.model, self.space, metric, len(folds.splits))
        scorer = PointScorer(self.model, samples, folds, (metric,), cache)
        with owning() as owner:
            while (asked := loop.ask(owner)) is not None:
                loop.tell(asked, scorer(asked.params, asked.rival))
        best = loop.best()
        if best is None:
            raise InvalidInputError(f"all {loop.done()} trials of a search in an outer fold failed")
        params = {name: self.space[name].value(label) for name, label in best.params.items()}
        self.best_estimator_ = with_params(self.model, params).fit(X, y)
        if hasattr(self.best_estimator_, "classes_"):
            self.classes_ = self.best_estimator_.classes_
        return self

    def predict(self, X: Any) -> Any:
        return self.best_estimator_.predict(X)

    @_gives("predict_proba")  # type: ignore[untyped-decorator, unused-ignore]
    def predict_proba(self, X: Any) -> Any:
        return self.best_estimator_.predict_proba(X)

    @_gives("decision_function")  # type: ignore[untyped-decorator, unused-ignore]
    def decision_function(self, X: Any) -> Any:
        return self.best_estimator_.decision_function(X)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.model)
