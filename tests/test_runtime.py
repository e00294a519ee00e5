"""The runtime through its HTTP door: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import modelyard
from modelyard.errors import PackagingWarning
from modelyard.packaging import Bundle
from modelyard_runtime.access import Gate, token_hash
from modelyard_runtime.bundle_format import FORMAT, BundleError, canonical, read_manifest
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.doors.reading import MAX_BODY_BYTES
from modelyard_runtime.predictor import Predictor
from people import (
    FRAME,
    MODEL,
    ROW,
    TARGET,
    UNCONVERTED,
    a_place_of_its_own,
    answered_as_the_notebook_does,
    rows,
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@pytest.fixture(scope="module")
def app(bundle: Bundle) -> PredictorApp:
    return PredictorApp(Predictor(bundle.model_folder, "v7"), Gate([token_hash("secret")]))


def asked(app: PredictorApp, method: str, path: str, *, token: str = "secret", **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(ask())


def predicted(app: PredictorApp, *rows: dict[str, Any]) -> httpx.Response:
    return asked(app, "POST", "/predict", json={"rows": list(rows)})


def test_this_common_pipeline_travels_as_onnx(bundle: Bundle) -> None:
    assert bundle.manifest["model"]["kind"] == "onnx", bundle.notes()


def test_an_answer_has_the_shape_that_every_door_gives(app: PredictorApp) -> None:
    answer = predicted(app, ROW, {**ROW, "town": None, "income": None}).json()
    frame = pd.DataFrame([ROW, {**ROW, "town": None, "income": np.nan}])
    assert list(answer) == ["id", "variant", "predictions", "probabilities", "flags"]
    assert answer["variant"] == "v7"
    assert answer["predictions"] == MODEL.predict(frame).tolist()
    expected = [dict(zip(["no", "yes"], row, strict=True)) for row in MODEL.predict_proba(frame).tolist()]
    for found, wanted in zip(answer["probabilities"], expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)
    assert answer["flags"] == []


def test_columns_with_data_answer_as_rows_do(app: PredictorApp) -> None:
    by_columns = {"columns": ["town", "member", "age", "income"], "data": [["Bern", True, 30, 2500.5]]}
    first, second = predicted(app, ROW).json(), asked(app, "POST", "/predict", json=by_columns).json()
    assert (first["predictions"], first["probabilities"]) == (second["predictions"], second["probabilities"])


def test_what_training_never_saw_is_answered_and_flagged(app: PredictorApp) -> None:
    answer = predicted(app, {**ROW, "age": 130, "town": "Zug"}).json()
    assert answer["predictions"] == MODEL.predict(pd.DataFrame([{**ROW, "age": 130, "town": "Zug"}])).tolist()
    assert answer["flags"] == [
        {"row": 0, "column": "age", "value": 130, "flag": "outside 18 to 79"},
        {"row": 0, "column": "town", "value": "Zug", "flag": "unknown category"},
    ]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", "forty", "text 'forty' where a whole number belongs"),
        ("age", 40.5, "40.5 where a whole number belongs"),
        ("age", True, "true where a whole number belongs"),
        ("age", None, "null, but training never saw one"),
        ("age", 2**53 + 1, "past 2^53"),
        ("income", "12.5", "text '12.5' where a number belongs"),
        ("income", [1], "a list where a number belongs"),
        ("income", False, "false where a number belongs"),
        ("income", 10**400, "whole number of 401 digits"),
        ("town", 3, "3 where a text belongs"),
        ("member", 1, "1 where true or false belongs"),
        ("member", "yes", "text 'yes' where true or false belongs"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_row_column_value_and_what_was_learned(
    app: PredictorApp, column: str, value: Any, words: str
) -> None:
    content = json.dumps({"rows": [ROW, {**ROW, column: value}]})
    response = asked(app, "POST", "/predict", content=content)
    if response.status_code == 400:  # a number that JSON itself cannot hold
        assert column == "income"
        assert "number" in response.json()["error"].lower()
        return
    assert response.status_code == 422
    body = response.json()
    assert words in body["error"]
    assert body["violations"][0]["row"] == 1
    assert body["violations"][0]["column"] == column
    assert body["violations"][0]["learned"]


def test_whole_numbers_may_be_written_with_a_point(app: PredictorApp) -> None:
    assert (
        predicted(app, {**ROW, "age": 30.0}).json()["predictions"]
        == predicted(app, ROW).json()["predictions"]
    )


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"rows": []}', b'{"rows": 3}', b'{"rows": [1]}', b'{"rows": [{}], "x": 1}',
        b'{"columns": ["age"]}', b'{"columns": ["age", "age"], "data": [[1, 2]]}',
        b'{"columns": ["age"], "data": [[1, 2]]}', b'{"rows": [{"age": 1}, {"town": "Bern"}]}',
        b'{"rows": [{"age": NaN}]}', b"\xff\xfe", b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_a_request_gets_400_and_one_line(app: PredictorApp, content: bytes) -> None:
    response = asked(app, "POST", "/predict", content=content)
    assert response.status_code == 400
    assert "\n" not in response.json()["error"]


def test_wrong_methods_unknown_paths_and_large_bodies_are_refused(app: PredictorApp) -> None:
    assert asked(app, "GET", "/predict").status_code == 405
    assert asked(app, "POST", "/schema").status_code == 405
    assert asked(app, "GET", "/nothing").status_code == 404
    headers = {"content-length": str(MAX_BODY_BYTES + 1)}

    async def too_large() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            sent = {"Authorization": "Bearer secret", **headers}
            return (await client.post("/predict", content=b"{}", headers=sent)).status_code

    assert asyncio.run(too_large()) == 413


def test_every_path_but_health_wants_the_token(app: PredictorApp) -> None:
    for path in ("/schema", "/openapi.json", "/metrics", "/nothing"):
        response = asked(app, "GET", path, token="wrong")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert asked(app, "GET", "/healthz", token="").status_code == 200
    assert asked(app, "GET", "/readyz", token="").json()["variant"] == "v7"


def test_a_gate_without_hashes_lets_nobody_in_unless_told_to_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_TOKEN_HASHES", raising=False)
    assert not Gate.from_environment().lets_in(b"Bearer anything")
    assert not Gate([]).lets_in(None)
    monkeypatch.setenv("MODELYARD_AUTH", "off")
    assert Gate.from_environment().lets_in(None)


def test_schema_and_openapi_describe_the_columns(app: PredictorApp) -> None:
    schema = asked(app, "GET", "/schema").json()
    row = schema["oneOf"][0]["properties"]["rows"]["items"]
    assert row["required"] == ["age", "income", "town", "member"]
    assert row["properties"]["age"]["type"] == "integer"
    assert row["properties"]["income"]["type"] == ["number", "null"]
    document = asked(app, "GET", "/openapi.json").json()
    assert {"/predict", "/schema", "/openapi.json", "/healthz", "/readyz", "/metrics"} <= set(
        document["paths"]
    )
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert asked(app, "POST", "/predict", json=example).status_code == 200


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows)
def test_any_row_is_answered_as_the_notebook_answers_or_refused_and_never_an_error_of_ours(
    app: PredictorApp, row: dict[str, Any]
) -> None:
    response = predicted(app, row)
    answered_as_the_notebook_does(row, response.status_code, response.json())


@pytest.fixture(scope="module")
def python_app(tmp_path_factory: pytest.TempPathFactory) -> PredictorApp:
    with (
        a_place_of_its_own(tmp_path_factory),
        pytest.warns(PackagingWarning, match="SplineTransformer has no ONNX converter"),
    ):
        bundle = modelyard.package(UNCONVERTED, FRAME, TARGET, name="python")
    assert bundle.manifest["model"]["kind"] == "hybrid"
    return PredictorApp(Predictor(bundle.model_folder), Gate([token_hash("secret")]))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows)
def test_a_model_with_steps_in_python_keeps_the_same_promise(
    python_app: PredictorApp, row: dict[str, Any]
) -> None:
    response = predicted(python_app, row)
    answered_as_the_notebook_does(row, response.status_code, response.json(), UNCONVERTED)


def test_a_large_body_is_answered_as_a_small_one_is(app: PredictorApp) -> None:
    rows = json.loads(FRAME.to_json(orient="records")) * 20
    answer = predicted(app, *rows).json()
    assert answer["predictions"] == MODEL.predict(FRAME).tolist() * 20


def test_a_changed_missing_or_strange_file_is_refused_before_anything_is_loaded(
    bundle: Bundle, tmp_path: Path
) -> None:
    def copied() -> Path:
        import shutil

        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundle.model_folder, folder)
        return folder

    folder = copied()
    (folder / "contract.json").write_text("{}")
    with pytest.raises(BundleError, match=r"'contract.json' was changed"):
        Predictor(folder)
    folder = copied()
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"'model.onnx' is missing"):
        Predictor(folder)
    folder = copied()
    (folder / "model.onnx").rename(tmp_path / "outside.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "outside.onnx")
    with pytest.raises(BundleError, match=r"'model.onnx' lies outside"):
        Predictor(folder)
    folder = copied()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(canonical({**manifest, "format": FORMAT + 1}))
    with pytest.raises(
        BundleError, match=rf"bundle format {FORMAT + 1}, but this runtime reads formats 0 to {FORMAT}"
    ):
        read_manifest(folder)


def test_a_pickle_without_a_trust_decision_is_never_loaded(bundle: Bundle, tmp_path: Path) -> None:
    import pickle
    import shutil

    from modelyard_runtime.bundle_format import digest

    folder = tmp_path / "model"
    shutil.copytree(bundle.model_folder, folder)
    ran = tmp_path / "ran"
    content = pickle.dumps(_Bomb(str(ran)))
    (folder / "model.pkl").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["model"] |= {"kind": "pickle", "file": "model.pkl", "array_dtype": None}
    manifest["files"]["model.pkl"] = {"sha256": digest(content), "source": "smuggled in"}
    (folder / "manifest.json").write_bytes(canonical(manifest))
    with pytest.raises(BundleError, match=r"is a pickle and the manifest names no trust decision"):
        Predictor(folder)
    assert not ran.exists()


class _Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self.path, "w")
