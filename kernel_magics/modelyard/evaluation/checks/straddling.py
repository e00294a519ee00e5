"""Which rows are judged by a model that learned from a partner of theirs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.folds import Folds

Flags = NDArray[np.bool_]


def judged_beside_learned(ids: NDArray[np.intp], places: NDArray[np.intp], rows: int, folds: Folds) -> Flags:
    """Return, of the rows at `places`, those judged in a fold that learns from another row of the same number.

    Parameters
    ----------
    ids : ndarray of shape (n,)
        From 0; rows of the same number are partners, and each number has two rows or more.
    places : ndarray of shape (n,)
        Where those rows stand in the table of `rows` rows.
    """
    if folds.one_row_each:
        return np.ones(len(ids), dtype=bool)
    leaked = np.zeros(len(ids), dtype=bool)
    part = np.zeros(rows, dtype=np.int8)
    for train, test in folds.splits:
        part[:] = 0
        part[train], part[test] = 1, 2
        mine = part[places]
        learned = np.zeros(int(ids.max()) + 1, dtype=bool)
        learned[ids[mine == 1]] = True
        leaked |= (mine == 2) & learned[ids]
    return leaked
