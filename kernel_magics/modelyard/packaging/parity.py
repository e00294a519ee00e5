"""The estimator and its portable form side by side, through the very code that will serve it."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelyard.golden import Outputs, Parity, Tolerance, as_table, compare, expected
from modelyard.packaging.forms import Form
from modelyard.packaging.training_table import TrainingTable
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import Model, PythonModel, load_model

UNKNOWN = "modelyard-unknown-category"
_ASKED_AT_ONCE = 128
_TIMED_ROWS = 300
_FAR = 2.0
_CLEARLY = 1.2
# The best of so many rounds hardly feels what else the machine does; of a few it does, so that one model might take
# another form in another process.
_ROUNDS, _FEW_ROUNDS, _FEWEST_ROUNDS = 100, 20, 3
_TIMED_SECONDS, _AT_MOST_SECONDS = 1.0, 6.0
MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)


class Rival:
    """A portable form, loaded as the runtime loads it."""

    def __init__(self, form: Form, contract: Contract) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in form.files.items():
                (Path(folder) / name).write_bytes(content)
            manifest = {"model": form.described, "trust": form.trust, "format": 0}
            self.served: Model = load_model(Path(folder), manifest, contract)

    def outputs(self, frame: pd.DataFrame) -> Outputs:
        labels, probabilities = self.served(as_table(frame), len(frame))
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


@dataclass(frozen=True)
class Gain:
    """How many times as fast as the estimator a form answers one row, and a few hundred, both in the runtime."""

    one_row: float
    many_rows: float

    @property
    def is_clear(self) -> bool:
        """Whether one row is clearly faster, and many are not clearly slower."""
        return self.one_row >= _CLEARLY and self.many_rows * _CLEARLY >= 1


def gain(model: Any, rival: Rival, table: TrainingTable, contract: Contract) -> Gain:
    """Time the form and the estimator in turn, as the runtime serves them; the best time of each counts."""
    itself = PythonModel(model, contract, table.array_dtype)

    def ratio(rows: int) -> float:
        values = as_table(table.frame.head(rows))
        count = min(rows, len(table.frame))
        taken: list[tuple[float, float]] = []
        while len(taken) < _ROUNDS:
            spent = sum(map(sum, taken))
            enough = spent >= (_TIMED_SECONDS if len(taken) >= _FEW_ROUNDS else _AT_MOST_SECONDS)
            if enough and len(taken) >= _FEWEST_ROUNDS:
                break
            taken.append((_once(partial(itself, values, count)), _once(partial(rival.served, values, count))))
        return min(its_own for its_own, _ in taken) / min(rivals for _, rivals in taken)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unknown categories and of names: both are meant
        return Gain(ratio(1), ratio(_TIMED_ROWS))


def _seconds(work: Callable[[], object]) -> float:
    return min(_once(work) for _ in range(3))


def _once(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def accepted_nulls(model: Any, table: TrainingTable) -> frozenset[str]:
    """Return the columns in which the estimator itself answers a missing value with a finite prediction."""
    rows = {name: with_null(table.frame, name) for name in table.frame.columns}
    return frozenset(rows) - failing(rows, partial(_answers, model, table))


def refused_categories(model: Any, table: TrainingTable) -> frozenset[str]:
    """Return the text columns in which the estimator itself fails on a text that it never saw."""
    texts = [name for name in table.frame.columns if _is_text(table.frame[name])]
    rows = {name: with_unknown(table.frame, name) for name in texts}
    return failing(rows, partial(_answers, model, table))


def failing(rows: Mapping[str, pd.DataFrame], works: Callable[[pd.DataFrame], bool]) -> frozenset[str]:
    """Return the names of the rows on which `works` is false, asking for many rows at once.

    Where the answer for some of them is no, they are asked in halves: a forest is slow to ask and quick to refuse.
    """
    names = list(rows)
    if len(names) > _ASKED_AT_ONCE:
        parts = [names[start : start + _ASKED_AT_ONCE] for start in range(0, len(names), _ASKED_AT_ONCE)]
    elif not names or works(rows[names[0]] if len(names) == 1 else _stacked(rows.values())):
        return frozenset()
    elif len(names) == 1:
        return frozenset(names)
    else:
        parts = [names[: len(names) // 2], names[len(names) // 2 :]]
    return frozenset[str]().union(*(failing({n: rows[n] for n in part}, works) for part in parts))


def _stacked(rows: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(rows), ignore_index=True)


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
    except MODEL_ERRORS:
        return False
    return found.predictions.dtype.kind not in "fc" or bool(np.isfinite(found.predictions).all())
