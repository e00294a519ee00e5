"""Rows whose exact copy the model has learned from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from modelyard.evaluation.checks.columns import Columns
from modelyard.evaluation.checks.projections import Projections
from modelyard.evaluation.checks.straddling import judged_beside_learned
from modelyard.evaluation.folds import Folds

Prints = NDArray[np.uint64]

_ASKED = 8  # columns whose chance to agree is looked at
_SLACK = 3.0  # columns are not independent: rows that agree in the others agree more often than any two rows
_BY_CHANCE = 1e-3


def exact_copies(columns: Columns, seen: Projections | None, folds: Folds) -> Iterator[str]:
    """Count copies across folds, unless rows of so few different values would agree by chance.

    A copy agrees in every column. Rows that agree in all columns but one, and differ there, tell how often rows of
    such a table agree anyway.
    """
    if columns.codes is None or columns.looked_at < 2:
        return
    rows = _meeting(seen)
    if rows is not None and not len(rows):
        return
    prints = _row_prints(columns, rows)
    _, ids, sizes = np.unique(prints, return_inverse=True, return_counts=True)
    excess = int((sizes - 1).sum())
    if not excess or _agree_by_chance(columns, excess, int((sizes * (sizes - 1) // 2).sum())):
        return
    copied = np.flatnonzero(sizes[ids] > 1)
    partners = np.unique(ids[copied], return_inverse=True)[1]
    where = columns.places[copied if rows is None else rows[copied]]
    straddling = int(judged_beside_learned(partners, where, columns.rows, folds).sum())
    if straddling:
        be = "row has" if straddling == 1 else "rows have"
        yield (
            f"{straddling} of {columns.looked_at} {be} an exact copy in the part that the model learned from; "
            "drop copies, type keep = ~pd.DataFrame(X).duplicated().to_numpy(); X, y = X[keep], y[keep]"
        )


def _meeting(seen: Projections | None) -> NDArray[np.intp] | None:
    """Return the rows that meet another one in a direction, which copies do; ``None`` for all."""
    if seen is None:
        return None
    order = np.argsort(seen.seen[0])
    close = np.diff(seen.seen[0][order]) <= seen.blur
    meets = np.zeros(len(order), dtype=bool)
    meets[order[1:][close]] = meets[order[:-1][close]] = True
    return np.flatnonzero(meets)


def _row_prints(columns: Columns, rows: NDArray[np.intp] | None) -> Prints:
    return sum(_fingerprints(columns, rows), np.zeros(1, dtype=np.uint64))


def _fingerprints(columns: Columns, rows: NDArray[np.intp] | None = None) -> list[Prints]:
    """Return 64 bits for each value of each column: equal for equal values, and spread so that sums of them differ."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 2**63, size=len(columns.names), dtype=np.uint64) | np.uint64(1)
    table = columns.numbers if rows is None else columns.numbers[rows]
    bits = np.ascontiguousarray((table + 0.0).T).view(np.uint64)  # -0.0 + 0.0 is 0.0
    found = [_spread(values, weight) for values, weight in zip(bits, weights, strict=False)]
    for codes, weight in zip(columns.codes or [], weights[len(found) :], strict=True):
        values = codes if rows is None else codes[rows]
        found.append(_spread(values.astype(np.uint64) + np.uint64(1), weight))
    return found


def _spread(values: Prints, weight: np.uint64) -> Prints:
    mixed = values ^ (values >> np.uint64(32))
    mixed *= np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth's multiplicative hashing
    mixed ^= mixed >> np.uint64(29)
    mixed *= weight
    return mixed


def _agree_by_chance(columns: Columns, excess: int, pairs: int) -> bool:
    each, peek = _fingerprints(columns), columns.peek
    prints = sum(each, np.zeros(1, dtype=np.uint64))
    chances = np.array([_chance_to_agree(values[peek]) for values in each])
    every_pair = len(prints) * (len(prints) - 1) / 2
    expected = every_pair * float(np.prod(chances))  # if columns were independent
    for place in np.argsort(chances)[:_ASKED]:
        others = np.unique(prints - each[place], return_counts=True)[1].astype(float)
        apart = float((others * (others - 1) / 2).sum()) - pairs
        expected = max(expected, apart * chances[place] / max(1 - chances[place], 1e-9))
    return float(pdtrc(excess - 1, _SLACK * expected)) > _BY_CHANCE


def _chance_to_agree(values: Prints) -> float:
    """Return the share of pairs that agree; where none does, that of one pair."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    agreeing = float((counts * (counts - 1)).sum())
    return max(agreeing, 1.0) / max(len(values) * (len(values) - 1), 1)
