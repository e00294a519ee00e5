"""What a tracking server promises, and how one is opened: ``mlflow``, ``mlflow:http://host:5000``."""

from __future__ import annotations

import re
from typing import Any, Protocol

from modelyard.errors import TrackingError, UsageError, listing
from modelyard.registry import Registry
from modelyard.tracking.entry import Entry

#: Tracking servers by the first word: ``mlflow`` of ``mlflow:http://127.0.0.1:5000``.
trackings = Registry("modelyard.tracking", "tracking server")

_SPEC = re.compile(r"(?P<kind>[a-z][a-z0-9_-]*)(?::(?P<address>\S+))?")


class Tracking(Protocol):
    """An open connection to a server. A class with this protocol is made with the address and an experiment.

    Making one raises `TrackingError`, in one line and within 10 seconds, where the server does not answer.
    """

    def __init__(self, address: str | None, experiment: str) -> None: ...

    def log(self, entry: Entry) -> str:
        """Keep an entry, and return where it can be looked at.

        Raises
        ------
        TrackingError
            The server is gone, or refuses it.
        """


def open_tracking(track: Any, experiment: str) -> Tracking | None:
    """Return the server that was asked for, ``None`` for none.

    Parameters
    ----------
    track : str or None
        ``mlflow``, or ``mlflow:`` and the address.
    experiment : str
        Under what results are kept, unless the server's own settings name something else.

    Raises
    ------
    UsageError, UnknownNameError, MissingExtraError
        It cannot be read, no such server is known, or its libraries are not installed.
    TrackingError
        It does not answer.
    """
    if track is None:
        return None
    found = _SPEC.fullmatch(track.strip()) if isinstance(track, str) else None
    if found is None:
        raise UsageError(
            f"track cannot be read, found {type(track).__name__ if not isinstance(track, str) else 'a text'} "
            f"without one of {listing(trackings)} at its start; type 'mlflow:http://127.0.0.1:5000'"
        )
    made: Tracking = trackings[found["kind"]](found["address"], experiment or "modelyard")
    return made


def log_or_remark(tracking: Tracking, entry: Entry) -> str:
    """Keep an entry, and return a remark that says where, or why not: the result itself is never lost."""
    try:
        return f"tracked at {tracking.log(entry)}"
    except TrackingError as error:
        return f"not tracked: {error}; {entry.name} itself is kept in the yard"
