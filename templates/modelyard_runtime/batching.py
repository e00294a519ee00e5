"""Requests that are there at the same time are answered together, where that was measured to pay.

What the event loop has at hand goes together. Nobody waits for more, but where the loop has next to no time left: a
request that waits a moment for the next one spares those behind it more than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

Feed = dict[str, np.ndarray]
Outputs = tuple["np.ndarray", "np.ndarray | None"]
Run = Callable[[Feed, int], Outputs]
Settled = Callable[["Outputs | None"], None]
_Waiting = tuple[Feed, int, Settled]

MOST_ROWS = 256

_TOGETHER = 8
_COST_S = 8e-6  # of a future and a turn of the loop, for each request
_ON, _OFF = 1.5, 1.2  # requests in one turn of the loop, on average
_MEMORY = 0.95
_ROUNDS = 20

_PATIENCE_S = 150e-6
_LOOKS, _LOOK_S = 64, 0.05  # from one look at the load to the next, at least: a burst alone is no load
_BUSY, _CALM = 0.75, 0.8  # of the loop's time; of the rate at which it was that
_APART = 0.75  # of the requests; where more are run alone, waiting is in vain


class Batcher:
    """Runs a graph for one request, or for all that are ready.

    What a turn of the event loop has beyond its first request is run together. While several come in every turn, the
    first one waits for them, too; under a high load, it waits for a second one.

    Parameters
    ----------
    run : callable
        Feed and number of rows to labels and probabilities.
    sample : mapping, optional
        A feed of one row, with which it is measured whether batches pay; without one they never do.
    """

    def __init__(self, run: Run, sample: Feed | None) -> None:
        self._run = run
        self.pays = sample is not None and _pays(run, sample)
        self._is_on = False
        self._waiting: list[_Waiting] = []
        self._since = 0.0
        self._rows = 0
        self._arrived = 0
        self._average = 1.0
        self._load = _Load()

    def arrived(self) -> bool:
        """Count a request in this turn of the loop; return whether it is to be submitted, rather than run alone."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._turn)
        self._arrived += 1
        self._load.arrived()
        return self._is_on or self._arrived > 1 or self._load.is_high

    def _turn(self) -> None:
        self._average = _MEMORY * self._average + (1 - _MEMORY) * self._arrived
        self._arrived = 0
        self._is_on = self._average > (_OFF if self._is_on else _ON)

    def alone(self, feed: Feed, rows: int) -> Outputs | None:
        """Answer one request now; ``None`` where the graph fails on it."""
        self._load.runs += 1
        try:
            return self._run(feed, rows)
        except Exception:  # noqa: BLE001  # what the graph raises: the general way meets it again, and tells
            return None

    def submit(self, feed: Feed, rows: int, settled: Settled) -> None:
        """Answer together with what else is ready; `settled` gets what `alone` would return."""
        if not self._waiting:
            self._since = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._gather)
        elif self._rows + rows > MOST_ROWS:
            self.flush()
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((feed, rows, settled))
        self._rows += rows

    def _gather(self) -> None:
        patient = self._load.is_high and not self._is_on and len(self._waiting) == 1
        if patient and time.perf_counter() - self._since < _PATIENCE_S:
            asyncio.get_running_loop().call_soon(self._gather)  # a timer of the loop is too coarse
            return
        self.flush()

    def flush(self) -> None:
        """Answer what waits."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if len(waiting) > 1 and self._together(waiting):
            return
        for feed, rows, settled in waiting:
            settled(self.alone(feed, rows))

    def _together(self, waiting: list[_Waiting]) -> bool:
        """Answer all with one run; or return that it failed, so that each gets its own."""
        feeds = [feed for feed, _, _ in waiting]
        whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        found = self.alone(whole, sum(rows for _, rows, _ in waiting))
        if found is None:
            return False
        labels, probabilities = found
        start = 0
        for _, rows, settled in waiting:
            end = start + rows
            settled((labels[start:end], None if probabilities is None else probabilities[start:end]))
            start = end
        return True


class _Load:
    """Whether requests come so fast that one which waits a moment has company."""

    def __init__(self) -> None:
        self.is_high = False
        self.runs = self._arrived = 0
        self._wall = self._cpu = self._rate = 0.0

    def arrived(self) -> None:
        self._arrived += 1
        if self._arrived % _LOOKS:
            return
        wall = time.perf_counter()
        seconds = wall - self._wall
        if seconds < _LOOK_S:
            return
        cpu = time.thread_time()
        rate, busy = self._arrived / seconds, (cpu - self._cpu) / seconds
        if self.is_high:  # waiting keeps the loop busy: now the rate tells
            self.is_high = rate > _CALM * self._rate and self.runs < _APART * self._arrived
        elif busy > _BUSY and self.runs < self._arrived:
            self.is_high, self._rate = True, rate
        self._arrived, self.runs, self._wall, self._cpu = 0, 0, wall, cpu


def _pays(run: Run, sample: Feed) -> bool:
    """Whether a few rows together take clearly less time than one after the other."""
    several = {name: np.repeat(block, _TOGETHER, axis=0) for name, block in sample.items()}
    alone, together = _seconds(run, sample, 1), _seconds(run, several, _TOGETHER)
    return _TOGETHER * alone - together > _TOGETHER * _COST_S


def _seconds(run: Run, feed: Feed, rows: int) -> float:
    def once() -> float:
        started = time.perf_counter()
        run(feed, rows)
        return time.perf_counter() - started

    return min(once() for _ in range(_ROUNDS))
