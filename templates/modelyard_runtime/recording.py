"""What is noted of each answer: counters at once, drift counters and the prediction log a moment later.

Only what is cheap happens beside a request, a few requests' worth at a time: a thread that did more would take the
interpreter from the requests of that moment. The rest waits in lists that a thread empties every 50 ms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard_runtime.metrics import Metrics
from modelyard_runtime.prediction_log import PredictionLog, Ticker, taken
from modelyard_runtime.profile import FedBins, Feed, ProfileBins

if TYPE_CHECKING:
    from modelyard_runtime.predictor import Answer

Table = dict[str, list[Any]]

_FEEDS = 24  # that are counted at once
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
        self._fed = FedBins(bins, inputs, null_string)
        self.log = None if state is None else PredictionLog(state / "predictions")
        self._feeds: deque[Feed] = deque()
        self._tables: deque[Table] = deque()
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
        self._feeds.append(feed)
        if len(self._feeds) >= _FEEDS:
            self._count_feeds()
        self._metrics.answered(rows, seconds, answer.predictions, ())

    def looked_at(self, table: Table, answer: Answer, rows: int, seconds: float) -> None:
        """Note rows that were looked at one by one."""
        if self._room(rows):
            self._tables.append(table)
        self._metrics.answered(rows, seconds, answer.predictions, [flag.column for flag in answer.flags])

    def _room(self, rows: int) -> bool:
        self._waiting_rows += rows
        return self._waiting_rows <= _WAITING_ROWS

    def _count_feeds(self) -> None:
        if feeds := taken(self._feeds):
            self._metrics.binned(self._fed.counts(feeds))

    def flush(self) -> bool:
        """Count what waits into the profile's bins, and append to the log; return whether it was much."""
        self._count_feeds()
        self._waiting_rows = 0
        for table in taken(self._tables):
            self._metrics.binned(self._bins.counts(table))
        return self.log is not None and self.log.flush()
