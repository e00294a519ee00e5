"""How each deployment does: asked again and again beside the server's loop, so that a listing waits for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from modelyard.catalog import Record, Yard
from modelyard.errors import ModelyardError
from modelyard_lab.engine import importing
from modelyard_lab.metrics import Meter, sampled
from modelyard_lab.workspace import is_loopback

_NEAR_S = 2.0
_FAR_S = 60.0  # a cloud's interface counts what it is asked, and may bill it
_METRICS_S = 10.0

OTHER_VERSION = "it was recorded by another version of modelyard; deploy it again with --replace"


@dataclass(frozen=True)
class Health:
    """What was heard of a deployment: a status of `modelyard.targets`, or ``checking``, or ``unknown``."""

    health: str
    detail: str


UNASKED = Health("checking", "")


def asked(yard: Yard, record: Record) -> Health:
    """Ask a deployment how it does; never raises."""
    # not above: what reaches endpoints brings pandas with it, which a server without deployments is spared
    with importing():
        from modelyard.targets.deployment import Deployment

    try:
        status = Deployment.from_record(yard.root, record).status()
    except ModelyardError as error:  # no such target here, or its libraries are not installed
        return Health("unknown", str(error))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Health("unknown", OTHER_VERSION)
    return Health(status.health, status.detail)


@dataclass
class _Known:
    health: Health = UNASKED
    due: float = 0.0
    metrics_due: float = 0.0
    in_flight: bool = False
    meter: Meter = field(default_factory=Meter)


class HealthBoard:
    """What is known of every deployment of a project.

    Parameters
    ----------
    told : callable
        Is called, on another thread, whenever something has been heard.
    """

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Health:
        known = self._known.get(name)
        return UNASKED if known is None else known.health

    def meter(self, name: str) -> Meter:
        """Return what has been read of a deployment's counters."""
        with self._lock:
            return self._known.setdefault(name, _Known()).meter

    def hurry(self, name: str) -> None:
        """Ask again at once: something has been done to it."""
        with self._lock:
            self._known.setdefault(name, _Known()).due = 0.0

    def keep(self, names: set[str]) -> None:
        """Forget deployments that are gone."""
        with self._lock:
            for name in self._known.keys() - names:
                del self._known[name]

    def ask_if_due(self, yard: Yard, record: Record) -> None:
        """Ask a deployment on a thread of its own, unless it was asked a moment ago."""
        with self._lock:
            known = self._known.setdefault(record.name, _Known())
            if known.in_flight or time.monotonic() < known.due:
                return
            known.in_flight = True
            near = is_loopback(_url(record))
            known.due = time.monotonic() + (_NEAR_S if near else _FAR_S)
        threading.Thread(target=self._ask, args=(yard, record, known), daemon=True).start()

    def _ask(self, yard: Yard, record: Record, known: _Known) -> None:
        try:
            heard = asked(yard, record)
            changed = heard != known.health
            known.health = heard
            counted = time.monotonic() >= known.metrics_due
            if heard.health == "ready" and counted and is_loopback(_url(record)):
                known.metrics_due = time.monotonic() + _METRICS_S
                _count(yard, record, known.meter)
        finally:
            known.in_flight = False
        if changed or counted:
            self._told()


def _count(yard: Yard, record: Record, meter: Meter) -> None:
    with suppress(
        ModelyardError
    ):  # it has just ended, or its token is another user's: who asks for figures is told
        meter.take(sampled(yard, record))


def _url(record: Record) -> str:
    url: Any = record.payload.get("url")
    return url if isinstance(url, str) else ""
