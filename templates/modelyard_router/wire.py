"""The shortest way: what the hot path takes is answered where uvicorn's own protocol has parsed it.

For each request an ASGI server makes a task, an event and a handful of dictionaries, which together cost several
times what a prediction does. A request that came whole, and whose headers the hot path admits, needs none of them.
Everything else goes on to uvicorn, and so to the application, as it always did.

It knows uvicorn from inside. So it comes with a deployment, whose uvicorn is the one here, and not with a bundle, which
may be served years later by another one.
"""

from __future__ import annotations

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

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:  # it did not come whole: uvicorn waits for the rest
            body, self._held = self._held, None
            if not self.transport.is_closing():
                self._hand_over(body)

    def on_message_begin(self) -> None:
        if self._answering:  # the next one came with it: answers keep their order
            self._hot.flush()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._hot is not None and self.url == _PATH and self._is_plain():
            self._attempt = self._hot.admits(self.headers)
            if self._attempt is not None:
                self._held = b""
                return
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
        self.on_response_complete()

    def _hand_over(self, body: bytes) -> None:
        """Tell uvicorn of a request that it has not seen yet."""
        super().on_headers_complete()
        if body:
            super().on_body(body)
