"""One cross-validation by each side: the same rows, folds, metrics and jobs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection import cross_validate as sklearn_cross_validate

import modelyard

SCORING = ["accuracy", "precision", "recall", "f1", "roc_auc"]  # what %cv measures of two classes by itself


@dataclass(frozen=True)
class Case:
    """A model on a table, with so many folds in so many processes."""

    name: str
    model: Any
    rows: int
    columns: int
    folds: int = 5
    jobs: int = 1


def table(rows: int, columns: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return two classes that a line does not separate."""
    X, y = make_classification(rows, columns, n_informative=columns // 2, flip_y=0.05, random_state=0)
    return X, y


def ours(case: Case, X: Any, y: Any) -> tuple[float, Any]:
    """Return the seconds of modelyard's cross-validation, as a user calls it, and its result."""
    began = time.perf_counter()
    found = modelyard.cross_validate(case.model, X, y, cv=f"stratified:{case.folds}", n_jobs=case.jobs)
    return time.perf_counter() - began, found


def theirs(case: Case, X: Any, y: Any) -> tuple[float, Any]:
    """Return the seconds of scikit-learn's cross-validation on the same folds, and its result."""
    folds = StratifiedKFold(case.folds, shuffle=True, random_state=0)
    began = time.perf_counter()
    found = sklearn_cross_validate(case.model, X, y, cv=folds, scoring=SCORING, n_jobs=case.jobs)
    return time.perf_counter() - began, found


def compared(case: Case, rounds: int) -> dict[str, Any]:
    """Measure both in turn; the ratio is the median of the rounds' ratios."""
    X, y = table(case.rows, case.columns)
    mine, other = ours(case, X, y)[1], theirs(case, X, y)[1]  # warm up, and compare
    same = all(np.allclose(mine.scores[name], other[f"test_{name}"], rtol=0, atol=1e-9) for name in SCORING)
    spans: dict[str, list[float]] = {"modelyard": [], "sklearn": []}
    over_fits = []
    for turn in range(rounds):
        order: list[tuple[str, Callable[..., tuple[float, Any]]]] = [("modelyard", ours), ("sklearn", theirs)]
        for name, side in order if turn % 2 == 0 else order[::-1]:
            seconds, found = side(case, X, y)
            spans[name].append(seconds)
            if name == "modelyard":
                over_fits.append(seconds * case.jobs / sum(found.fit_seconds))
    return {
        "seconds": {name: statistics.median(each) for name, each in spans.items()},
        "ratio": statistics.median(a / b for a, b in zip(spans["modelyard"], spans["sklearn"], strict=True)),
        "over_fit_time": statistics.median(over_fits),
        "same_scores": same,
    }


_ALONE = r"""
import re, sys
sys.path.insert(0, {folder!r})
from sklearn.linear_model import LogisticRegression
from _measure.cross_validations import Case, {side}, table
case = Case("memory", LogisticRegression(), {rows}, {columns})
{side}(case, *table(case.rows, case.columns))
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""


def peak_megabytes(side: str, rows: int, columns: int, folder: str) -> float:
    """Return the peak resident memory of one cross-validation in a process of its own.

    Asked of the kernel's ``VmHWM``, since ``ru_maxrss`` of a new process begins at what its parent had.
    """
    script = _ALONE.format(folder=folder, side=side, rows=rows, columns=columns)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1000


def growth(found: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Return how many times more modelyard's time grew from the smallest to the largest table than scikit-learn's.

    ``plain`` divides the two growths. It counts against modelyard that it is faster on the small table (it
    measures the metrics in one pass), so that ``bounded`` lets both grow from the slower of the two there.
    """
    few, many = found[min(found)]["seconds"], found[max(found)]["seconds"]
    theirs = many["sklearn"] / few["sklearn"]
    return {
        "plain": many["modelyard"] / few["modelyard"] / theirs,
        "bounded": many["modelyard"] / max(few.values()) / theirs,
    }
