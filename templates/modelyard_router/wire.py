"""The shortest way: what the hot path takes is answered where uvicorn's own protocol has parsed it.

For each request an ASGI server makes a task, an event, a timer and a handful of dictionaries, which together cost
several times what a prediction does. A request that came whole, and whose headers the hot path admits, needs none of
them. Everything else goes on to uvicorn, and so to the application, as it always did.

It knows uvicorn from inside. So it comes with a deployment, whose uvicorn is the one here, and not with a bundle, which
may be served years later by another one.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn import config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelyard_runtime.doors.hot_path import PREDICT

_PATH = PREDICT.encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"


def install() -> None:
    """Let every uvicorn that this process starts from now on speak HTTP by `WireProtocol`."""
    config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{WireProtocol.__name__}"


def _hot_path(app: Any) -> Any:
    """Return the hot path of an application, also of one that uvicorn has put something around."""
    while app is not None:
        if (hot := getattr(app, "hot", None)) is not None:
            return hot
        app = getattr(app, "app", None)
    return None


class WireProtocol(HttpToolsProtocol):  # type: ignore[misc, unused-ignore]
    """One connection. The methods are those that httptools' parser and uvicorn call."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        plain = not self.root_path and self.limit_concurrency is None and not self.access_log
        self._hot: Any = _hot_path(self.app) if plain else None
        self._attempt: Any = None
        self._held: bytes | None = None  # the body, so far, of a request that uvicorn was not told of
        self._answering = False
        self._since = math.inf  # when the last answer was given; while a request is coming, never
        self._watch: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._since = math.inf
        super().data_received(data)
        if self._held is not None:  # it did not come whole: uvicorn waits for the rest
            body, self._held = self._held, None
            if not self.transport.is_closing():
                self._hand_over(body)

    def on_message_begin(self) -> None:
        if self._answering:  # the next one came with it: answers keep their order
            self._hot.flush()
        if self._hot is None:
            super().on_message_begin()
            return
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.scope: Any = None

    def on_headers_complete(self) -> None:
        if self._hot is not None and self.url == _PATH and self._is_plain():
            self._attempt = self._hot.admits(self.headers)
            if self._attempt is not None:
                self._held = b""
                return
        self._begin()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        if self._held is None:
            super().on_message_complete()
            return
        body, self._held = self._held, None
        self._answering = True
        self._attempt(body, lambda payload: self._respond(body, payload))

    def shutdown(self) -> None:
        if self._answering:
            self._hot.flush()
        super().shutdown()

    def _is_plain(self) -> bool:
        return bool(
            self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.pipeline
            and (self.cycle is None or self.cycle.response_complete)
        )

    def _respond(self, body: bytes, payload: bytes | None) -> None:
        self._answering = False
        if self.parser is None or self.transport.is_closing():  # the client has gone
            return
        if payload is None:
            self._hand_over(body)
            super().on_message_complete()
            return
        content = [_HEAD % len(payload)]
        for name, value in self.server_state.default_headers:
            content += (name, b": ", value, b"\r\n")
        content += (b"\r\n", payload)
        self.transport.write(b"".join(content))
        self.server_state.total_requests += 1
        self._since = self.loop.time()
        if self._watch is None:
            self._watch = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Close a connection on which nothing has come since the last answer; one timer watches over many of them."""
        self._watch = None
        left = self._since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.timeout_keep_alive_handler()
        elif left < math.inf:
            self._watch = self.loop.call_later(left, self._close_if_idle)

    def _begin(self) -> None:
        """Let uvicorn begin with a request whose headers are there."""
        if self.scope is None:
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.headers, self.expect_100_continue = url, headers, expects
            scope: Any = self.scope
            scope["headers"] = headers  # the same list: the hot path may have left a mark in it

    def _hand_over(self, body: bytes) -> None:
        """Tell uvicorn of a request that it has not seen yet."""
        self._begin()
        super().on_headers_complete()
        if body:
            super().on_body(body)
