"""The formulas of the metrics: targets and a model's answers to one number.

Each takes ``(y, answers, classes)``. `y` has the shape (rows,), or (rows, columns) for several targets; `classes`
is ``None`` for numbers and for labels of several columns. Values equal scikit-learn's; what can be counted is
counted here, once over the rows, because scikit-learn's own functions check and sort the classes anew in each call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import metrics as sk

Classes = NDArray[Any] | None
Rows = NDArray[np.float64]


def codes(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the place of each value among the sorted `classes`.

    Raises
    ------
    ValueError
        A value is none of them.
    """
    places = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
    if not np.array_equal(classes[places], values):
        raise ValueError("a value is none of the classes")
    return np.asarray(places)


def _counts(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> tuple[Rows, Rows, Rows]:
    """Return how often each class was hit, predicted and true: one class of two, each label, or each class seen."""
    if classes is None or len(classes) == 2:
        positive = 1 if classes is None else classes[1]
        real, said = y == positive, predicted == positive
        hits, claims, truths = ((real & said).sum(axis=0), said.sum(axis=0), real.sum(axis=0))
        return tuple(np.atleast_1d(part).astype(float) for part in (hits, claims, truths))  # type: ignore[return-value]
    known = np.union1d(classes, predicted)  # a model may answer what no row holds
    true, said = codes(y, known), codes(predicted, known)
    parts = [
        np.bincount(part, minlength=len(known)).astype(float) for part in (true[true == said], said, true)
    ]
    seen = parts[1] + parts[2] > 0
    return parts[0][seen], parts[1][seen], parts[2][seen]


def _share(part: Rows, whole: Rows) -> float:
    return float(np.mean(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)))


