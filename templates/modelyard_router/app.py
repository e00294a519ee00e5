"""Several bundles behind one endpoint: an ASGI application that hands each request to one of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from modelyard_router import counters
from modelyard_router.choice import CHOSEN, Choice, Chosen
from modelyard_router.crew import Crew
from modelyard_router.keys import in_body, in_headers
from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import Application, PredictorApp
from modelyard_runtime.doors.exchange import Answered, Refused, page
from modelyard_runtime.doors.hot_path import PREDICT, Attempt, Headers, Respond
from modelyard_runtime.doors.reading import BodyReader
from modelyard_runtime.metrics import CONTENT_TYPE
from modelyard_runtime.predictor import Predictor

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ROWS = (PREDICT, "/explain")
_PREFIXES = ("/v1/models/", "/v2/models/")
_VERSION = re.compile(r"/v[12]/models/[^/]+/versions/(?P<version>[^/:]+)")
_JSON = (b"", b"application/json", b"application/x-www-form-urlencoded")


class RouterApp:
    """Answer predictions by the variants of the policy, and everything else as the host does.

    Parameters
    ----------
    predictor : Predictor
        The host: the bundle that this process was started with.
    folder : Path
        The deployment's own, with the policy.
    beyond : Application, optional
        Where paths go that nobody here knows.
    """

    def __init__(
        self, predictor: Predictor, gate: Gate, folder: Path, beyond: Application | None = None
    ) -> None:
        self._gate = gate
        self._read = BodyReader()
        self._host = PredictorApp(
            predictor, gate, beyond, {"/metrics": page(self._metrics), "/readyz": page(self._ready)}
        )
        self._crew = Crew(folder, self._host, gate)
        #: The short way to an answer (`modelyard_router.wire`).
        self.hot = RoutedHot(self._crew)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._crew.look_from(asyncio.get_running_loop())
            await self._host(scope, self._ending(receive), send)
        elif scope["type"] == "http" and (named := self._named(scope["path"])) is not None:
            await named(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and _predicts(scope["path"]):
            await self._predict(scope, receive, send)
        else:
            await self._host(scope, receive, send)

    def _named(self, path: str) -> PredictorApp | None:
        """Return who answers a path that names a version: that one and no other, whoever has which share."""
        found = _VERSION.match(path)
        return None if found is None else self._crew.app(f"v{found['version']}")

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        choice = self._crew.choice
        marked = _taken_mark(scope["headers"])
        app = choice.only
        if choice.sticky is not None and (app is None or choice.sticky.strip):
            try:
                app, receive = await self._of_caller(choice, scope, receive, marked)
            except Refused as refused:
                await self._host.refuse(scope, send, refused)
                return
        elif app is None:
            app = choice.apps.get(marked or "") or choice.apps[choice.draw().name]
        await app(scope, receive, send)

    async def _of_caller(
        self, choice: Choice, scope: Scope, receive: Receive, marked: str | None
    ) -> tuple[PredictorApp, Receive]:
        """Return who answers a caller, and how its body, which may have been read for that, is received."""
        assert choice.sticky is not None
        headers = dict(scope["headers"])
        key = in_headers(scope["headers"], choice.sticky.headers)
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        may_hold_it = kind in _JSON and scope["path"] in _ROWS
        if may_hold_it and (key is None or choice.sticky.strip) and self._lets_in(headers):
            body = await self._read(headers.get(b"content-length"), receive)
            said, body = in_body(body, choice.sticky.name, strip=choice.sticky.strip)
            key = said if key is None else key
            receive = _replayed(body)
        name = choice.of(key).name if key is not None else marked
        return choice.apps.get(name or "") or choice.apps[choice.draw().name], receive

    def _lets_in(self, headers: dict[bytes, bytes]) -> bool:
        return self._gate.lets_in(headers.get(b"authorization"))

    def _ending(self, receive: Receive) -> Receive:
        async def received() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._crew.leave()
            return message

        return received

    def _metrics(self) -> Answered:
        return Answered(counters.as_text(self._crew), CONTENT_TYPE)

    def _ready(self) -> Answered:
        return Answered(self._crew.ready())


class RoutedHot:
    """The hot paths of all variants, as one."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def admits(self, headers: Headers) -> Attempt | None:
        """Return who answers the body, where the headers allow that it is answered without ASGI."""
        choice = self._crew.choice
        sticky = choice.sticky
        if sticky is not None and (choice.only is None or sticky.strip):
            key = None if sticky.strip else in_headers(headers, sticky.headers)
            if key is None:
                return self._by_body(choice, headers)
            return _marked(choice.of(key), headers)
        if choice.only is not None:
            hot = choice.only.hot
            return None if hot is None else hot.admits(headers)
        return _marked(choice.draw(), headers)

    def _by_body(self, choice: Choice, headers: Headers) -> Attempt | None:
        app = next(iter(choice.apps.values()))
        sticky = choice.sticky
        if sticky is None or app.hot is None or app.hot.admits(headers) is None:
            return None

        def attempt(body: bytes, respond: Respond) -> None:
            try:
                key, inner = in_body(body, sticky.name, strip=sticky.strip)
            except Refused:
                respond(None)
                return
            said = in_headers(headers, sticky.headers)
            chosen = choice.of(said if said is not None else key)
            headers.append(chosen.mark)
            if chosen.hot is None:
                respond(None)
            else:
                chosen.hot.attempt(inner, respond)

        return attempt

    def flush(self) -> None:
        """Run what waits for the end of this turn of the event loop."""
        for app in self._crew.apps:
            if app.hot is not None:
                app.hot.flush()


def _marked(chosen: Chosen, headers: Headers) -> Attempt | None:
    attempt = None if chosen.hot is None else chosen.hot.admits(headers)
    headers.append(chosen.mark)
    return attempt


def _predicts(path: str) -> bool:
    return path in _ROWS or path.startswith(_PREFIXES)


def _taken_mark(headers: Headers) -> str | None:
    if headers and headers[-1][0] == CHOSEN:
        return headers.pop()[1].decode()
    return None


def _replayed(body: bytes) -> Receive:
    sent = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return sent.pop() if sent else {"type": "http.disconnect"}

    return receive
