"""The Open Inference Protocol v2: what its specification says, and that Triton's own client gets its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from sklearn.linear_model import LinearRegression, LogisticRegression

import modelyard
from modelyard.packaging import Bundle
from modelyard.targets.processes import free_port
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.doors.exchange import Answered, Asked
from modelyard_runtime.doors.open_inference import routes
from modelyard_runtime.predictor import Predictor, RequestError
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own, rows

#: An interpreter that has tritonclient[http]; `make env-triton` builds it.
CLIENT = Path(os.environ.get("MODELYARD_TRITON", Path(__file__).parents[1] / ".env-triton/bin/python"))
HEADER = b"inference-header-content-length"
INFER = "/v2/models/people/infer"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@pytest.fixture(scope="module")
def predictor(bundle: Bundle) -> Predictor:
    return Predictor(bundle.model_folder, "v3")


NUMBERS = FRAME[["age", "income"]].fillna(3000.0)


def packaged(folder: Path, model: Any, target: Any) -> Predictor:
    """Package a model of two columns of numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        patch.setenv("MODELYARD_CONFIG_DIR", str(folder / "config"))
        patch.chdir(folder)
        return Predictor(modelyard.package(model, NUMBERS, target, name="numbers").model_folder)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Predictor]:
    target = pd.Series(NUMBERS["age"] * 2.0, name="twice")
    model = LinearRegression().fit(NUMBERS, target)
    return model, packaged(tmp_path_factory.mktemp("numbers"), model, target)


def sent(predictor: Predictor, path: str, body: bytes = b"", **headers: str) -> Answered:
    route = routes(predictor)[path]
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return route.answer(Asked(route.methods[0], path, "", body, named))


