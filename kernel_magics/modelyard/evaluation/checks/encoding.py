"""Columns that hold the target's mean of each level, taken over all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.checks.columns import Columns, Floats, named
from modelyard.evaluation.inputs import Samples

_FEWEST_LEVELS = 3
_FEWEST_ROWS_EACH = 2.0
_EXACT = 1e-9
_MOST_CLASSES = 10


def encoded_targets(columns: Columns, samples: Samples, exact: list[int]) -> Iterator[str]:
    """Find columns of few values, each of which is the target's mean over its rows, plain or drawn to the whole mean.

    Drawn to it: (n · mean of the level + m · mean of all) / (n + m), as target encoders smooth, with one m for all.
    """
    if samples.y.ndim > 1 or columns.picked is not None:
        return
    coarse = [
        (place, number)
        for number, place in enumerate(columns.numeric)
        if place not in exact and _is_coarse(columns.glance[:, number])
    ]
    if not coarse:
        return
    targets = _targets(samples)
    found = [
        columns.names[place]
        for place, number in coarse
        if any(_is_mean_of(columns.numbers[:, number], target) for target in targets)
    ]
    if found:
        holds = "hold" if len(found) > 1 else "holds"
        yield (
            f"{named(found)} {holds} the target's mean for each level, taken over all rows, those to be judged too; "
            "give the levels and let the folds encode them, type make_pipeline(TargetEncoder(), model)"
        )


def _targets(samples: Samples) -> list[NDArray[Any]]:
    if samples.classes is None:
        return [samples.y.astype(float)]
    if len(samples.classes) > _MOST_CLASSES:
        return []
    kinds = samples.classes[1:] if len(samples.classes) == 2 else samples.classes
    found = [(samples.y == each).astype(float) for each in kinds]
    if len(samples.classes) == 2:
        found.append(1 - found[0])
    elif samples.y.dtype.kind in "iuf":
        found.append(samples.y.astype(float))
    return found


def _is_coarse(glance: Floats) -> bool:
    """Whether values come again, and are no mere whole numbers: means of several rows seldom are."""
    if not np.isfinite(glance).all() or (np.floor(glance[:64]) == glance[:64]).all():
        return False
    return _FEWEST_LEVELS <= len(np.unique(glance)) <= len(glance) / 1.5


def _is_mean_of(values: Floats, target: NDArray[Any]) -> bool:
    levels, ids, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(levels) < _FEWEST_LEVELS or len(values) < _FEWEST_ROWS_EACH * len(levels):
        return False
    means, size = np.bincount(ids, weights=target) / counts, float(np.abs(target).max())
    if bool((np.abs(means - levels) <= _EXACT * size).all()):
        return True
    whole = float(target.mean())
    away = np.abs(levels - whole) > 1e-6 * size
    if away.sum() < _FEWEST_LEVELS + 1:
        return False
    drawn = counts[away] * (means[away] - levels[away]) / (levels[away] - whole)
    once = float(drawn.min())
    if not once > 0:
        return False
    levels_in_one = np.round(drawn / once)  # levels of equal means and sizes have one value together
    same = np.abs(drawn / once - levels_in_one) <= 1e-6 * levels_in_one
    return bool(same.all() and levels_in_one.max() <= 10 and (levels_in_one == 1).mean() > 0.5)
