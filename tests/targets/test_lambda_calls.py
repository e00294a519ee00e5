"""The calls of the aws-lambda target, made for real of a server that knows AWS's calls (moto)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from emulators import ENVIRONMENT
from modelyard.errors import DeploymentError
from modelyard.targets import Deployment, Plan
from modelyard.targets.processes import free_port

X, y = load_iris(return_X_y=True, as_frame=True)
SETTLING = ("GetFunctionConfiguration",)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server of AWS's calls; boto3 is pure Python, so that of the environment of targets serves here, too."""
    monkeypatch.syspath_prepend(str(next(ENVIRONMENT.glob("lib/python3*/site-packages"))))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [str(ENVIRONMENT / "bin" / "python"), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(url)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        for name, value in {
            "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield url
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that boto3 makes, in order, but those that only ask how far one is."""
    from modelyard.targets import aws_calls

    calls: list[str] = []
    honest = aws_calls.sender

    def listening(region: str | None, extra: str) -> Any:
        send = honest(region, extra)

        def heard(service: str, operation: str, parameters: Any) -> Any:
            if operation not in SETTLING:
                calls.append(f"{service}.{operation}")
            return send(service, operation, parameters)

        return heard

    monkeypatch.setattr("modelyard.targets.aws_lambda_live.sender", listening)
    return calls


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


def test_the_calls_made_are_those_of_the_plan_and_undo_leaves_nothing(aws: str, made: list[str]) -> None:
    first = packaged(1.0)
    plan = planned(first)
    assert left(aws) == []
    deployment = modelyard.deploy(first, to="aws-lambda", apply=True)
    assert isinstance(deployment, Deployment)
    assert made == titles(plan)
    assert deployment.status().health == "ready"
    assert deployment.url.startswith("https://")

    second = packaged(0.1)
    update = planned(second)
    assert update.changes == ("what answers: iris:1, then iris:2",)
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
