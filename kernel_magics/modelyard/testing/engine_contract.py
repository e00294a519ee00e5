"""What every engine promises, as tests: subclass `EngineContract` in a test module and give two workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from modelyard.engines import Workers, engines, open_engine
from modelyard.errors import EngineError, WorkerLostError

#: Run as a notebook's cells are, in ``__main__``: no worker can import these.
_CELL = """
import os, signal, time
from pathlib import Path

class Refusal(Exception):
    pass

def added(shared, item):
    return shared["base"] + item

def where(shared, seconds):
    began = time.time()
    time.sleep(seconds)
    return os.getpid(), began, time.time()

def refuse(shared, item):
    raise Refusal(f"not {item}")

def die(shared, item):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)

def die_once(shared, path):
    if Path(path).exists():
        return "alive"
    Path(path).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)
"""


def cell() -> dict[str, Any]:
    """Return what the cell defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(_CELL, namespace)
    return namespace


class EngineContract:
    """The promises of `modelyard.engines.Engine`, one test each.

    A subclass sets `name` to the engine's entry-point name and gives the fixture ``engine``: the address of one
    with two workers, each a process that a job may kill and that comes back. `unreachable` is an address
    where nothing listens, or ``None`` where the engine has none.
    """

    name: ClassVar[str]
    unreachable: ClassVar[str | None] = None

    @pytest.fixture
    def engine(self) -> str:
        raise NotImplementedError("give a fixture `engine` that returns an address")

    @pytest.fixture
    def workers(self, engine: str) -> Iterator[Workers]:
        with open_engine(engine) as opened:
            assert opened is not None
            yield Workers(opened, {"base": 100})

    def test_is_registered_under_its_name(self) -> None:
        assert self.name in engines

    def test_answers_come_in_the_order_of_the_questions(self, workers: Workers) -> None:
        assert list(workers.map(cell()["added"], range(7))) == list(range(100, 107))

    def test_two_jobs_run_at_a_time_in_other_processes(self, workers: Workers) -> None:
        found = list(workers.map(cell()["where"], [3.0, 3.0]))
        assert len({pid for pid, _, _ in found} - {os.getpid()}) == 2
        assert max(began for _, began, _ in found) < min(ended for _, _, ended in found)

    def test_what_a_job_raises_arrives_as_it_was_raised(self, workers: Workers) -> None:
        written = cell()
        job = workers.start(written["refuse"], "this")
        workers.first_done([job], 60)
        with pytest.raises(written["Refusal"], match="not this"):
            workers.result(job)

    def test_a_worker_that_dies_costs_its_job_and_no_other(self, workers: Workers) -> None:
        written = cell()
        other, deadly = workers.start(written["where"], 2.0), workers.start(written["die"], 0)
        for job in (deadly, other):
            workers.first_done([job], 60)
        with pytest.raises(WorkerLostError):
            workers.result(deadly)
        assert workers.result(other)[0] != os.getpid()
        assert list(workers.map(written["added"], range(4))) == list(range(100, 104))

    def test_work_in_order_is_tried_once_more_when_a_worker_dies(
        self, workers: Workers, tmp_path: Path
    ) -> None:
        assert list(workers.map(cell()["die_once"], [str(tmp_path / "began")])) == ["alive"]

    def test_work_that_ends_two_workers_is_given_up(self, workers: Workers) -> None:
        with pytest.raises(WorkerLostError, match="part 1 of the work lost two workers"):
            list(workers.map(cell()["die"], [0]))

    def test_an_address_without_an_answer_is_one_line_within_ten_seconds(self) -> None:
        if self.unreachable is None:
            return
        began = time.perf_counter()
        with pytest.raises(EngineError, match="answers at") as caught, open_engine(self.unreachable):
            pass
        assert time.perf_counter() - began < 10
        assert "\n" not in str(caught.value)
