"""Clients on raw sockets: one that keeps to a timetable, and one that counts what became of every request.

Both spin on one core rather than sleep: a timer's millisecond would be five times what is measured. The one with a
timetable can also sleep, for those who want its core.
"""

from __future__ import annotations

import gc
import itertools
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

_ANSWER_S = 30.0


class Connection:
    """A connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(_ANSWER_S)
        self._received = b""
        self.body = b""  # of the last answer
        self.own_port = int(self._socket.getsockname()[1])
        self.since = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, request: bytes, since: float) -> None:
        """Send; `since` is when the request was due."""
        self.since = since
        self._socket.sendall(request)

    def receive(self) -> int | None:
        """Return the status once an answer is complete.

        Raises
        ------
        ConnectionError
            The server hung up.
        """
        part = self._socket.recv(262_144)
        if not part:
            raise ConnectionResetError("the server hung up")
        self._received += part
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return None
        self._received, self.body = b"", body
        return int(head[9:12])

    def close(self) -> None:
        self._socket.close()


@dataclass
class Counted:
    """What became of the requests of a closed loop."""

    answered: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def paced(
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    connections: int,
    *,
    at_random: bool,
    sleeps: bool = False,
) -> np.ndarray:
    """Send `rate` requests a second whatever the answers do; return latencies, shape (requests,), in seconds.

    A latency counts from the moment at which the request was due, also when no connection was free then, so that
    a server that stalls is charged for everybody who would have waited. The moments are evenly spaced, as wrk2 has
    them, or those of a Poisson process.

    With `sleeps` the client leaves its core while there is nothing to do, and wakes up some 60 µs late. That is not
    the server's doing: where a connection is free, such a request counts from when it was sent.
    """
    count = int(rate * seconds)
    gaps = np.random.default_rng(0).exponential(1 / rate, count) if at_random else np.full(count, 1 / rate)
    with _connected(port, connections) as (poll, open_), _without_gc():
        idle, waiting = list(open_.values()), deque[float]()
        coming = deque((time.perf_counter() + 0.01 + np.cumsum(gaps)).tolist())
        bodies, latencies = itertools.cycle(requests), []
        give_up = coming[-1] + _ANSWER_S
        while len(latencies) < count:
            now = time.perf_counter()
            if now > give_up:
                raise SystemExit(
                    f"{rate:.0f} requests a second are too many: {len(latencies)} of {count} answered"
                )
            while coming and coming[0] <= now:
                due = coming.popleft()
                waiting.append(now if sleeps and len(waiting) < len(idle) else due)
            while waiting and idle:
                idle.pop().send(next(bodies), waiting.popleft())
            for connection in _asleep(open_, coming) if sleeps else _awake(poll, open_):
                status = connection.receive()
                if status is None:
                    continue
                if status != 200:
                    raise SystemExit(f"an answer {status} at {rate:.0f} requests a second")
                latencies.append(time.perf_counter() - connection.since)
                idle.append(connection)
    return np.array(latencies)


def closed_loop(
    port: int,
    requests: Sequence[bytes],
    seconds: float,
    connections: int,
    at: float | None = None,
    then: Callable[[set[int]], None] | None = None,
    apart: float = 0.0,
    heard: Callable[[bytes], None] | None = None,
) -> Counted:
    """Let each connection ask again as soon as it was answered; count answers and failures.

    A connection that breaks is a failed request, and is opened again. `at` seconds after the start, `then` is called
    with the ports of the connections. They are opened `apart` seconds after one another, each asking at once: of
    several that come while all workers are idle, one takes all. `heard` gets the body of each answer.
    """
    counted = Counted()
    bodies = itertools.cycle(requests)
    with _connected(port, 0) as (poll, open_), _without_gc():
        started = time.perf_counter()
        opened = 0
        while open_ or opened < connections:
            now = time.perf_counter()
            while opened < connections and now - started >= opened * apart:
                _open(port, poll, open_).send(next(bodies), now)
                opened += 1
            if then is not None and at is not None and now - started >= at:
                then({connection.own_port for connection in open_.values()})
                then = None
            if now - started > seconds + _ANSWER_S:
                counted.failed += len(open_)
                counted.failures += ["no answer"] * len(open_)
                break
            for descriptor, _ in poll.poll(0.01):
                connection = open_[descriptor]
                try:
                    status = connection.receive()
                    if status is None:
                        continue
                    if status == 200:
                        counted.answered += 1
                        if heard is not None:
                            heard(connection.body)
                    else:
                        counted.failed += 1
                        counted.failures.append(str(status))
                except OSError as error:
                    counted.failed += 1
                    counted.failures.append(type(error).__name__)
                    _close(connection, poll, open_)
                    connection = _open(port, poll, open_)
                if time.perf_counter() - started < seconds:
                    connection.send(next(bodies), time.perf_counter())
                else:
                    _close(connection, poll, open_)
        counted.seconds = time.perf_counter() - started
    return counted


Open = dict[int, Connection]


def _awake(poll: select.epoll, open_: Open) -> list[Connection]:
    """Return the connections on which something came by now."""
    return [open_[descriptor] for descriptor, _ in poll.poll(0)]


def _asleep(open_: Open, coming: Sequence[float]) -> list[Connection]:
    """Return them when something came, or when the next request is due; epoll counts whole milliseconds only."""
    seconds = max(0.0, coming[0] - time.perf_counter()) if coming else _ANSWER_S
    return select.select(list(open_.values()), [], [], seconds)[0]


@contextmanager
def _connected(port: int, connections: int) -> Iterator[tuple[select.epoll, Open]]:
    open_: Open = {}
    with select.epoll() as poll:
        try:
            for _ in range(connections):
                _open(port, poll, open_)
            yield poll, open_
        finally:
            for connection in list(open_.values()):
                connection.close()


def _open(port: int, poll: select.epoll, open_: Open) -> Connection:
    connection = Connection(port)
    open_[connection.fileno()] = connection
    poll.register(connection.fileno(), select.EPOLLIN)
    return connection


def _close(connection: Connection, poll: select.epoll, open_: Open) -> None:
    poll.unregister(connection.fileno())
    del open_[connection.fileno()]
    connection.close()


@contextmanager
def _without_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
