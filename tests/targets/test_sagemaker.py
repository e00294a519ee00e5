"""sagemaker keeps what every target promises: its calls go to moto, its variants are the images' own programs."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from modelyard.errors import ContractError, DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment, Plan, aws_calls, deployments, sagemaker_image, sagemaker_transport
from modelyard.targets.artifact import Artifact, files_in
from modelyard.targets.calls import Call, filled
from modelyard.targets.client import explains
from modelyard.targets.connection import connect
from modelyard.targets.image_push import ENGINE
from modelyard.targets.sagemaker import SageMakerTarget
from modelyard.targets.sagemaker_image import CONTEXT, Recipe
from modelyard.testing import TargetContract, TrafficContract
from people import a_place_of_its_own
from sagemaker_cloud import SageMakerCloud

X, y = load_iris(return_X_y=True, as_frame=True)
MODELS = {f"v{n}": LogisticRegression(max_iter=500, C=C).fit(X, y) for n, C in enumerate((1.0, 0.01, 0.1), 1)}
KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(scope="module")
def bundles(place: Path) -> dict[str, Bundle]:
    return {name: modelyard.package(model, X, y, name="iris") for name, model in MODELS.items()}


@pytest.fixture
def bundle(bundles: dict[str, Bundle]) -> Bundle:
    return bundles["v1"]


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make each image's content once in this module, and install each lock once; a test proves that it is the same."""
    made: dict[str, Artifact] = {}
    installed: dict[Any, Path] = {}

    def fill(self: Recipe, bundle: Bundle, folder: Path) -> Artifact:
        identity = self.identity(bundle)
        if identity not in made:
            made[identity] = _FILL(self, bundle, tmp_path_factory.mktemp("filled"))
        there = made[identity]
        _linked(there.folder, folder)
        handler = there.handler
        paths = tuple(folder / path.relative_to(there.folder) for path in handler.paths)
        env = {name: value.replace(str(there.folder), str(folder)) for name, value in handler.env.items()}
        return dataclasses.replace(
            there, folder=folder, handler=dataclasses.replace(handler, paths=paths, env=env)
        )

    def install(lock: list[str], site: Path, *rest: Any) -> None:
        key = (*lock, *rest)
        if key not in installed:
            installed[key] = tmp_path_factory.mktemp("installed")
            _INSTALL(lock, installed[key], *rest)
        _linked(installed[key], site)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recipe, "fill", fill)
        patched.setattr("modelyard.targets.sagemaker_image.install", install)
        yield


def _linked(origin: Path, folder: Path) -> None:
    shutil.copytree(origin, folder, copy_function=os.link, dirs_exist_ok=True, symlinks=True)


_FILL, _INSTALL = Recipe.fill, sagemaker_image.install


