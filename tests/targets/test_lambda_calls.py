"""The calls of the aws-lambda target, made for real of a server that knows AWS's calls (moto)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from lambda_cloud import LambdaCloud
from modelyard.errors import DeploymentError, UsageError
from modelyard.targets import Deployment, Plan
from modelyard.targets.aws_lambda_calls import Wanted, create, update
from modelyard.targets.aws_lambda_code import Code, ImageCode, ZipCode
from modelyard.targets.calls import Call, Content, filled
from modelyard.targets.image_push import ENGINE

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture
def made(cloud: LambdaCloud) -> list[str]:
    """The calls that boto3 makes, in order, but those that only ask how far one is."""
    return cloud.calls


def packaged(C: float) -> Any:
    return modelyard.package(LogisticRegression(max_iter=500, C=C).fit(X, y), X, y, name="iris")


def planned(bundle: Any) -> Plan:
    found = modelyard.deploy(bundle, to="aws-lambda")
    assert isinstance(found, Plan), "it costs money: nothing is done"
    return found


def titles(plan: Plan) -> list[str]:
    return [call.title for call in plan.calls]


def left(aws: str) -> list[Any]:
    import boto3

    return [
        *boto3.client("lambda").list_functions()["Functions"],
        *boto3.client("iam").list_roles()["Roles"],
        *boto3.client("logs").describe_log_groups()["logGroups"],
    ]


@pytest.mark.parametrize("role", [None, "arn:aws:iam::123456789012:role/own"])
@pytest.mark.parametrize(
    "code",
    [
        ZipCode(Content("function.zip", "0" * 64), "python3.13"),
        ImageCode("3f", "python:3.13-slim", "arm64"),
    ],
    ids=["zip", "image"],
)
def test_every_call_of_a_plan_is_one_that_aws_describes(aws: str, role: str | None, code: Code) -> None:
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    wanted = Wanted(
        "modelyard-iris", "arm64", 512, 30, code, "iris:1", "1" * 64, {"A": "${token_hash}"}, role, 5,
    )  # fmt: skip
    named = defaultdict(lambda: "arn:aws:iam::123456789012:role/made")
    session = get_session()
    for call in _with_all_beside((*create(wanted), *update(wanted))):
        if call.service == ENGINE:  # of this machine
            continue
        service = session.get_service_model(call.service)
        shape = service.operation_model(call.operation).input_shape
        told = ParamValidator().validate(filled(call.parameters, named, lambda content: b"zip"), shape)
        assert not told.has_errors(), f"{call.title}: {told.generate_report()}"


def _with_all_beside(calls: Iterable[Call]) -> Iterator[Call]:
    """Yield calls, and those that look, wait and take back."""
    for call in calls:
        yield call
        beside = (call.found, call.undo, call.settled.call if call.settled else None)
        yield from _with_all_beside(each for each in beside if each is not None)


def kept_instances() -> int:
    import boto3

    found = boto3.client("lambda").get_function_concurrency(FunctionName="modelyard-iris")
    return int(found["ReservedConcurrentExecutions"])


def test_the_calls_made_are_those_of_the_plan_and_undo_leaves_nothing(aws: str, made: list[str]) -> None:
    first = packaged(1.0)
    plan = modelyard.deploy(first, to="aws-lambda", concurrency=3)
    assert isinstance(plan, Plan)
    assert "to 3 at once" in plan.scaling
    assert left(aws) == []
    deployment = modelyard.deploy(first, to="aws-lambda", apply=True, concurrency=3)
    assert isinstance(deployment, Deployment)
    assert made == titles(plan)
    assert deployment.status().health == "ready"

    second = packaged(0.1)
    update = planned(second)
    assert update.changes == ("what answers: iris:1, then iris:2",)
    larger = modelyard.plan(second, to="aws-lambda", memory=512, concurrency=3)
    assert larger.changes == ("what answers: iris:1, then iris:2", "memory: 1769, then 512")
    made.clear()
    replaced = modelyard.deploy(second, to="aws-lambda", apply=True, replace=True)
    assert isinstance(replaced, Deployment)
    assert made == titles(update)
    assert (replaced.url, replaced.bundle) == (deployment.url, "iris:2")

    made.clear()
    back = replaced.undo()
    assert back is not None
    assert back.bundle == "iris:1"
    assert made == ["lambda.UpdateAlias", "lambda.DeleteFunction"]
    assert [back.stop().health, back.stop().health] == ["stopped", "stopped"]
    assert [back.start().health, back.start().health] == ["ready", "ready"]
    assert kept_instances() == 3
    assert back.rotate_token().status().health == "ready"
    assert back.undo() is None
    assert left(aws) == []
    assert modelyard.yard().deployments == ()


def test_a_deploy_that_fails_in_the_middle_is_gone_on_with(
    aws: str, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = packaged(1.0)
    role = "arn:aws:iam::123456789012:role/not-one"
    monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 0.0)
    with pytest.raises(
        DeploymentError, match=r"lambda\.CreateFunction, failed: .*made so far: create the log"
    ):
        modelyard.deploy(bundle, to="aws-lambda", apply=True, role=role)
    assert modelyard.deployment("iris").status().health == "down"
    monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 30.0)
    again = modelyard.deploy(bundle, to="aws-lambda", apply=True)
    assert isinstance(again, Deployment)
    assert again.status().health == "ready"
    again.remove()
    assert left(aws) == []


def test_no_credentials_and_no_region_are_one_line(
    aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = packaged(1.0)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DeploymentError, match=r"no region is set; give one: --region"):
        modelyard.deploy(bundle, to="aws-lambda", apply=True)
    modelyard.undo("iris")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(DeploymentError, match=r"no AWS credentials were found; type: aws configure"):
        modelyard.deploy(bundle, to="aws-lambda", apply=True)
    modelyard.undo("iris")
    assert modelyard.yard().deployments == ()


def test_a_region_that_does_not_answer_is_named(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        DeploymentError, match=r"call 1 of .*; is 'eu-nowhere-1' a region\?; nothing was made"
    ):
        modelyard.deploy(packaged(1.0), to="aws-lambda", apply=True, region="eu-nowhere-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    assert modelyard.undo("iris") is None
    assert modelyard.yard().deployments == ()


@pytest.mark.thorough
def test_region_and_role_of_the_first_deploy_stay_for_all_that_follows(
    cloud: LambdaCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    def functions(region: str) -> list[str]:
        found = boto3.client("lambda", region_name=region).list_functions(FunctionVersion="ALL")["Functions"]
        return sorted(f"{each['Version']} {each['Role'].rpartition('/')[2]}" for each in found)

    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = boto3.client("iam").create_role(RoleName="mine", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    first, second = packaged(1.0), packaged(0.1)
    given = modelyard.deploy(first, to="aws-lambda", apply=True, region="eu-central-1", role=role)
    assert isinstance(given, Deployment)
    assert functions("eu-central-1") == ["$LATEST mine", "1 mine"]
    assert functions("us-east-1") == []
    modelyard.deploy(second, to="aws-lambda", apply=True, replace=True)
    assert functions("eu-central-1") == ["$LATEST mine", "1 mine", "2 mine"]
    with pytest.raises(
        UsageError, match=r"it is in eu-central-1 and stays there; for us-west-2 choose another --name"
    ):
        modelyard.deploy(second, to="aws-lambda", region="us-west-2")
    assert given.status().health == "ready"
    assert given.undo() is not None
    assert functions("eu-central-1") == ["$LATEST mine", "1 mine"]
    given.remove()
    assert functions("eu-central-1") == []

    default = modelyard.deploy(
        first, to="aws-lambda", apply=True, name="other"
    )  # in the environment's region
    assert isinstance(default, Deployment)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert default.status().health == "ready"
    assert default.undo() is None
    assert functions("us-east-1") == []

    wrong = "arn:aws:iam::123456789012:role/not-one"
    monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 0.0)
    with pytest.raises(DeploymentError, match=r"made so far: create the log"):
        modelyard.deploy(first, to="aws-lambda", apply=True, name="half", role=wrong, region="eu-west-1")
    logs = boto3.client("logs", region_name="eu-west-1")
    assert len(logs.describe_log_groups()["logGroups"]) == 1
    assert modelyard.undo("half") is None
    assert logs.describe_log_groups()["logGroups"] == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("CodeStorageExceededException", "Code storage limit exceeded"),
        ("LimitExceededException", "The account has its thousand roles"),
        ("TooManyRequestsException", "Rate Exceeded"),
    ],
)
def test_a_quota_is_one_line_that_says_where_to_ask(
    aws: str, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("lambda")
    stubbed = Stubber(client)
    stubbed.add_client_error("create_function", code, f"{says}.", http_status_code=400)
    stubbed.activate()
    real = boto3.session.Session.client
    monkeypatch.setattr(
        boto3.session.Session, "client", lambda self, name: client if name == "lambda" else real(self, name)
    )
    raised = (
        f"CreateFunction, failed: {code}: {says}; have it raised under Service Quotas of lambda; made so far"
    )
    with pytest.raises(DeploymentError, match=raised):
        modelyard.deploy(packaged(1.0), to="aws-lambda", apply=True)
    stubbed.deactivate()
    monkeypatch.setattr(boto3.session.Session, "client", real)
    assert len(left(aws)) == 2, "the log and the role, which the message names"
    assert modelyard.undo("iris") is None
    assert left(aws) == []
