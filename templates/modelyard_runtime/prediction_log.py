"""The prediction log: every request with its answer, appended in batches, bounded on disk.

A line is one JSON object, ``{"time": …, "request": …, "answer": …}`` with the request's and the answer's own bytes,
or, for feedback, ``{"time": …, "feedback": …}``. Each process appends to files of its own: no two ever meet in one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

FLUSH_S = 0.05
BUSY_S = 0.01  # while there is much to write: little at a time, so that a request waits for little
SEGMENT_BYTES = 32 * 1024 * 1024
LIMIT_BYTES = 1024 * 1024 * 1024
LIMIT = "MODELYARD_LOG_BYTES"

_LINES = 16  # that are put together at once: little enough to hold nobody up

_log = logging.getLogger("modelyard_runtime")


class PredictionLog:
    """Appends lines to segments of a folder; the oldest segments go when the folder is full.

    Lines wait in memory for at most `FLUSH_S` seconds: that is what a crash loses. Who adds them puts them together, a
    few at a time; what may wait for a disk is on the thread that calls `flush`.

    Parameters
    ----------
    folder : Path
        Shared by the workers of one endpoint.
    segment_bytes, limit_bytes : int
        The size at which a new segment is begun, and that of all segments together.
    """

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, limit_bytes: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._limit = limit_bytes or int(os.environ.get(LIMIT, LIMIT_BYTES))
        self._waiting: deque[tuple[float, bytes, bytes]] = deque()
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._number = 0
        self._written = 0
        self._file: int | None = None

    def add(self, request: bytes, answer: bytes) -> None:
        """Note a request and its answer, both JSON."""
        self._waiting.append((time.time(), request, answer))
        if len(self._waiting) >= _LINES:
            self._put_together()

    def feedback(self, body: bytes) -> None:
        """Note labels that came later."""
        self._waiting.append((time.time(), body, b""))

    def _put_together(self) -> None:
        if lines := taken(self._waiting):
            self._chunks.append((b"".join(chain.from_iterable(map(_line, lines))), len(lines)))

    def flush(self) -> bool:
        """Append what waits, and return whether it was much; call it on one thread only."""
        self._put_together()
        chunks = taken(self._chunks)
        if not chunks:
            return False
        try:
            if self._file is None or self._written >= self._segment_bytes:
                self._next_segment()
            assert self._file is not None
            self._written += os.write(self._file, b"".join(chunk for chunk, _ in chunks))
        except OSError as error:  # a full disk must not stop an endpoint
            lost = sum(lines for _, lines in chunks)
            _log.error("the prediction log cannot be written, %d lines are lost: %s", lost, error)
        return len(chunks) > 1

    def _next_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._make_room()
        path = self._folder / f"{time.time_ns():020d}-{self._name}-{self._number:06d}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._number += 1
        self._written = 0

    def _make_room(self) -> None:
        sizes = [(path, path.stat().st_size) for path in sorted(self._folder.glob("*.jsonl"))]
        total = sum(size for _, size in sizes) + self._segment_bytes
        for path, size in sizes:
            if total <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= size


def taken(waiting: deque[_T]) -> list[_T]:
    """Take out what is there now; what another thread adds meanwhile stays for the next time."""
    found: list[_T] = []
    with contextlib.suppress(IndexError):  # another thread took the rest
        found += (waiting.popleft() for _ in range(len(waiting)))
    return found


def _line(entry: tuple[float, bytes, bytes]) -> tuple[bytes, ...]:
    """Return the pieces of a line; to put them together once for all lines is cheaper than once for each."""
    at, request, answer = entry
    if b"\n" in request:  # between values only: a text in JSON has it escaped
        request = request.replace(b"\n", b" ")
    if not answer:
        return b'{"time":%.3f,"feedback":' % at, request, b"}\n"
    return b'{"time":%.3f,"request":' % at, request, b',"answer":', answer, b"}\n"


class Ticker:
    """Calls work, which says whether it was much, on a thread of its own, and once more when it is stopped."""

    def __init__(self, work: Callable[[], bool]) -> None:
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelyard-ticker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        busy = False
        while not self._stop.wait(BUSY_S if busy else FLUSH_S):
            busy = self._once()
        self._once()

    def _once(self) -> bool:
        try:
            return self._work()
        except Exception:  # noqa: BLE001  # what is counted must not stop what is served
            _log.exception("counting or logging failed")
            return False

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
