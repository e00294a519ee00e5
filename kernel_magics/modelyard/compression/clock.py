"""The time that a candidate may take: long loops look at it between two rounds, and stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from modelyard.errors import ModelyardError

_deadline: ContextVar[float] = ContextVar("modelyard_compression_deadline", default=math.inf)


class OutOfTimeError(ModelyardError, TimeoutError):
    """The time for compressing was over in the middle of a candidate, which is given up."""


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let `look_at_clock` stop what runs inside the block after `deadline`, of ``time.perf_counter``."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def look_at_clock() -> None:
    """Raise `OutOfTimeError` where the time is over; a recipe calls it between the rounds of a long loop."""
    if time.perf_counter() >= _deadline.get():
        raise OutOfTimeError("the time was over")
