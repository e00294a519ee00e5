"""SageMaker's door without SageMaker, and what is planned and refused before anything is made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import modelyard
from modelyard.errors import DeploymentError, InvalidNameError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import sagemaker_transport
from modelyard.targets.artifact import Server
from modelyard.targets.calls import CallFailed
from modelyard.targets.connection import usage
from modelyard.targets.protocol import option_fields
from modelyard.targets.rehearsing.rehearsal import rehearsed
from modelyard.targets.sagemaker import SageMakerTarget
from modelyard.targets.sagemaker_image import CONTEXT
from modelyard.targets.sagemaker_role import Reach
from modelyard.targets.sagemaker_send import GONE, ROLE_NOT_YET, THERE, careful
from modelyard.targets.sagemaker_transport import SageMakerTransport
from modelyard_runtime.predictor import Predictor
from modelyard_sagemaker.door import application_of
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b-2c"
PLACES = {"input": "s3://mine/in", "output": "s3://mine/out/"}
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


# -- the door -----------------------------------------------------------------------------------------------------


class Door:
    """Asks the application as a server would."""

    def __init__(self, bundle: Bundle) -> None:
        self._app = application_of(Predictor(bundle.model_folder, "v7"))

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(asked())

    def lines(self, kind: str, text: str) -> httpx.Response:
        return self("POST", "/invocations", text.encode(), **{"content-type": kind})


@pytest.fixture(scope="module")
def door(bundle: Bundle) -> Door:
    return Door(bundle)


def test_ping_says_that_it_is_loaded_and_nobody_is_asked_for_a_token(door: Door) -> None:
    assert door("GET", "/ping").status_code == 200
    assert door("POST", "/ping").status_code == 405


def test_an_invocation_is_answered_as_the_notebook_answers(door: Door) -> None:
    found = door(
        "POST", "/invocations", json.dumps({"rows": [ROW]}).encode(), **{"content-type": "application/json"}
    )
    assert found.status_code == 200
    assert found.json()["predictions"] == MODEL.predict(pd.DataFrame([ROW])).tolist()
    assert found.json()["variant"] == "v7"


def test_custom_attributes_name_another_path_and_those_of_others_are_let_be(door: Door) -> None:
    assert door("POST", "/invocations", b"{}", **{ATTRIBUTES: "GET:/schema"}).json()["oneOf"]
    assert door("POST", "/invocations", b"{}", **{ATTRIBUTES: "GET:/nothing"}).status_code == 404
    body = json.dumps({"rows": [ROW]}).encode()
    assert (
        door("POST", "/invocations", body, **{ATTRIBUTES: "POST:/explain"}).status_code == 404
    )  # no explainer
    for theirs in ("trace-7", "GET /schema", "DELETE:/schema"):
        assert door("POST", "/invocations", body, **{ATTRIBUTES: theirs}).json()["predictions"]


@pytest.mark.parametrize("kind", ["application/jsonlines", "application/x-ndjson; charset=utf-8"])
def test_json_lines_come_back_line_by_line(door: Door, kind: str) -> None:
    rows = FRAME.head(5)
    found = door.lines(kind, rows.to_json(orient="records", lines=True) + "\n")
    assert (found.status_code, found.headers["content-type"]) == (200, "application/jsonlines")
    answers = [json.loads(line) for line in found.text.splitlines()]
    assert [answer["prediction"] for answer in answers] == MODEL.predict(rows).tolist()
    assert all(abs(sum(answer["probabilities"].values()) - 1) < 1e-5 for answer in answers)


def test_csv_without_a_header_comes_back_as_csv(door: Door) -> None:
    rows = FRAME.head(5)
    found = door.lines("text/csv", rows.to_csv(index=False, header=False))
    assert (found.status_code, found.headers["content-type"]) == (200, "text/csv")
    assert [line.split(",")[0] for line in found.text.splitlines()] == [str(p) for p in MODEL.predict(rows)]


@pytest.mark.parametrize(
    ("kind", "text", "status", "says"),
    [
        ("text/csv", "1,2\n", 400, "line 0 has 2 fields; the model takes"),
        ("text/csv", "", 400, "no rows"),
        ("application/jsonlines", '{"a": 1}\n[1]\n', 400, "line 1 is no JSON object"),
        ("application/jsonlines", "{", 400, "line 0 is no JSON object"),
        ("application/jsonlines", "", 400, "no rows"),
        ("application/jsonlines", json.dumps({**ROW, "age": "old"}), 422, "row 0, column 'age'"),
        ("application/xml", "<a/>", 415, "application/xml"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(
    door: Door, kind: str, text: str, status: int, says: str
) -> None:
    found = door.lines(kind, text)
    assert found.status_code == status, found.text
    assert says in found.json()["error"]


def test_a_csv_field_that_is_no_number_is_refused_by_the_contract(door: Door) -> None:
    columns = list(FRAME.columns)
    for wrong in ("old", "inf", "nan"):
        fields = [
            "" if value is None else str(value) for value in ({**ROW, "age": wrong}[name] for name in columns)
        ]
        found = door.lines("text/csv", ",".join(fields))
        assert found.status_code == 422, wrong
        assert "column 'age'" in found.json()["error"]


# -- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "realtime"}, "mode 'realtime' cannot be; choose async, batch, endpoint, serverless"),
        ({"mode": "serverless", "instance": "ml.m5.large"}, "'serverless' has no instance; it has: concurrency, mem"),
        ({"mode": "serverless", "instances": 2}, "mode 'serverless' has no instances"),
        (
            {"mode": "serverless", "capture": "s3://a-b/c"},
            "mode 'serverless' has no capture; .*; leave it out, or add --mode endpoint",
        ),
        ({"memory": 2048}, "mode 'endpoint' has no memory; .* or add --mode serverless"),
        ({"mode": "async"}, r"mode 'async' needs --input s3://BUCKET/PREFIX"),
        ({"mode": "batch", "input": "s3://mine/in"}, r"mode 'batch' needs --output s3://BUCKET/PREFIX"),
        ({"mode": "batch", **PLACES, "most_instances": 3}, "mode 'batch' has no most_instances"),
        ({"mode": "batch", **PLACES, "content": "xml"}, "content 'xml' cannot be; choose csv, jsonlines"),
        ({"mode": "serverless", "memory": 1500}, r"memory 1500 cannot be; choose 1024, .* 6144 \(MB\)"),
        ({"mode": "serverless", "concurrency": 201}, "concurrency 201 cannot be; choose 1 to 200"),
        ({"instance": "m5.large"}, "instance 'm5.large' is no type of SageMaker; it is written as ml.m5.large"),
        ({"instances": 0}, "instances 0 cannot be; choose 1 or more"),
        ({"instances": 3, "most_instances": 2}, "at most 2 instances cannot be at least 3"),
        ({"per_instance": 100.0}, "per_instance is above 0, and belongs to --most-instances"),
        ({"capture_share": 10.0}, "capture_share is 1 to 100 percent, and belongs to --capture"),
        ({"capture": "mine/seen"}, "capture 'mine/seen' is not a place in S3, such as s3://BUCKET/PREFIX"),
        ({"role": "arn:aws:iam::1:user/me"}, "role 'arn:aws:iam::1:user/me' is not the ARN of a role, such as arn:aws"),
        ({"key": "alias/mine"}, "key 'alias/mine' is not the ARN of a KMS key, such as arn:aws:kms"),
        ({"python": "3.9"}, r"python '3.9' cannot be; choose 3\.11, 3\.12, 3\.13"),
        ({"engine": "kaniko"}, "engine 'kaniko' cannot be; choose buildah, docker, podman"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        SageMakerTarget(**options)
    assert "\n" not in str(told.value)


def test_each_mode_has_the_limits_that_aws_sets_for_it() -> None:
    mib = 2**20
    endpoint, serverless = SageMakerTarget().limits, SageMakerTarget(mode="serverless", memory=1024).limits
    asynchronous = SageMakerTarget(mode="async", **PLACES).limits  # type: ignore[arg-type]
    assert (endpoint.request_bytes, endpoint.timeout_s, endpoint.startup_s) == (6 * mib, 60.0, 480.0)
    assert (serverless.request_bytes, serverless.memory_bytes) == (4 * mib, 1024 * mib)
    assert (serverless.unpacked_bytes, serverless.architectures) == (10 * 1024 * mib, ("x86_64",))
    assert (asynchronous.request_bytes, asynchronous.timeout_s) == (1024 * mib, 900.0)
    assert SageMakerTarget(instance="ml.c7g.large").limits.architectures == ("arm64",)
    assert (endpoint.network, serverless.network) == (False, True)


def test_a_name_that_aws_would_not_take_is_refused_by_the_plan() -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="people")
    with pytest.raises(InvalidNameError, match=r"takes names of at most 53 characters, 'x+' has 54"):
        modelyard.plan(bundle, to="sagemaker", name="x" * 54)


# -- what is planned ----------------------------------------------------------------------------------------------


def statements(**more: Any) -> dict[str, Any]:
    policy = Reach("modelyard-people", "/aws/sagemaker/Endpoints/modelyard-people", **more).policy()
    return {action: each for each in policy["Statement"] for action in each["Action"]}


def test_a_role_may_fetch_its_image_and_write_its_log_and_nothing_else() -> None:
    found = statements()
    assert found.keys() == {
        "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
        "cloudwatch:PutMetricData",
    }  # fmt: skip
    assert found["ecr:BatchGetImage"]["Resource"] == "arn:aws:ecr:*:*:repository/modelyard-people"
    assert found["logs:PutLogEvents"]["Resource"].endswith("/aws/sagemaker/Endpoints/modelyard-people:*")
    anything = {
        action for action, each in found.items() if each["Resource"] == "*" and "Condition" not in each
    }
    assert anything == {"ecr:GetAuthorizationToken"}, "AWS knows no narrower one"


def test_a_role_reaches_the_places_that_were_named_and_not_their_neighbours() -> None:
    found = statements(reads=("s3://mine/in",), writes=("s3://mine/out/", "s3://all"), key=KEY)
    assert found["s3:GetObject"]["Resource"] == "arn:aws:s3:::mine/in/*"
    assert found["s3:ListBucket"]["Condition"] == {"StringLike": {"s3:prefix": "in/*"}}
    assert found["s3:PutObject"]["Resource"] == ["arn:aws:s3:::mine/out/*", "arn:aws:s3:::all/*"]
    assert found["kms:GenerateDataKey"]["Resource"] == KEY
    job = Reach("modelyard-people", "/aws/sagemaker/TransformJobs", True).policy()
    streams = [each["Resource"] for each in job["Statement"] if "logs:PutLogEvents" in each["Action"]]
    assert streams == ["arn:aws:logs:*:*:log-group:/aws/sagemaker/TransformJobs:log-stream:modelyard-people*"]


def test_planning_shows_what_is_built_what_may_be_done_and_what_it_costs(bundle: Bundle) -> None:
    target = SageMakerTarget(
        instance="ml.m5.large", instances=2, capture="s3://mine/seen", key=KEY, python="3.12"
    )
    plan = target.plan(bundle, "people", None, None)
    assert plan.steps == (
        "check every digest of people:1",
        "install its lock for Python 3.12 on x86_64",
        "build an image of them on docker.io/library/python:3.12-slim, and push it to a repository of its own",
        "make a model of it, and of that an endpoint on instances that always run",
        "keep 100% of requests and answers at s3://mine/seen",
    )
    assert str(plan.cost).startswith("167.90 USD a month at 2 × ml.m5.large that always run")
    assert "each variant more costs as much again" in str(plan.cost)
    assert plan.scaling == "2 × ml.m5.large for each variant, whoever asks"
    assert any("asks for no token" in line for line in plan.security)
    assert any(f"s3://mine/seen is encrypted by the key {KEY}" in line for line in plan.security)
    assert json.loads(plan.files["role-policy.json"])["Version"] == "2012-10-17"
    told = plan.files[f"{CONTEXT}/Containerfile"]
    assert told.startswith(f"# people:1, {bundle.digest}")
    assert "FROM --platform=linux/amd64 docker.io/library/python:3.12-slim" in told
    assert 'ENTRYPOINT ["python3", "-m", "modelyard_sagemaker"]\nCMD ["serve"]' in told
    assert 'com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"' in told


def test_a_price_that_the_table_lacks_is_said_and_can_be_given(bundle: Bundle, tmp_path: Path) -> None:
    lacking = SageMakerTarget(instance="ml.m7i.large").plan(bundle, "people", None, None).cost
    assert str(lacking).startswith(
        "not known: the price table of 2026-11-30 has no 'hour_ml.m7i.large' of 'aws-sagemaker'"
    )
    assert str(lacking).endswith("give one with --price-table")
    assert lacking.payload()["monthly"] is None
    newer = {"hour_ml.m7i.large": 0.1, "serverless_gb_second": 0.00002}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({
        "as_of": "2026-11-30", "source": "a test", "currency": "USD", "prices": {"aws-sagemaker": newer}
    }))  # fmt: skip
    target = SageMakerTarget(instance="ml.m7i.large", price_table=str(file))
    assert target.plan(bundle, "people", None, None).cost.monthly == pytest.approx(73.0)
    serverless = SageMakerTarget(mode="serverless", memory=2048, load=1_000_000, price_table=str(file))
    assert serverless.plan(bundle, "people", None, None).cost.monthly == pytest.approx(0.2)
    job = SageMakerTarget(mode="batch", instance="ml.m5.large", **PLACES)  # type: ignore[arg-type]
    assert "0.12 USD a month at 1 × ml.m5.large for 1 h" in str(job.plan(bundle, "people", None, None).cost)


def test_the_door_passes_its_rehearsal(bundle: Bundle, tmp_path: Path) -> None:
    target = SageMakerTarget()
    made = target.make(bundle, tmp_path)
    assert isinstance(made.handler, Server)
    assert (made.handler.ready, made.handler.predict) == ("/ping", "/invocations")
    assert {"model", "runtime", "door", "numpy", "onnxruntime", "uvicorn"} <= {
        each.name for each in made.components
    }
    found = rehearsed(bundle, "sagemaker", target.limits, made)
    assert found.ok, found.findings
    assert found.matched == found.rows


def test_a_python_that_is_not_here_is_said(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.targets.installing.find_python", lambda minor: None)
    with pytest.raises(DeploymentError, match=r"uv python install 3\.12"):
        SageMakerTarget(python="3.12").make(bundle, tmp_path)


# -- calls and requests -------------------------------------------------------------------------------------------


class Scripted:
    """Answers calls by a script, and notes them."""

    def __init__(self, *answers: Mapping[str, Any] | CallFailed) -> None:
        self._answers = iter(answers)
        self.calls: list[str] = []

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(operation)
        answer = next(self._answers)
        if isinstance(answer, CallFailed):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('Cannot create already existing model "arn:aws:sagemaker:1".', THERE),
        ('Could not find endpoint configuration "arn:aws:sagemaker:1".', GONE),
        ("The request was rejected because the transform job is in status Completed.", GONE),
        ("Could not assume role arn:aws:iam::1:role/a. Please ensure that the role exists", ROLE_NOT_YET),
        ("1 validation error detected", "ValidationException"),
    ],
)
def test_a_failure_is_told_apart_by_its_words(message: str, code: str) -> None:
    send = careful(Scripted(CallFailed("ValidationException", message)))
    with pytest.raises(CallFailed) as failed:
        send("sagemaker", "CreateModel", {"ModelName": "m"})
    assert failed.value.code == code


def test_a_change_waits_for_the_one_before_and_is_over_when_the_endpoint_changes_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modelyard.targets.sagemaker_send._POLL_S", 0.0)
    changing = {"EndpointStatus": "Updating", "EndpointConfigName": "a", "EndpointArn": "arn"}
    done = {**changing, "EndpointStatus": "InService"}
    script = Scripted(changing, done, {"EndpointArn": "arn"}, changing, done)
    asked = {"EndpointName": "e", "EndpointConfigName": "b"}
    careful(script)("sagemaker", "UpdateEndpoint", asked)
    assert script.calls == [
        "DescribeEndpoint", "DescribeEndpoint", "UpdateEndpoint", "DescribeEndpoint", "DescribeEndpoint"
    ]  # fmt: skip
    same = Scripted(done)
    careful(same)("sagemaker", "UpdateEndpoint", {**asked, "EndpointConfigName": "a"})
    assert same.calls == ["DescribeEndpoint"]
    gone = Scripted(done, {}, changing, CallFailed("ValidationException", "Could not find endpoint"))
    careful(gone)("sagemaker", "DeleteEndpoint", {"EndpointName": "e"})
    assert gone.calls.count("DescribeEndpoint") == 3


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sagemaker_transport._sender.cache_clear()
    yield
    sagemaker_transport._sender.cache_clear()


@pytest.mark.parametrize(
    ("failed", "status", "says"),
    [
        (
            CallFailed("ModelError", 'Received client error (422) from primary container with message "{"error": '
            '"row 0 says \\"x\\""}". See https://eu-west-1.console.aws.amazon.com/ in account 1 for more information'),
            422, 'row 0 says "x"',
        ),
        (
            CallFailed("ModelError", 'Received server error (500) from v1 with message "{"error": "it failed"}"'),
            500, "it failed",
        ),
        (CallFailed("ModelError", "Invocation timed out"), 502, "ModelError: Invocation timed out"),
        (CallFailed("NoCredentials", "no AWS credentials were found; type: aws configure"), 502, "aws configure"),
    ],
)  # fmt: skip
def test_what_the_container_refused_comes_back_as_it_said_it(
    failed: CallFailed, status: int, says: str, passed_on: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagemaker_transport, "sender", lambda region, extra: Scripted(failed))
    with httpx.Client(transport=SageMakerTransport()) as client:
        found = client.post("sagemaker://eu-west-1/modelyard-people/predict", json={"rows": [ROW]})
    assert found.status_code == status
    assert says in found.json()["error"]


def test_people_are_told_how_to_ask_without_modelyard() -> None:
    told = usage("sagemaker://eu-west-1/modelyard-people", Path("unused"))
    assert told.startswith(
        "from the shell: aws sagemaker-runtime invoke-endpoint --region eu-west-1 --endpoint-name"
    )
    assert "modelyard-people --custom-attributes GET:/schema" in told
    assert "come in S3" in usage("sagemaker://async@eu-west-1/modelyard-people", Path("unused"))


def test_stopping_a_job_is_over_when_it_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.targets.sagemaker_send._POLL_S", 0.0)
    script = Scripted({}, {"TransformJobStatus": "Stopping"}, {"TransformJobStatus": "Stopped"})
    careful(script)("sagemaker", "StopTransformJob", {"TransformJobName": "j"})
    assert script.calls == ["StopTransformJob", "DescribeTransformJob", "DescribeTransformJob"]


def test_the_magic_lists_the_options_of_sagemaker(shell: InteractiveShell) -> None:
    text = repr(shell.run_cell("%deploy --to sagemaker -h").result)
    for option in option_fields(SageMakerTarget):
        assert f"--{option.name.replace('_', '-')}" in text
