"""The few points that the pictures of an evaluation are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.predictions import OutOfFold

_MOST_POINTS = 200
_MOST_ROWS = 100_000  # a curve of more rows does not look different
_MOST_CURVES = 10
_MOST_CLASSES = 20  # of a confusion matrix that can be read
_BINS = 10

Points = list[list[float]]


def pictures(found: OutOfFold, samples: Samples, seed: int = 0) -> dict[str, Any]:
    """Return the points of each picture that these answers allow, as JSON.

    Returns
    -------
    dict
        ``confusion``: classes and counts, a row per true class. ``roc``, ``precision_recall``: one curve for the
        second of two classes, else one per class or label, of at most 200 points. ``calibration``: for each of those
        the mean probability, the share that was true, and the rows of each tenth. ``residuals``: prediction, and
        target minus prediction, of at most 200 rows for each target.
    """
    if len(found.rows) > _MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(len(found.rows), _MOST_ROWS, replace=False)
        drawn.sort()
        found = found.at(drawn)
    if samples.regression:
        return {"residuals": _residuals(found, samples, seed)}
    drawings: dict[str, Any] = {}
    if samples.classes is not None and len(samples.classes) <= _MOST_CLASSES:
        drawings["confusion"] = _confusion(found, samples.classes)
    curves = list(_ranked(found, samples))
    if curves:
        steps = [(name, *_steps(truth, scores)) for name, truth, scores in curves]
        drawings["roc"] = [_roc(*each) for each in steps]
        drawings["precision_recall"] = [_precision_recall(*each) for each in steps]
    if curves and found.probabilities is not None:
        drawings["calibration"] = [_calibration(*curve) for curve in curves]
    return drawings


def _confusion(found: OutOfFold, classes: NDArray[Any]) -> dict[str, Any]:
    places = np.minimum(np.searchsorted(classes, found.labels), len(classes) - 1)
    known = classes[places] == found.labels  # a model may answer what no row holds
    true = np.searchsorted(classes, found.y[known])
    counts = np.bincount(true * len(classes) + places[known], minlength=len(classes) ** 2)
    return {
        "classes": [str(name) for name in classes.tolist()],
        "counts": counts.reshape(len(classes), len(classes)).tolist(),
    }


def _ranked(found: OutOfFold, samples: Samples) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[Any]]]:
    """Yield name, truth and score of each curve; those of the most frequent classes where there are many."""
    scores = found.scores if found.probabilities is None else found.probabilities
    if scores is None:
        return
    if samples.classes is not None and len(samples.classes) == 2:
        name = str(samples.classes.tolist()[1])
        yield name, found.y == samples.classes[1], scores if scores.ndim == 1 else scores[:, 1]
        return
    if samples.classes is None:
        names, truths = samples.columns, found.y == 1
    else:
        names = tuple(map(str, samples.classes.tolist()))
        truths = found.y[:, None] == samples.classes[None, :]
    often = np.sort(np.argsort(-truths.sum(axis=0), kind="stable")[:_MOST_CURVES])
    for place in often:
        if truths[:, place].any() and not truths[:, place].all():
            yield names[place], truths[:, place], scores[:, place]


def _steps(truth: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return true and false positives at each threshold, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(order) - 1)
    hits = np.cumsum(truth[order])[ends]
    return hits, ends + 1 - hits


def _roc(name: str, hits: NDArray[Any], misses: NDArray[Any]) -> dict[str, Any]:
    x = np.append(0.0, misses / max(misses[-1], 1))
    y = np.append(0.0, hits / max(hits[-1], 1))
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    return {"name": name, "area": area, "points": _thinned(x, y)}


def _precision_recall(name: str, hits: NDArray[Any], misses: NDArray[Any]) -> dict[str, Any]:
    recall, precision = hits / max(hits[-1], 1), hits / (hits + misses)
    area = float(np.sum(np.diff(np.append(0.0, recall)) * precision))
    points = _thinned(np.append(0.0, recall), np.append(precision[0], precision))
    return {"name": name, "area": area, "share": float(hits[-1] / (hits[-1] + misses[-1])), "points": points}


def _calibration(name: str, truth: NDArray[np.bool_], chances: NDArray[Any]) -> dict[str, Any]:
    """Return mean probability, share that was true and rows of ten bins of even width; empty ones are left out."""
    bins = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    rows = np.bincount(bins, minlength=_BINS)
    held = rows > 0
    means = np.bincount(bins, chances, _BINS)[held] / rows[held]
    shares = np.bincount(bins, truth, _BINS)[held] / rows[held]
    points = [
        [_short(mean), _short(share), int(n)]
        for mean, share, n in zip(means, shares, rows[held], strict=True)
    ]
    return {"name": name, "points": points}


def _residuals(found: OutOfFold, samples: Samples, seed: int) -> list[dict[str, Any]]:
    chosen = np.arange(len(found.rows))
    if len(chosen) > _MOST_POINTS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), _MOST_POINTS, replace=False))
    predicted = found.labels[chosen].astype(float).reshape(len(chosen), -1)
    missed = found.y[chosen].astype(float).reshape(len(chosen), -1) - predicted
    return [
        {"name": name, "rows": len(found.rows), "points": _pairs(predicted[:, i], missed[:, i])}
        for i, name in enumerate((samples.columns or ("",))[:_MOST_CURVES])
    ]


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> Points:
    """Return at most 200 points, at even distances along the curve, so that a steep start keeps its shape."""
    if len(x) > _MOST_POINTS:
        way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        places = np.unique(np.searchsorted(way, np.linspace(0, way[-1], _MOST_POINTS)))
        x, y = x[places], y[places]
    return _pairs(x, y)


def _pairs(x: NDArray[Any], y: NDArray[Any]) -> Points:
    return [[_short(a), _short(b)] for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
