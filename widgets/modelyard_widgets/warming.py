"""What the first picture of a kernel costs, paid while other work goes on: imports, and the start of Vega's engine."""

from __future__ import annotations

import threading

_begun = threading.Event()


def warm_up() -> threading.Thread | None:
    """Begin, once in a process, to load what draws panels, in a thread of its own; returns the thread if it began."""
    if _begun.is_set():
        return None
    _begun.set()
    thread = threading.Thread(target=_load, name="modelyard-warm-up", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    from modelyard_widgets.drawing import drawn
    from modelyard_widgets.showing import panel_mimebundle  # noqa: F401  # what it imports takes the time

    drawn({"data": {"values": [{"x": 1}]}, "mark": "point", "encoding": {"x": {"field": "x"}}}, "nothing")
