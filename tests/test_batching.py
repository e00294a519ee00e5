"""Requests that are ready together are answered together, each with what it would have got alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import modelyard
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


def test_company_is_run_together_and_the_first_one_waits_for_it_where_it_always_comes() -> None:
    async def scene() -> list[list[bool]]:
        batcher = Batcher(lambda feed, rows: (feed["x"], None), None)

        async def last_of(turns: int, together: int) -> list[bool]:
            submitted: list[bool] = []
            for _ in range(turns):
                submitted = [batcher.arrived() for _ in range(together)]
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return submitted

        wanted = [(100, 1), (1, 3), (100, 8), (1, 1), (200, 1)]
        return [await last_of(turns, together) for turns, together in wanted]

    assert asyncio.run(scene()) == [[False], [False, True, True], [True] * 8, [True], [False]]
