"""What is noted of each answer: counters at once, drift counters and the prediction log a moment later.

Only what is cheap happens beside a request; the rest waits in lists that a thread empties every 200 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard_runtime.metrics import Metrics
from modelyard_runtime.prediction_log import PredictionLog, Ticker
from modelyard_runtime.profile import ProfileBins

if TYPE_CHECKING:
    from modelyard_runtime.predictor import Answer

Table = dict[str, list[Any]]
Feed = dict[str, np.ndarray]

_WAITING_ROWS = 200_000  # what waits is bounded: of a flood, a part is counted rather than all of it kept


class Recorder:
    """Notes what was asked and answered.

    Parameters
    ----------
    metrics : Metrics
    bins : ProfileBins
        The bins of the reference profile, for drift.
    inputs : sequence of mapping
        What a feed's arrays hold: ``name``, ``columns`` and ``dtype`` of each.
    null_string : str
        What stands for a missing text in them.
    state : Path, optional
        The endpoint's folder; without one there is no log.
    """

    def __init__(
        self,
        metrics: Metrics,
        bins: ProfileBins,
        inputs: Sequence[dict[str, Any]],
        null_string: str,
        state: Path | None,
    ) -> None:
        self._metrics = metrics
        self._bins = bins
        self._inputs = inputs
        self._null = null_string
        self.log = None if state is None else PredictionLog(state / "predictions")
        self._feeds: list[Feed] = []
        self._tables: list[Table] = []
        self._waiting_rows = 0
        self._ticker: Ticker | None = None

    def start(self) -> None:
        """Begin to empty what waits; until then `flush` is the caller's to call."""
        if self._ticker is None:
            self._ticker = Ticker(self.flush)

    def stop(self) -> None:
        """Count and write what waits, and end."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None

    def fed(self, feed: Feed, answer: Answer, rows: int, seconds: float) -> None:
        """Note rows that kept the contract, as the graph was fed."""
        if self._room(rows):
            self._feeds.append(feed)
        self._metrics.answered(rows, seconds, answer.predictions, ())

    def looked_at(self, table: Table, answer: Answer, rows: int, seconds: float) -> None:
        """Note rows that were looked at one by one."""
        if self._room(rows):
            self._tables.append(table)
        self._metrics.answered(rows, seconds, answer.predictions, [flag.column for flag in answer.flags])

    def _room(self, rows: int) -> bool:
        self._waiting_rows += rows
        return self._waiting_rows <= _WAITING_ROWS

    def flush(self) -> None:
        """Count what waits into the profile's bins, and append to the log."""
        feeds, self._feeds = self._feeds, []
        tables, self._tables = self._tables, []
        self._waiting_rows = 0
        if feeds:
            self._metrics.binned(self._bins.counts(self._columns(feeds)))
        for table in tables:
            self._metrics.binned(self._bins.counts(table))
        if self.log is not None:
            self.log.flush()

    def _columns(self, feeds: list[Feed]) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {}
        for entry in self._inputs:
            block = np.concatenate([feed[entry["name"]] for feed in feeds])
            if entry["dtype"] == "string":
                block[block == self._null] = None  # a copy, by concatenation
            else:
                block = block.astype(np.float64)
            columns |= {name: block[:, position] for position, name in enumerate(entry["columns"])}
        return columns
