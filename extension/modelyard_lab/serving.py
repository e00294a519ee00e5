"""What a Jupyter server does for modelyard, from its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop

from modelyard_lab.events import Bus
from modelyard_lab.rounds import Rounds
from modelyard_lab.routes import add_routes
from modelyard_lab.workspace import Workspace


def serve(server_app: Any) -> None:
    """Add the routes to a server, and begin to look at its project."""
    workspace = Workspace(Path(server_app.web_app.settings["server_root_dir"]).expanduser())
    # the loop that runs the server is the current one while it loads its extensions
    bus = Bus(server_app.event_logger, IOLoop.current().asyncio_loop)  # type: ignore[attr-defined]
    rounds = Rounds(workspace, bus, server_app.log)
    add_routes(server_app.web_app, workspace, rounds)
    rounds.start()
