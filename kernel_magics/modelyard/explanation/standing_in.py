"""What scikit-learn takes for a fitted estimator, over anything that answers rows: a bundle, an endpoint, a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric, objective_metric
from modelyard.evaluation.responses import answers
from modelyard.evaluation.targets import checked_targets
from modelyard.explanation.question import Explained, Question


class Answering(RegressorMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """Predicts the answers themselves, one column for each output, which scikit-learn takes for a regression."""

    def __init__(self, explained: Explained) -> None:
        self.explained = explained

    def fit(self, X: pd.DataFrame, y: Any = None) -> Answering:
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        return self.explained.answer(X)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Judged:
    """Something that answers rows, as metrics ask it; its classes are those of the targets.

    It has ``predict``, and ``predict_proba`` or ``decision_function`` where the answers are such.
    """

    def __init__(self, explained: Explained) -> None:
        self.explained = explained
        self._estimator_type = "classifier" if explained.is_classifier else "regressor"
        self.classes_: NDArray[Any] = np.array(explained.outputs)
        if explained.scale == "probability":
            self.predict_proba = explained.answer
        elif explained.is_classifier:
            self.decision_function = self._scores

    def fit(self, X: Any, y: Any = None) -> Judged:
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        return self.explained.labels(X)

    def _scores(self, X: pd.DataFrame) -> NDArray[np.float64]:
        scores = self.explained.answer(X)
        return scores[:, 1] if scores.shape[1] == 2 else scores


def judged_samples(question: Question, method: str) -> tuple[Judged, Samples]:
    """Return the model of a question as metrics ask it, and the question's rows with their targets.

    Raises
    ------
    UsageError
        The question has no targets.
    InvalidInputError
        The targets are not of the kind that the model predicts.
    """
    if question.targets is None:
        raise UsageError(f"{method} needs the targets; type explain(model, X, y=y, method={method!r})")
    judged = Judged(question.explained)
    targets = checked_targets(judged, question.targets)
    classes = targets.classes
    if question.explained.is_classifier and classes is not None:
        classes = judged.classes_ = _classes(question.explained, classes)
    return judged, Samples(question.frame, targets.y, len(question.frame), question.frame.shape[1], classes)


def _classes(explained: Explained, seen: NDArray[Any]) -> NDArray[Any]:
    """Return the classes of the model in the type of the targets, in the order of its outputs."""
    known = getattr(explained.estimator, "classes_", None)
    if known is not None and len(known) == len(explained.outputs):
        found = np.asarray(known)
    else:
        spelled = {str(value): value for value in seen.tolist()}
        values = [spelled.get(name, name) for name in explained.outputs]
        found = np.array(values, dtype=seen.dtype if seen.dtype.kind != "b" else None)
    strange = [value for value in seen.tolist() if str(value) not in explained.outputs]
    if strange:
        raise InvalidInputError(
            f"y holds {strange[0]!r}, which {explained.name} does not predict; it predicts "
            f"{', '.join(explained.outputs)}"
        )
    return found


def chosen_metric(scoring: Any, judged: Judged, samples: Samples) -> Metric:
    """Return the metric that is asked for, or the one by which models of this kind are compared.

    Raises
    ------
    UsageError
        A name is unknown, or needs what the model does not give.
    """
    return objective_metric([scoring] if callable(scoring) else scoring, judged, samples)


def figure(
    metric: Metric, samples: Samples, advance: Callable[[], None] = lambda: None
) -> Callable[[Any, Any, Any], float]:
    """Return a metric as scikit-learn's scorers are: of a model, rows and targets, greater being better."""
    sign = 1.0 if metric.greater_is_better else -1.0

    def measured(model: Any, X: Any, y: Any) -> float:
        advance()
        if metric.response == "model":
            return sign * float(metric.measure(model, X, y))
        found = answers(model, X, samples, {metric.response}, len(y))
        return sign * metric.measure(y, found[metric.response], samples.classes)

    return measured