@pytest.fixture(autouse=True)
def cloud(
    aws: str,
    filled_once: None,
    place: Path,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SageMakerCloud]:
    """An account whose endpoints answer; the image of iris:3 is damaged on its way. Work where the bundles are."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))
    monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 0.0)  # a role is there at once
    monkeypatch.setattr("modelyard.targets.carrying_out._POLL_S", 0.01)
    monkeypatch.setattr("modelyard.targets.sagemaker_send._POLL_S", 0.01)
    with SageMakerCloud(aws_calls.sender, tmp_path_factory.mktemp("cloud")) as made:
        made.engine.damaged.add("iris:3")
        monkeypatch.setattr("modelyard.targets.sagemaker.builder", lambda chosen: made.engine)
        for module in ("sagemaker_live", "sagemaker_transport"):
            monkeypatch.setattr(f"modelyard.targets.{module}.sender", made.sender)
        sagemaker_transport._sender.cache_clear()
        yield made
        for each in deployments():  # of a test that failed
            each.remove()
    sagemaker_transport._sender.cache_clear()


class TestSageMakerKeepsTheContract(TargetContract):
    name = "sagemaker"

    def broken_options(self) -> dict[str, Any]:
        return {"role": "arn:aws:iam::123456789012:role/not-one"}

    @pytest.fixture
    def bundle(self, bundle: Bundle) -> Bundle:  # the module's, not the suite's
        return bundle


class TestSageMakerTraffic(TrafficContract):
    name = "sagemaker"
    everywhere_s = 15.0  # weights are two calls; a variant that comes or goes takes AWS some minutes
    refuses: ClassVar[tuple[dict[str, Any], ...]] = (
        {"sticky": "user_id"},
        {"canary": "v2", "steps": (0.1, 1.0)},
        {"canary": {"v2": 0.1}, "shadow": ["v3"]},
        {"shadow": ["v2", "v3"]},
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
    def account(self, cloud: SageMakerCloud) -> None:
        self.cloud = cloud

    def processes(self, deployment: Deployment) -> set[Any]:
        return {self.cloud.process("modelyard-variants", "v1")}


def deployed(bundle: Bundle, **options: Any) -> Deployment:
    made = modelyard.deploy(bundle, to="sagemaker", name="variants", apply=True, **options)
    assert isinstance(made, Deployment)
    return made


def planned(bundle: Bundle, **options: Any) -> Plan:
    found = modelyard.deploy(bundle, to="sagemaker", name="variants", **options)
    assert isinstance(found, Plan), "it costs money: nothing is done"
    return found


@pytest.fixture
def variants(bundle: Bundle) -> Iterator[Deployment]:
    made = deployed(bundle)
    yield made
    made.remove()


def left() -> list[Any]:
    import boto3

    sagemaker = boto3.client("sagemaker")
    scaling = boto3.client("application-autoscaling")
    return [
        *sagemaker.list_endpoints()["Endpoints"],
        *sagemaker.list_endpoint_configs()["EndpointConfigs"],
        *sagemaker.list_models()["Models"],
        *scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
        *boto3.client("ecr").describe_repositories()["repositories"],
        *boto3.client("iam").list_roles()["Roles"],
        *boto3.client("logs").describe_log_groups()["logGroups"],
    ]


def titles(plan: Plan) -> list[str]:
    """Return the calls of a plan that AWS gets, but those that look."""
    looking = ("Describe", "List")
    return [
        call.title for call in plan.calls if call.service != ENGINE and not call.operation.startswith(looking)
    ]


MODES: dict[str, dict[str, Any]] = {
    "endpoint": {"capture": "s3://mine/seen", "capture_share": 10, "key": KEY, "most_instances": 3},
    "arm": {"instance": "ml.m6g.large", "instances": 2},
    "serverless": {"mode": "serverless", "memory": 1024, "concurrency": 5},
    "async": {
        "mode": "async", "input": "s3://mine/in", "output": "s3://mine/out", "most_instances": 2, "concurrency": 4,
        "key": KEY,
    },
    "batch": {"mode": "batch", "input": "s3://mine/in", "output": "s3://mine/out", "content": "csv", "key": KEY},
    "role": {"role": "arn:aws:iam::123456789012:role/own"},
}  # fmt: skip


@pytest.mark.parametrize("options", MODES.values(), ids=MODES)
def test_every_call_of_a_plan_is_one_that_aws_describes(
    bundles: dict[str, Bundle], options: dict[str, Any]
) -> None:
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    named = defaultdict(lambda: "arn:aws:iam::123456789012:role/made", started="20261130120000", before="c-1")
    target = SageMakerTarget(**options)
    first, second = bundles["v1"], bundles["v2"]
    state = {
        "config": "c",
        "mode": target.mode,
        "policy": "serve-0",
        "scaling": {"least": 1, "most": 2, "per_instance": 9},
    }
    calls = [
        *target._calls(first, "modelyard-iris", None),
        *target._calls(second, "modelyard-iris", {**state, "folder": "/nowhere"}),
    ]
    session = get_session()
    for call in _with_all_beside(calls):
        if call.service == ENGINE:  # of this machine
            continue
        shape = session.get_service_model(call.service).operation_model(call.operation).input_shape
        told = ParamValidator().validate(filled(call.parameters, named, lambda content: b""), shape)
        assert not told.has_errors(), f"{call.title}: {told.generate_report()}"
        assert len(call.parameters.get("ModelName", "")) <= 63


def _with_all_beside(calls: Iterable[Call]) -> Iterator[Call]:
    """Yield calls, and those that look, wait and take back."""
    for call in calls:
        yield call
        beside = (call.found, call.undo, call.settled.call if call.settled else None)
        yield from _with_all_beside(each for each in beside if each is not None)


def test_the_calls_made_are_those_of_the_plan_and_undo_leaves_nothing(
    bundles: dict[str, Bundle], cloud: SageMakerCloud
) -> None:
    first, second = bundles["v1"], bundles["v2"]
    plan = planned(first)
    assert left() == []
    made = deployed(first)
    assert cloud.calls == titles(plan)
    assert str(made.status()) == "ready: v1 100% at modelyard-variants"
    assert made.url == "sagemaker://us-east-1/modelyard-variants"
    assert "aws sagemaker-runtime invoke-endpoint --region us-east-1" in made.notes()[0]

    update = planned(second)
    assert update.changes == ("what answers: iris:1, then iris:2",)
    cloud.calls.clear()
    replaced = deployed(second, replace=True)
    assert cloud.calls == titles(update)
    assert replaced.url == made.url
    assert {a["variant"] for a in replaced.answers(X)} == {"v2"}

    cloud.calls.clear()
    back = replaced.undo()
    assert back is not None
    assert back.bundle == "iris:1"
    assert cloud.calls == [
        "sagemaker.UpdateEndpoint", "sagemaker.DeleteEndpointConfig", "sagemaker.DeleteModel"
    ]  # fmt: skip
    assert back.predict(X).tolist() == MODELS["v1"].predict(X).tolist()
    assert [back.stop().health, back.start().health] == ["stopped", "ready"]
    assert {a["variant"] for a in back.answers(X)} == {"v1"}
    token = back.token
    assert back.rotate_token().token != token
    assert back.predict(X.head(2)).tolist() == MODELS["v1"].predict(X.head(2)).tolist()
    assert back.undo() is None
    assert left() == []


def test_a_replacement_of_what_has_variants_is_undone_to_those(
    variants: Deployment, bundles: dict[str, Bundle]
) -> None:
    variants.traffic(canary={"v2": 0.5})
    replaced = deployed(bundles["v2"], replace=True)
    replaced.traffic(canary={"v1": 0.25})
    replaced.traffic(promote="v1")
    back = replaced.undo()
    assert back is not None
    assert back.traffic().policy.answering == {"v1": 0.5, "v2": 0.5}
    back.stop()
    back.start()
    assert {back.answers(X.head(1))[0]["variant"] for _ in range(30)} == {"v1", "v2"}


def test_an_undo_while_it_is_stopped_is_started_as_it_was_before(
    variants: Deployment, bundles: dict[str, Bundle]
) -> None:
    replaced = deployed(bundles["v2"], replace=True)
    replaced.stop()
    with pytest.raises(DeploymentError, match=r"modelyard-variants is stopped; start\(\) it first"):
        deployed(bundles["v1"], replace=True)
    back = modelyard.undo("variants")
    assert back is not None
    assert back.start().health == "ready"
    assert {a["variant"] for a in back.answers(X)} == {"v1"}


def test_a_tenth_of_the_requests_reaches_the_canary_and_a_shadow_hears_all(
    variants: Deployment, cloud: SageMakerCloud
) -> None:
    asked, share = 300, 0.1
    cloud.calls.clear()
    variants.traffic(canary={"v2": share})
    assert cloud.calls == [
        "ecr.GetAuthorizationToken", "sagemaker.CreateModel", "sagemaker.CreateEndpointConfig",
        "sagemaker.UpdateEndpoint",
    ]  # fmt: skip
    assert "v1 90%, v2 10%" in str(variants.status())
    answers = [variants.answers(X.head(1))[0] for _ in range(asked)]
    low, high = binom.ppf([0.0005, 0.9995], asked, share)
    assert low <= Counter(answer["variant"] for answer in answers)["v2"] <= high

    cloud.calls.clear()
    variants.traffic(canary={"v2": 0.5})  # v2 is there: weights change, nothing else
    assert cloud.calls == ["sagemaker.UpdateEndpointWeightsAndCapacities"]
    variants.traffic(promote="v2")
    assert cloud.process("modelyard-variants", "v1") is None, "what nobody asks is not paid for"
    variants.traffic(shadow="v1")
    assert "v2 100%, v1 listens" in str(variants.status())
    assert {variants.answers(X)[0]["variant"] for _ in range(5)} == {"v2"}
    assert cloud.heard == [("v1", 200)] * 5
    assert variants.undo() is None
    assert left() == []


def test_what_somebody_changes_in_aws_is_shown_and_not_overwritten(
    variants: Deployment, bundles: dict[str, Bundle], cloud: SageMakerCloud
) -> None:
    variants.traffic(canary={"v2": 0.1})
    send = cloud.sender(None, "")
    endpoint = {"EndpointName": "modelyard-variants"}
    send("sagemaker", "UpdateEndpointWeightsAndCapacities", {
        **endpoint, "DesiredWeightsAndCapacities": [{"VariantName": "v2", "DesiredWeight": 0.9}],
    })  # fmt: skip
    shown = variants.traffic()
    assert {name: round(share, 6) for name, share in shown.policy.answering.items()} == {"v1": 0.5, "v2": 0.5}
    assert (shown.policy.number, shown.policy.by) == (3, "AWS")

    model = next(
        each["ModelName"]
        for each in send("sagemaker", "ListModels", {})["Models"]
        if "-v2-" in each["ModelName"]
    )
    other = {"ModelName": model, "VariantName": "other", "InitialVariantWeight": 1.0}
    place = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    send("sagemaker", "CreateEndpointConfig", {
        "EndpointConfigName": "somebodys", "ProductionVariants": [{**other, **place}]
    })  # fmt: skip
    send("sagemaker", "DescribeEndpoint", endpoint)
    send("sagemaker", "UpdateEndpoint", {**endpoint, "EndpointConfigName": "somebodys"})
    found = variants.traffic().policy
    assert (found.answering, found.variants["other"].tag) == ({"other": 1.0}, "iris:2")
    told = r"changed outside of %traffic: it answers by other 100% of somebodys; look with %traffic"
    with pytest.raises(DeploymentError, match=told):
        deployed(bundles["v2"], replace=True)
    assert variants.traffic().policy.answering == {"other": 1.0}
    after = variants.traffic(promote="v1")
    assert [policy.by == "AWS" for policy in after.history] == [False, False, True, False]
    deployed(bundles["v2"], replace=True)


def test_an_endpoint_that_was_there_before_is_refused_in_one_line(
    bundle: Bundle, cloud: SageMakerCloud
) -> None:
    import boto3

    client, send = boto3.client("sagemaker"), cloud.sender(None, "")
    made = deployed(bundle)
    config = str(
        send("sagemaker", "DescribeEndpoint", {"EndpointName": "modelyard-variants"})["EndpointConfigName"]
    )
    send("sagemaker", "CreateEndpoint", {"EndpointName": "modelyard-others", "EndpointConfigName": config})
    told = (
        r"an endpoint modelyard-others is there already and is not this deployment's: it answers by v1 100% of "
        rf"{config}; choose another --name, or delete that one: aws sagemaker delete-endpoint"
    )
    with pytest.raises(DeploymentError, match=told):
        modelyard.deploy(bundle, to="sagemaker", name="others", apply=True)
    assert [each.name for each in modelyard.yard().deployments] == ["variants"]
    send("sagemaker", "DeleteEndpoint", {"EndpointName": "modelyard-others"})
    made.remove()
    assert client.list_endpoints()["Endpoints"] == []


def test_a_deploy_that_fails_in_the_middle_is_gone_on_with(bundle: Bundle, cloud: SageMakerCloud) -> None:
    cloud.engine.broken = "keeping could not push: no space"
    with pytest.raises(
        DeploymentError, match=r"engine\.Push, failed: keeping: .*no space; made so far: create the log"
    ):
        deployed(bundle)
    assert modelyard.deployment("variants").status().health == "down"
    cloud.engine.broken = ""
    again = deployed(bundle)
    assert again.status().health == "ready"
    assert again.undo() is None
    assert left() == []


def test_a_model_that_does_not_load_is_said_in_awss_own_words(bundles: dict[str, Bundle]) -> None:
    told = r"CreateEndpoint, failed: Failed: The primary container for production variant v3 did not pass the ping"
    with pytest.raises(DeploymentError, match=told):
        deployed(bundles["v3"])
    assert modelyard.undo("variants") is None
    assert left() == []


def test_instances_follow_the_requests_of_each_variant_as_long_as_it_is_there(
    bundles: dict[str, Bundle], cloud: SageMakerCloud
) -> None:
    import boto3

    scaling = boto3.client("application-autoscaling")

    def scaled() -> dict[str, tuple[int, int]]:
        found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        return {
            each["ResourceId"].rpartition("/")[2]: (each["MinCapacity"], each["MaxCapacity"])
            for each in found
        }

    plan = planned(bundles["v1"], most_instances=3, per_instance=600.0)
    assert plan.scaling == f"1 to 3 × {SageMakerTarget()._instance}, for 600 requests a minute each"
    made = deployed(bundles["v1"], most_instances=3, per_instance=600.0)
    assert scaled() == {"v1": (1, 3)}
    made.traffic(canary={"v2": 0.5})
    assert scaled() == {"v1": (1, 3), "v2": (1, 3)}
    made.traffic(promote="v2")
    assert scaled() == {"v2": (1, 3)}
    made.stop()
    assert scaled() == {}
    made.start()
    assert scaled() == {"v2": (1, 3)}
    with pytest.raises(DeploymentError, match="v3 does not load"):
        made.traffic(canary={"v3": 0.5})
    assert scaled() == {"v2": (1, 3)}
    replaced = deployed(bundles["v1"], replace=True, most_instances=5)
    assert scaled() == {"v1": (1, 5)}
    policy = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for each in policy] == [600.0]
    back = replaced.undo()
    assert back is not None
    assert scaled() == {"v2": (1, 3)}
    assert back.undo() is None
    assert left() == []


def test_a_serverless_endpoint_has_one_variant(bundles: dict[str, Bundle], cloud: SageMakerCloud) -> None:
    made = deployed(bundles["v1"], mode="serverless", memory=1024)
    assert made.predict(X).tolist() == MODELS["v1"].predict(X).tolist()
    with pytest.raises(UsageError, match=r"has one variant at most, found v1, v2; type --promote v2"):
        made.traffic(canary={"v2": 0.5})
    with pytest.raises(
        UsageError, match=r"a serverless endpoint, .* has no shadows \(v2\); type --shadow off"
    ):
        made.traffic(shadow="v2")
    made.traffic(promote="v2")
    assert {a["variant"] for a in made.answers(X)} == {"v2"}
    made.traffic(rollback=True)
    assert {a["variant"] for a in made.answers(X)} == {"v1"}
    with pytest.raises(
        UsageError, match="it was made as serverless and stays that; for endpoint choose another"
    ):
        planned(bundles["v2"], mode="endpoint", memory=None)
    assert made.undo() is None
    assert left() == []


def test_what_is_captured_is_encrypted_by_the_key_and_the_role_may_write_there(bundle: Bundle) -> None:
    import boto3

    made = deployed(bundle, **MODES["endpoint"])
    (config,) = boto3.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    found = boto3.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=config["EndpointConfigName"]
    )
    captured = found["DataCaptureConfig"]
    assert (captured["DestinationS3Uri"], captured["InitialSamplingPercentage"]) == ("s3://mine/seen", 10)
    assert (captured["KmsKeyId"], found["KmsKeyId"]) == (KEY, KEY)
    iam = boto3.client("iam")
    (name,) = iam.list_role_policies(RoleName="modelyard-variants")["PolicyNames"]
    policy = iam.get_role_policy(RoleName="modelyard-variants", PolicyName=name)["PolicyDocument"]
    may = {action: each["Resource"] for each in policy["Statement"] for action in each["Action"]}
    assert may["s3:PutObject"] == ["arn:aws:s3:::mine/seen/*"]
    assert may["kms:GenerateDataKey"] == KEY
    moved = deployed(bundle, replace=True, capture="s3://mine/elsewhere")
    assert len(iam.list_role_policies(RoleName="modelyard-variants")["PolicyNames"]) == 2
    assert moved.undo() is not None
    assert iam.list_role_policies(RoleName="modelyard-variants")["PolicyNames"] == [name]
    made.remove()
    assert left() == []


def test_an_asynchronous_endpoint_says_where_its_answers_are(bundle: Bundle, cloud: SageMakerCloud) -> None:
    made = deployed(bundle, mode="async", input="s3://mine/in", output="s3://mine/out")
    assert made.status().health == "ready"
    with pytest.raises(
        DeploymentError, match=r"answered 501: the answers of an asynchronous endpoint come in S3;"
    ):
        made.predict(X)
    with pytest.raises(UsageError, match="has no shadows"):
        made.traffic(shadow="v2")
    made.traffic(canary={"v2": 0.5})
    assert "v1 50%, v2 50%" in str(made.status())
    assert made.undo() is None
    assert left() == []


@pytest.mark.parametrize("content", ["jsonlines", "csv"])
def test_a_batch_transform_answers_every_line(bundle: Bundle, content: str) -> None:
    import boto3

    store = boto3.client("s3")
    store.create_bucket(Bucket="mine")
    lines = (
        X.to_json(orient="records", lines=True)
        if content == "jsonlines"
        else X.to_csv(index=False, header=False)
    )
    store.put_object(Bucket="mine", Key="in/rows", Body=lines.encode())
    options = {"mode": "batch", "input": "s3://mine/in", "output": "s3://mine/out", "content": content}
    assert planned(bundle, **options).steps[-1].startswith("answer every line of s3://mine/in once")
    made = deployed(bundle, **options)
    assert made.status().health == "ready"
    assert "is Completed" in made.status().detail
    answered = store.get_object(Bucket="mine", Key="out/rows.out")["Body"].read().decode().splitlines()
    if content == "jsonlines":
        told = [json.loads(line) for line in answered]
        found = [line["prediction"] for line in told]
        shares = np.array([[line["probabilities"][str(c)] for c in range(3)] for line in told])
    else:
        rows = [line.split(",") for line in answered]
        found, shares = [int(row[0]) for row in rows], np.array([[float(p) for p in row[1:]] for row in rows])
    assert found == MODELS["v1"].predict(X).tolist()
    assert abs(shares - MODELS["v1"].predict_proba(X)).max() < 1e-5
    with pytest.raises(
        DeploymentError, match="answered 501: a batch transform has no endpoint to ask; its answers"
    ):
        made.predict(X)
    with pytest.raises(DeploymentError, match="a batch transform has no endpoint, and so no traffic"):
        made.traffic()
    made.stop()
    made.start()
    assert made.undo() is None
    assert left() == []


def test_every_path_of_the_door_is_reached_through_the_one_that_there_is(
    variants: Deployment, cloud: SageMakerCloud
) -> None:
    with connect(variants.url, 10) as client:
        assert client.get(f"{variants.url}/schema").json()["oneOf"]
        assert client.get(f"{variants.url}/nothing").status_code == 404
        assert b"modelyard" in client.get(f"{variants.url}/metrics").content
    assert [each.get("CustomAttributes") for each in cloud.invoked] == [
        "GET:/schema",
        "GET:/nothing",
        "GET:/metrics",
    ]
    assert not explains(variants.url, variants.token)
    with pytest.raises(DeploymentError, match="no explainer in this bundle"):
        variants.explanations(X.head(1))
    rows = X.head(2).assign(**{X.columns[0]: ["much", 1.0]})
    with pytest.raises(ContractError, match=r"row 0, column 'sepal length \(cm\)'"):
        variants.predict(rows)
    variants.stop()
    with pytest.raises(
        DeploymentError, match=r"answered 502: ValidationError: Endpoint modelyard-variants of"
    ):
        variants.predict(X)
    variants.start()


def test_the_same_bundle_makes_the_same_files(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, fill, install in (("kept", Recipe.fill, None), ("again", _FILL, _INSTALL)):
        (tmp_path / name).mkdir()
        if install is not None:
            monkeypatch.setattr(sagemaker_image, "install", install)
        folder = fill(SageMakerTarget()._recipe, bundle, tmp_path / name).folder / CONTEXT
        found.append({path: (folder / path).read_bytes() for path in files_in(folder)})
    assert found[0] == found[1]


def test_status_of_what_aws_does_not_answer_for_is_an_answer(variants: Deployment) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("modelyard.targets.sagemaker_live.sender", aws_calls.sender)
        patched.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        patched.setenv("AWS_MAX_ATTEMPTS", "1")
        found = variants.status()
    assert (found.health, "Could not connect" in found.detail) == ("down", True)
