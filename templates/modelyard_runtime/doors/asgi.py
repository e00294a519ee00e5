"""The HTTP door: a plain ASGI application that any ASGI server can run.

``uvicorn --factory modelyard_runtime.doors.asgi:application`` serves it without BentoML.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from modelyard_runtime.access import Gate
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER
from modelyard_runtime.child import ChildLostError
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.doors import arrow, feedback, open_inference, pages, tensorflow_serving
from modelyard_runtime.doors.exchange import JSON, Answered, Asked, Headers, Refused, Route, Routes
from modelyard_runtime.doors.hot_path import PREDICT, HotPath, NotTaken
from modelyard_runtime.doors.reading import BodyReader
from modelyard_runtime.predictor import Predictor, RequestError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The environment variable that names the Bento to serve.
BUNDLE = "MODELYARD_BUNDLE"
#: Above this many bytes a body is decoded and predicted off the event loop, so that health checks go on.
LARGE_BODY_BYTES = 128 * 1024
#: How many requests may wait for a thread before others are told to come back.
MAX_WAITING = 64
RETRY_AFTER_S = 1

_SWITCH_S = 0.0001  # how long a thread may hold the interpreter while a request waits for it

_UNLOCKED = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")
_FORMS = ("multipart/form-data", "text/html", "application/xml", "text/xml")
_WITH_STATUS: dict[int, Headers] = {
    401: ((b"www-authenticate", b"Bearer"),),
    405: ((b"allow", b"GET, HEAD, POST"),),
    503: ((b"retry-after", b"%d" % RETRY_AFTER_S),),
}
_log = logging.getLogger("modelyard_runtime")


class PredictorApp:
    """Answer the runtime's paths; pass every other one, after the token check, to another application.

    Parameters
    ----------
    predictor : Predictor
        What answers.
    gate : Gate
        Who is let in; only the health checks are open to all.
    beyond : Application, optional
        Where other paths go; without one they get 404.
    routes : mapping, optional
        Paths that are answered otherwise than the predictor would.
    """

    def __init__(
        self,
        predictor: Predictor,
        gate: Gate,
        beyond: Application | None = None,
        routes: Routes | None = None,
    ) -> None:
        self._predictor = predictor
        self._gate = gate
        self._beyond = beyond
        self._encode = msgspec.json.Encoder().encode
        self._bodies = arrow.bodies(predictor)
        self._routes: Routes = {
            **pages.routes(predictor),
            **feedback.routes(predictor),
            **open_inference.routes(predictor),
            **tensorflow_serving.routes(predictor),
            PREDICT: Route(("POST",), self._predict, is_work=True),
            "/explain": Route(("POST",), _explaining(predictor), True, True),
            **(routes or {}),
        }
        self._read = BodyReader()
        fast = predictor.fast is not None
        #: The short way to an answer, which a server may call without ASGI between (`modelyard_router.wire`).
        self.hot = HotPath(predictor, gate, self._read, LARGE_BODY_BYTES) if fast else None
        self._waiting = 0
        _settle()
        predictor.recorder.start()
        atexit.register(predictor.recorder.stop)

    @property
    def predictor(self) -> Predictor:
        """What answers."""
        return self._predictor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self.hot is not None and scope["path"] == PREDICT and scope["method"] == "POST":
                await self._fast(self.hot, scope, receive, send)
            else:
                await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:  # nothing of ours speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._beyond is not None:
            await self._beyond(scope, receive, send)
            return
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _fast(self, hot: HotPath, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await hot(scope, receive, send)
        except NotTaken:
            await self._http(scope, receive, send)
        except Refused as refused:
            await self.refuse(scope, send, refused)
        else:
            if body is not None:
                await self._http(scope, receive, send, body)

    async def _http(self, scope: Scope, receive: Receive, send: Send, body: bytes | None = None) -> None:
        path = scope["path"]
        try:
            headers = dict(scope["headers"])
            if path not in _UNLOCKED and not self._gate.lets_in(headers.get(b"authorization")):
                raise Refused(401, "this endpoint wants its token: Authorization: Bearer TOKEN")
            route = self._routes.get(path)
            if route is None:
                if self._beyond is not None:
                    await self._beyond(scope, receive, send)
                    return
                raise Refused(404, f"no path {path[:200]}; see /openapi.json")
            if scope["method"] not in route.methods:
                raise Refused(405, f"{path} takes {' or '.join(route.methods)}, not {scope['method']}")
            if body is None:
                posted = scope["method"] == "POST"
                body = await self._read(headers.get(b"content-length"), receive) if posted else b""
            if (packed := headers.get(b"content-encoding", b"identity")) != b"identity":
                raise Refused(
                    415, f"a body in {packed.decode('latin-1')[:40]!r} is not taken here; send it as it is"
                )
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
            answered = await self._answer(route, Asked(scope["method"], path, kind, body, headers))
        except Refused as refused:
            answered = self._refusal(refused)
        await self._respond(scope, send, answered)

    async def refuse(self, scope: Scope, send: Send, refused: Refused) -> None:
        """Answer with a refusal."""
        await self._respond(scope, send, self._refusal(refused))

    def _refusal(self, refused: Refused) -> Answered:
        return Answered(
            self._encode(refused.body), JSON, refused.status, _WITH_STATUS.get(refused.status, ())
        )

    async def _respond(self, scope: Scope, send: Send, answered: Answered) -> None:
        self._predictor.metrics.responded(scope["path"], answered.status)
        body = answered.body
        headers = [
            (b"content-type", answered.kind.encode()),
            (b"content-length", b"%d" % len(body)),
            *answered.headers,
        ]
        await send({"type": "http.response.start", "status": answered.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, route: Route, asked: Asked) -> Answered:
        quick = self.hot is not None and len(asked.body) <= LARGE_BODY_BYTES and not route.is_slow
        if not route.is_work or quick:
            return self._answered(route, asked)
        if self._waiting >= MAX_WAITING:
            raise Refused(503, f"{self._waiting} requests wait already; come back in {RETRY_AFTER_S} s")
        self._waiting += 1
        try:
            return await asyncio.to_thread(self._answered, route, asked)
        finally:
            self._waiting -= 1

    def _answered(self, route: Route, asked: Asked) -> Answered:
        try:
            return route.answer(asked)
        except ContractBroken as broken:
            raise Refused(422, str(broken), violations=[asdict(v) for v in broken.violations]) from None
        except (RequestError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, f"not a request: {error}") from None
        except Refused:
            raise
        except ChildLostError as lost:
            _log.error("%s", lost)
            raise Refused(503, "the model's process is gone and is being started again; come back") from None
        except Exception:  # noqa: BLE001  # the model's own mistakes: whole in the log, never to the client
            _log.exception("the model failed on a request that keeps the contract")
            raise Refused(500, "the model failed on these rows; the server's log says why") from None

    def _predict(self, asked: Asked) -> Answered:
        if asked.kind in self._bodies:
            return self._bodies[asked.kind](asked)
        if asked.kind in _FORMS:
            raise Refused(
                415, f"a body of {asked.kind} is not taken here; send application/json, see /openapi.json"
            )
        payload = self._encode(self._predictor.answer(asked.body))
        if (log := self._predictor.recorder.log) is not None:
            log.add(asked.body, payload)
        return Answered(payload)


def _explaining(predictor: Predictor) -> Callable[[Asked], Answered]:
    if "explainer" in predictor.manifest:
        sys.path.append(str(predictor.folder.parent / RUNTIME_FOLDER))  # a variant's, beside its host's
        found: Callable[[Asked], Answered] = import_module("modelyard_explainer.door").answering(predictor)
        return found

    def refused(asked: Asked) -> Answered:
        raise Refused(404, "no explainer in this bundle; package the model with --explain")

    return refused


def _settle() -> None:
    """Spare requests what would hold them up: collecting what is there for good, and a thread that counts."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_S)


def opened() -> Predictor:
    """Return the predictor of the bundle that ``MODELYARD_BUNDLE`` names, or that this file lies in.

    Raises
    ------
    BundleError
        The bundle is damaged, or of a format that cannot be read.
    """
    named = os.environ.get(BUNDLE)
    bento = Path(named).resolve() if named else Path(__file__).resolve().parents[4]
    return Predictor(bento / "src" / MODEL_FOLDER, f"v{bento.name}" if bento.name.isdigit() else "v1")


def application() -> PredictorApp:
    """Return the application for the bundle that `opened` finds."""
    return PredictorApp(opened(), Gate.from_environment())
