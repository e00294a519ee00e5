"""How good the model is, as its card says: on the rows it was trained on, and in an evaluation if one is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.errors import InvalidInputError
from modelyard.evaluation import Evaluation
from modelyard.evaluation.metrics import default_metrics
from modelyard.golden import Outputs

_DIGITS = 6  # the last ones depend on the order of a sum


def figures(
    found: Outputs, target: np.ndarray, classes: list[Any] | None, evaluation: Evaluation | None
) -> dict[str, Any]:
    """Return what the manifest says of the model's quality.

    Parameters
    ----------
    found : Outputs
        The estimator's answers to the first rows of the training table.
    target : ndarray of shape (n,)
        The training target.
    classes : list or None
        The class labels in the order of the probabilities.
    evaluation : Evaluation, optional
        What ``%cv`` found.

    Raises
    ------
    InvalidInputError
        `evaluation` is not one.
    """
    said: dict[str, Any] = {"training": _on_training_rows(found, target[: len(found.predictions)], classes)}
    if evaluation is None:
        return said
    if not isinstance(evaluation, Evaluation):
        raise InvalidInputError(
            f"evaluation takes what cross_validate gives, found {type(evaluation).__name__}; "
            "type: %cv MODEL X y --out ev, then %package … --evaluation ev"
        )
    summary = {
        str(name): {str(key): rounded(float(value)) for key, value in row.items()}
        for name, row in evaluation.summary.iterrows()
    }
    said["evaluation"] = {
        "cv": evaluation.cv,
        "rows": evaluation.rows,
        "summary": summary,
        "findings": list(evaluation.warnings),
    }
    return said


def _on_training_rows(found: Outputs, target: np.ndarray, classes: list[Any] | None) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    names = None if classes is None else np.asarray(classes)
    for metric in default_metrics(regression=classes is None):
        answers = found.predictions if metric.response == "labels" else _scores(found)
        if answers is None:
            continue
        try:
            measured[metric.name] = rounded(metric.measure(target, answers, names))
        except (ValueError, TypeError):  # a target of other labels than the model's: there is no such figure
            measured[metric.name] = None
    return measured


def _scores(found: Outputs) -> np.ndarray | None:
    if found.probabilities is None:
        return None
    return found.probabilities[:, 1] if found.probabilities.shape[1] == 2 else found.probabilities


def rounded(value: float) -> float | None:
    """Return a figure without the digits that depend on the order of a sum; ``None`` for what is undefined."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
