"""The way that nearly every request takes: JSON rows that keep the contract, to a graph.

Everything else, from a wrong token to a value that training never saw, is handed to the application's general way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from modelyard_runtime.access import Gate
from modelyard_runtime.batching import MOST_ROWS, Batcher, Feed, Outputs
from modelyard_runtime.doors.exchange import JSON
from modelyard_runtime.doors.reading import BodyReader
from modelyard_runtime.predictor import Predictor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
#: Is called once: with the answer's body, or with ``None`` where the general way must take the request.
Respond = Callable[["bytes | None"], object]
Attempt = Callable[[bytes, Respond], None]
Headers = list[tuple[bytes, bytes]]

PREDICT = "/predict"

_KINDS = frozenset((b"", b"application/json", b"application/x-www-form-urlencoded"))  # the last is curl's -d
_KIND = (b"content-type", JSON.encode())


class HotPath:
    """Answers ``POST /predict`` where nothing is out of the ordinary.

    Parameters
    ----------
    predictor : Predictor
        One whose `fast` is there.
    largest : int
        Bytes of the largest body that it takes.
    """

    def __init__(self, predictor: Predictor, gate: Gate, read: BodyReader, largest: int) -> None:
        assert predictor.fast is not None
        self._predictor = predictor
        self._fast = predictor.fast
        self._gate = gate
        self._read = read
        self._largest = largest
        self._encode = msgspec.json.Encoder().encode
        self._log = predictor.recorder.log
        self._batcher = Batcher(predictor.fast.run, predictor.fast.sample)
        #: Run what waits for the end of this turn of the event loop.
        self.flush = self._batcher.flush

    def admits(self, headers: Headers) -> Attempt | None:
        """Return who answers the body, where the headers allow that it is answered here."""
        token = stated = None
        kind = b""
        for name, value in headers:
            if name == b"authorization":
                token = value
            elif name == b"content-length":
                stated = value
            elif name == b"content-type":
                kind = value
            elif name == b"content-encoding":
                return None
        if stated is None or kind not in _KINDS or not self._gate.lets_in(token):
            return None
        return self.attempt

    def attempt(self, body: bytes, respond: Respond) -> None:
        """Answer a body, at once or, together with others, at the end of this turn of the event loop."""
        batcher = self._batcher
        together = batcher.pays and batcher.arrived()
        started = time.perf_counter()
        decoded = self._fast.decode(body) if len(body) <= self._largest else None
        if decoded is None:
            respond(None)
            return
        feed, rows = decoded
        if not together or rows >= MOST_ROWS:
            found = batcher.alone(feed, rows)
            respond(None if found is None else self._noted(body, found, feed, rows, started))
            return

        def settled(found: Outputs | None) -> None:
            respond(None if found is None else self._noted(body, found, feed, rows, started))

        batcher.submit(feed, rows, settled)

    def _noted(self, body: bytes, found: Outputs, feed: Feed, rows: int, started: float) -> bytes:
        payload = self._encode(self._fast.answer(found, feed, rows, started))
        if self._log is not None:
            self._log.add(body, payload)
        self._predictor.metrics.responded(PREDICT, 200)
        return payload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bytes | None:
        """Answer and return ``None``; or return the body that was read, for the general way.

        Raises
        ------
        NotTaken
            Nothing was read yet, and the general way must take it.
        """
        attempt = self.admits(scope["headers"])
        if attempt is None:
            raise NotTaken
        stated = next(value for name, value in scope["headers"] if name == b"content-length")
        body = await self._read(stated, receive)
        answered: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def respond(payload: bytes | None) -> None:
            if not answered.done():  # its client may have gone
                answered.set_result(payload)

        attempt(body, respond)
        payload = await answered
        if payload is None:
            return body
        headers = [_KIND, (b"content-length", b"%d" % len(payload))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": payload})
        return None


class NotTaken(Exception):  # noqa: N818  # not a fault: a way not taken
    """The general way must take it."""
