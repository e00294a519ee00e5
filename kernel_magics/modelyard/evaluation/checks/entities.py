"""Rows of one person, device or place on both sides of a fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.checks.columns import Columns, Floats
from modelyard.evaluation.checks.straddling import judged_beside_learned
from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples

_FEWEST_ENTITIES, _MOST_ROWS_EACH, _FEWEST_PAIRS = 10, 50, 30
_CONSTANT = 0.9  # the share of the target's variance that lies between entities
_ALIKE, _MORE_THAN_NEXT = 0.5, 0.3


def groups_ignored(samples: Samples, folds: Folds) -> Iterator[str]:
    """Report folds that cut through the groups that were given."""
    if folds.groups is None or "group" in folds.label.lower():
        return
    try:
        ids, known = pd.factorize(np.asarray(folds.groups), use_na_sentinel=False)
    except TypeError:  # groups that cannot be hashed
        return
    apart = _apart(ids, np.arange(samples.rows), samples.rows, folds)
    if apart:
        yield (
            f"{apart} of {len(known)} groups are on both sides of a fold: {folds.label} does not keep the groups that "
            "were given together; type cv='group:5' with them"
        )


def entities_apart(columns: Columns, samples: Samples, folds: Folds) -> Iterator[str]:
    """Find columns that name an entity of a few rows each, alike among themselves, under folds that do not group."""
    kind = folds.label.lower()
    if folds.groups is not None or "group" in kind or kind.startswith("time"):
        return
    if samples.y.ndim > 1 or columns.codes is None:
        return
    targets = samples.y if samples.classes is None else np.searchsorted(samples.classes, samples.y)
    y = targets[columns.places].astype(float)
    for place, ids in _candidates(columns):
        why = _why_alike(columns, place, ids, y, samples.classes is not None)
        if why is None:
            continue
        apart = _apart(ids, columns.places, columns.rows, folds)
        if apart:
            name = columns.names[place]
            column = f"group:{name}" if hasattr(columns.table, "iloc") else "group:5"
            more = "" if hasattr(columns.table, "iloc") else f", groups=X[:, {name}]"
            yield (
                f"column {name!r} looks like the name of an entity, {int(ids.max()) + 1:,} of them with "
                f"{columns.looked_at / (ids.max() + 1):.1f} rows each, {why}; {apart:,} of them are on both sides of a "
                f"fold; type cv={column!r}{more}"
            )
            return


def _apart(ids: NDArray[np.intp], places: NDArray[np.intp], rows: int, folds: Folds) -> int:
    """Return how many entities have rows on both sides of a fold."""
    several = np.bincount(ids)[ids] > 1
    if not several.any():
        return 0
    leaked = judged_beside_learned(ids[several], places[several], rows, folds)
    return len(np.unique(ids[several][leaked]))


def _candidates(columns: Columns) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield columns of whole numbers or of texts with a few rows for each value, and those values' numbers in order."""
    rows, seen = columns.looked_at, len(columns.peek)
    fewest = max(_FEWEST_ENTITIES, rows / _MOST_ROWS_EACH)
    expected = fewest * -np.expm1(-seen / fewest)  # different values among `seen` rows, if there are so few
    numbers = columns.glance
    whole = (np.floor(numbers[:64]) == numbers[:64]).all(axis=0)
    for place, number in zip(columns.numeric, range(len(whole)), strict=True):
        if whole[number] and len(np.unique(numbers[:, number])) >= 0.7 * expected:
            values = columns.numbers[:, number]
            if bool((np.floor(values) == values).all()):
                yield from _with_few_rows(place, np.unique(values, return_inverse=True)[1], rows)
    for place, codes in zip(columns.other, columns.codes or [], strict=True):
        if len(np.unique(codes[columns.peek])) >= 0.7 * expected and not _is_time(columns.values(place)):
            yield from _with_few_rows(place, _sorted_codes(columns.values(place), codes), rows)


def _is_time(values: Any) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _sorted_codes(values: Any, codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of the values in the order of their texts, so that neighbours in name are neighbours."""
    firsts = np.unique(codes, return_index=True)[1]
    texts = np.array([str(value) for value in np.asarray(values, dtype=object)[firsts]])
    rank = np.empty(len(firsts), dtype=np.intp)
    rank[np.argsort(texts, kind="stable")] = np.arange(len(firsts))
    return rank[codes]


def _with_few_rows(place: int, ids: NDArray[np.intp], rows: int) -> Iterator[tuple[int, NDArray[np.intp]]]:
    count = int(ids.max()) + 1
    if count >= _FEWEST_ENTITIES and 2 <= rows / count <= _MOST_ROWS_EACH:
        yield place, ids


def _why_alike(
    columns: Columns, place: int, ids: NDArray[np.intp], y: Floats, of_classes: bool
) -> str | None:
    """Say in what rows of one entity are more alike than rows of two whose names follow each other.

    A measure such as an age groups rows as well; there the next value's rows are as much alike.
    """
    mixed = np.random.default_rng(0).permutation(
        len(ids)
    )  # rows of a table often come in an order of their own
    order = mixed[np.argsort(ids[mixed], kind="stable")]
    a, b = order[:-1], order[1:]
    within = ids[a] == ids[b]
    if within.sum() < _FEWEST_PAIRS or (~within).sum() < _FEWEST_ENTITIES - 1:
        return None
    target = _likeness(y[:, None], a, b, within, of_classes)
    if target[0][0] >= _CONSTANT and target[0][0] - target[1][0] >= _ALIKE:
        return "the target nearly constant within each"
    others = [number for number, where in enumerate(columns.numeric) if where != place]
    if len(others) < 2:
        return None
    same, following = _likeness(columns.numbers[:, others], a, b, within, of_classes=False)
    varying = np.isfinite(same)
    alike = varying & (same >= _ALIKE) & (same - following >= _MORE_THAN_NEXT)
    if alike.sum() >= max(2, varying.sum() / 2):
        return f"alike in {int(alike.sum())} of {int(varying.sum())} columns of numbers"
    return None


def _likeness(
    values: Floats, a: NDArray[np.intp], b: NDArray[np.intp], within: NDArray[np.bool_], of_classes: bool
) -> tuple[Floats, Floats]:
    """Return the intraclass correlation of pairs in one entity, and of pairs in two whose names follow each other.

    For classes it is Cohen's kappa of the pairs.
    """
    differ = (values[a] != values[b]).astype(float) if of_classes else (values[a] - values[b]) ** 2 / 2
    if of_classes:
        counts = np.unique(values, return_counts=True)[1] / len(values)
        whole = np.array([1 - float((counts**2).sum())])
    else:
        whole = values.var(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - differ[within].mean(axis=0) / whole, 1 - differ[~within].mean(axis=0) / whole
