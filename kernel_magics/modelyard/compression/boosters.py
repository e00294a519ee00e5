"""Boosted models cut off after some of their stages; nothing is fitted again.

A stage corrects the sum of those before it, so that the first k stages are a whole model: the curve that
``staged_predict`` walks along.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from modelyard.compression.last_step import last_step, with_last
from modelyard.compression.protocol import Make
from modelyard.evaluation.inputs import Samples

_SHARES = (0.75, 0.5, 0.35, 0.25, 0.15, 0.08)

Cut = Callable[[Any, int], Any]


def fits(last: Any) -> bool:
    return _library(last) is not None and _stages(last) > 1


def pruned(last: Any, seed: int) -> Iterator[tuple[str, Make]]:
    """Yield what is said of each shorter model, and how it is made."""
    whole = _stages(last)
    for share in _SHARES:
        count = max(1, round(share * whole))
        if count < whole:
            yield f"{share:.0%} of the stages ({count})", partial(_shorter, share=share)


def _shorter(model: Any, samples: Samples, share: float) -> Any:
    last = last_step(model)
    library = _library(last)
    assert library is not None
    return with_last(model, _CUTS[library](last, max(1, round(share * _stages(last)))))


def _library(last: Any) -> str | None:
    """Return which of the ways to cut a model fits it, by the names of its class; imports nothing."""
    root, name = type(last).__module__.partition(".")[0], type(last).__name__
    if root == "sklearn":
        return name.removesuffix("Classifier").removesuffix("Regressor") if name in _OF_SKLEARN else None
    return root if root in _CUTS and hasattr(last, "get_params") else None


def _stages(last: Any) -> int:
    library = _library(last)
    if library == "HistGradientBoosting":
        return int(last.n_iter_)
    if library == "GradientBoosting":
        return len(last.estimators_)
    if library == "lightgbm":
        best = getattr(last, "best_iteration_", None)
        return int(best if best and best > 0 else last.booster_.current_iteration())
    if library == "xgboost":
        return int(last.get_booster().num_boosted_rounds())
    return int(last.tree_count_)


def _cut_histogram(last: Any, count: int) -> Any:
    shorter = copy.copy(last)
    shorter._predictors = last._predictors[:count]
    return shorter


def _cut_gradient(last: Any, count: int) -> Any:
    shorter = copy.copy(last)
    shorter.estimators_ = last.estimators_[:count]
    shorter.n_estimators_ = shorter.n_estimators = count
    return shorter


def _cut_lightgbm(last: Any, count: int) -> Any:
    from lightgbm import Booster

    shorter = copy.copy(last)
    shorter._Booster = Booster(model_str=last.booster_.model_to_string(num_iteration=count))
    shorter._best_iteration = -1  # it was counted in the longer model
    return shorter


def _cut_xgboost(last: Any, count: int) -> Any:
    shorter = copy.copy(last)
    shorter._Booster = last.get_booster()[:count]
    return shorter


def _cut_catboost(last: Any, count: int) -> Any:
    shorter = last.copy()
    shorter.shrink(ntree_end=count)
    return shorter


_OF_SKLEARN = (
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
)
_CUTS: dict[str, Cut] = {
    "HistGradientBoosting": _cut_histogram,
    "GradientBoosting": _cut_gradient,
    "lightgbm": _cut_lightgbm,
    "xgboost": _cut_xgboost,
    "catboost": _cut_catboost,
}


def is_booster(last: Any) -> bool:
    """Whether a model is one of those that can be cut off here."""
    return _library(last) is not None
