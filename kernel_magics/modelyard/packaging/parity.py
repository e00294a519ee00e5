"""The estimator and its portable form side by side, through the very code that will serve it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelyard.golden import Outputs, Parity, Tolerance, as_table, compare, expected
from modelyard.packaging.forms import Form
from modelyard.packaging.training_table import TrainingTable
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import Model, load_model

UNKNOWN = "modelyard-unknown-category"
_TIMED_ROWS = 300
_FAR = 2.0
_MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)


class Rival:
    """A portable form, loaded as the runtime loads it."""

    def __init__(self, form: Form, contract: Contract) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / form.described["file"]
            path.write_bytes(form.content)
            manifest = {"model": form.described, "trust": form.trust, "format": 0}
            self._model: Model = load_model(Path(folder), manifest, contract)

    def outputs(self, frame: pd.DataFrame) -> Outputs:
        labels, probabilities = self._model(as_table(frame), len(frame))
        return Outputs(labels, probabilities)


def measured(
    model: Any, rival: Rival, table: TrainingTable, frame: pd.DataFrame, tolerance: Tolerance
) -> Parity:
    """Compare on every row of `frame`."""
    return compare(expected(model, table.as_fed(frame)), rival.outputs(frame), tolerance=tolerance)


def is_slower(model: Any, rival: Rival, table: TrainingTable) -> bool:
    """Whether the portable form takes more than twice as long, for one row and for a few hundred (best of three).

    Neighbours are such: ONNX Runtime computes every distance, where scikit-learn asks a tree.
    """
    for rows in (1, _TIMED_ROWS):
        frame = table.frame.head(rows)
        its_own = _seconds(partial(expected, model, table.as_fed(frame)))
        if _seconds(partial(rival.outputs, frame)) <= _FAR * its_own:
            return False
    return True


def _seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return min(once() for _ in range(3))


def accepted_nulls(model: Any, table: TrainingTable) -> frozenset[str]:
    """Return the columns in which the estimator itself answers a missing value with a finite prediction."""
    return frozenset(
        name for name in table.frame.columns if _answers(model, table, with_null(table.frame, name))
    )


def refused_categories(model: Any, table: TrainingTable) -> frozenset[str]:
    """Return the text columns in which the estimator itself fails on a text that it never saw."""
    return frozenset(
        name
        for name in table.frame.columns
        if _is_text(table.frame[name]) and not _answers(model, table, with_unknown(table.frame, name))
    )


def with_null(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the first row, its column `name` missing."""
    row = frame.head(1).copy()
    series = row[name]
    if series.dtype.kind in "iub":
        row[name] = series.astype("object" if series.dtype.kind == "b" else "float64")
    row.loc[row.index[0], name] = None if series.dtype == object else np.nan
    return row


def with_unknown(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the first row, its column `name` an unknown text."""
    row = frame.head(1).copy()
    if isinstance(row[name].dtype, pd.CategoricalDtype):
        row[name] = row[name].cat.add_categories([UNKNOWN])
    row.loc[row.index[0], name] = UNKNOWN
    return row


def _is_text(series: pd.Series) -> bool:
    present = series.dropna()
    return len(present) > 0 and isinstance(present.iloc[0], str)


def _answers(model: Any, table: TrainingTable, row: pd.DataFrame) -> bool:
    try:
        found = expected(model, table.as_fed(row))
    except _MODEL_ERRORS:
        return False
    return found.predictions.dtype.kind not in "fc" or bool(np.isfinite(found.predictions).all())
