"""How long work tells that it goes on, without knowing who watches.

The engine opens a tracker and advances it. A front end installs a factory of trackers once
(``%load_ext modelyard`` does); without one, trackers say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Tracker(Protocol):
    """What a front end shows of one piece of long work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on by `steps` units; `note` is a short live remark such as ``best 0.93``."""

    def close(self) -> None:
        """Take the display away; called exactly once, also after an error."""


TrackerFactory = Callable[[str, "int | None", str], Tracker]


class _Silence:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass

    def close(self) -> None:
        pass


def _silent(title: str, total: int | None, unit: str) -> Tracker:
    return _Silence()


_installed: TrackerFactory = _silent
_hushed: ContextVar[bool] = ContextVar("modelyard_hushed", default=False)


def install(factory: TrackerFactory | None) -> None:
    """Make `factory` show all work from now on; ``None`` shows nothing."""
    global _installed
    _installed = factory or _silent


@contextmanager
def track(title: str, total: int | None, unit: str) -> Iterator[Tracker]:
    """Open a tracker for `total` steps (``None``: unknown) counted in `unit`, such as ``fold``."""
    tracker = _silent(title, total, unit) if _hushed.get() else _installed(title, total, unit)
    try:
        yield tracker
    finally:
        tracker.close()


@contextmanager
def hush() -> Iterator[None]:
    """Show no progress inside the block (``--quiet``, and work inside other work)."""
    token = _hushed.set(True)
    try:
        yield
    finally:
        _hushed.reset(token)
