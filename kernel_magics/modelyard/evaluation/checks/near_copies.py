"""Rows nearly equal to a row that the model has learned from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from modelyard.evaluation.checks.columns import Columns, Floats
from modelyard.evaluation.checks.projections import Projections
from modelyard.evaluation.checks.straddling import judged_beside_learned
from modelyard.evaluation.folds import Folds

_TOLERANCES = (1e-6, 1e-4, 1e-3, 5e-3, 2e-2)  # of a column's standard deviation
_CELL = 0.25  # of a projection's standard deviation
_PLACES = 1 << 20  # in a cell
_FEWEST = 3  # pairs
_FEW = 3  # copies of one row
_BY_CHANCE, _SLACK = 1e-4, 3.0
_ASKED = 64  # rows whose neighbourhood tells how dense the table is
_FEWEST_FINE = 2  # columns of which most values differ


def near_copies(columns: Columns, seen: Projections | None, folds: Folds) -> Iterator[str]:
    """Count pairs whose numbers are equal within a small part of their spread, all else being equal.

    Candidates share a cell of a few random projections (locality-sensitive hashing: M. Datar et al., SoCG 2004) and lie
    side by side in it. They are reported where there are far more than the density of the table explains: the number of
    rows within r of a row grows as r^D, with the dimension D taken from the distances to a row's neighbours (E. Levina
    and P. Bickel, "Maximum likelihood estimation of intrinsic dimension", NIPS 2004). Tables of small integers have no
    such pairs, since there two rows are equal or differ by a whole step.
    """
    if seen is None or columns.codes is None or columns.looked_at < 30:
        return
    fine = _fine(columns.glance)
    if fine.sum() < _FEWEST_FINE:
        return
    same = _same_otherwise(columns, seen.missing)
    first, second, distance = _candidates(seen, same)
    if len(first) < _FEWEST:
        return
    dense = _density(seen, same, int(fine.sum()))
    for tolerance in reversed(_TOLERANCES):
        near = distance <= tolerance
        pairs = int(near.sum())
        expected = dense.pairs_within(tolerance)
        if pairs < _FEWEST or float(pdtrc(pairs - 1, _SLACK * expected)) > _BY_CHANCE:
            continue
        yield from _sentence(columns, folds, first[near], second[near], tolerance)
        return


def _sentence(
    columns: Columns, folds: Folds, first: NDArray[np.intp], second: NDArray[np.intp], tolerance: float
) -> Iterator[str]:
    pair = np.arange(len(first))
    ids, rows = np.concatenate([pair, pair]), np.concatenate([first, second])
    leaked = judged_beside_learned(ids, columns.places[rows], columns.rows, folds)
    straddling = len(np.unique(rows[leaked]))
    if not straddling:
        return
    shown = int(ids[leaked][0])
    a, b = (int(columns.places[side[shown]]) for side in (first, second))
    gone = sorted({int(columns.places[row]) for row in np.maximum(first, second)})
    listed = ", ".join(map(str, gone))
    advice = (
        f"drop one of each pair, type keep = np.setdiff1d(np.arange(len(X)), [{listed}])"
        if len(gone) <= 12
        else "give the rows of one origin one group in a column, and type cv='group:COL'"
    )
    yield (
        f"{straddling} of {columns.looked_at} rows have a near copy in the part that the model learned from, such as "
        f"rows {min(a, b)} and {max(a, b)}: numbers within {tolerance:g} of their standard deviation, all else equal; "
        f"{advice}"
    )


def _fine(glance: Floats) -> NDArray[np.bool_]:
    """Return the columns of numbers of which at least half the values differ from all others."""
    ordered = np.sort(glance, axis=0)
    return np.asarray((ordered[1:] != ordered[:-1]).sum(axis=0) >= 0.5 * (len(ordered) - 1))


def _same_otherwise(columns: Columns, missing: NDArray[np.bool_] | None) -> NDArray[np.uint64] | None:
    """Return a number per row, equal where the other columns, and what is null, are equal; ``None`` for always."""
    if not columns.codes and missing is None:
        return None
    parts = [codes.astype(np.uint64) for codes in columns.codes or []]
    parts += [] if missing is None else [part.astype(np.uint64) for part in missing.T]
    weights = np.random.default_rng(1).integers(1, 2**63, size=len(parts), dtype=np.uint64)
    found = np.zeros(columns.looked_at, dtype=np.uint64)
    for part, weight in zip(parts, weights, strict=True):
        found += part * (weight | np.uint64(1))
    return found


def _candidates(
    seen: Projections, same: NDArray[np.uint64] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return pairs of rows, side by side in a cell, that differ a little, and their greatest difference in a column."""
    rng = np.random.default_rng(3)
    first = seen.seen[0]
    cells = np.floor(seen.seen / _CELL + rng.random((len(seen.seen), 1))).astype(np.int64).view(np.uint64)
    weights = rng.integers(1, 2**63, size=len(seen.seen), dtype=np.uint64) | np.uint64(1)
    keys = (cells * weights[:, None]).sum(axis=0, dtype=np.uint64)
    if same is not None:
        keys += same
    within = (np.mod(first, 2 * _CELL) / (2 * _CELL) * _PLACES).astype(np.uint64)
    order = np.argsort((keys & ~np.uint64(_PLACES - 1)) | within)  # by cell, and in it by the first direction
    keys, first = keys[order], first[order]
    found = []
    for step in (1, 2):
        likely = np.abs(first[step:] - first[:-step]) <= 5 * _TOLERANCES[-1]
        likely &= keys[step:] == keys[:-step]
        found.append(_close(seen, order[:-step][likely], order[step:][likely]))
    a, b, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return a, b, distance