def accuracy(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the share of rows that are right; of several labels, in all of them."""
    return float(np.mean(right(y, predicted, classes)))


def right(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
    """Return 1 for each row that is right, else 0."""
    same = y == predicted
    return np.asarray(same if y.ndim == 1 else same.all(axis=1), dtype=float)


def precision(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the precision of the second of two classes; else the macro average. 0 where nothing was predicted."""
    hits, claims, _ = _counts(y, predicted, classes)
    return _share(hits, claims)


def recall(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the recall of the second of two classes; else the macro average. 0 where nothing was true."""
    hits, _, truths = _counts(y, predicted, classes)
    return _share(hits, truths)


def f1(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the F1 of the second of two classes; else the macro average."""
    hits, claims, truths = _counts(y, predicted, classes)
    return _share(2 * hits, claims + truths)


def balanced_accuracy(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the mean of the recalls of the classes that `y` holds."""
    assert classes is not None
    places, hit = codes(y, classes), y == predicted
    truths = np.bincount(places, minlength=len(classes)).astype(float)
    hits = np.bincount(places[hit], minlength=len(classes)).astype(float)
    return _share(hits[truths > 0], truths[truths > 0])


def hamming(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the share of single labels that are wrong."""
    return float(np.mean(y != predicted))


def wrong_labels(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's share of labels that are wrong."""
    return np.asarray((y != predicted).mean(axis=1))


def roc_auc(y: NDArray[Any], scores: NDArray[Any], classes: Classes) -> float:
    """Return the area under the ROC curve; of several classes or labels, the unweighted mean of one-vs-rest areas.

    `scores` has the shape (rows,) for two classes, (rows, k) for more. NaN where a class is not in `y`.
    As scikit-learn's ``roc_auc_score`` with ``multi_class="ovr", average="macro"``.
    """
    return _one_against_the_rest(_area, y, scores, classes)


def _area(truth: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Return the share of pairs that are ranked right, ties counting half, which is the area.

    Source: Hanley & McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143, 1982. One sort of the scores instead of scikit-learn's sort, thresholds and integration.
    """
    if np.isnan(scores).any():
        raise ValueError("the model's scores contain NaN")
    positives = int(truth.sum())
    above = float(rankdata(scores)[truth].sum()) - positives * (positives + 1) / 2
    return above / (positives * (len(truth) - positives))


def pr_auc(y: NDArray[Any], scores: NDArray[Any], classes: Classes) -> float:
    """Return the average precision; of several classes or labels, the unweighted mean of one-vs-rest ones.

    Source: scikit-learn's ``average_precision_score``, the area below the steps of the precision-recall curve.
    """
    return _one_against_the_rest(sk.average_precision_score, y, scores, classes)


def _one_against_the_rest(area: Any, y: NDArray[Any], scores: NDArray[Any], classes: Classes) -> float:
    if classes is not None and len(classes) == 2:
        truths, columns = (y == classes[1])[:, None], scores[:, None]
    elif classes is not None:
        truths, columns = y[:, None] == classes[None, :], scores
    else:
        truths, columns = y == 1, scores
    positives = truths.sum(axis=0)
    if len(y) == 0 or (positives == 0).any() or (positives == len(y)).any():
        return float("nan")
    return float(np.mean([area(truths[:, i], columns[:, i]) for i in range(truths.shape[1])]))


def log_loss(y: NDArray[Any], probabilities: NDArray[Any], classes: Classes) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats."""
    return float(np.mean(surprise(y, probabilities, classes)))


def surprise(y: NDArray[Any], probabilities: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's negative log-likelihood; probabilities are kept one rounding error from 0 and 1."""
    assert classes is not None
    given = probabilities[np.arange(len(y)), codes(y, classes)]
    tiny = np.finfo(given.dtype).eps
    return np.asarray(-np.log(np.clip(given, tiny, 1 - tiny)), dtype=float)


def brier(y: NDArray[Any], probabilities: NDArray[Any], classes: Classes) -> float:
    """Return the Brier score: the mean squared distance of the probabilities from what was true.

    Of two classes half of that sum, which lies between 0 and 1; of more the whole, between 0 and 2.
    Source: scikit-learn's ``brier_score_loss`` with ``scale_by_half="auto"``.
    """
    return float(np.mean(squared_distance(y, probabilities, classes)))


def squared_distance(y: NDArray[Any], probabilities: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's part of the Brier score."""
    assert classes is not None
    if len(classes) == 2:
        return np.asarray((probabilities[:, 1] - (y == classes[1])) ** 2, dtype=float)
    given = probabilities[np.arange(len(y)), codes(y, classes)]
    return np.asarray((probabilities**2).sum(axis=1) - 2 * given + 1, dtype=float)


def absolute_error(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's absolute error, of several targets their mean."""
    return _row_means(np.abs(_numbers(y) - predicted))


def squared_error(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's squared error, of several targets their mean."""
    return _row_means((_numbers(y) - predicted) ** 2)


def relative_error(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
    """Return each row's absolute error as a share of the target, which is taken to be no smaller than 2.2e-16."""
    true = _numbers(y)
    return _row_means(np.abs(true - predicted) / np.maximum(np.abs(true), np.finfo(float).eps))


def mae(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the mean absolute error."""
    return float(np.mean(absolute_error(y, predicted, classes)))


def mse(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the mean squared error."""
    return float(np.mean(squared_error(y, predicted, classes)))


def mape(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the mean absolute percentage error as a share: 0.1 is ten percent."""
    return float(np.mean(relative_error(y, predicted, classes)))


def median_ae(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the median absolute error; of several targets, the mean of their medians."""
    return float(sk.median_absolute_error(y, predicted))


def r2(y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
    """Return the coefficient of determination, NaN for fewer than two rows; of several targets, their mean."""
    return float(sk.r2_score(y, predicted)) if len(y) > 1 else float("nan")


class Pinball:
    """The quantile loss of one level: what a prediction of that quantile should make small.

    Source: Koenker & Bassett, "Regression quantiles", Econometrica 46, 1978.
    """

    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> float:
        return float(np.mean(self.rows(y, predicted, classes)))

    def rows(self, y: NDArray[Any], predicted: NDArray[Any], classes: Classes) -> Rows:
        """Return each row's loss."""
        short = _numbers(y) - predicted
        return _row_means(np.maximum(self.level * short, (self.level - 1) * short))


def _numbers(y: NDArray[Any]) -> NDArray[Any]:
    return y if y.dtype.kind == "f" else y.astype(float)  # whole numbers without a sign would wrap around


def _row_means(values: NDArray[Any]) -> Rows:
    return np.asarray(values if values.ndim == 1 else values.mean(axis=1), dtype=float)