def inferred(predictor: Predictor, *inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    path = f"/v2/models/{predictor.manifest['name']}/infer"
    answered = sent(predictor, path, json.dumps({"inputs": inputs, **more}).encode())
    return dict(json.loads(answered.body))


def tensor(name: str, datatype: str, data: list[Any], *shape: int, **parameters: Any) -> dict[str, Any]:
    return {
        "name": name, "datatype": datatype, "shape": list(shape) or [len(data)], "data": data, "parameters": parameters
    }  # fmt: skip


def columns(frame: pd.DataFrame) -> list[dict[str, Any]]:
    kinds = {"age": "INT64", "income": "FP64", "town": "BYTES", "member": "BOOL"}
    return [tensor(name, kinds[name], values) for name, values in nullable(frame).items()]


def nullable(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {
        name: [None if value is None or value != value else value for value in frame[name].tolist()]
        for name in frame
    }


def test_it_says_that_it_lives_and_what_the_model_takes_and_gives(predictor: Predictor) -> None:
    server = json.loads(sent(predictor, "/v2").body)
    assert (server["name"], server["extensions"]) == ("modelyard", ["binary_tensor_data"])
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/people/ready"):
        assert sent(predictor, path).status == 200
    metadata = json.loads(sent(predictor, "/v2/models/people").body)
    assert metadata == json.loads(sent(predictor, "/v2/models/people/versions/3").body)
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (
        "people", ["3"], "onnxruntime_onnx",
    )  # fmt: skip
    assert [(i["name"], i["datatype"], i["shape"]) for i in metadata["inputs"]] == [
        ("age", "INT64", [-1]), ("income", "FP64", [-1]), ("town", "BYTES", [-1]), ("member", "BOOL", [-1]),
    ]  # fmt: skip
    label, probabilities = metadata["outputs"]
    assert label == {"name": "predict", "datatype": "BYTES", "shape": [-1]}
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP64", [-1, 2])
    assert json.loads(probabilities["parameters"]["classes"]) == ["no", "yes"]


def test_a_table_with_nulls_texts_and_booleans_is_answered_as_the_notebook_answers(
    predictor: Predictor,
) -> None:
    answer = inferred(predictor, *columns(FRAME), id="mine", parameters={"kept": 7})
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("people", "3", "mine")
    assert answer["parameters"]["kept"] == 7
    assert answer["parameters"]["prediction_id"]
    label, probabilities = answer["outputs"]
    assert label["data"] == MODEL.predict(FRAME).tolist()
    assert (label["shape"], probabilities["shape"]) == ([200], [200, 2])
    assert probabilities["data"] == pytest.approx(MODEL.predict_proba(FRAME).ravel().tolist(), abs=1e-5)


def test_columns_may_be_nested_and_only_the_outputs_asked_for_are_given(predictor: Predictor) -> None:
    inputs = [tensor(i["name"], i["datatype"], [[v] for v in i["data"]], 200, 1) for i in columns(FRAME)]
    answer = inferred(predictor, *inputs, outputs=[{"name": "predict"}])
    assert [output["name"] for output in answer["outputs"]] == ["predict"]
    assert answer["outputs"][0]["data"] == MODEL.predict(FRAME).tolist()


def test_what_training_never_saw_is_flagged_in_a_parameter(predictor: Predictor) -> None:
    answer = inferred(predictor, *columns(pd.DataFrame([{**ROW, "town": "Zug"}])))
    flag = {"row": 0, "column": "town", "value": "Zug", "flag": "unknown category"}
    assert json.loads(answer["parameters"]["flags"]) == [flag]


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64", "INT32", "INT16", "UINT16", "UINT64"])
def test_one_tensor_of_numbers_holds_all_columns_in_the_contracts_order(
    numbers: tuple[Any, Predictor], datatype: str
) -> None:
    model, predictor = numbers
    flat = tensor("input-0", datatype, [30, 3000, 40, 2500], 2, 2)
    nested = tensor("input-0", datatype, [[30, 3000], [40, 2500]], 2, 2)
    frame = pd.DataFrame([[30, 3000.0], [40, 2500.0]], columns=["age", "income"])
    for one in (flat, nested):
        (output,) = inferred(predictor, one)["outputs"]
        assert (output["name"], output["datatype"]) == ("predict", "FP64")
        assert output["data"] == pytest.approx(model.predict(frame).tolist(), rel=1e-6)


@pytest.mark.parametrize(("dtype", "datatype", "packed"), [(bool, "BOOL", "?"), (int, "INT64", "<i8")])
def test_labels_go_as_what_they_are(tmp_path: Path, dtype: type, datatype: str, packed: str) -> None:
    target = pd.Series(NUMBERS["age"] > 45, name="old").astype(dtype)
    model = LogisticRegression(max_iter=5000).fit(NUMBERS, target)
    predictor = packaged(tmp_path, model, target)
    metadata = json.loads(sent(predictor, "/v2/models/numbers").body)
    assert metadata["outputs"][0]["datatype"] == datatype
    matrix = NUMBERS.to_numpy("float64")
    inputs = tensor("all", "FP64", matrix.tolist(), *matrix.shape)
    label, probabilities = inferred(predictor, inputs)["outputs"]
    assert label["data"] == model.predict(NUMBERS).tolist()
    assert probabilities["data"] == pytest.approx(model.predict_proba(NUMBERS).ravel().tolist(), abs=1e-5)
    wanted = [{"name": "predict", "parameters": {"binary_data": True}}]
    body = json.dumps({"inputs": [inputs], "outputs": wanted}).encode()
    answered = sent(predictor, "/v2/models/numbers/infer", body)
    part = answered.body[int(dict(answered.headers)[HEADER]) :]
    assert np.frombuffer(part, packed).tolist() == label["data"]


def test_rows_that_break_the_contract_are_refused_as_at_predict(predictor: Predictor) -> None:
    with pytest.raises(ContractBroken, match=r"row 1, column 'age': 40.5 where a whole number belongs"):
        inferred(predictor, *columns(pd.DataFrame([ROW, {**ROW, "age": 40.5}])))
    with pytest.raises(ContractBroken, match="column 'member': the column is missing"):
        inferred(predictor, *columns(pd.DataFrame([ROW]))[:3])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "no rows"),
        ([tensor("age", "INT64", [], 0)], "no rows"),
        ([tensor("age", "INT64", [1, 2], 3)], r"2 values for the shape \[3\]"),
        ([tensor("age", "INT64", [1]), tensor("town", "BYTES", ["a", "b"])], r"a column has \[1\] here"),
        ([tensor("age", "INT64", [1]), tensor("age", "INT64", [1])], "'age' is given twice"),
        ([tensor("age", "BYTES", ["1"])], "'age' is of BYTES, column 'age' of INT64"),
        ([tensor("all", "FP64", [1, 2, 3, 4], 1, 4)], "'all' is of FP64, column 'town' of BYTES"),
        ([{"name": "age", "datatype": "INT64", "shape": [1]}], "has neither data nor binary_data_size"),
        ([tensor("age", "INT64", [], 1, binary_data_size=8)], "not as many bytes follow"),
        ([tensor("age", "INT64", [1], 1, binary_data_size=-8)], "not as many bytes follow"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(
    predictor: Predictor, inputs: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        inferred(predictor, *inputs)


def test_an_unknown_output_is_refused_by_naming_the_known(predictor: Predictor) -> None:
    with pytest.raises(RequestError, match="no output 'logits'; there is predict and predict_proba"):
        inferred(predictor, *columns(FRAME), outputs=[{"name": "logits"}])


REFUSALS = (ContractBroken, RequestError, msgspec.DecodeError)


def can_be_sent(refusal: Exception) -> None:
    """Assert that a refusal is one line, and what it lists is JSON."""
    assert "\n" not in str(refusal)
    assert msgspec.json.encode(getattr(refusal, "violations", ()))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows)
def test_any_row_is_answered_as_the_notebook_answers_or_refused_and_never_an_error_of_ours(
    predictor: Predictor, row: dict[str, Any]
) -> None:
    kinds = {"age": "INT64", "income": "FP64", "member": "BOOL"}
    inputs = [tensor(name, kinds.get(name, "BYTES"), [value]) for name, value in row.items()]
    try:
        label, _ = inferred(predictor, *inputs)["outputs"]
    except REFUSALS as refusal:
        can_be_sent(refusal)
    else:
        frame = pd.DataFrame([row])[list(ROW)].astype({"age": float, "income": float})
        assert label["data"] == MODEL.predict(frame).tolist()


def binary(frame: pd.DataFrame, **more: Any) -> tuple[bytes, bytes]:
    """Return the JSON and the binary data of a request, packed by hand."""
    texts = [str(value).encode() for value in nullable(frame)["town"]]
    parts = {
        "age": ("INT32", frame["age"].to_numpy("<i4").tobytes()),
        "income": ("FP64", frame["income"].to_numpy("<f8").tobytes()),
        "town": ("BYTES", b"".join(len(text).to_bytes(4, "little") + text for text in texts)),
        "member": ("BOOL", frame["member"].to_numpy("u1").tobytes()),
    }
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(frame)], "parameters": {"binary_data_size": len(part)}}
        for name, (kind, part) in parts.items()
    ]
    return json.dumps({"inputs": inputs, **more}).encode(), b"".join(part for _, part in parts.values())


