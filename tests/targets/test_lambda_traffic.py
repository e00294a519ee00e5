"""%traffic on aws-lambda: the alias that moto keeps decides which version answers in AWS's own emulator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from scipy.stats import binom
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from lambda_cloud import LambdaCloud
from modelyard.errors import UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.testing import TrafficContract
from people import a_place_of_its_own

X, y = load_iris(return_X_y=True, as_frame=True)
MODELS = {f"v{n}": LogisticRegression(max_iter=500, C=C).fit(X, y) for n, C in enumerate((1.0, 0.01, 0.1), 1)}
FUNCTION = {"FunctionName": "modelyard-variants"}
PUBLISHED = ["lambda.UpdateFunctionCode", "lambda.UpdateFunctionConfiguration", "lambda.PublishVersion"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(scope="module")
def bundles(place: Path) -> dict[str, Bundle]:
    return {name: modelyard.package(model, X, y, name="iris") for name, model in MODELS.items()}


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, cloud: LambdaCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the module's place, where its bundles are; the zip file of iris:3 is damaged on its way."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))
    cloud.damaged.add("iris:3")


@pytest.mark.thorough
class TestLambdaTraffic(TrafficContract):
    name = "aws-lambda"
    everywhere_s = 15.0  # two calls over the network; how soon AWS's own servers follow, it does not say
    refuses: ClassVar[tuple[dict[str, Any], ...]] = (  # an alias has two versions and a weight, nothing else
        {"shadow": "v2"},
        {"sticky": "user_id"},
        {"canary": {"v2": 0.1, "v3": 0.1}},
        {"canary": "v2", "steps": (0.1, 1.0)},
    )

    @pytest.fixture
    def bundle(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v1"]

    @pytest.fixture
    def second(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v2"]

    @pytest.fixture
    def broken(self, bundles: dict[str, Bundle]) -> Bundle:
        return bundles["v3"]

    @pytest.fixture(autouse=True)
    def account(self, cloud: LambdaCloud) -> None:
        self.cloud = cloud

    def processes(self, deployment: Deployment) -> set[Any]:
        if (
            running := self.cloud.instance("modelyard-variants", "1")
        ) is None:  # it starts with its first request
            httpx.get(f"{deployment.url}/healthz", trust_env=False).raise_for_status()
            running = self.cloud.instance("modelyard-variants", "1")
        return {running}


@pytest.fixture
def variants(bundles: dict[str, Bundle]) -> Iterator[Deployment]:
    made = modelyard.deploy(bundles["v1"], to="aws-lambda", name="variants", apply=True)
    assert isinstance(made, Deployment)
    yield made
    made.remove()


def test_a_tenth_of_the_requests_reaches_the_canary_by_two_calls_and_undo_leaves_nothing(
    variants: Deployment, cloud: LambdaCloud
) -> None:
    asked, share = 500, 0.1
    cloud.calls.clear()
    shown = variants.traffic(canary={"v2": share})
    assert cloud.calls == [
        "lambda.GetAlias", "lambda.ListVersionsByFunction", *PUBLISHED, "lambda.Invoke", "lambda.GetAlias",
        "lambda.GetAlias", "lambda.UpdateAlias", "lambda.GetAlias",
    ]  # fmt: skip
    assert str(shown).startswith("traffic of 'variants': v1 90%, v2 10%")
    assert "version 1 90%, version 2 10%" in str(variants.status())
    answers = [variants.answers(X.head(1))[0] for _ in range(asked)]
    for answer in answers:
        assert answer["predictions"] == MODELS[answer["variant"]].predict(X.head(1)).tolist()
    low, high = binom.ppf([0.0005, 0.9995], asked, share)
    assert low <= Counter(answer["variant"] for answer in answers)["v2"] <= high

    cloud.calls.clear()
    variants.traffic(canary={"v2": 0.5})  # v2 is there: the alias changes, nothing else
    assert [call for call in cloud.calls if call != "lambda.GetAlias"] == ["lambda.UpdateAlias"]
    variants.traffic(promote="v2")
    assert variants.undo() is None  # although the alias points to what is deleted
    assert modelyard.yard().deployments == ()
    import boto3

    assert boto3.client("lambda").list_functions()["Functions"] == []


@pytest.mark.thorough
def test_what_somebody_changes_in_aws_is_shown_and_not_overwritten(
    variants: Deployment, cloud: LambdaCloud
) -> None:
    variants.traffic(canary={"v2": 0.1})
    send = cloud.sender(None, "")

    def changed(share: float) -> None:
        weights = {"AdditionalVersionWeights": {"2": share}}
        send("lambda", "UpdateAlias", {**FUNCTION, "Name": "live", "RoutingConfig": weights})

    changed(0.3)
    shown = variants.traffic()
    assert shown.policy.answering == {"v1": 0.7, "v2": 0.3}
    assert (shown.policy.number, shown.policy.by) == (3, "AWS")
    assert "changed outside of %traffic" in shown.policy.why

    cloud.before["UpdateAlias"] = lambda: changed(0.4)
    with pytest.raises(
        UsageError, match=r"changed meanwhile: number 3 by AWS \(the alias 'live' was changed"
    ):
        variants.traffic(canary={"v2": 0.2})
    assert variants.traffic().policy.answering == {"v1": 0.6, "v2": 0.4}
    after = variants.traffic(promote="v2")
    assert [policy.by == "AWS" for policy in after.history] == [False, False, True, False]
    assert variants.traffic(rollback=True).policy.answering == {"v1": 1.0}


@pytest.mark.thorough
def test_another_token_is_asked_for_by_every_variant_and_after_an_undo(
    variants: Deployment, bundles: dict[str, Bundle]
) -> None:
    variants.traffic(canary={"v2": 0.5})
    first = variants.token
    variants.rotate_token()
    answers = [variants.answers(X)[0] for _ in range(20)]
    assert {answer["variant"] for answer in answers} == {"v1", "v2"}
    assert all(a["predictions"] == MODELS[a["variant"]].predict(X).tolist() for a in answers)
    replaced = modelyard.deploy(bundles["v2"], to="aws-lambda", name="variants", apply=True, replace=True)
    assert isinstance(replaced, Deployment)
    assert replaced.traffic().policy.answering == {"v2": 1.0}
    replaced.traffic(canary={"v1": 0.5})
    second = replaced.token
    replaced.rotate_token()
    back = replaced.undo()
    assert back is not None
    assert back.bundle == "iris:1"
    assert back.traffic().policy.answering == {"v1": 1.0}
    assert back.predict(X).tolist() == MODELS["v1"].predict(X).tolist()
    for token in (first, second):
        refused = httpx.get(
            f"{back.url}/schema", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        assert refused.status_code == 401
