"""Requests that are ready together are answered together, each with what it would have got alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import modelyard
from modelyard_runtime import batching
from modelyard_runtime.access import Gate
from modelyard_runtime.batching import Batcher
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

ROWS = [{**ROW, "age": age, "town": town} for age in range(20, 60) for town in ("Bern", None)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory):
        yield modelyard.package(MODEL, FRAME, TARGET, name="batching").model_folder


def asked(app: PredictorApp, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return list(await asyncio.gather(*(client.post("/predict", json=body) for body in bodies)))

    return asyncio.run(all_at_once())


def content(response: httpx.Response) -> Any:
    return {key: value for key, value in response.json().items() if key != "id"}


def always_together(app: PredictorApp) -> list[int]:
    """Turn batching on; return the list that notes how many rows were run at once."""
    assert app.hot is not None
    batcher = app.hot._batcher
    runs: list[int] = []
    inner = batcher._run

    def noting(feed: Any, rows: int) -> Any:
        runs.append(rows)
        return inner(feed, rows)

    batcher._run = noting
    batcher.pays = True
    batcher._is_on = True  # the first of a turn waits for the others, too; with so many it stays so
    return runs


def test_each_request_of_a_batch_gets_what_it_gets_alone(folder: Path) -> None:
    bodies = [{"rows": ROWS[start : start + 1 + start % 3]} for start in range(60)]
    app = PredictorApp(Predictor(folder), Gate((), is_open=True))
    alone = [asked(app, [body])[0] for body in bodies]
    runs = always_together(app)
    together = asked(app, bodies)
    assert max(runs) > 3
    assert sum(runs) == sum(len(body["rows"]) for body in bodies)
    for one, other in zip(alone, together, strict=True):
        first, second = content(one), content(other)
        assert first["predictions"] == second["predictions"]
        for left, right in zip(first["probabilities"], second["probabilities"], strict=True):
            assert left == pytest.approx(right, abs=1e-12)
    assert len({response.json()["id"] for response in [*alone, *together]}) == 120


def test_a_row_that_breaks_the_contract_harms_no_other_of_the_batch(folder: Path) -> None:
    app = PredictorApp(Predictor(folder), Gate((), is_open=True))
    always_together(app)
    bodies = [{"rows": [{**ROW, "age": "old"}]} if i % 5 == 0 else {"rows": [ROWS[i]]} for i in range(40)]
    found = asked(app, bodies)
    assert [response.status_code for response in found] == [422 if i % 5 == 0 else 200 for i in range(40)]


def a_batcher() -> tuple[Batcher, list[int]]:
    """Return a batcher, and the list that notes how many rows were run at once."""
    runs: list[int] = []

    def run(feed: Any, rows: int) -> Any:
        runs.append(rows)
        return feed["x"], None

    return Batcher(run, None), runs


FEED = {"x": np.zeros((1, 1))}


def test_company_is_run_together_and_the_first_one_waits_for_it_where_it_always_comes() -> None:
    async def scene() -> list[list[bool]]:
        batcher, _ = a_batcher()

        def together() -> bool:
            submitted = batcher.arrived()
            if submitted:
                batcher.submit(FEED, 1, lambda found: None)
            else:
                batcher.alone(FEED, 1)
            return submitted

        async def last_of(turns: int, requests: int) -> list[bool]:
            submitted: list[bool] = []
            for _ in range(turns):
                submitted = [together() for _ in range(requests)]
                await asyncio.sleep(0.001)  # a loop that has time left
            return submitted

        wanted = [(100, 1), (1, 3), (100, 8), (1, 1), (200, 1)]
        return [await last_of(turns, requests) for turns, requests in wanted]

    assert asyncio.run(scene()) == [[False], [False, True, True], [True] * 8, [True], [False]]


class Clock:
    """The clocks that the batcher reads, moved by hand."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def thread_time(self) -> float:
        return self.cpu

    def move(self, gap: float, busy: float) -> None:
        self.wall += gap
        self.cpu += gap * busy


def loaded(batcher: Batcher, clock: Clock, gap: float, busy: float, runs_of: int) -> bool:
    """Let requests come, `gap` seconds apart, to a loop as busy as that, and be run by so many at once."""
    for number in range(1536):
        clock.move(gap, busy)
        batcher._load.arrived()
        batcher._load.runs += number % runs_of == 0
    return batcher._load.is_high


def test_under_a_high_load_one_waits_for_the_next_as_long_as_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(batching, "time", clock)
    batcher, _ = a_batcher()
    assert not loaded(batcher, clock, 130e-6, 0.5, 2)
    assert not loaded(batcher, clock, 130e-6, 0.95, 1)  # one client after its own answers: nobody would come
    assert loaded(batcher, clock, 130e-6, 0.95, 2)
    assert loaded(batcher, clock, 130e-6, 0.6, 2)  # what was spared does not end what spares it
    assert not loaded(batcher, clock, 300e-6, 0.6, 2)  # fewer come
    assert loaded(batcher, clock, 130e-6, 0.95, 2)
    assert not loaded(batcher, clock, 130e-6, 0.95, 1)  # it waited in vain


def test_who_waits_is_answered_with_the_next_one_or_soon_alone() -> None:
    async def scene() -> list[int]:
        batcher, runs = a_batcher()
        batcher._load.is_high = True
        settled: list[Any] = []
        assert batcher.arrived()
        batcher.submit(FEED, 1, settled.append)
        await asyncio.sleep(0)
        batcher._since = time.perf_counter()  # however slow this machine is
        await asyncio.sleep(0)
        assert not settled
        assert batcher.arrived()
        batcher.submit(FEED, 1, settled.append)
        await asyncio.sleep(0.001)
        assert len(settled) == 2
        batcher.submit(FEED, 1, settled.append)
        await asyncio.sleep(0.05)
        assert len(settled) == 3
        return runs

    assert asyncio.run(scene()) == [2, 1]