def test_tensors_may_come_and_go_as_binary_data(predictor: Predictor) -> None:
    parameters = {"binary_data_output": True, "null_text": "None"}
    head, tail = binary(FRAME, parameters=parameters)
    answered = sent(predictor, INFER, head + tail, inference_header_content_length=str(len(head)))
    assert answered.kind == "application/octet-stream"
    length = int(dict(answered.headers)[HEADER])
    label, probabilities = json.loads(answered.body[:length])["outputs"]
    size = label["parameters"]["binary_data_size"]
    found = np.frombuffer(answered.body[length + size :], "<f8").reshape(probabilities["shape"])
    assert found == pytest.approx(MODEL.predict_proba(FRAME), abs=1e-5)
    texts = [text.encode() for text in MODEL.predict(FRAME)]
    assert answered.body[length : length + size] == b"".join(
        len(text).to_bytes(4, "little") + text for text in texts
    )


def test_each_output_says_for_itself_whether_it_goes_as_binary_data(predictor: Predictor) -> None:
    wanted = [{"name": "predict_proba", "parameters": {"binary_data": True}}, {"name": "predict"}]
    head, tail = binary(FRAME.fillna({"town": "Bern"}), outputs=wanted)
    answered = sent(predictor, INFER, head + tail, inference_header_content_length=str(len(head)))
    length = int(dict(answered.headers)[HEADER])
    probabilities, label = json.loads(answered.body[:length])["outputs"]
    assert "data" not in probabilities
    assert label["data"] == MODEL.predict(FRAME.fillna({"town": "Bern"})).tolist()


@pytest.mark.parametrize("stated", ["0", "-1", "x", "9" * 5000, "999999999"])
def test_a_header_that_is_not_the_length_of_the_json_is_refused(predictor: Predictor, stated: str) -> None:
    head, tail = binary(FRAME)
    with pytest.raises(ValueError, match=r"is not the length|truncated"):
        sent(predictor, INFER, head + tail, inference_header_content_length=stated)


@pytest.mark.parametrize("cut", [1, -1, 5])
def test_binary_data_that_is_cut_off_or_too_long_is_refused(predictor: Predictor, cut: int) -> None:
    head, tail = binary(FRAME.fillna({"town": "Bern"}))
    tail = tail + b"x" if cut < 0 else tail[:-cut]
    with pytest.raises(RequestError, match=r"not as many bytes|belong to no input"):
        sent(predictor, INFER, head + tail, inference_header_content_length=str(len(head)))


