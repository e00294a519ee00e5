"""Local deployments that are meant to run are kept running: what died is started again, less and less often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelyard.catalog import Record, Yard
from modelyard.errors import ModelyardError
from modelyard_lab.engine import importing
from modelyard_lab.health import OTHER_VERSION, Health

_FIRST_S = 1.0
_LONGEST_S = 300.0
#: An endpoint that has answered for so long is well again: its next end is met as its first.
_WELL_S = 60.0

#: Is told the name, whether it answers again, and the words for it.
Tell = Callable[[str, bool, str], None]


def delay_s(attempts: int) -> float:
    """Return how long to wait after so many attempts, in seconds.

    >>> [delay_s(attempts) for attempts in (0, 1, 2, 3, 20)]
    [0.0, 1.0, 2.0, 4.0, 300.0]
    """
    return 0.0 if attempts == 0 else min(_LONGEST_S, _FIRST_S * 2 ** (min(attempts, 30) - 1))


def revived(yard: Yard, name: str) -> bool:
    """Start a deployment that is meant to run and does not; whether that was to do.

    Everything is read anew under the deployment's lock: meanwhile its stop may have been asked for, or another server
    have started it.

    Raises
    ------
    ModelyardError
        It does not come up.
    """
    with importing():
        from modelyard.targets.deployment import deployment_lock
        from modelyard.targets.protocol import recorded_target

    with deployment_lock(yard, name):
        record = yard.find("deployment", name)
        if record is None or record.payload.get("desired") != "running":
            return False
        target, state = recorded_target(record.payload), record.payload["state"]
        if target.status(state).health != "down":
            return False
        yard.record("deployment", name, record.payload | {"state": dict(target.start(state))})
        return True


def is_supervised(record: Record) -> bool:
    """Whether a deployment is of a place where nobody else keeps it alive."""
    with importing():
        from modelyard.registry import targets

    try:
        return bool(getattr(targets[record.payload["target"]], "supervised", False))
    except (ModelyardError, KeyError):
        return False


@dataclass
class _Care:
    attempts: int = 0
    restarts: int = 0
    due: float = 0.0
    started: float | None = None
    in_flight: bool = False
    failure: str | None = None


class Supervisor:
    """Looks after the local deployments of a project.

    Parameters
    ----------
    tell : callable
        Is told, on another thread, of each attempt.
    clock : callable
        Seconds that only rise.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._care: dict[str, _Care] = {}

    def look(self, yard: Yard, record: Record, health: Health) -> None:
        """Start `record` again, on a thread of its own, if it is down and the next attempt is due."""
        if record.payload.get("desired") != "running":
            self._care.pop(record.name, None)
            return
        care = self._care.setdefault(record.name, _Care())
        now = self._clock()
        if health.health == "ready" and care.attempts and now - (care.started or now) > _WELL_S:
            care.attempts, care.failure = 0, None
        if health.health != "down" or care.in_flight or now < care.due or not is_supervised(record):
            return
        care.in_flight = True
        threading.Thread(target=self._revive, args=(yard, record.name, care), daemon=True).start()

    def keep(self, names: set[str]) -> None:
        """Forget deployments that are gone."""
        for name in self._care.keys() - names:
            del self._care[name]

    def told(self, name: str) -> dict[str, Any]:
        """Return what has been done for a deployment since this server began."""
        care = self._care.get(name, _Care())
        wait = None if care.failure is None else max(0, round(care.due - self._clock()))
        return {"restarts": care.restarts, "failure": care.failure, "next_try_s": wait}

    def _revive(self, yard: Yard, name: str, care: _Care) -> None:
        try:
            if not revived(yard, name):
                return
        except (ModelyardError, OSError) as error:
            self._failed(name, care, str(error))
        except (KeyError, TypeError, ValueError, AttributeError):
            self._failed(name, care, OTHER_VERSION)
        else:
            care.attempts += 1
            care.restarts += 1
            care.failure, care.started = None, self._clock()
            self._wait(care)
            self._tell(name, True, "it had ended, and answers again")
        finally:
            care.in_flight = False

    def _failed(self, name: str, care: _Care, why: str) -> None:
        care.attempts += 1
        care.failure = why
        self._wait(care)
        self._tell(name, False, why)

    def _wait(self, care: _Care) -> None:
        care.due = self._clock() + delay_s(care.attempts)
