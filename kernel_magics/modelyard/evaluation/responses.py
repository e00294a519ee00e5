"""What a fitted model answers: labels, scores and probabilities, always in the order of the known classes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.inputs import Samples, final_estimator

#: Estimators that do their work when they predict: none of them is asked for more than the metrics want.
_LAZY = ("sklearn.neighbors.", "sklearn.gaussian_process.", "sklearn.semi_supervised.")

#: Classifiers of scikit-learn whose ``predict`` is the first most probable class.
_BY_PROBABILITY = frozenset(
    (
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._bagging.BaggingClassifier",
    )
)
#: Those whose ``predict`` of two classes is the second one where ``decision_function`` is so, compared with 0.
_BY_DECISION: dict[str, Callable[[Any, float], Any]] = {
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier": operator.gt,
    "sklearn.ensemble._gb.GradientBoostingClassifier": operator.ge,
}


def predicted_labels(model: Any, X: Any, samples: Samples, rows: int) -> NDArray[Any]:
    """Return a fitted model's predictions of the shape that the targets have."""
    found = model.predict(X)
    found = np.asarray(found.toarray() if hasattr(found, "toarray") else found).reshape(rows, -1)
    return np.asarray(found if samples.columns else found[:, 0])


def ranking_scores(model: Any, X: Any, samples: Samples) -> NDArray[Any]:
    """Return what ranks the rows: (rows,) for two classes, (rows, k) for more and for labels of k columns."""
    return label_scores(model, X) if samples.classes is None else class_scores(model, X, samples.classes)


def gives_scores(model: Any, samples: Samples) -> bool:
    """Whether a model, fitted or not, ranks rows by class."""
    if hasattr(model, "predict_proba"):
        return True
    if not hasattr(model, "decision_function"):
        return False
    several = samples.classes is not None and len(samples.classes) > 2
    shapes = [v for k, v in model.get_params().items() if k.split("__")[-1] == "decision_function_shape"]
    return not (several and "ovo" in shapes)  # one score per pair of classes ranks no class


def gives_probabilities(model: Any, samples: Samples) -> bool:
    """Whether a model, fitted or not, gives one probability per class."""
    return samples.classes is not None and hasattr(model, "predict_proba")


def predicts_lazily(model: Any) -> bool:
    """Whether predicting is most of the work of a model, so that a second prediction would be felt."""
    last = final_estimator(model)
    last = getattr(last, "estimator", last)  # a search, or an ensemble of one kind
    return type(last).__module__.startswith(_LAZY)


def class_scores(model: Any, X: Any, classes: NDArray[Any]) -> NDArray[Any]:
    """Return a fitted model's scores of shape (rows,) for two classes, (rows, k) in the order of `classes`.

    Two classes prefer ``decision_function``, more prefer ``predict_proba``: scikit-learn's own order.
    A class that was not in the training rows scores lowest.
    """
    method = "decision_function" if _decides(model, classes) else "predict_proba"
    scores = np.asarray(getattr(model, method)(X))
    known = getattr(model, "classes_", classes)
    if scores.ndim == 1:
        if len(classes) == 2 and len(known) == 2:
            return scores
        scores = np.column_stack([-scores, scores])
    lowest = 0.0 if method == "predict_proba" else -np.inf
    table = _in_order(scores, known, classes, lowest)
    return np.asarray(table[:, 1] if len(classes) == 2 else table)


def _decides(model: Any, classes: NDArray[Any]) -> bool:
    return hasattr(model, "decision_function") and (len(classes) == 2 or not hasattr(model, "predict_proba"))


def class_probabilities(model: Any, X: Any, classes: NDArray[Any]) -> NDArray[Any]:
    """Return a fitted model's probabilities of shape (rows, k), in the order of `classes`; 0 for one it never saw."""
    given = np.asarray(model.predict_proba(X))
    return _in_order(given, getattr(model, "classes_", classes), classes, 0.0)


def _in_order(scores: NDArray[Any], known: Any, classes: NDArray[Any], lowest: float) -> NDArray[Any]:
    if scores.shape[1] == len(classes) and np.array_equal(known, classes):
        return scores
    table = np.full((len(scores), len(classes)), lowest)
    table[:, np.searchsorted(classes, known)] = scores[:, : len(known)]
    return table


def label_scores(model: Any, X: Any) -> NDArray[Any]:
    """Return a fitted multilabel model's scores of shape (rows, labels)."""
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(X))
    found = model.predict_proba(X)
    if not isinstance(found, list):
        return np.asarray(found)
    known = getattr(model, "classes_", [np.array([0, 1])] * len(found))
    return np.column_stack([_second(part, each) for part, each in zip(found, known, strict=True)])


def _second(part: Any, known: Any) -> NDArray[Any]:
    """Return the probability of 1 of one label; a training part may have known one value of it only."""
    table = np.asarray(part)
    if table.shape[1] == 2:
        return np.asarray(table[:, 1])
    return np.full(len(table), float(known[0]))


def answers(
    model: Any, X: Any, samples: Samples, wanted: Collection[str], rows: int
) -> dict[str, NDArray[Any]]:
    """Return the wanted ones of a fitted model's labels, scores and probabilities, each asked for once at most."""
    found: dict[str, NDArray[Any]] = {}
    classes = samples.classes
    if "probabilities" in wanted and classes is not None:
        found["probabilities"] = class_probabilities(model, X, classes)
    if "scores" in wanted and not samples.regression:
        if "probabilities" in found and classes is not None and not _decides(model, classes):
            found["scores"] = found["probabilities"][:, 1] if len(classes) == 2 else found["probabilities"]
        else:
            found["scores"] = ranking_scores(model, X, samples)
    if "labels" in wanted:
        said = None if classes is None else _said_already(model, found, classes)
        found["labels"] = predicted_labels(model, X, samples, rows) if said is None else said
    return found


def _said_already(model: Any, found: dict[str, NDArray[Any]], classes: NDArray[Any]) -> NDArray[Any] | None:
    """Return the labels that follow from what a model gave already, where its ``predict`` is known to be just that."""
    last = final_estimator(model)
    kind = f"{type(last).__module__}.{type(last).__qualname__}"
    if kind in _BY_PROBABILITY and "probabilities" in found:
        return np.asarray(classes[np.argmax(found["probabilities"], axis=1)])
    if kind in _BY_DECISION and "scores" in found and len(classes) == len(last.classes_) == 2:
        return np.asarray(classes[_BY_DECISION[kind](found["scores"], 0).astype(int)])
    return None
