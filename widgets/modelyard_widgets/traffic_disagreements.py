"""Rows that a shadow answered otherwise, as an endpoint's own folder keeps them: the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from modelyard.presentation import Table
from modelyard_router.comparing import SHADOW_LOG
from modelyard_router.logbook import Entry, Follower
from modelyard_runtime.predictor import PredictRequest, RequestError

_KEPT = 12
_READ_BYTES = 1024 * 1024
_WIDE = 90

_Line = tuple[str, str, str, str]


class Disagreements:
    """Follows what a deployment's shadows answered otherwise.

    Parameters
    ----------
    state : Path
        The folder where the endpoint keeps its state.
    """

    def __init__(self, state: Path) -> None:
        self._follower = Follower(state / SHADOW_LOG)
        self._last: deque[_Line] = deque(maxlen=_KEPT)

    def table(self) -> Table | None:
        """Return the last rows, newest first; ``None`` where there are none."""
        if self._follower.behind() > _READ_BYTES:
            self._follower.skip_to_end()
        for entry in self._follower.read(_READ_BYTES):
            self._last.extend(_lines(entry))
        if not self._last:
            return None
        return Table(("when", "row", "was answered", "shadow"), list(reversed(self._last)))


def _lines(entry: Entry) -> list[_Line]:
    try:
        both = msgspec.json.decode(entry.answer)
        table, _ = msgspec.json.decode(entry.request, type=PredictRequest).table()
    except (msgspec.DecodeError, RequestError):
        return []
    answer, shadow = both["answer"], both["shadow"]
    said: Sequence[Any] = () if shadow is None else shadow["predictions"]
    when = datetime.fromtimestamp(entry.at).strftime("%H:%M:%S")
    found = []
    for number, label in enumerate(answer["predictions"]):
        other = f"{shadow['variant']}: {said[number]}" if shadow is not None else "it fails on this request"
        if shadow is None or said[number] != label:
            row = ", ".join(f"{name}={values[number]}" for name, values in table.items())
            shown = row if len(row) <= _WIDE else row[: _WIDE - 1] + "…"
            found.append((when, shown, f"{answer['variant']}: {label}", other))
    return found[:_KEPT]
