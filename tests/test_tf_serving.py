"""TensorFlow Serving's REST paths: rows and columns as its documentation has them."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

import modelyard
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.doors.exchange import Answered, Asked
from modelyard_runtime.doors.tensorflow_serving import routes
from modelyard_runtime.predictor import Predictor, RequestError
from people import FRAME, MODEL, ROW, TARGET, rows


def packaged(tmp_path_factory: pytest.TempPathFactory, name: str, *fitted: Any) -> Predictor:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp(name)
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        patch.setenv("MODELYARD_CONFIG_DIR", str(folder / "config"))
        patch.chdir(folder)
        return Predictor(modelyard.package(*fitted, name=name).model_folder, "v3")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return packaged(tmp_path_factory, "people", MODEL, FRAME, TARGET)


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A regression on one column, which it doubles."""
    from sklearn.linear_model import LinearRegression

    frame = FRAME[["age"]].astype(float)
    target = pd.Series(frame["age"] * 2, name="twice")
    return packaged(tmp_path_factory, "doubling", LinearRegression().fit(frame, target), frame, target)


def answered(predictor: Predictor, path: str, body: Any = None) -> Answered:
    route = routes(predictor)[path]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return route.answer(Asked(route.methods[0], path, "", content, {}))


def said(predictor: Predictor, verb: str, body: Any) -> Any:
    return json.loads(answered(predictor, f"/v1/models/{predictor.manifest['name']}:{verb}", body).body)


