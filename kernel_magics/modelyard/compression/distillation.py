"""Knowledge distillation: a small student learns what the model says, not only what is true."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from modelyard.compression.fitting import fitted
from modelyard.compression.last_step import fed_to_last, last_step, with_last
from modelyard.compression.protocol import Asked, Recipe
from modelyard.compression.students import KINDS, Student, students
from modelyard.compression.synthetic_rows import dense_numbers, munged
from modelyard.errors import ConversionError
from modelyard.evaluation.inputs import Samples

_LEAST_SHARE = 0.02  # a class that the teacher gives less is not worth a row of its own
_DRAWN = 4


class Distillation:
    """Teaches students with the model's probabilities on the training rows and on synthetic ones.

    Beside each student stands the same one that learned from the true labels alone, since that is often as good.

    Source: G. Hinton, O. Vinyals & J. Dean, "Distilling the knowledge in a neural network", 2015; synthetic rows by
    `munged`. Of numbers the student learns the teacher's predictions.
    """

    order = 2
    combines = False
    options = KINDS

    def fits(self, model: Any) -> bool:
        return True

    def candidates(self, asked: Asked) -> Iterator[Recipe]:
        classifies = asked.samples.classes is not None
        for student in students(classifies, asked.seed):
            if asked.option in ("", student.kind):
                for taught in (_by_teacher, _by_labels):
                    words = f"{student.words}, {'soft' if taught is _by_teacher else 'hard'} labels"
                    yield Recipe("distillation", words, partial(taught, student=student, seed=asked.seed))


def _by_labels(model: Any, samples: Samples, student: Student, seed: int) -> Any:
    """Return the student that learned from the true labels."""
    rows = _as_fed(model, samples, _numbers(model, samples))
    return with_last(model, fitted(clone(student.estimator), rows, samples.y))


def _by_teacher(model: Any, samples: Samples, student: Student, seed: int) -> Any:
    """Return the student that learned from the model's answers."""
    X, teacher = _numbers(model, samples), last_step(model)
    rows = _as_fed(model, samples, np.vstack([X, munged(X, seed)]))
    learner = clone(student.estimator)
    if samples.classes is None:
        return with_last(model, fitted(learner, rows, np.asarray(teacher.predict(rows)).reshape(len(rows))))
    shares, classes = _shares(teacher, rows)
    return with_last(model, _fitted_on_shares(learner, rows, shares, classes, seed))


def _numbers(model: Any, samples: Samples) -> NDArray[np.float64]:
    found = dense_numbers(fed_to_last(model, samples.X))
    if found is None:
        raise ConversionError(
            "a student needs rows of numbers without nulls; put the encoding and the filling of nulls into the "
            "pipeline before the model"
        )
    return found


def _as_fed(model: Any, samples: Samples, rows: NDArray[np.float64]) -> Any:
    """Return rows as the last step is fed them: with the names of columns where it gets them."""
    shown = fed_to_last(model, samples.take(np.arange(1)))
    return pd.DataFrame(rows, columns=shown.columns) if hasattr(shown, "columns") else rows


def _shares(teacher: Any, rows: Any) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the probability of each class; of a teacher without any, 1 for the class that it says."""
    classes = np.asarray(teacher.classes_)
    if hasattr(teacher, "predict_proba"):
        return np.asarray(teacher.predict_proba(rows), dtype=np.float64), classes
    said = np.asarray(teacher.predict(rows)).reshape(-1)
    return (said[:, None] == classes).astype(np.float64), classes


def _fitted_on_shares(
    learner: Any, rows: Any, shares: NDArray[np.float64], classes: NDArray[Any], seed: int
) -> Any:
    """Fit a classifier on probabilities: each row comes once for each class, weighted by that class's share.

    Where a learner takes no weights, the labels are drawn by their shares instead, four times.
    """
    if has_fit_parameter(last_step(learner), "sample_weight"):
        kept = shares >= np.minimum(_LEAST_SHARE, shares.max(axis=1, keepdims=True))
        places, columns = np.nonzero(kept)
        name = f"{learner.steps[-1][0]}__sample_weight" if isinstance(learner, Pipeline) else "sample_weight"
        return fitted(learner, _taken(rows, places), classes[columns], **{name: shares[places, columns]})
    drawn = np.random.default_rng(seed).random((_DRAWN, len(rows), 1))
    columns = (drawn < np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)).argmax(axis=2)
    several = np.tile(np.arange(len(rows)), _DRAWN)
    return fitted(learner, _taken(rows, several), classes[columns.reshape(-1)])


def _taken(rows: Any, places: NDArray[np.intp]) -> Any:
    return rows.iloc[places] if hasattr(rows, "iloc") else rows[places]
