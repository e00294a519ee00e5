"""Columns that alone are the target, or nearly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from modelyard.evaluation.checks.columns import Columns, Floats, named
from modelyard.evaluation.inputs import Samples

_PEEK = 200  # rows that rule most columns out before all are read
_NEARLY = 0.999  # the area under the ROC curve, or R²
_FEWEST_ROWS = 20
_MOST_LEVELS = 20


def equal_columns(columns: Columns, samples: Samples) -> list[int]:
    """Return the places of columns that are the target: equal to it, or one value for each class and the reverse."""
    if samples.y.ndim > 1:
        return []
    classes = samples.classes
    targets = samples.y if classes is None else np.searchsorted(classes, samples.y)
    if len(targets) < 3 or targets.min() == targets.max():
        return []
    if classes is not None and len(classes) == len(targets):
        return []
    matches = _equals if classes is None else _stands_for
    found = []
    for place in _possible(columns, targets, 0 if classes is None else len(classes)):
        column = columns.column(place)
        if matches(column[:_PEEK], targets[:_PEEK]) and matches(column, targets):
            found.append(place)
    return found


def _possible(columns: Columns, targets: NDArray[Any], classes: int) -> list[int]:
    """Return the columns that a look at all numbers of a few rows at once does not rule out."""
    few = columns.numbers[:_PEEK]
    if not classes:
        rows = targets[columns.places[:_PEEK]]
        return [
            place
            for place, each in zip(columns.numeric, (few == rows[:, None]).all(axis=0), strict=True)
            if each
        ]
    ordered = np.sort(few, axis=0)
    values = (ordered[1:] != ordered[:-1]).sum(axis=0) + 1
    left = (values <= classes) | np.isnan(ordered[-1])
    return sorted([*columns.other, *(p for p, each in zip(columns.numeric, left, strict=True) if each)])


def telling_columns(columns: Columns, samples: Samples, exact: list[int], times: list[int]) -> Iterator[str]:
    """Name the columns that are the target, and those that rank or predict it nearly perfectly on a sample."""
    if exact:
        names = [columns.names[place] for place in exact]
        listed = ", ".join(repr(name) for name in names)
        what = f"columns {listed} each give" if len(names) > 1 else f"column {listed} alone gives"
        yield (
            f"{what} the target away, every row agrees; unless a prediction will have it, type {columns.drop(names)}"
        )
    if samples.y.ndim > 1 or len(columns.peek) < _FEWEST_ROWS:
        return
    y = samples.y[columns.places[columns.peek]]
    judged = _of_numbers(columns, y) if samples.classes is None else _of_classes(columns, y, samples.classes)
    near = [place for place in judged if place not in exact and place not in times]
    if near:
        names = [columns.names[place] for place in near]
        each = "each predict" if len(names) > 1 else "alone predicts"
        yield (
            f"{named(names)} {each} the target nearly perfectly, as measured on {len(y):,} rows; unless a prediction "
            f"will have {'them' if len(names) > 1 else 'it'}, type {columns.drop(names[:5])}"
        )


def _equals(column: Any, targets: NDArray[Any]) -> bool:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return False
    values = column if isinstance(column, np.ndarray) else column.to_numpy(dtype=float, na_value=np.nan)
    return bool(np.array_equal(values, targets.astype(float)))


def _stands_for(column: Any, codes: NDArray[Any]) -> bool:
    try:
        values, distinct = pd.factorize(column, use_na_sentinel=False)
    except TypeError:  # a cell holds a list or the like
        return False
    kinds = len(np.unique(codes))
    if len(distinct) != kinds:
        return False
    pairs = np.unique(values.astype(np.int64) * (int(codes.max()) + 1) + codes)
    return len(pairs) == kinds


def _of_classes(columns: Columns, y: NDArray[Any], classes: NDArray[Any]) -> list[int]:
    """Return columns by which the classes lie apart: sorted by the column, rows of a class follow each other."""
    codes = np.searchsorted(classes, y)
    counts = np.bincount(codes, minlength=len(classes)).astype(float)
    present = counts[counts > 0]
    chance = float(gammaln(len(y) + 1) - gammaln(present + 1).sum())  # log of the ways to order the classes
    if len(present) < 2 or chance < np.log(1e6 * len(columns.names)):
        return []
    found = []
    numbers = columns.glance
    if numbers.shape[1]:
        order = np.argsort(numbers, axis=0)  # rows come shuffled, so that ties are in no order
        ordered = codes[order]
        changes = (ordered[1:] != ordered[:-1]).sum(axis=0)
        expected = (len(y) - 1) * (1 - float((counts**2).sum()) / len(y) ** 2)
        apart = (
            changes <= 2 * (len(present) - 1) + 0.02 * expected if expected >= 10 else changes < len(present)
        )
        if len(classes) == 2:
            area = _area(ordered)
            apart |= np.maximum(area, 1 - area) >= _NEARLY
        apart &= np.isfinite(numbers).all(axis=0)
        found += [place for place, each in zip(columns.numeric, apart, strict=True) if each]
    for place, codes_of in zip(columns.other, columns.codes or [], strict=columns.codes is not None):
        if _levels_tell(codes_of[columns.peek], codes, len(classes)):
            found.append(place)
    return found


def _area(ordered: NDArray[np.intp]) -> Floats:
    """Return the area under the ROC curve of each column from the classes, 0 or 1, in the column's order."""
    positive = ordered.sum(axis=0).astype(float)
    ranks = (np.arange(1, len(ordered) + 1)[:, None] * ordered).sum(axis=0)
    negative = len(ordered) - positive
    return np.asarray((ranks - positive * (positive + 1) / 2) / np.maximum(positive * negative, 1.0))