def _close(
    seen: Projections, a: NDArray[np.intp], b: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    for direction in seen.seen[1:]:
        likely = np.abs(direction[a] - direction[b]) <= 5 * _TOLERANCES[-1]
        a, b = a[likely], b[likely]
    for column in range(min(3, seen.numbers.shape[1])):  # which rule nearly all others out
        values = seen.numbers[:, column]
        likely = np.abs(values[a] - values[b]) <= _TOLERANCES[-1] * seen.spread[column]
        a, b = a[likely], b[likely]
    apart = np.abs(seen.numbers[a] - seen.numbers[b]) / seen.spread
    distance = apart.max(axis=1) if len(a) else np.empty(0)
    near = (distance > 0) & (distance <= _TOLERANCES[-1])
    return a[near], b[near], distance[near]


class _density:  # noqa: N801  # a function with one more question to it
    """How many pairs a table has within a distance, if it is as dense near a row as around it."""

    def __init__(self, seen: Projections, same: NDArray[np.uint64] | None, most_dimensions: int) -> None:
        rows, columns = seen.numbers.shape
        rng = np.random.default_rng(3)
        asked = rng.permutation(rows)[:_ASKED]
        among = rng.permutation(rows)[: max(200, min(rows, 60_000 // columns))]
        here, there = seen.numbers[asked] / seen.spread, seen.numbers[among] / seen.spread
        apart = np.abs(here[:, None, :] - there[None]).max(axis=2)
        if same is not None:
            apart[same[asked][:, None] != same[among][None]] = np.inf
        apart[asked[:, None] == among[None]] = np.inf
        ordered = np.sort(apart, axis=1)
        copies = (ordered <= _TOLERANCES[-1]).sum(
            axis=1
        )  # a few of them say nothing of the rest; many are the rest
        skipped = np.where(copies <= _FEW, copies, 0)
        row = np.arange(len(ordered))
        self._near, far = ordered[row, 4 + skipped], ordered[row, 19 + skipped]
        known = np.isfinite(far) & (far > self._near)
        ratio = float(np.mean(np.log(far[known] / self._near[known]))) if known.any() else np.inf
        self._dimension = float(np.clip(np.log(4.0) / ratio, 1.0, most_dimensions))
        self._rows, self._share = rows, len(among) / rows

    def pairs_within(self, distance: float) -> float:
        inside = 5 / self._share * (distance / self._near) ** self._dimension
        return float(self._rows / 2 * inside.mean())
