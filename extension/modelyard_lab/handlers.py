"""What the Lab extension asks of the Jupyter server, under ``/modelyard/``."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join

from modelyard.catalog import Record, open_yard

LISTING_SCHEMA = 1


# Of a record the page is told only this: the rest holds paths, process ids and the environment of a server.
_TELLING = ("model", "cv", "method", "chosen", "task", "form", "bundle", "target")


def _listed(record: Record) -> dict[str, str]:
    words = [record.payload[key] for key in _TELLING if isinstance(record.payload.get(key), str)]
    return {"name": record.name, "created": record.created, "summary": ", ".join(words)}


def listing(server_root: Path) -> dict[str, Any]:
    """Return what exists in the project that holds `server_root`, as JSON; nothing is made on disk."""
    yard = open_yard(server_root)
    root = os.path.relpath(yard.root, server_root.resolve())
    return {
        "schema": LISTING_SCHEMA,
        "root": "" if root == os.curdir else Path(root).as_posix(),
        "evaluations": [_listed(record) for record in yard.records("evaluation")],
        "studies": [_listed(record) for record in yard.records("study")],
        "compressions": [_listed(record) for record in yard.records("compression")],
        "bundles": [_listed(record) for record in yard.records("bundle")],
        "deployments": [_listed(record) for record in yard.records("deployment")],
    }


class YardHandler(APIHandler):
    """``GET /modelyard/yard``: everything that the project's catalog knows, oldest first."""

    @tornado.web.authenticated
    async def get(self) -> None:
        server_root = Path(self.settings["server_root_dir"]).expanduser()
        try:
            # in a thread: the catalog may wait for a kernel that is writing to it
            found = await asyncio.to_thread(listing, server_root)
        except sqlite3.Error as error:
            raise tornado.web.HTTPError(503, f"the catalog in .modelyard/ did not answer: {error}") from error
        await self.finish(found)


def add_handlers(web_app: tornado.web.Application) -> None:
    base_url = web_app.settings["base_url"]
    web_app.add_handlers(".*$", [(url_path_join(base_url, "modelyard", "yard"), YardHandler)])
