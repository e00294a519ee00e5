"""The way that nearly every request takes: JSON rows that keep the contract, to a graph.

Everything else, from a wrong token to a value that training never saw, is handed to the application's general way.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from modelyard_runtime.access import Gate
from modelyard_runtime.batching import MOST_ROWS, Batcher
from modelyard_runtime.doors.exchange import JSON
from modelyard_runtime.doors.reading import BodyReader
from modelyard_runtime.predictor import Predictor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_KINDS = frozenset((b"", b"application/json", b"application/x-www-form-urlencoded"))  # the last is curl's -d
_KIND = (b"content-type", JSON.encode())


class HotPath:
    """Answers ``POST /predict`` where nothing is out of the ordinary.

    Parameters
    ----------
    predictor : Predictor
        One whose `fast` is there.
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> bytes | None:
        """Answer and return ``None``; or return the body that was read, for the general way.

        Raises
        ------
        NotTaken
            Nothing was read yet, and the general way must take it.
        """
        token = stated = None
        kind = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = value
            elif name == b"content-length":
                stated = value
            elif name == b"content-type":
                kind = value
        if kind not in _KINDS or stated is None or not self._gate.lets_in(token):
            raise NotTaken
        batcher = self._batcher
        if batcher.pays:
            batcher.arrived()
        body = await self._read(stated, receive)
        if len(body) > self._largest:
            return body
        started = time.perf_counter()
        decoded = self._fast.decode(body)
        if decoded is None:
            return body
        feed, rows = decoded
        try:
            if batcher.is_on and rows < MOST_ROWS:
                found = await batcher(feed, rows)
            else:
                found = self._fast.run(feed, rows)
        except Exception:  # noqa: BLE001  # what the graph raises: the general way meets it again, and tells
            return body
        answer = self._fast.answer(found, feed, rows, started)
        payload = self._encode(answer)
        if self._log is not None:
            self._log.add(body, payload)
        self._predictor.metrics.responded("/predict", 200)
        headers = [_KIND, (b"content-length", b"%d" % len(payload))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": payload})
        return None


class NotTaken(Exception):  # noqa: N818  # not a fault: a way not taken
    """The general way must take it."""
