"""Several points at once, on the workers of an engine; this process alone asks and tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from modelyard.engines import Workers
from modelyard.engines.workers import Job
from modelyard.errors import WorkerLostError
from modelyard.tuning.control import Control
from modelyard.tuning.trial import TrialOutcome

Ticket = TypeVar("Ticket")

_LOOK_EVERY_S = 0.5


class PointsOnWorkers(Generic[Ticket]):
    """Keeps all workers busy with points until there are no more.

    Parameters
    ----------
    workers : Workers
        They share the function that scores a point.
    asked : callable
        Returns the next ticket and the arguments of that function, or ``None`` where there is nothing to do
        unless a trial that runs now is lost.
    told : callable
        Is told of a ticket's outcome.
    lost : callable
        Is told of a ticket whose worker died.
    """

    def __init__(
        self,
        workers: Workers,
        asked: Callable[[], tuple[Ticket, tuple[Any, ...]] | None],
        told: Callable[[Ticket, TrialOutcome], None],
        lost: Callable[[Ticket], None],
    ) -> None:
        self._workers, self._asked, self._told, self._lost = workers, asked, told, lost
        self._running: dict[Job, Ticket] = {}

    def work(self, control: Control) -> None:
        """Return when nothing runs and nothing is left to ask."""
        while True:
            self._fill(control)
            if not self._running:
                return
            for job in self._workers.first_done(self._running, _LOOK_EVERY_S):
                ticket = self._running.pop(job)
                try:
                    outcome = self._workers.result(job)
                except WorkerLostError:
                    self._lost(ticket)
                else:
                    self._told(ticket, outcome)

    def _fill(self, control: Control) -> None:
        """Start points on free workers; while the run is paused, wait for them only when nothing runs."""
        while len(self._running) < self._workers.slots and not (control.paused and self._running):
            asked = self._asked()
            if asked is None:
                return
            ticket, arguments = asked
            self._running[self._workers.start(_scored, *arguments)] = ticket


def _scored(score: Callable[..., TrialOutcome], *arguments: Any) -> TrialOutcome:
    return score(*arguments)