def _levels_tell(levels: NDArray[np.intp], codes: NDArray[np.intp], classes: int) -> bool:
    """Whether the other rows of a level tell the class of each row; levels of a row or two tell nothing."""
    levels = np.unique(levels, return_inverse=True)[1]
    count = int(levels.max()) + 1
    if count < 2 or count > max(_MOST_LEVELS, 3 * classes) or len(levels) < 5 * count:
        return False
    table = np.zeros((count, classes))
    np.add.at(table, (levels, codes), 1.0)
    others = table[levels]
    others[np.arange(len(codes)), codes] -= 1
    right = others.argmax(axis=1) == codes
    by_chance = float((table.sum(axis=0) ** 2).sum()) / len(codes) ** 2
    return bool((right.mean() - by_chance) / max(1 - by_chance, 1e-9) >= 0.998)


def _of_numbers(columns: Columns, y: NDArray[Any]) -> list[int]:
    """Return columns that are the target up to a line, an order or a smooth curve, with an R² of 0.999 or more."""
    numbers, targets = columns.glance, y.astype(float)
    if not numbers.shape[1] or len(np.unique(targets)) < 10:
        return []
    finite = np.isfinite(numbers).all(axis=0)
    filled = np.where(finite, numbers, 0.0)
    targets, rank = _standard(targets), _standard(np.argsort(np.argsort(targets)).astype(float))
    line = (_standard(filled).T @ targets / len(targets)) ** 2
    order = np.argsort(filled, axis=0)
    monotone = (_standard(np.arange(len(rank), dtype=float)) @ rank[order] / len(rank)) ** 2
    ordered, steps = targets[order], np.take_along_axis(filled, order, axis=0)
    bent = ordered[1:-1] - (ordered[:-2] + ordered[2:]) / 2
    curve = 1 - (bent**2).mean(axis=0) / 1.5  # the mean of two neighbours errs by 1.5 times the noise
    fine = (steps[1:] != steps[:-1]).mean(axis=0) > 0.5
    telling = ((line >= _NEARLY) & (monotone >= 0.9)) | (fine & ((monotone >= _NEARLY) | (curve >= _NEARLY)))
    return [place for place, each in zip(columns.numeric, telling & finite, strict=True) if each]


def _standard(values: Floats) -> Floats:
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
