"""Who asks an endpoint: connections that are kept, alone or many at once, and what each answer said and when."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelyard.targets import Deployment

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What was answered; `asked` and `answered` are on the monotonic clock, in seconds."""

    asked: float
    answered: float
    status: int
    body: dict[str, Any]

    @property
    def variant(self) -> str:
        return str(self.body["variant"])

    @property
    def source(self) -> str:
        """What the ids of one variant in one worker have in common."""
        return str(self.body["id"])[:16]


class Caller:
    """One connection, which one worker answers; it costs little, so that a thousand requests a second are no feat."""

    def __init__(self, deployment: Deployment, token: str | None = None) -> None:
        parts = urlsplit(deployment.url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._head = f"Host: here\r\nAuthorization: Bearer {token or deployment.token}\r\n"
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def ask(self, *rows: Row, path: str = "/predict", **headers: str) -> Reply:
        """Ask for predictions; `headers` have underscores for dashes."""
        return self.send({"rows": list(rows)}, path, **headers)

    def send(self, body: Any, path: str = "/predict", **headers: str) -> Reply:
        request = self._request(body, path, headers)
        asked = time.monotonic()
        self._socket.sendall(request)
        status, answer = self._answer()
        return Reply(asked, time.monotonic(), status, json.loads(answer))

    def ask_together(self, rows: Sequence[Row]) -> list[Reply]:
        """Send one request for each row, and only then read the answers."""
        asked = time.monotonic()
        self._socket.sendall(b"".join(self._request({"rows": [row]}, "/predict", {}) for row in rows))
        answers = [self._answer() for _ in rows]
        return [Reply(asked, time.monotonic(), status, json.loads(body)) for status, body in answers]

    def _request(self, body: Any, path: str, headers: Mapping[str, str]) -> bytes:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def _answer(self) -> tuple[int, bytes]:
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        return int(lines[0].split()[1]), body

    def _more(self) -> None:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionResetError("the server hung up")
        self._left += part

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        self.close()


def callers_of_every_worker(deployment: Deployment, row: Row, workers: int, each: int = 1) -> list[Caller]:
    """Return connections of which every worker answers `each`; while this is called, one variant answers."""
    found: dict[str, list[Caller]] = {}
    for _ in range(400):
        caller = Caller(deployment)
        found.setdefault(caller.ask(row).source, []).append(caller)
        if len(found) == workers and all(len(callers) >= each for callers in found.values()):
            return [caller for callers in found.values() for caller in callers[:each]]
        time.sleep(0.005)
    raise AssertionError(f"{len(found)} of {workers} workers answered")


class Load:
    """Asks all the time, from several threads, as long as its ``with`` lasts.

    Attributes
    ----------
    replies : list of Reply
        What was answered so far.
    lost : list of str
        Requests that nobody answered, and how.
    """

    def __init__(
        self,
        deployment: Deployment,
        rows: Sequence[Row] | Callable[[random.Random], Row],
        *,
        callers: int = 3,
        pause: float = 0.002,
    ) -> None:
        self._deployment = deployment
        self._draw = rows if callable(rows) else lambda chance: chance.choice(rows)
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[seed]) for seed in range(callers)]
        self.callers = callers
        self.replies: list[Reply] = []
        self.lost: list[str] = []

    def _ask(self, seed: int) -> None:
        chance, caller = random.Random(seed), Caller(self._deployment)
        while not self._over.is_set():
            try:
                self.replies.append(caller.ask(self._draw(chance)))
            except OSError as error:
                self.lost.append(repr(error))
                caller.close()
                caller = self._again()
            time.sleep(self._pause)
        caller.close()

    def _again(self) -> Caller:
        while True:
            try:
                return Caller(self._deployment)
            except OSError as error:  # nobody listens, for as long as nobody does
                self.lost.append(repr(error))
                if self._over.wait(0.05):
                    raise

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def refused(self) -> list[dict[str, Any]]:
        """What was answered with another status than 200."""
        return [reply.body for reply in self.replies if reply.status != 200]

    def shares(self, since: float = 0.0) -> Counter[str]:
        """Count the answers by variant, of requests that were sent at `since` (monotonic) or later."""
        return Counter(r.variant for r in self.replies if r.status == 200 and r.asked >= since)
