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
    batcher.pays = False  # so that it does not turn itself off
    batcher.is_on = True
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


def test_batches_are_formed_while_requests_come_together_and_not_when_one_comes_alone() -> None:
    async def scene() -> tuple[bool, bool, bool]:
        batcher = Batcher(lambda feed, rows: (feed["x"], None), None)
        batcher.pays = True

        async def turns(count: int, together: int) -> bool:
            for _ in range(count):
                for _ in range(together):
                    batcher.arrived()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return batcher.is_on

        return await turns(100, 1), await turns(100, 8), await turns(200, 1)

    assert asyncio.run(scene()) == (False, True, False)