def records(frame: pd.DataFrame = FRAME) -> list[dict[str, Any]]:
    return [
        {name: None if value is None or value != value else value for name, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def as_the_notebook(labels: list[Any], probabilities: list[list[float]]) -> None:
    assert labels == MODEL.predict(FRAME).tolist()
    assert probabilities == [pytest.approx(row, abs=1e-5) for row in MODEL.predict_proba(FRAME).tolist()]


def test_status_and_metadata_say_what_is_served(predictor: Predictor) -> None:
    for path in ("/v1/models/people", "/v1/models/people/versions/3"):
        (status,) = json.loads(answered(predictor, path).body)["model_version_status"]
        assert status["version"] == "3"
        assert status["state"] == "AVAILABLE"
        assert status["status"] == {"error_code": "OK", "error_message": ""}
    metadata = json.loads(answered(predictor, "/v1/models/people/versions/3/metadata").body)
    assert metadata["model_spec"]["name"] == "people"
    described = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    dtypes = {name: tensor["dtype"] for name, tensor in described["inputs"].items()}
    assert dtypes == {"age": "DT_INT64", "income": "DT_DOUBLE", "town": "DT_STRING", "member": "DT_BOOL"}
    assert described["outputs"]["probabilities"]["tensor_shape"]["dim"][1]["size"] == "2"


def test_objects_by_column_are_answered_as_the_notebook_answers(predictor: Predictor) -> None:
    answer = said(predictor, "predict", {"signature_name": "serving_default", "instances": records()})
    assert list(answer) == ["predictions"]
    labels = [prediction["label"] for prediction in answer["predictions"]]
    as_the_notebook(labels, [prediction["probabilities"] for prediction in answer["predictions"]])


def test_lists_in_the_contracts_order_are_answered_as_the_notebook_answers(predictor: Predictor) -> None:
    answer = said(predictor, "predict", {"instances": [list(row.values()) for row in records()]})
    labels = [prediction["label"] for prediction in answer["predictions"]]
    as_the_notebook(labels, [prediction["probabilities"] for prediction in answer["predictions"]])


@pytest.mark.parametrize("wrapped", [False, True])
def test_columns_are_answered_by_columns(predictor: Predictor, wrapped: bool) -> None:
    inputs = {
        name: [[row[name]] if wrapped else row[name] for row in records()]
        for name in predictor.contract.names
    }
    answer = said(predictor, "predict", {"inputs": inputs})
    as_the_notebook(answer["outputs"]["label"], answer["outputs"]["probabilities"])


def test_a_regression_of_one_column_takes_bare_values_and_leaves_the_outputs_name_out(
    doubling: Predictor,
) -> None:
    for instances in ([20, 30.5], [[20], [30.5]], [{"age": 20}, {"age": [30.5]}]):
        answer = said(doubling, "predict", {"instances": instances})
        assert answer == {"predictions": pytest.approx([40, 61], rel=1e-6)}
        answer = said(doubling, "regress", {"examples": [{"age": 20}, {"age": 30.5}]})
        assert answer == {"results": pytest.approx([40, 61], rel=1e-6)}
    for inputs in ([20, 30.5], {"age": [20, 30.5]}):
        assert said(doubling, "predict", {"inputs": inputs}) == {"outputs": pytest.approx([40, 61], rel=1e-6)}


def test_classify_gives_pairs_of_class_and_score(predictor: Predictor) -> None:
    row = {name: value for name, value in ROW.items() if name != "town"}
    answer = said(predictor, "classify", {"context": {"town": "Bern"}, "examples": [row]})
    (pairs,) = answer["results"]
    assert [label for label, _ in pairs] == ["no", "yes"]
    expected = MODEL.predict_proba(pd.DataFrame([ROW]))[0].tolist()
    assert [score for _, score in pairs] == pytest.approx(expected, abs=1e-5)


def test_nan_stands_for_a_missing_value_and_infinity_breaks_the_contract(predictor: Predictor) -> None:
    body = b'{"instances": [{"age": 30, "income": NaN, "town": "Bern", "member": true}]}'
    (prediction,) = said(predictor, "predict", body)["predictions"]
    expected = MODEL.predict_proba(pd.DataFrame([{**ROW, "income": float("nan")}]))[0].tolist()
    assert prediction["probabilities"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ContractBroken, match="column 'income': inf where a number belongs"):
        said(predictor, "predict", body.replace(b"NaN", b"Infinity"))


def test_a_text_may_come_in_base64(predictor: Predictor) -> None:
    town = {"b64": base64.b64encode(b"Bern").decode()}
    plain = said(predictor, "predict", {"instances": [ROW]})
    assert said(predictor, "predict", {"instances": [{**ROW, "town": town}]}) == plain
    for value in ("%", 3, base64.b64encode(b"\xff").decode()):
        with pytest.raises(RequestError, match="a b64 value is not a text in UTF-8, written in Base64"):
            said(predictor, "predict", {"instances": [{**ROW, "town": {"b64": value}}]})


def test_the_answers_id_is_in_a_header(predictor: Predictor) -> None:
    first, second = (answered(predictor, "/v1/models/people:predict", {"instances": [ROW]}) for _ in "ab")
    assert dict(first.headers)[b"modelyard-id"] != dict(second.headers)[b"modelyard-id"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "one of the two"),
        ({"instances": [ROW], "inputs": {}}, "one of the two"),
        ({"instances": []}, "no rows"),
        ({"instances": 3}, "instances is a list"),
        ({"instances": [ROW, [1]]}, "all objects by column, or all lists"),
        ({"instances": [ROW, {"age": 3}]}, "row 1 differs from row 0"),
        ({"instances": [[1, 2]]}, "row 0 has 2 values for 4 columns"),
        ({"inputs": {"age": [1, 2], "income": [1]}}, "all of one length"),
        ({"inputs": {"age": 3}}, "all of one length"),
        ({"inputs": {}}, "all of one length"),
        ({"instances": [ROW], "signature_name": "other"}, "no signature 'other'; there is 'serving_default'"),
        (b"{", "truncated"),
        (b'{"instances": [NaN', "malformed"),
        (b"[]", "Expected `object`"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(predictor: Predictor, body: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        said(predictor, "predict", body)
    assert "\n" not in str(raised.value)


def test_verbs_of_another_task_are_refused(predictor: Predictor, doubling: Predictor) -> None:
    with pytest.raises(RequestError, match="people is a classifier; use :predict or :classify"):
        said(predictor, "regress", {"examples": [ROW]})
    with pytest.raises(RequestError, match="doubling has no probabilities to classify with; use :predict"):
        said(doubling, "classify", {"examples": [{"age": 3}]})
    with pytest.raises(RequestError, match="a feature is in the context and in an example"):
        said(predictor, "classify", {"context": {"age": 3}, "examples": [ROW]})


def test_rows_that_break_the_contract_are_refused_as_at_predict(predictor: Predictor) -> None:
    with pytest.raises(ContractBroken, match=r"row 1, column 'age': text 'old' where a whole number belongs"):
        said(predictor, "predict", {"instances": [ROW, {**ROW, "age": "old"}]})


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
    try:
        (prediction,) = said(predictor, "predict", {"instances": [row]})["predictions"]
    except REFUSALS as refusal:
        can_be_sent(refusal)
    else:
        plain = {name: value[0] if isinstance(value, list) else value for name, value in row.items()}
        frame = pd.DataFrame([plain])[list(ROW)].astype({"age": float, "income": float})
        assert prediction["label"] == MODEL.predict(frame)[0]


@pytest.mark.parametrize(
    "town", ['"\\ud800"', "1" + "0" * 400, "1" * 30, '{"b64": NaN}', "-1e999", "[" * 1000 + "]" * 1000]
)
def test_what_only_a_lenient_reader_takes_is_refused_in_words_that_json_holds(
    predictor: Predictor, town: str
) -> None:
    body = '{"instances": [{"age": 30, "income": NaN, "town": TOWN, "member": true}]}'.replace("TOWN", town)
    with pytest.raises(REFUSALS) as raised:
        said(predictor, "predict", body.encode())
    can_be_sent(raised.value)
