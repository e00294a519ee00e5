"""What is measured: names people use, their direction, and what of a model they need."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import get_scorer, get_scorer_names

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.evaluation import figures
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.responses import class_scores, gives_probabilities, gives_scores

__all__ = ["Metric", "chosen_metrics", "class_scores", "default_metrics", "gives_scores", "objective_metric"]

Response = Literal["labels", "scores", "probabilities", "model"]


@dataclass(frozen=True)
class Metric:
    """One figure for one fold.

    Attributes
    ----------
    name : str
        The column it fills.
    greater_is_better : bool
        Its direction; ``mae`` and ``mse`` are positive numbers of which less is better.
    response : {'labels', 'scores', 'probabilities', 'model'}
        What `measure` takes: ``(y, predictions, classes)``, ``(y, scores, classes)``, ``(y, probabilities,
        classes)``, or, for scorers in scikit-learn's form, ``(model, X, y)``.
    on_one_row : bool
        Whether a single row has a value; where not, leave-one-out measures the pooled predictions.
    measure : callable
        Returns a float, NaN where the figure is undefined.
    per_row : callable, optional
        Of a metric that is a mean over the rows: takes what `measure` takes and returns what is averaged.
    span : tuple of float
        The least and the most that it can be; an interval ends there.
    """

    name: str
    greater_is_better: bool
    response: Response
    on_one_row: bool
    measure: Callable[..., float]
    per_row: Callable[..., NDArray[Any]] | None = None
    span: tuple[float, float] = (-math.inf, math.inf)

    def within(self, interval: tuple[float, float]) -> tuple[float, float]:
        """Return the part of an interval in which the metric can be; NaN stays NaN."""
        low, high = np.clip(interval, *self.span)
        return float(low), float(high)


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


_SHARE, _ERROR = (0.0, 1.0), (0.0, math.inf)
_PRECISION = Metric("precision", True, "labels", False, figures.precision, span=_SHARE)
_RECALL = Metric("recall", True, "labels", False, figures.recall, span=_SHARE)
_F1 = Metric("f1", True, "labels", False, figures.f1, span=_SHARE)
_ACCURACY = Metric("accuracy", True, "labels", True, figures.accuracy, figures.right, span=_SHARE)
_ROC_AUC = Metric("roc_auc", True, "scores", False, figures.roc_auc, span=_SHARE)
_PR_AUC = Metric("pr_auc", True, "scores", False, figures.pr_auc, span=_SHARE)
_HAMMING = Metric("hamming", False, "labels", True, figures.hamming, figures.wrong_labels, span=_SHARE)

_FOR_CLASSES = _table(
    _ACCURACY,
    _PRECISION,
    _RECALL,
    _F1,
    _ROC_AUC,
    _PR_AUC,
    Metric("balanced_accuracy", True, "labels", False, figures.balanced_accuracy, span=_SHARE),
    Metric("log_loss", False, "probabilities", True, figures.log_loss, figures.surprise, span=_ERROR),
    Metric("brier", False, "probabilities", True, figures.brier, figures.squared_distance, span=(0.0, 2.0)),
)
_FOR_LABELS = _table(_F1, _PRECISION, _RECALL, _ACCURACY, _HAMMING, _ROC_AUC, _PR_AUC)
_FOR_NUMBERS = _table(
    Metric("mae", False, "labels", True, figures.mae, figures.absolute_error, span=_ERROR),
    Metric("mse", False, "labels", True, figures.mse, figures.squared_error, span=_ERROR),
    Metric("r2", True, "labels", False, figures.r2, span=(-math.inf, 1.0)),
    Metric("mape", False, "labels", True, figures.mape, figures.relative_error, span=_ERROR),
    Metric("median_ae", False, "labels", False, figures.median_ae, span=_ERROR),
)

_BY_DEFAULT = {
    "classes": ("accuracy", "precision", "recall", "f1", "roc_auc"),
    "labels": ("f1", "precision", "recall", "accuracy", "hamming", "roc_auc"),
    "numbers": ("mae", "mse", "r2"),
}
_TABLES = {"classes": _FOR_CLASSES, "labels": _FOR_LABELS, "numbers": _FOR_NUMBERS}
_QUANTILE = "quantile"


def metric_names() -> tuple[str, ...]:
    """Return every name that this module knows, for completion and help."""
    return tuple(dict.fromkeys([*_FOR_CLASSES, *_FOR_LABELS, *_FOR_NUMBERS, f"{_QUANTILE}:0.9"]))


def _kind(samples: Samples) -> str:
    if samples.multilabel:
        return "labels"
    return "numbers" if samples.regression else "classes"


def _defaults(kind: str) -> tuple[Metric, ...]:
    return tuple(_TABLES[kind][name] for name in _BY_DEFAULT[kind])


def default_metrics(*, regression: bool) -> tuple[Metric, ...]:
    """Return the metrics that are measured of one target where none is asked for."""
    return _defaults("numbers" if regression else "classes")


def chosen_metrics(scoring: Any, model: Any, samples: Samples) -> tuple[tuple[Metric, ...], tuple[str, ...]]:
    """Return the metrics that `scoring` asks for, and remarks about those left out of the default set.

    Raises
    ------
    UsageError
        A name is unknown, does not fit the target, or needs scores that the model does not give.
    """
    usual = _defaults(_kind(samples))
    if scoring is None:
        if samples.regression or gives_scores(model, samples):
            return usual, ()
        note = f"roc_auc is left out: {type(model).__name__} has neither predict_proba nor decision_function"
        return tuple(m for m in usual if m.response != "scores"), (note,)
    asked = list(scoring) if isinstance(scoring, Sequence) and not isinstance(scoring, str) else [scoring]
    if not asked:
        raise UsageError(f"scoring is an empty list; type scoring={usual[0].name!r} or leave it away")
    found = tuple(_one(item, model, samples) for item in asked)
    names = [metric.name for metric in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"scoring names {twice[0]!r} {names.count(twice[0])} times; name each metric once")
    return found, ()


def objective_metric(scoring: Any, model: Any, samples: Samples) -> Metric:
    """Return the one metric to search by: the first of `scoring`.

    Without one: ``r2`` for numbers; ``f1`` for several labels; ``roc_auc`` for two classes where the model gives
    scores; else ``accuracy``.
    """
    if scoring is not None:
        return chosen_metrics(scoring, model, samples)[0][0]
    if samples.multilabel:
        return _F1
    if samples.classes is None:
        return _FOR_NUMBERS["r2"]
    ranked = len(samples.classes) == 2 and gives_scores(model, samples)
    return _ROC_AUC if ranked else _ACCURACY


def _one(item: Any, model: Any, samples: Samples) -> Metric:
    if callable(item):
        return _from_callable(item)
    if not isinstance(item, str):
        raise UsageError(f"a metric is a name or a scorer, found {item!r}; type scoring='accuracy' or 'r2'")
    kind = _kind(samples)
    fitting = _TABLES[kind]
    quantile = item.partition(":")[0] == _QUANTILE
    if item not in fitting and (quantile or any(item in table for table in _TABLES.values())):
        if quantile and kind == "numbers":
            return _pinball(item)
        target = {"labels": "several labels"}.get(kind, kind)
        raise UsageError(f"metric {item!r} does not fit a target of {target}; type one of {listing(fitting)}")
    if item in fitting:
        _refuse_without_answers(fitting[item], model, samples)
        return fitting[item]
    try:
        return Metric(item, True, "model", True, get_scorer(item))
    except ValueError as error:
        raise UsageError(
            f"no metric named {item!r}; type one of {_shown(fitting, kind)}, or any scikit-learn scorer name"
            f"{did_you_mean(item, [*fitting, *get_scorer_names()])}"
        ) from error


def _shown(fitting: Mapping[str, Metric], kind: str) -> str:
    return listing([*fitting, *([f"{_QUANTILE}:0.9"] if kind == "numbers" else [])])


def _refuse_without_answers(metric: Metric, model: Any, samples: Samples) -> None:
    if metric.response == "scores" and not gives_scores(model, samples):
        raise UsageError(
            f"{metric.name} needs predict_proba or decision_function with one score per class, "
            f"{type(model).__name__} has neither; type scoring='accuracy'"
        )
    if metric.response == "probabilities" and not gives_probabilities(model, samples):
        raise UsageError(
            f"{metric.name} needs predict_proba, {type(model).__name__} has none; "
            f"type CalibratedClassifierCV({type(model).__name__}()) to get one"
        )


def _pinball(item: str) -> Metric:
    try:
        level = float(item.partition(":")[2])
    except ValueError:
        level = -1.0
    if not 0 < level < 1:
        raise UsageError(
            f"a quantile has a level between 0 and 1, found {item!r}; type scoring='quantile:0.9'"
        )
    loss = figures.Pinball(level)
    return Metric(f"{_QUANTILE}:{level:g}", False, "labels", True, loss, loss.rows, span=_ERROR)


def _from_callable(scorer: Any) -> Metric:
    function = getattr(scorer, "_score_func", None)  # what make_scorer wraps; a plain callable has none
    name = getattr(function or scorer, "__name__", type(scorer).__name__)
    if function is None and str(getattr(scorer, "__module__", "")).startswith("sklearn.metrics"):
        raise UsageError(
            f"{name} takes (y, predictions), a scorer takes (model, X, y); type make_scorer({name})"
        )
    return Metric(name, True, "model", True, scorer)