def test_a_text_that_is_cut_off_is_refused(predictor: Predictor) -> None:
    head = json.dumps({"inputs": [
        {"name": "town", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}}
    ]}).encode()  # fmt: skip
    with pytest.raises(RequestError, match="its last text is cut off"):
        sent(predictor, INFER, head + b"\xff\0\0\0ab", inference_header_content_length=str(len(head)))


@pytest.fixture(scope="module")
def url(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the bundle as its plain ASGI door does; yield its host and port."""
    folder = tmp_path_factory.mktemp("served")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELYARD", "PYTHON"))}
    port = free_port()
    argv = ["--factory", "modelyard_runtime.doors.asgi:application", "--app-dir", bundle.path / "src/runtime"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-I", "-m", "uvicorn", *argv, "--port", str(port)],
            cwd=folder, env={**kept, "MODELYARD_AUTH": "off"}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
                break
            except httpx.HTTPError:
                assert server.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def test_a_server_answers_binary_tensors_and_says_what_is_wrong_with_a_request(url: str) -> None:
    head, tail = binary(FRAME, parameters={"null_text": "None", "binary_data_output": True})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response = httpx.post(f"http://{url}{INFER}", content=head + tail, headers=headers, trust_env=False)
    assert response.status_code == 200
    length = int(response.headers["Inference-Header-Content-Length"])
    assert json.loads(response.content[:length])["model_version"] == "1"
    broken = {"inputs": columns(pd.DataFrame([{**ROW, "age": 40.5}]))}
    response = httpx.post(f"http://{url}{INFER}", json=broken, trust_env=False)
    assert response.status_code == 422
    assert response.json()["violations"][0]["column"] == "age"
    assert httpx.post(f"http://{url}{INFER}", json={"inputs": []}, trust_env=False).status_code == 400
    assert httpx.get(f"http://{url}/v2/models/others", trust_env=False).status_code == 404


ASKING = """
import json, sys
import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

asked = json.load(sys.stdin)
client = InferenceServerClient(asked["url"])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("people", "1")
said = {"metadata": client.get_model_metadata("people"), "server": client.get_server_metadata()}

def tensors(table, binary):
    kinds = {"age": ("INT64", int), "income": ("FP64", float), "town": ("BYTES", object), "member": ("BOOL", bool)}
    for name, (kind, dtype) in kinds.items():
        values = np.array(table[name], dtype=dtype)
        tensor = InferInput(name, values.shape, kind)
        tensor.set_data_from_numpy(values, binary_data=binary)
        yield tensor

parameters = {"null_text": "None"}
first = client.infer("people", list(tensors(asked["table"], True)), parameters=parameters, request_id="mine")
said["id"] = first.get_response()["id"]
said["labels"] = [text.decode() for text in first.as_numpy("predict").tolist()]
said["probabilities"] = first.as_numpy("predict_proba").tolist()
outputs = [InferRequestedOutput("predict_proba", binary_data=False)]
whole = {name: [row[name] for row in asked["whole"]] for name in asked["whole"][0]}
second = client.infer("people", list(tensors(whole, False)), model_version="1", outputs=outputs)
said["json"] = second.as_numpy("predict_proba").tolist()
try:
    client.infer("people", [tensor for tensor in tensors(asked["table"], True) if tensor.name() != "age"])
except InferenceServerException as error:
    said["refused"] = [error.status(), error.message()]
json.dump(said, sys.stdout)
"""


@pytest.mark.skipif(
    not CLIENT.exists() and "MODELYARD_TRITON" not in os.environ,
    reason="`make env-triton` builds its environment",
)
def test_tritons_own_client_gets_the_notebooks_answers(url: str) -> None:
    table = {name: FRAME[name].tolist() for name in FRAME}
    table["town"] = nullable(FRAME)["town"]
    asked = {"url": url, "table": table, "whole": [ROW, {**ROW, "age": 60, "member": False}]}
    ran = subprocess.run(
        [CLIENT, "-I", "-c", ASKING], input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["server"]["name"] == "modelyard"
    assert [i["name"] for i in said["metadata"]["inputs"]] == list(ROW)
    assert said["id"] == "mine"
    assert said["labels"] == MODEL.predict(FRAME).tolist()
    assert np.array(said["probabilities"]) == pytest.approx(MODEL.predict_proba(FRAME), abs=1e-5)
    frame = pd.DataFrame(asked["whole"])
    assert np.array(said["json"]) == pytest.approx(MODEL.predict_proba(frame), abs=1e-5)
    status, message = said["refused"]
    assert status == "422"
    assert "column 'age': the column is missing" in message
