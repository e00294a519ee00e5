"""What a closed form answers: each row as the model sees it that learned from all other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_CLOSE = 1e-9  # two classes whose scores are closer than this, relative to the scores, are left to a real fit


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Out-of-fold answers of all rows.

    Attributes
    ----------
    labels : ndarray of shape (rows,)
        Predicted classes or numbers.
    unsure : ndarray of shape (rows,)
        Rows for which the formula does not decide, or loses digits: they have to be fitted.
    decision : ndarray of shape (rows,) or (rows, k), optional
        As ``decision_function``.
    probabilities : ndarray of shape (rows, k), optional
        As ``predict_proba``.
    delicate : ndarray of shape (rows,), optional
        How near to unsure a row is; the greatest is among those that are checked.
    """

    labels: NDArray[Any]
    unsure: Flags
    decision: Floats | None = None
    probabilities: Floats | None = None
    delicate: Floats | None = None


def from_class_scores(
    scores: Floats, classes: NDArray[Any], unsure: Flags, delicate: Floats | None = None
) -> HeldOut:
    """Return the answers of a model whose log-posteriors, up to a constant per row, are `scores` of shape (rows, k)."""
    top_two = np.partition(scores, -2, axis=1)[:, -2:]
    margin, size = top_two[:, 1] - top_two[:, 0], np.abs(top_two).max(axis=1)
    blurred = (margin <= _CLOSE * np.maximum(size, 1.0)) | ((size > 1e4) & (margin < 40.0))
    two = len(classes) == 2
    decision = scores[:, 1] - scores[:, 0] if two else None
    return HeldOut(
        labels=classes[scores.argmax(axis=1)],
        unsure=unsure | blurred | ~np.isfinite(scores).all(axis=1),
        decision=decision,
        probabilities=np.column_stack([expit(-decision), expit(decision)])
        if decision is not None
        else softmax(scores, axis=1),
        delicate=delicate,
    )


def near_ties(scores: Floats) -> Flags:
    """Return the rows whose best two of (rows, k) scores are too close for rounding to keep their order."""
    top_two = np.partition(scores, -2, axis=1)[:, -2:]
    return np.asarray(
        top_two[:, 1] - top_two[:, 0] <= _CLOSE * np.maximum(np.abs(top_two).max(axis=1), 1e-300)
    )
