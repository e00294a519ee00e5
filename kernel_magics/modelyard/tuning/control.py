"""The reins of a search: paused, gone on with, given more trials, or stopped between two trials.

A run asks its control before each trial and tells it after each; whoever holds the same control in another
thread steers. A run that nobody steers has a control of its own that says nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: What a run tells: ``done``, ``wanted``, ``best``, ``params``, and of the trial that is done its ``number``, ``state``
#: and ``value``.
Told = Callable[[Mapping[str, Any]], None]

_LOOK_EVERY_S = 0.5  # so that Ctrl-C is noticed while a run waits


class Control:
    """Steers one run of `tune`; safe among threads.

    Attributes
    ----------
    added : int
        Trials beyond those that were asked for at first.
    paused_seconds : float
        How long the run has waited; no part of a budget of time.
    """

    def __init__(self, told: Told | None = None) -> None:
        self.added = 0
        self.paused_seconds = 0.0
        self._told = told
        self._free = threading.Event()
        self._free.set()
        self._stopped = False

    @property
    def paused(self) -> bool:
        return not self._free.is_set()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def pause(self) -> None:
        """Begin no further trial until `resume`."""
        self._free.clear()

    def resume(self) -> None:
        self._free.set()

    def stop(self) -> None:
        """Let the trials that run end, and begin no other."""
        self._stopped = True
        self._free.set()

    def add(self, trials: int) -> None:
        self.added += trials

    def goes_on(self) -> bool:
        """Wait while the run is paused; whether another trial may begin."""
        waited = time.perf_counter()
        while not self._free.wait(_LOOK_EVERY_S):
            pass
        self.paused_seconds += time.perf_counter() - waited
        return not self._stopped

    def tell(self, **facts: Any) -> None:
        if self._told is not None:
            self._told(facts)


_current: ContextVar[Control | None] = ContextVar("modelyard_tuning_control", default=None)


def current_control() -> Control:
    """Return the control of the run that begins here."""
    return _current.get() or Control()


@contextmanager
def controlled(control: Control) -> Iterator[None]:
    """Make `control` that of a run inside the block."""
    token = _current.set(control)
    try:
        yield
    finally:
        _current.reset(token)
