"""When the cells of this session ran: what was run after the notebook was last saved cannot be held against it.

A front end notes every cell before it runs (``%load_ext modelyard`` sees to it).
"""

from __future__ import annotations

import time
from collections.abc import Callable

_runs: list[tuple[float, str]] = []
_noted_since: float | None = None


def start() -> None:
    """Begin to note; what ran before, ran before this moment."""
    global _noted_since
    _noted_since = time.time() if _noted_since is None else _noted_since


def note(text: str) -> None:
    """Note that a cell of this text runs now."""
    _runs.append((time.time(), text))


def ran_after(moment: float, is_it: Callable[[str], bool]) -> bool:
    """Whether the cell that `is_it` recognises may have run after `moment` (seconds since the epoch).

    A cell that ran before anything was noted may have run at any time up to then. Where nothing is noted at
    all, nothing is known to have run later.
    """
    when = next((when for when, text in reversed(_runs) if is_it(text)), _noted_since)
    return when is not None and when > moment
