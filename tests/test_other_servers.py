"""The same application under FastAPI, under WSGI servers and below Flask."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import make_server

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server as make_werkzeug_server

import modelyard
from modelyard.packaging import Bundle
from modelyard.packaging.locking import api_lock, arrow_lock, pinned, wsgi_lock
from modelyard.targets.processes import free_port
from modelyard_runtime.access import Gate, token_hash
from modelyard_runtime.doors import api, wsgi
from modelyard_runtime.doors.arrow import PARQUET, STREAM
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

TOKEN = {"Authorization": "Bearer secret"}
BODY = {"rows": [ROW, {**ROW, "income": None}]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@pytest.fixture(scope="module")
def predictor(bundle: Bundle) -> Predictor:
    return Predictor(bundle.model_folder, "v3")


@pytest.fixture
def gate() -> Gate:
    return Gate([token_hash("secret")])


@pytest.fixture
def made(predictor: Predictor, gate: Gate) -> FastAPI:
    """An application with a route of its own."""
    application = api.create(predictor, gate)

    @application.get("/towns")
    def towns() -> list[str]:
        return ["Bern", "Basel"]

    return application


def asked(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://here"
        ) as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())


def answered_as_the_notebook_does(answer: dict[str, Any]) -> None:
    frame = pd.DataFrame([ROW, {**ROW, "income": float("nan")}])
    assert answer["predictions"] == MODEL.predict(frame).tolist()
    found = [list(row.values()) for row in answer["probabilities"]]
    assert found == [pytest.approx(row, abs=1e-5) for row in MODEL.predict_proba(frame).tolist()]


def test_fastapi_answers_our_paths_and_those_that_were_added(made: FastAPI) -> None:
    response = asked(made, "POST", "/predict", json=BODY, headers=TOKEN)
    assert response.json()["variant"] == "v3"
    answered_as_the_notebook_does(response.json())
    assert asked(made, "GET", "/towns", headers=TOKEN).json() == ["Bern", "Basel"]
    assert asked(made, "GET", "/nothing", headers=TOKEN).status_code == 404
    broken = asked(made, "POST", "/predict", json={"rows": [{**ROW, "age": "old"}]}, headers=TOKEN)
    assert broken.status_code == 422
    assert broken.json()["violations"][0]["column"] == "age"


def test_every_path_of_fastapi_wants_the_token_too(made: FastAPI) -> None:
    for path in ("/docs", "/redoc", "/docs/openapi.json", "/towns", "/nothing"):
        assert asked(made, "GET", path).status_code == 401
    assert asked(made, "GET", "/healthz").status_code == 200


def test_the_docs_of_fastapi_show_our_paths_and_those_that_were_added(made: FastAPI) -> None:
    page = asked(made, "GET", "/docs", headers=TOKEN)
    assert "/docs/openapi.json" in page.text
    document = asked(made, "GET", "/docs/openapi.json", headers=TOKEN).json()
    assert {"/towns", "/predict", "/readyz"} <= set(document["paths"])
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert asked(made, "POST", "/predict", json=request["example"], headers=TOKEN).status_code == 200
    assert document["security"] == [{"bearer": []}]


@contextmanager
def served(server: Any) -> Iterator[str]:
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def over(url: str, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(method, url + path, trust_env=False, timeout=20, **more)


def test_one_application_has_the_paths_of_all_doors(predictor: Predictor, gate: Gate) -> None:
    app: Any = PredictorApp(predictor, gate)
    for path in ("/v2", "/v2/models/people", "/v1/models/people", "/v1/models/people/versions/3/metadata"):
        assert asked(app, "GET", path).status_code == 401
        assert asked(app, "GET", path, headers=TOKEN).status_code == 200
    instances = {"instances": BODY["rows"]}
    rows = asked(app, "POST", "/v1/models/people:predict", json=instances, headers=TOKEN)
    assert rows.headers["modelyard-id"]
    labels = [row["label"] for row in rows.json()["predictions"]]
    table = pa.Table.from_pylist(BODY["rows"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kinds = {"Content-Type": STREAM, "Accept": PARQUET}
    answer = asked(app, "POST", "/predict", content=sink.getvalue().to_pybytes(), headers=TOKEN | kinds)
    assert answer.headers["content-type"] == PARQUET
    assert pq.read_table(io.BytesIO(answer.content))["prediction"].to_pylist() == labels
    wrong = asked(app, "POST", "/predict", content=b"", headers=TOKEN | kinds)
    assert wrong.status_code == 400


def test_a_wsgi_server_answers_as_the_notebook_does(predictor: Predictor, gate: Gate) -> None:
    with served(make_server("127.0.0.1", 0, wsgi.create(PredictorApp(predictor, gate)))) as url:
        answered_as_the_notebook_does(over(url, "POST", "/predict", json=BODY, headers=TOKEN).json())
        refused = over(url, "POST", "/predict", json=BODY)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert over(url, "GET", "/healthz").status_code == 200
        large = {"rows": [ROW] * 5000}
        assert len(over(url, "POST", "/predict", json=large, headers=TOKEN).json()["predictions"]) == 5000


def test_flask_mounts_the_application_below_a_path(predictor: Predictor, gate: Gate) -> None:
    flask = Flask("shop")
    flask.add_url_rule("/", "index", lambda: "the shop")
    mounted = {"/model": wsgi.create(PredictorApp(predictor, gate))}
    flask.wsgi_app = DispatcherMiddleware(flask.wsgi_app, mounted)  # type: ignore[method-assign]
    with served(make_werkzeug_server("127.0.0.1", 0, flask, threaded=True)) as url:
        assert over(url, "GET", "/").text == "the shop"
        answered_as_the_notebook_does(over(url, "POST", "/model/predict", json=BODY, headers=TOKEN).json())
        assert over(url, "GET", "/model/readyz").json()["variant"] == "v3"
        assert over(url, "GET", "/model/schema").status_code == 401
        assert over(url, "GET", "/predict", headers=TOKEN).status_code == 404


def test_uvicorn_serves_the_fastapi_door_of_the_bundle_in_which_it_lies(
    bundle: Bundle, tmp_path: Any
) -> None:
    (tmp_path / "hashes").write_text(token_hash("secret"))
    port = free_port()
    argv = ["--factory", "modelyard_runtime.doors.api:application", "--app-dir", bundle.path / "src/runtime"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELYARD", "PYTHON"))}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-I", "-m", "uvicorn", *argv, "--port", str(port)],
            cwd=tmp_path, env={**kept, "MODELYARD_TOKEN_HASHES": str(tmp_path / "hashes")}, stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                over(url, "GET", "/readyz")
                break
            except httpx.HTTPError:
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                time.sleep(0.1)
        answered_as_the_notebook_does(over(url, "POST", "/predict", json=BODY, headers=TOKEN).json())
        assert over(url, "GET", "/docs", headers=TOKEN).status_code == 200
    finally:
        server.terminate()
        server.wait(20)


def test_the_wsgi_factory_serves_the_bundle_that_the_environment_names(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_BUNDLE", str(bundle.path))
    monkeypatch.setenv("MODELYARD_AUTH", "off")
    with served(make_server("127.0.0.1", 0, wsgi.application())) as url:
        answered_as_the_notebook_does(over(url, "POST", "/predict", json=BODY).json())


def test_each_doors_lock_names_what_it_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"fastapi", "starlette", "pydantic", "uvicorn"} <= set(pinned(api_lock()))
    assert set(pinned(wsgi_lock())) == {"a2wsgi"}
    assert all("  # record:" in line for line in [*api_lock(), *wsgi_lock(), *arrow_lock()])
    monkeypatch.setattr("modelyard.packaging.locking._installed", lambda name: False)
    assert api_lock() == wsgi_lock() == arrow_lock() == []
