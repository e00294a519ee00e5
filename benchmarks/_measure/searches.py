"""What is searched, and by whom: the same model, folds, scorer and distributions for every side, one process each."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, RandomizedSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

import modelyard
from modelyard.catalog import open_yard
from modelyard.tuning import Parameter, as_space

_SVM = "svm__C: float 1e-2..1e3 log\nsvm__gamma: float 1e-4..10 log"
_BOOSTING = """
max_iter: int 20..100 step 20
learning_rate: float 0.01..0.3 log
max_leaf_nodes: int 4..64 log
min_samples_leaf: int 5..50
l2_regularization: float 1e-4..10 log
"""


@dataclass(frozen=True, eq=False)
class Task:
    """A table cut into two thirds to search on, and one third that no search sees."""

    data: str
    kind: str
    model: Any
    space: str
    scoring: str
    X: Any
    y: Any
    held_rows: Any
    held_targets: Any
    splits: Sequence[tuple[Any, Any]]

    def held_out(self, params: dict[str, Any]) -> float:
        fitted = clone(self.model).set_params(**params).fit(self.X, self.y)
        return float(get_scorer(self.scoring)(fitted, self.held_rows, self.held_targets))


@dataclass(frozen=True)
class Reached:
    """A finished search: its best score, its seconds, and the score of its best model on the rows held out."""

    score: float
    seconds: float
    held_out: float


DATA = ("breast cancer", "digits, even or odd", "noisy classes", "diabetes")
KINDS = ("svm", "boosting")


def task_of(data: str, kind: str, seed: int) -> Task:
    """Cut a table with a seed."""
    X, y = _table(data)
    numbers = data == "diabetes"
    held = train_test_split(X, y, test_size=1 / 3, random_state=seed, stratify=None if numbers else y)
    folds = (KFold if numbers else StratifiedKFold)(5, shuffle=True, random_state=seed)
    model, space = _model(kind, numbers)
    return Task(
        data, kind, model, space, "r2" if numbers else "roc_auc", held[0], held[2], held[1], held[3],
        list(folds.split(held[0], held[2])),
    )  # fmt: skip


def _table(data: str) -> Any:
    if data == "breast cancer":
        return load_breast_cancer(return_X_y=True)
    if data == "diabetes":
        return load_diabetes(return_X_y=True)
    if data == "noisy classes":
        return make_classification(
            1200, 20, n_informative=8, n_redundant=4, flip_y=0.1, class_sep=0.7, random_state=0
        )
    X, y = load_digits(return_X_y=True)
    return X[:1200], (y[:1200] % 2).astype(int)


def _model(kind: str, numbers: bool) -> tuple[Any, str]:
    if kind == "svm":
        machine = SVR() if numbers else SVC()
        extra = "\nsvm__epsilon: float 1e-2..50 log" if numbers else ""
        return Pipeline([("scale", StandardScaler()), ("svm", machine)]), _SVM + extra
    boosting = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    return boosting(early_stopping=False, random_state=0), _BOOSTING


class Drawn:
    """A parameter as `RandomizedSearchCV` draws it: the same distribution."""

    def __init__(self, part: Parameter) -> None:
        self.part = part

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        part, rng = self.part, random_state
        if part.kind == "choice" or (part.kind == "int" and not part.log):
            values = [part.value(label) for label in part.every()]
            return values[rng.randint(len(values))]
        if part.kind == "int":
            drawn = math.exp(rng.uniform(math.log(part.low - 0.5), math.log(part.high + 0.5)))
            return int(min(max(round(drawn), part.low), part.high))
        if part.log:
            return math.exp(rng.uniform(math.log(part.low), math.log(part.high)))
        return rng.uniform(part.low, part.high)


def random_search(task: Task, trials: int, seed: int) -> Reached:
    drawn = {name: Drawn(part) for name, part in as_space(task.space).items()}
    search = RandomizedSearchCV(
        task.model,
        drawn,
        n_iter=trials,
        scoring=task.scoring,
        cv=task.splits,
        n_jobs=1,
        random_state=seed,
        refit=False,
    )
    return _timed(task, search)


def optuna_search(task: Task, trials: int, seed: int) -> Reached:
    from optuna_integration import OptunaSearchCV

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = {name: part.distribution() for name, part in as_space(task.space).items()}
    search = OptunaSearchCV(
        clone(task.model), parts, n_trials=trials, scoring=task.scoring, cv=task.splits, n_jobs=1, random_state=seed,
        refit=False,
    )  # fmt: skip
    return _timed(task, search)


def _timed(task: Task, search: Any) -> Reached:
    began = time.perf_counter()
    search.fit(task.X, task.y)
    seconds = time.perf_counter() - began
    return Reached(float(search.best_score_), seconds, task.held_out(dict(search.best_params_)))


@dataclass(frozen=True)
class Ours:
    """Our search: when it had which best score, and what it came to."""

    steps: Sequence[tuple[float, float]]
    seconds: float
    score: float
    held_out: float
    trials: int
    pruned: int

    def seconds_to(self, score: float) -> tuple[float, bool]:
        """Return when a score was reached, or how long it searched in vain."""
        reached = next((when for when, best in self.steps if best >= score - 1e-12), None)
        return (self.seconds, False) if reached is None else (reached, True)


def our_search(task: Task, trials: int, seed: int) -> Ours:
    """Run ``tune`` as a notebook does, with everything that it keeps on the disk."""
    began = datetime.now()
    found = modelyard.tune(
        task.model, task.X, task.y, task.space, trials=trials, cv=task.splits, scoring=task.scoring, seed=seed
    )
    kept = optuna.load_study(study_name=found.name, storage=open_yard().studies_url).trials
    ended = [(t.datetime_complete - began).total_seconds() for t in kept if t.datetime_complete]
    complete = sorted(
        ((t.datetime_complete - began).total_seconds(), float(t.value))
        for t in kept
        if t.state.name == "COMPLETE" and t.datetime_complete
    )
    best = np.maximum.accumulate([value for _, value in complete])
    return Ours(
        steps=[(when, float(value)) for (when, _), value in zip(complete, best, strict=True)],
        seconds=max(ended),
        score=found.best_score,
        held_out=task.held_out(found.best_params),
        trials=len(found.trials),
        pruned=int((found.trials["state"] == "PRUNED").sum()),
    )
