"""Reading a body: no larger than it may be, and no slower."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from modelyard_runtime.doors.exchange import Refused

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

MAX_BODY_BYTES = 64 * 1024 * 1024
#: How long a whole body may take to arrive, give or take `_SWEEP_S`.
BODY_TIMEOUT_S = 30.0

_SWEEP_S = 1.0


class BodyReader:
    """Reads bodies, and looks once a second for those that do not arrive.

    One timer for all of them: one each would cost more than most predictions.
    """

    def __init__(self, timeout: float = BODY_TIMEOUT_S) -> None:
        self._timeout = timeout
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._sweeps = False

    async def __call__(self, stated: bytes | None, receive: Receive) -> bytes:
        """Return the body of a request; `stated` is its content-length.

        Raises
        ------
        Refused
            413 for too many bytes, as soon as that is known; 408 for a body that does not arrive in time.
        """
        if stated is not None and stated.isdigit() and int(stated) > MAX_BODY_BYTES:
            raise _too_large()
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._reading[task] = loop.time() + self._timeout
        if not self._sweeps:
            self._sweeps = True
            loop.call_later(_SWEEP_S, self._sweep, loop)
        try:
            message = await receive()
            if not message.get("more_body", False) and message["type"] == "http.request":
                body: bytes = message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
                return body
            return await _rest(message, receive)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            self._late.discard(task)
            raise Refused(408, f"the body did not arrive within {self._timeout:g} s; send it again") from None
        finally:
            del self._reading[task]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, deadline in self._reading.items() if deadline < now]:
            self._late.add(task)
            task.cancel()
        self._sweeps = bool(self._reading)
        if self._sweeps:
            loop.call_later(_SWEEP_S, self._sweep, loop)


async def _rest(message: MutableMapping[str, Any], receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Refused(400, "the client went away")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def _too_large() -> Refused:
    return Refused(413, f"a body may have {MAX_BODY_BYTES} bytes; send the rows in parts")
