"""Requests that are there at the same time are answered together, where that was measured to pay.

Nobody waits for company: what the event loop has at hand when the first one is ready goes, and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

Feed = dict[str, np.ndarray]
Outputs = tuple["np.ndarray", "np.ndarray | None"]
Run = Callable[[Feed, int], Outputs]

MOST_ROWS = 256

_TOGETHER = 8
_COST_S = 8e-6  # of a future and a turn of the loop, for each request
_ON, _OFF = 1.5, 1.2  # requests in one turn of the loop, on average
_MEMORY = 0.95
_ROUNDS = 20


class Batcher:
    """Runs a graph for one request, or for all that are ready.

    It is off while requests come one at a time, and on while several come in one turn of the event loop.

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
        self.is_on = False
        self._waiting: list[tuple[Feed, int, asyncio.Future[Outputs]]] = []
        self._rows = 0
        self._arrived = 0
        self._average = 1.0

    def arrived(self) -> None:
        """Count a request in this turn of the loop; whether to batch is decided by how many there are."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._turn)
        self._arrived += 1

    def _turn(self) -> None:
        self._average = _MEMORY * self._average + (1 - _MEMORY) * self._arrived
        self._arrived = 0
        self.is_on = self.pays and self._average > (_OFF if self.is_on else _ON)

    async def __call__(self, feed: Feed, rows: int) -> Outputs:
        """Answer together with what else is ready."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        elif self._rows + rows > MOST_ROWS:
            self._flush()
            loop.call_soon(self._flush)
        answer: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append((feed, rows, answer))
        self._rows += rows
        return await answer

    def _flush(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if len(waiting) == 1:
            feed, rows, answer = waiting[0]
            _settle(answer, self._run, feed, rows)
        elif waiting:
            self._together(waiting)

    def _together(self, waiting: list[tuple[Feed, int, asyncio.Future[Outputs]]]) -> None:
        feeds = [feed for feed, _, _ in waiting]
        whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        try:
            labels, probabilities = self._run(whole, sum(rows for _, rows, _ in waiting))
        except Exception:  # noqa: BLE001  # one of them fails the graph: each gets its own answer
            for feed, rows, answer in waiting:
                _settle(answer, self._run, feed, rows)
            return
        start = 0
        for _, rows, answer in waiting:
            end = start + rows
            if not answer.done():  # its client may have gone
                part = None if probabilities is None else probabilities[start:end]
                answer.set_result((labels[start:end], part))
            start = end


def _settle(answer: asyncio.Future[Outputs], run: Run, feed: Feed, rows: int) -> None:
    if answer.done():
        return
    try:
        answer.set_result(run(feed, rows))
    except Exception as error:  # noqa: BLE001  # whatever the graph raises is for who asked
        answer.set_exception(error)


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
