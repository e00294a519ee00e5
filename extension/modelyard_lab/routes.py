"""What the Lab extension asks of the Jupyter server, under ``/modelyard/``; every verb of every route wants a user."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join

from modelyard.catalog import Kind, Record
from modelyard.errors import (
    CatalogError,
    DeploymentError,
    InvalidInputError,
    ModelyardError,
    UnknownNameError,
    UsageError,
)
from modelyard_lab import cards
from modelyard_lab.acts import ACTS, Done
from modelyard_lab.detail import detail
from modelyard_lab.health import OTHER_VERSION
from modelyard_lab.listing import KINDS, SCHEMA, listing, read_records
from modelyard_lab.metrics import sampled
from modelyard_lab.rounds import Rounds
from modelyard_lab.workspace import Workspace

_STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (UnknownNameError, 404),
    (FileNotFoundError, 404),
    (PermissionError, 403),
    (InvalidInputError, 422),
    (UsageError, 409),
    (DeploymentError, 502),
    (CatalogError, 503),
    (sqlite3.Error, 503),
    (ModelyardError, 500),
)

T = TypeVar("T")


def _status_of(error: BaseException) -> int:
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def told(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T | None]]:
    """Answer the errors that are raised on purpose as one line, with their status."""

    @wraps(method)
    async def answered(self: YardHandler, *parts: str) -> T | None:
        try:
            return await method(self, *parts)
        except tuple(kind for kind, _ in _STATUSES) as error:
            message = str(error)
            if isinstance(error, sqlite3.Error):
                message = f"the catalog in .modelyard/ did not answer: {error}"
            self.set_status(_status_of(error))
            await self.finish({"message": self.workspace.plain(message)})
            return None

    return answered


class YardHandler(APIHandler):
    """What all routes share; blocking work is done in a thread, since the catalog may wait for a kernel that writes."""

    auth_resource = "modelyard"

    def initialize(self, workspace: Workspace, rounds: Rounds) -> None:
        self.workspace, self.rounds = workspace, rounds

    def record(self, kind: Kind, name: str) -> Record:
        return self.workspace.yard.get(kind, name)


class ListingHandler(YardHandler):
    """``GET /modelyard/yard``: everything that the project's catalog knows, oldest first."""

    @tornado.web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        await self.finish(await asyncio.to_thread(self._found))

    def _found(self) -> dict[str, Any]:
        return listing(self.workspace, read_records(self.workspace.yard), self.rounds.seen)


class DetailHandler(YardHandler):
    """``GET /modelyard/yard/KINDS/NAME``: one of them in full."""

    @tornado.web.authenticated
    @authorized
    @told
    async def get(self, plural: str, name: str) -> None:
        await self.finish(await asyncio.to_thread(self._found, plural, name))

    def _found(self, plural: str, name: str) -> dict[str, Any]:
        return detail(self.workspace, self.record(KINDS[plural], name), self.rounds.seen)


class MetricsHandler(YardHandler):
    """``GET /modelyard/deployments/NAME/metrics``: what an endpoint of this machine counts; its token stays here."""

    @tornado.web.authenticated
    @authorized
    @told
    async def get(self, name: str) -> None:
        await self.finish(await asyncio.to_thread(self._found, name))

    def _found(self, name: str) -> dict[str, Any]:
        meter = self.rounds.board.meter(name)
        meter.take(sampled(self.workspace.yard, self.record("deployment", name)))
        return {"schema": SCHEMA, "name": name, **meter.told()}


class ActHandler(YardHandler):
    """``POST /modelyard/deployments/NAME/stop``, ``start``, ``roll-back``."""

    @tornado.web.authenticated
    @authorized
    @told
    async def post(self, name: str, act: str) -> None:
        done = await asyncio.to_thread(self._done, name, act)
        await self.finish({"schema": SCHEMA, "changed": done.changed, "message": done.message})

    def _done(self, name: str, act: str) -> Done:
        try:
            return ACTS[act](self.workspace.yard, name)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{name}: {OTHER_VERSION} ({error} is missing)") from None
        finally:
            self.rounds.board.hurry(name)


class CardHandler(YardHandler):
    """``GET /modelyard/card?path=…``: the card of an ``.onnx`` file or a bundle's folder below the server's root."""

    @tornado.web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        path = self.get_query_argument("path", "")
        await self.finish(await asyncio.to_thread(lambda: cards.card(self.workspace.inside(path), path)))


class BundlesHandler(YardHandler):
    """``GET /modelyard/bundles?folder=…``: which folders of a folder are bundles."""

    @tornado.web.authenticated
    @authorized
    @told
    async def get(self) -> None:
        folder = self.get_query_argument("folder", "")
        names = await asyncio.to_thread(lambda: cards.bundles_in(self.workspace.inside(folder)))
        await self.finish({"schema": SCHEMA, "names": names})


ROUTES: tuple[tuple[str, type[YardHandler]], ...] = (
    (r"yard", ListingHandler),
    (rf"yard/({'|'.join(KINDS)})/([^/]+)", DetailHandler),
    (r"deployments/([^/]+)/metrics", MetricsHandler),
    (rf"deployments/([^/]+)/({'|'.join(ACTS)})", ActHandler),
    (r"card", CardHandler),
    (r"bundles", BundlesHandler),
)


def add_routes(web_app: tornado.web.Application, workspace: Workspace, rounds: Rounds) -> None:
    base_url = web_app.settings["base_url"]
    given = {"workspace": workspace, "rounds": rounds}
    web_app.add_handlers(
        ".*$", [(url_path_join(base_url, "modelyard", route), handler, given) for route, handler in ROUTES]
    )
