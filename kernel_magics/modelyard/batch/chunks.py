"""What flows through a scoring: rows as they were read, and the answers to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from modelyard_runtime.contract import Contract

PREDICTION, FLAGS, ERROR = "prediction", "flags", "error"


@dataclass(frozen=True)
class Chunk:
    """Some rows of the source.

    Attributes
    ----------
    start : int
        The number of the first one.
    batch : pyarrow.RecordBatch
        What the contract wants and what is kept.
    strays : mapping
        By column and row: values that are not of the column's type; the batch holds a null there.
    """

    start: int
    batch: pa.RecordBatch
    strays: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return int(self.batch.num_rows)

    def slice(self, start: int, rows: int) -> Chunk:
        strays = {
            name: {row - start: value for row, value in found.items() if start <= row < start + rows}
            for name, found in self.strays.items()
        }
        return Chunk(self.start + start, self.batch.slice(start, rows), strays)


@dataclass(frozen=True)
class Answers:
    """The answers to a chunk: one row each, and how many values of each column were flagged."""

    batch: pa.RecordBatch
    flagged: Counter[str]


class Scorer(Protocol):
    """What answers chunks; several at once where `workers` is more than 1."""

    what: str
    identity: dict[str, Any]
    contract: Contract
    layout: Layout
    rows: int
    workers: int

    def __call__(self, chunk: Chunk) -> Answers: ...

    def close(self) -> None: ...


class Layout:
    """The columns of answers, the same for every chunk.

    Parameters
    ----------
    sample : list
        Predictions as an answer in JSON has them; their type is the column's.
    classes : sequence of str, or None
        The names of the classes, where the model gives probabilities.
    """

    def __init__(self, sample: list[Any], classes: tuple[str, ...] | None) -> None:
        self.kind = _kind(sample)
        self.classes = classes
        self.schema = pa.schema(
            [
                (PREDICTION, self.kind),
                *((f"probability_{name}", pa.float64()) for name in classes or ()),
                (FLAGS, pa.string()),
                (ERROR, pa.string()),
            ]
        )

    def answers(
        self,
        rows: int,
        answered: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray | None,
        flags: list[tuple[int, str, str]],
        errors: Mapping[int, str],
    ) -> Answers:
        """Put the answers to some of `rows` rows in their places.

        Parameters
        ----------
        answered : numpy.ndarray
            The numbers of the rows that `labels` (n,) and `probabilities` (n, classes) belong to.
        flags : list of (int, str, str)
            Row, column, and what is said of it.
        errors : mapping of int to str
            By row: why there is no answer.
        """
        columns = [self._labels(labels)]
        if self.classes is not None:
            shape = (len(answered), len(self.classes))
            found = np.zeros(shape) if probabilities is None else np.asarray(probabilities, dtype=np.float64)
            columns += [pa.array(np.ascontiguousarray(found[:, place])) for place in range(shape[1])]
        if len(answered) != rows:
            places = np.full(rows, -1, dtype=np.int64)
            places[answered] = np.arange(len(answered))
            wanted = pa.array(places, mask=places < 0)
            columns = [column.take(wanted) for column in columns]
        columns += [_texts(rows, _joined(flags)), _texts(rows, errors)]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        return Answers(batch, Counter(column for _, column, _ in flags))

    def _labels(self, labels: np.ndarray) -> pa.Array:
        if pa.types.is_string(self.kind):
            return pa.array(labels.tolist(), self.kind)
        if labels.dtype == object:
            labels = np.array(labels.tolist())
        if not len(labels):
            return pa.array([], self.kind)
        return pa.array(labels.astype(self.kind.to_pandas_dtype()), self.kind)


def _kind(sample: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in sample if value is not None}
    found = {bool: pa.bool_(), int: pa.int64(), str: pa.string()}
    return found.get(kinds.pop(), pa.float64()) if len(kinds) == 1 else pa.float64()


def _joined(flags: list[tuple[int, str, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for row, column, said in flags:
        found[row] = f"{found[row]}; {column}: {said}" if row in found else f"{column}: {said}"
    return found


def _texts(rows: int, texts: Mapping[int, str]) -> pa.Array:
    if not texts:
        return pa.nulls(rows, pa.string())
    return pa.array([texts.get(row) for row in range(rows)], pa.string())
