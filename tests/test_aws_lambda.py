"""Lambda's door without Lambda: events in, answers out; and what is refused before anything is made."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import modelyard
import modelyard_lambda as aws_lambda
from modelyard.errors import DeploymentError, InvalidNameError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets.archive import write_zip
from modelyard.targets.artifact import Artifact, Function
from modelyard.targets.aws_lambda import MIB, LambdaTarget
from modelyard.targets.aws_lambda_events import UrlFunction, url_event
from modelyard.targets.installing import Platform, install
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard.targets.slimming import BALLAST, BESIDE_A_GRAPH, slim
from modelyard_runtime.access import Gate, token_hash
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

TOKEN = {"authorization": "Bearer secret"}
OTHER = "arm64" if LambdaTarget().architecture == "x86_64" else "x86_64"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@pytest.fixture(scope="module")
def handler(bundle: Bundle) -> aws_lambda.Handler:
    app = PredictorApp(Predictor(bundle.model_folder, "v7"), Gate([token_hash("secret")]))
    return aws_lambda.handler_of(app)


def asked(
    handler: aws_lambda.Handler, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    found = handler(url_event(content, method, path, TOKEN | headers), None)
    return UrlFunction("app:handler", ()).answered(json.loads(json.dumps(found)))


def test_an_event_is_answered_as_the_notebook_answers(handler: aws_lambda.Handler) -> None:
    status, answer = asked(handler, "POST", "/predict", {"rows": [ROW]})
    assert status == 200
    assert answer["predictions"] == MODEL.predict(pd.DataFrame([ROW])).tolist()
    assert answer["variant"] == "v7"


def test_a_body_in_base64_is_the_same_body(handler: aws_lambda.Handler) -> None:
    event = url_event(json.dumps({"rows": [ROW]}).encode(), headers=TOKEN)
    packed = {**event, "body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}
    plain, other = handler(event, None), handler(packed, None)
    assert json.loads(plain["body"])["predictions"] == json.loads(other["body"])["predictions"]
    assert handler({**packed, "body": "no base64!"}, None)["statusCode"] == 400


def test_what_is_no_text_comes_back_in_base64(handler: aws_lambda.Handler) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist([ROW])
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    kind = "application/vnd.apache.arrow.stream"
    headers = TOKEN | {"content-type": kind, "accept": kind}
    found = handler(url_event(sink.getvalue().to_pybytes(), headers=headers), None)
    assert (found["statusCode"], found["isBase64Encoded"]) == (200, True)
    assert pyarrow.ipc.open_stream(base64.b64decode(found["body"])).read_all().num_rows == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/predict", b"{", 400, "not a request"),
        ("POST", "/predict", {"rows": []}, 400, "no rows"),
        ("POST", "/predict", {"rows": [{**ROW, "age": "old"}]}, 422, "age"),
        ("GET", "/predict", None, 405, "/predict takes POST"),
        ("GET", "/nothing", None, 404, "no path /nothing"),
    ],
)
def test_a_bad_request_is_refused_as_at_every_door(
    handler: aws_lambda.Handler, method: str, path: str, body: Any, status: int, says: str
) -> None:
    found, answer = asked(handler, method, path, body)
    assert found == status
    assert says in answer["error"]


@pytest.mark.parametrize("event", [{}, {"rows": [ROW]}, [], None, "x", {"version": "1.0", "path": "/"}])
def test_an_event_of_something_else_gets_an_answer_that_says_so(
    handler: aws_lambda.Handler, event: Any
) -> None:
    found = handler(event, None)
    assert found["statusCode"] == 400
    assert "function URL" in json.loads(found["body"])["error"]


def test_every_path_but_health_wants_the_token(handler: aws_lambda.Handler) -> None:
    assert asked(handler, "GET", "/healthz", authorization="")[0] == 200
    for path in ("/schema", "/openapi.json", "/metrics"):
        assert asked(handler, "GET", path, authorization="Bearer wrong")[0] == 401
    assert asked(handler, "GET", "/schema")[1]["oneOf"]


def test_the_hashes_may_stand_in_the_environment_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_AUTH", raising=False)
    monkeypatch.setenv("MODELYARD_TOKEN_SHA256", f"{token_hash('one')} {token_hash('two')}")
    gate = aws_lambda.gate()
    assert [gate.lets_in(f"Bearer {token}".encode()) for token in ("one", "two", "three")] == [
        True,
        True,
        False,
    ]


def test_an_answer_that_lambda_would_not_let_out_is_refused_with_its_size(
    handler: aws_lambda.Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_lambda, "MOST_BYTES", 1000)
    monkeypatch.setattr(aws_lambda, "_UNLIKELY_LARGE", 100)
    assert asked(handler, "POST", "/predict", {"rows": [ROW]})[0] == 200
    status, answer = asked(handler, "POST", "/predict", {"rows": [ROW] * 50})
    assert status == 413
    assert "send the rows in parts" in answer["error"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"memory": 127}, r"memory 127 cannot be; choose 128 to 10240"),
        ({"memory": 10_241}, r"memory 10241 cannot be"),
        ({"timeout": 901.0}, r"timeout 901 cannot be; choose whole seconds from 1 to 900"),
        ({"timeout": 1.5}, r"timeout 1\.5 cannot be"),
        (
            {"python": "3.11"},
            r"no python '3\.11' that serves bundles; it has: 3\.12, 3\.13; or add --package image",
        ),
        (
            {"python": "3.9", "package": "image"},
            r"no python '3\.9' that serves bundles; it has: 3\.11, 3\.12, 3\.13$",
        ),
        ({"package": "tar"}, "package 'tar' cannot be; choose image, zip"),
        ({"engine": "podman"}, "a zip file has no base and wants no engine; add --package image"),
        ({"architecture": "riscv64"}, r"no architecture 'riscv64'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LambdaTarget(**options)


def test_memory_and_timeout_narrow_the_limits() -> None:
    limits = LambdaTarget(memory=512, timeout=3.0).limits
    assert (limits.memory_bytes, limits.timeout_s) == (512 * MIB, 3.0)
    assert (limits.unpacked_bytes, limits.startup_s) == (262_144_000, 10.0)
    assert limits.writable == ("/tmp",)


def test_planning_shows_the_handler_and_compiles(bundle: Bundle) -> None:
    plan = LambdaTarget(memory=512).plan(bundle, "people", None, None)
    compile(plan.files["app.py"], "app.py", "exec")
    assert "people:1" in plan.files["app.py"]
    assert any("512 MB" in step for step in plan.steps)


def test_a_python_that_is_not_here_is_said(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.targets.installing.find_python", lambda minor: None)
    with pytest.raises(DeploymentError, match=r"uv python install 3\.12"):
        LambdaTarget(python="3.12").make(bundle, tmp_path)


def test_a_pin_without_a_wheel_for_the_place_is_said_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "odd-1.0-cp27-cp27m-win32.whl", "w") as wheel:
        wheel.writestr("odd-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    place = Platform("3.13", "arm64")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("UV_NO_INDEX", "1")
        patched.setenv("UV_FIND_LINKS", str(folder))
        with pytest.raises(DeploymentError) as refused:
            install(["odd==1.0  # record:00"], tmp_path / "site", place, "python", "/var/task/site")
    told = str(refused.value)
    assert told.startswith("the lock cannot be installed for Python 3.13 on arm64: ")
    assert "odd" in told
    assert "\n" not in told


def test_a_name_that_aws_would_not_take_is_refused_by_the_plan() -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="people")
    with pytest.raises(
        InvalidNameError, match=r"takes names of at most 54 characters, 'x+' has 55; .*--name"
    ):
        modelyard.plan(bundle, to="aws-lambda", name="x" * 55)


def test_what_was_made_for_another_machine_is_not_rehearsed(bundle: Bundle) -> None:
    made = Artifact(Path(), (), Function("app:f", ()), "3.13", OTHER, system="linux")
    with pytest.raises(DeploymentError, match=rf"is for linux on {OTHER}, and this machine is"):
        rehearsed(bundle, "aws-lambda", LambdaTarget().limits, made)


def test_the_zip_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    for number, names in enumerate((("a.py", "b/c.so"), ("b/c.so", "a.py"))):
        folder = tmp_path / str(number)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        (folder / "a.py").chmod((0o600, 0o755)[number])
        write_zip(folder, tmp_path / f"{number}.zip")
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "0.zip") as packed:
        assert packed.namelist() == ["a.py", "b/c.so"]
        assert [entry.external_attr >> 16 for entry in packed.infolist()] == [0o100644, 0o100755]


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("numpy/tests/a.py", True), ("sklearn/utils/tests/a.py", True), ("numpy/testing/__init__.py", False),
        ("onnxruntime/tools/a.py", True), ("onnxruntime/capi/libonnxruntime.so.1.32.0", True),
        ("onnxruntime/capi/onnxruntime_pybind11_state.so", False), ("onnxruntime/capi/_pybind_state.py", False),
        ("bin/f2py", True), ("a/bin/x.py", False), ("numpy/__init__.pyi", True), ("latest/a.py", False),
    ],
)  # fmt: skip
def test_what_answering_does_not_read_is_told_from_the_rest(path: str, goes: bool) -> None:
    assert any(ballast.holds(path) for ballast in BALLAST) is goes
    assert any(ballast.holds(path) for ballast in BESIDE_A_GRAPH) is (
        goes or path.startswith("numpy/testing")
    )


def test_slimming_leaves_no_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "a/tests/deep").mkdir(parents=True)
    (tmp_path / "a/tests/deep/x.py").write_text("")
    (tmp_path / "a/x.py").write_text("")
    slim(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "x.py"]
