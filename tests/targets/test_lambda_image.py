"""aws-lambda from an image: podman builds it, Debian's registry takes it, AWS's emulator runs it in a container."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from lambda_cloud import LambdaCloud
from modelyard.catalog import open_yard
from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment, Plan
from modelyard.targets.container_engine import Engine, builder

X, y = load_iris(return_X_y=True, as_frame=True)
MODEL = LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture
def options(base_image: str, registry: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 0.0)  # a role is there at once
    return {"package": "image", "base": base_image, "python": "3.11", "engine": "podman"}


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="iris")


def test_the_image_answers_as_the_notebook_did_and_undo_leaves_nothing(
    bundle: Bundle, cloud: LambdaCloud, options: dict[str, Any]
) -> None:
    plan = modelyard.deploy(bundle, to="aws-lambda", **options)
    assert isinstance(plan, Plan)
    assert not cloud.calls
    made = modelyard.deploy(bundle, to="aws-lambda", apply=True, **options)
    assert isinstance(made, Deployment)
    assert [title for title in cloud.calls if title != "engine.Push"] == [
        call.title for call in plan.calls if call.title != "engine.Push"
    ]
    assert [call.title for call in plan.calls].count("engine.Push") == 1
    assert made.predict(X).tolist() == MODEL.predict(X).tolist()
    assert abs(made.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5
    state = open_yard().get("deployment", "iris").payload["state"]
    journal = Path(state["folder"], "state", "calls.jsonl").read_text(encoding="utf-8")
    assert "auth-token" not in journal, "a password is nobody's to keep"

    other = LogisticRegression(max_iter=500, C=0.01).fit(X, y)
    second = modelyard.package(other, X, y, name="iris")
    replaced = modelyard.deploy(second, to="aws-lambda", apply=True, replace=True, **options)
    assert isinstance(replaced, Deployment)
    assert abs(replaced.predict_proba(X) - other.predict_proba(X)).max() < 1e-5
    back = replaced.undo()
    assert back is not None
    assert abs(back.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5
    with pytest.raises(UsageError, match="it was made from image and AWS changes that of no function"):
        modelyard.deploy(second, to="aws-lambda", package="zip", python="3.13", base=None, engine=None)
    assert back.undo() is None
    assert left() == []


def left() -> list[Any]:
    import boto3

    return [
        *boto3.client("lambda").list_functions()["Functions"],
        *boto3.client("ecr").describe_repositories()["repositories"],
        *boto3.client("iam").list_roles()["Roles"],
    ]


@pytest.mark.thorough
def test_two_images_share_what_comes(bundle: Bundle, cloud: LambdaCloud, options: dict[str, Any]) -> None:
    made = modelyard.deploy(bundle, to="aws-lambda", apply=True, **options)
    assert isinstance(made, Deployment)
    other = LogisticRegression(max_iter=500, C=0.01).fit(X, y)
    second = modelyard.package(other, X, y, name="iris")
    modelyard.traffic("iris", split={"v1": 0.5, f"v{second.version}": 0.5})
    expected = [model.predict_proba(X.head(1))[0, 0] for model in (MODEL, other)]
    seen = [min((0, 1), key=lambda n: abs(found - expected[n])) for found in answers(made, 30)]
    assert set(seen) == {0, 1}
    made.remove()
    assert left() == []


def answers(deployment: Deployment, count: int) -> list[float]:
    return [float(deployment.predict_proba(X.head(1))[0, 0]) for _ in range(count)]


@pytest.mark.thorough
def test_a_push_that_fails_is_one_line_and_can_be_gone_on_with(
    bundle: Bundle, cloud: LambdaCloud, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Engine.push
    monkeypatch.setattr(
        Engine, "push", lambda self, image, _: right(self, image, "QVdTOndyb25n")
    )  # AWS:wrong
    with pytest.raises(
        DeploymentError, match=r"engine.Push, failed: podman: podman could not push .* made so far"
    ):
        modelyard.deploy(bundle, to="aws-lambda", apply=True, **options)
    monkeypatch.setattr(Engine, "push", right)
    made = modelyard.deploy(bundle, to="aws-lambda", apply=True, **options)
    assert isinstance(made, Deployment)
    assert made.predict(X.head(3)).tolist() == MODEL.predict(X.head(3)).tolist()
    assert made.undo() is None
    assert left() == []


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_a_base_of_another_architecture_is_named(
    bundle: Bundle, options: dict[str, Any], engine: str
) -> None:
    other = "localhost/modelyard-test-other:1"
    wrong = {"amd64": "arm64", "arm64": "amd64"}[architecture(options["base"])]
    made = subprocess.run(
        ["buildah", "from", options["base"]], check=True, capture_output=True, text=True
    ).stdout
    subprocess.run(["buildah", "config", "--arch", wrong, made.strip()], check=True)
    subprocess.run(["buildah", "commit", "--rm", made.strip(), other], check=True, capture_output=True)
    try:
        with pytest.raises(DeploymentError, match=f"{other} is an image for {wrong}, and .* is wanted"):
            modelyard.deploy(
                bundle, to="container", name="boxed", engine=engine, base=other, python="3.11", network="host"
            )
        assert modelyard.yard().deployments == ()
    finally:
        builder(engine).remove_image(other)


def architecture(image: str) -> str:
    asked = ["podman", "image", "inspect", image]
    found = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    return str(found[0]["Architecture"])
