"""What is measured: names people use, their direction, and what of a model they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk
from sklearn.metrics import get_scorer, get_scorer_names

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.evaluation.inputs import Samples

Classes = NDArray[Any] | None


@dataclass(frozen=True)
class Metric:
    """One figure for one fold.

    Attributes
    ----------
    name : str
        The column it fills.
    greater_is_better : bool
        Its direction; ``mae`` and ``mse`` are positive numbers of which less is better.
    response : {'labels', 'scores', 'model'}
        What `measure` takes: ``(y, predictions, classes)``, ``(y, scores, classes)``, or, for scorers
        in scikit-learn's form, ``(model, X, y)``.
    on_one_row : bool
        Whether a single row has a value; where not, leave-one-out measures the pooled predictions.
    measure : callable
        Returns a float, NaN where the figure is undefined.
    """

    name: str
    greater_is_better: bool
    response: Literal["labels", "scores", "model"]
    on_one_row: bool
    measure: Callable[..., float]


def _accuracy(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.accuracy_score(y, predicted))


def _averaging(classes: Classes) -> dict[str, Any]:
    if classes is not None and len(classes) == 2:
        return {"average": "binary", "pos_label": classes[1], "zero_division": 0.0}
    return {"average": "macro", "zero_division": 0.0}


def _precision(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.precision_score(y, predicted, **_averaging(classes)))


def _recall(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.recall_score(y, predicted, **_averaging(classes)))


def _f1(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.f1_score(y, predicted, **_averaging(classes)))


def _roc_auc(y: NDArray[Any], scores: NDArray[Any], classes: Classes) -> float:
    """Return the area under the ROC curve; for k > 2 classes the unweighted mean of one-vs-rest areas.

    `scores` has the shape (rows,) for two classes, (rows, k) for more. NaN where a class is not in `y`.
    Source: scikit-learn's ``roc_auc_score`` with ``multi_class="ovr", average="macro"``.
    """
    if classes is None or len(np.unique(y)) < len(classes):
        return float("nan")
    if len(classes) == 2:
        return float(sk.roc_auc_score(y == classes[1], scores))
    return float(np.mean([sk.roc_auc_score(y == name, scores[:, i]) for i, name in enumerate(classes)]))


def _mae(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.mean_absolute_error(y, predicted))


def _mse(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.mean_squared_error(y, predicted))


def _r2(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    return float(sk.r2_score(y, predicted)) if len(y) > 1 else float("nan")


_FOR_CLASSES = {
    "accuracy": Metric("accuracy", True, "labels", True, _accuracy),
    "precision": Metric("precision", True, "labels", False, _precision),
    "recall": Metric("recall", True, "labels", False, _recall),
    "f1": Metric("f1", True, "labels", False, _f1),
    "roc_auc": Metric("roc_auc", True, "scores", False, _roc_auc),
}
_FOR_NUMBERS = {
    "mae": Metric("mae", False, "labels", True, _mae),
    "mse": Metric("mse", False, "labels", True, _mse),
    "r2": Metric("r2", True, "labels", False, _r2),
}


def default_metrics(*, regression: bool) -> tuple[Metric, ...]:
    """Return the metrics that are measured where none is asked for."""
    return tuple((_FOR_NUMBERS if regression else _FOR_CLASSES).values())


def chosen_metrics(scoring: Any, model: Any, samples: Samples) -> tuple[tuple[Metric, ...], tuple[str, ...]]:
    """Return the metrics that `scoring` asks for, and remarks about those left out of the default set.

    Raises
    ------
    UsageError
        A name is unknown, does not fit the target, or needs scores that the model does not give.
    """
    fitting = _FOR_NUMBERS if samples.regression else _FOR_CLASSES
    if scoring is None:
        if samples.regression or gives_scores(model, samples):
            return tuple(fitting.values()), ()
        note = f"roc_auc is left out: {type(model).__name__} has neither predict_proba nor decision_function"
        return tuple(m for m in fitting.values() if m.response != "scores"), (note,)
    asked = list(scoring) if isinstance(scoring, Sequence) and not isinstance(scoring, str) else [scoring]
    if not asked:
        raise UsageError(f"scoring is an empty list; type scoring={next(iter(fitting))!r} or leave it away")
    found = tuple(_one(item, model, samples) for item in asked)
    names = [metric.name for metric in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"scoring names {twice[0]!r} {names.count(twice[0])} times; name each metric once")
    return found, ()


def objective_metric(scoring: Any, model: Any, samples: Samples) -> Metric:
    """Return the one metric to search by: the first of `scoring`.

    Without one: ``r2`` for numbers; ``roc_auc`` for two classes where the model gives scores; else ``accuracy``.
    """
    if scoring is not None:
        return chosen_metrics(scoring, model, samples)[0][0]
    if samples.classes is None:
        return _FOR_NUMBERS["r2"]
    ranked = len(samples.classes) == 2 and gives_scores(model, samples)
    return _FOR_CLASSES["roc_auc" if ranked else "accuracy"]


def _one(item: Any, model: Any, samples: Samples) -> Metric:
    if callable(item):
        return _from_callable(item)
    if not isinstance(item, str):
        raise UsageError(f"a metric is a name or a scorer, found {item!r}; type scoring='accuracy' or 'r2'")
    fitting, other = (_FOR_NUMBERS, _FOR_CLASSES) if samples.regression else (_FOR_CLASSES, _FOR_NUMBERS)
    if item in other:
        target = "numbers" if samples.regression else "classes"
        raise UsageError(f"metric {item!r} does not fit a target of {target}; type one of {listing(fitting)}")
    if item in fitting:
        if fitting[item].response == "scores" and not gives_scores(model, samples):
            raise UsageError(
                f"{item} needs predict_proba or decision_function with one score per class, "
                f"{type(model).__name__} has neither; type scoring='accuracy'"
            )
        return fitting[item]
    try:
        return Metric(item, True, "model", True, get_scorer(item))
    except ValueError as error:
        known = [*fitting, *get_scorer_names()]
        raise UsageError(
            f"no metric named {item!r}; type one of {listing(fitting)}, or any scikit-learn scorer name"
            f"{did_you_mean(item, known)}"
        ) from error


def _from_callable(scorer: Any) -> Metric:
    function = getattr(scorer, "_score_func", None)  # what make_scorer wraps; a plain callable has none
    name = getattr(function or scorer, "__name__", type(scorer).__name__)
    if function is None and str(getattr(scorer, "__module__", "")).startswith("sklearn.metrics"):
        raise UsageError(
            f"{name} takes (y, predictions), a scorer takes (model, X, y); type make_scorer({name})"
        )
    return Metric(name, True, "model", True, scorer)


def gives_scores(model: Any, samples: Samples) -> bool:
    """Whether a model, fitted or not, ranks rows by class."""
    if hasattr(model, "predict_proba"):
        return True
    if not hasattr(model, "decision_function"):
        return False
    several = samples.classes is not None and len(samples.classes) > 2
    shapes = [v for k, v in model.get_params().items() if k.split("__")[-1] == "decision_function_shape"]
    return not (several and "ovo" in shapes)  # one score per pair of classes ranks no class


def class_scores(model: Any, X: Any, classes: NDArray[Any]) -> NDArray[Any]:
    """Return a fitted model's scores of shape (rows,) for two classes, (rows, k) in the order of `classes`.

    Two classes prefer ``decision_function``, more prefer ``predict_proba``: scikit-learn's own order.
    A class that was not in the training rows scores lowest.
    """
    order = (
        ("decision_function", "predict_proba")
        if len(classes) == 2
        else ("predict_proba", "decision_function")
    )
    method = next(name for name in order if hasattr(model, name))
    scores = np.asarray(getattr(model, method)(X))
    known = getattr(model, "classes_", classes)
    if scores.ndim == 1:
        if len(classes) == 2 and len(known) == 2:
            return scores
        scores = np.column_stack([-scores, scores])
    lowest = 0.0 if method == "predict_proba" else -np.inf
    table = np.full((len(scores), len(classes)), lowest)
    table[:, np.searchsorted(classes, known)] = scores[:, : len(known)]
    return np.asarray(table[:, 1] if len(classes) == 2 else table)
