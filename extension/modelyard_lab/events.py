"""What the page is told by itself: on the server's own event bus, whose socket Jupyter opens and authenticates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from jupyter_events import EventLogger

SCHEMA_ID = "urn:modelyard:yard"

_SCHEMA = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "Yard",
    "description": "What exists in a modelyard project has changed, or something has happened there.",
    "type": "object",
    "properties": {
        "what": {
            "type": "string",
            "enum": ["changed", "study-ended", "rolled-back", "rolled-out", "restarted", "restart-failed"],
            "title": "What has happened",
        },
        "name": {"type": "string", "title": "What it has happened to"},
        "detail": {"type": "string", "title": "Words for it"},
    },
    "required": ["what"],
}

CHANGED = {"what": "changed"}


class Bus:
    """Tells the page from any thread.

    Parameters
    ----------
    logger : EventLogger
        The server's.
    loop : AbstractEventLoop
        The one that the server runs on.
    """

    def __init__(self, logger: EventLogger, loop: asyncio.AbstractEventLoop) -> None:
        self._logger, self._loop = logger, loop
        if SCHEMA_ID not in logger.schemas:
            logger.register_event_schema(_SCHEMA)

    @property
    def is_closed(self) -> bool:
        """Whether the server has ended."""
        return self._loop.is_closed()

    def tell(self, event: Mapping[str, Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._emit, dict(event))
        except RuntimeError:  # it was closed just now: nobody listens
            return

    def _emit(self, event: dict[str, Any]) -> None:
        self._logger.emit(schema_id=SCHEMA_ID, data=event)
