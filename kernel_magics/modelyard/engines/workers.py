"""Jobs on the workers of an engine: sent once, waited for, and told apart when a worker died."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import cloudpickle

from modelyard.engines.answering import answer, opened
from modelyard.engines.protocol import Engine
from modelyard.errors import EngineError, WorkerLostError

_LOOK_EVERY_S = 1.0
_WITHOUT_WORKERS_S = 60.0

Job = Future[bytes]


class Workers:
    """The workers of an open engine, which all hold one shared object.

    Parameters
    ----------
    engine : Engine
        Open; whoever opened it closes it.
    shared : object
        What every job gets as its first argument. Classes and functions of a notebook travel by value.

    Attributes
    ----------
    label : str
        The engine in words.
    """

    def __init__(self, engine: Engine, shared: Any) -> None:
        self._engine = engine
        content = cloudpickle.dumps(shared)
        self._name = hashlib.sha256(content).hexdigest()
        self._placed = engine.place(content)
        self._alone_since: float | None = None
        self.label = engine.label

    @property
    def slots(self) -> int:
        """How many jobs run at a time, at least one."""
        return max(1, self._engine.slots)

    def start(self, task: Callable[..., Any], *arguments: Any) -> Job:
        """Run ``task(shared, *arguments)`` once, on some worker."""
        job = cloudpickle.dumps((task, arguments))
        return self._engine.submit(answer, self._placed, self._name, job)

    def first_done(self, jobs: Iterable[Job], seconds: float = float("inf")) -> set[Job]:
        """Wait until a job is done, or that many seconds; return those that are.

        Raises
        ------
        EngineError
            No worker has been there for a minute.
        """
        jobs, until = list(jobs), time.monotonic() + seconds
        while True:
            patience = min(_LOOK_EVERY_S, max(0.0, until - time.monotonic()))
            done, _ = wait(jobs, timeout=patience, return_when=FIRST_COMPLETED)
            if done or time.monotonic() >= until:
                return done
            self._look()

    def result(self, job: Job) -> Any:
        """Return what a finished job returned.

        Raises
        ------
        WorkerLostError
            Its worker died.
        Exception
            What the task raised, as it was.
        """
        return opened(job.result())

    def map(self, task: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield ``task(shared, item)`` in the order of `items`; at most `slots` run at a time.

        A job whose worker dies is tried once more.

        Raises
        ------
        WorkerLostError
            A job lost two workers; says which.
        """
        waiting = deque(enumerate(items))
        running: dict[Job, tuple[int, Any]] = {}
        ready: dict[int, Any] = {}
        lost: set[int] = set()
        place = 0
        try:
            while waiting or running:
                while waiting and len(running) < self.slots:
                    number, item = waiting.popleft()
                    running[self.start(task, item)] = (number, item)
                for job in self.first_done(running):
                    number, item = running.pop(job)
                    try:
                        ready[number] = self.result(job)
                    except WorkerLostError as error:
                        if number in lost:
                            raise WorkerLostError(
                                f"part {number + 1} of the work lost two workers ({self.label}), as too little "
                                "memory would do; see the workers' logs"
                            ) from error
                        lost.add(number)
                        waiting.appendleft((number, item))
                while place in ready:
                    yield ready.pop(place)
                    place += 1
        finally:
            for job in running:
                job.cancel()

    def _look(self) -> None:
        if self._engine.slots:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > _WITHOUT_WORKERS_S:
            raise EngineError(
                f"{self.label} has had no worker for {_WITHOUT_WORKERS_S:g} s; start workers, then go on"
            )
