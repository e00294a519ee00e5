"""The HTTP door: a plain ASGI application that any ASGI server can run."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from modelyard_runtime.access import Gate
from modelyard_runtime.bundle_format import MODEL_FOLDER
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.metrics import CONTENT_TYPE
from modelyard_runtime.predictor import Predictor, PredictRequest, RequestError
from modelyard_runtime.schema import openapi, request_schema

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024 * 1024
#: Above this many bytes a body is decoded and predicted off the event loop, so that health checks go on.
LARGE_BODY_BYTES = 64 * 1024

#: The environment's name for the Bento's folder, where it is not the one that this file lies in.
BUNDLE = "MODELYARD_BUNDLE"

_JSON = "application/json"
_UNLOCKED = ("/healthz", "/readyz")
_log = logging.getLogger("modelyard_runtime")


class _Refused(Exception):  # noqa: N818  # an answer, not an error of ours
    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **more}


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
    """

    def __init__(self, predictor: Predictor, gate: Gate, beyond: Application | None = None) -> None:
        self._predictor = predictor
        self._gate = gate
        self._beyond = beyond
        self._decode = msgspec.json.Decoder(PredictRequest).decode
        self._encode = msgspec.json.Encoder().encode
        schema = self._encode(request_schema(predictor.contract))
        document = self._encode(openapi(predictor.contract, predictor.manifest))
        state = {"bundle": predictor.manifest["name"], "variant": predictor.variant}
        ready = self._encode({"status": "ready", **state, "digest": predictor.manifest["digest"]})
        self._pages: dict[str, Callable[[], tuple[str, bytes]]] = {
            "/healthz": lambda: (_JSON, b'{"status":"alive"}'),
            "/readyz": lambda: (_JSON, ready),
            "/schema": lambda: (_JSON, schema),
            "/openapi.json": lambda: (_JSON, document),
            "/metrics": lambda: (CONTENT_TYPE, predictor.metrics.text()),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
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

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        try:
            if path not in _UNLOCKED and not self._gate.lets_in(_header(scope, b"authorization")):
                raise _Refused(401, "this endpoint wants its token: Authorization: Bearer TOKEN")
            if path == "/predict":
                _only(scope, "POST")
                status, kind, body = 200, _JSON, await self._predict(scope, receive)
            elif path in self._pages:
                _only(scope, "GET", "HEAD")
                status, (kind, body) = 200, self._pages[path]()
            elif self._beyond is not None:
                await self._beyond(scope, receive, send)
                return
            else:
                raise _Refused(404, f"no path {path}; see /openapi.json")
        except _Refused as refused:
            status, kind, body = refused.status, _JSON, self._encode(refused.body)
        known = path == "/predict" or path in self._pages  # a stranger's paths must not fill the memory
        self._predictor.metrics.responded(path if known else "other", status)
        await _respond(send, status, kind, b"" if scope["method"] == "HEAD" else body, len(body))

    async def _predict(self, scope: Scope, receive: Receive) -> bytes:
        body = await _body(scope, receive)
        if len(body) > LARGE_BODY_BYTES:
            return await asyncio.to_thread(self._answer, body)
        return self._answer(body)

    def _answer(self, body: bytes) -> bytes:
        try:
            return self._encode(self._predictor.answer(self._decode(body)))
        except ContractBroken as broken:
            raise _Refused(422, str(broken), violations=[asdict(v) for v in broken.violations]) from None
        except (RequestError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _Refused(400, f"not a request: {error}") from None
        except Exception:  # noqa: BLE001  # the model's own mistakes: whole in the log, never to the client
            _log.exception("the model failed on a request that keeps the contract")
            raise _Refused(500, "the model failed on these rows; the server's log says why") from None


def application() -> PredictorApp:
    """Make the application of one bundle, for a server that takes a factory.

    ``uvicorn --factory modelyard_runtime.doors.asgi:application --app-dir BENTO/src/runtime`` serves the bundle
    in which this file lies, or the one in the folder ``MODELYARD_BUNDLE``. Who may ask says
    `Gate.from_environment`.

    Raises
    ------
    BundleError
        The bundle is damaged, or of a format that cannot be read.
    """
    named = os.environ.get(BUNDLE)
    bento = Path(named).resolve() if named else Path(__file__).resolve().parents[4]
    variant = f"v{bento.name}" if bento.name.isdigit() else "v1"
    return PredictorApp(Predictor(bento / "src" / MODEL_FOLDER, variant), Gate.from_environment())


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _only(scope: Scope, *methods: str) -> None:
    if scope["method"] not in methods:
        raise _Refused(405, f"{scope['path']} takes {' or '.join(methods)}, not {scope['method']}")


async def _body(scope: Scope, receive: Receive) -> bytes:
    too_large = _Refused(413, f"a body may have {MAX_BODY_BYTES} bytes; send the rows in parts")
    stated = _header(scope, b"content-length") or b"0"
    if stated.isdigit() and int(stated) > MAX_BODY_BYTES:
        raise too_large
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "the client went away")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _respond(send: Send, status: int, kind: str, body: bytes, length: int) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(length).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
