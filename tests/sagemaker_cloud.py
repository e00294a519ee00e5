"""Amazon SageMaker from its two halves that are real here: moto keeps what is there, and the image's own program runs.

moto's server answers most calls, but runs no image, updates no endpoint, and drops shadow variants. `SageMakerCloud`
stands between boto3 and the target. Each call goes through botocore's own model of it first. What AWS refuses and moto
takes is refused. A variant is the program of its image, started as SageMaker starts it (``serve``) from the content of
the image, and every answer comes from there.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from modelyard.errors import DeploymentError
from modelyard.targets.calls import CallFailed, Send
from modelyard.targets.installing import bare_python, find_python
from modelyard.targets.processes import free_port

Answer = Mapping[str, Any]

_EMULATED = ("sagemaker", "sagemaker-runtime", "application-autoscaling")
_POLLING = re.compile(r"Describe|List|Get(?!Auth)")
_LINE = re.compile(r"(?:ENV)?\s+(\w+)=(\S+)")
_WAIT_S = 60.0
_ROOT = "/opt/modelyard"


class KeepingEngine:
    """An engine of containers that keeps the content of what it builds, in place of an image."""

    name = "keeping"

    def __init__(self, folder: Path) -> None:
        self.pushed: dict[str, Path] = {}
        self.damaged: set[str] = set()
        self.broken = ""  # why nothing can be pushed
        self._folder = folder
        self._built: dict[str, Path] = {}

    def build(self, context: Path, image: str, base: str, platform: str) -> None:
        kept = self._folder / f"image-{len(self._built)}"
        shutil.copytree(context, kept, copy_function=os.link)
        self._built[image] = kept
        if any(f"# {tag}," in (kept / "Containerfile").read_text() for tag in self.damaged):
            (model,) = kept.glob("bento/*/src/model/model.onnx")
            content = model.read_bytes()
            model.unlink()
            model.write_bytes(content[:-1] + b"\0")

    def push(self, image: str, right: str) -> None:
        if self.broken:
            raise DeploymentError(self.broken)
        assert right, "no right to push"
        self.pushed[image] = self._built[image]

    def remove_image(self, image: str) -> None:
        """Forget nothing: what was pushed is elsewhere."""


class Container:
    """The program of an image, from the content of that, on loopback."""

    def __init__(self, content: Path, python: str, log: Path) -> None:
        told = (content / "Containerfile").read_text()
        env = {
            name: value.replace(_ROOT, str(content))
            for name, value in _LINE.findall(told.replace("\\\n", "\n"))
        }
        entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", told, re.MULTILINE)[1])  # type: ignore[index]
        assert entry.pop(0) == "python3"
        self.port, self._log = free_port(), log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [python, *entry, "serve", "--host", "127.0.0.1"], cwd=content, stdout=file, stderr=file,
                env={"PATH": os.defpath, "SAGEMAKER_BIND_TO_PORT": str(self.port), **env},
            )  # fmt: skip

    def starts(self) -> bool:
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("GET", "/ping", b"", {})[0] == 200:
                    return True
            except OSError:
                time.sleep(0.02)
        return False

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_WAIT_S)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read(), response.headers.get("content-type", "")
        finally:
            connection.close()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class _Endpoint(NamedTuple):
    region: str
    name: str


class _Served:
    """What an endpoint is."""

    def __init__(
        self, config: str, weights: dict[str, float], models: dict[str, str], shadows: list[str]
    ) -> None:
        self.config, self.weights, self.models, self.shadows = config, weights, models, shadows
        self.status, self.reason = "InService", ""
        self.polls = 0  # how often it is still seen as changing
        self.changing = ""


class SageMakerCloud:
    """What makes calls in place of `modelyard.targets.aws_calls.sender`.

    Parameters
    ----------
    honest : callable
        Makes senders of calls that go to moto.
    folder : Path
        Empty and there.

    Attributes
    ----------
    calls : list of str
        Those that were made, in order, but for such as only look, and requests.
    engine : KeepingEngine
    heard : list of tuple
        What shadows answered: variant and status.
    invoked : list of dict
        The parameters of all requests.
    """

    def __init__(self, honest: Callable[[str | None, str], Send], folder: Path) -> None:
        self.calls: list[str] = []
        self.engine = KeepingEngine(folder)
        self.heard: list[tuple[str, int]] = []
        self.invoked: list[dict[str, Any]] = []
        self._honest, self._folder = honest, folder
        self._senders: dict[str | None, Send] = {}  # making one reads megabytes of descriptions
        self._served: dict[_Endpoint, _Served] = {}
        self._shadows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._containers: dict[tuple[_Endpoint, str, str], Container] = {}
        self._jobs: dict[tuple[str, str], str] = {}
        self._chance = random.Random(0)
        self._pythons: dict[str, str] = {}

    # -- calls ----------------------------------------------------------------------------------------------------

    def sender(self, region: str | None, extra: str) -> Send:
        """Return what makes calls in a region."""
        if region not in self._senders:
            self._senders[region] = self._honest(region, extra)
        send = self._senders[region]
        where = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")

        def heard(service: str, operation: str, parameters: Mapping[str, Any]) -> Answer:
            _check(service, operation, parameters)
            if not _POLLING.match(operation) and service != "sagemaker-runtime":
                self.calls.append(f"{service}.{operation}")
            own = getattr(self, f"_{operation}", None) if service in _EMULATED else None
            if own is None:
                return send(service, operation, parameters)
            answer: Answer = own(where, send, parameters)
            return answer

        return heard

    def _CreateModel(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        role = parameters["ExecutionRoleArn"]
        try:
            send("iam", "GetRole", {"RoleName": role.rpartition("/")[2]})
        except CallFailed:
            raise CallFailed(
                "ValidationException", f"Could not assume role {role}. Ensure that it exists"
            ) from None
        self._new(send, "DescribeModel", "model", {"ModelName": parameters["ModelName"]})
        image = parameters["PrimaryContainer"]["Image"]
        if image not in self.engine.pushed:
            raise CallFailed("ValidationException", f"Requested image {image} not found")
        return send("sagemaker", "CreateModel", parameters)

    def _CreateEndpointConfig(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = {"EndpointConfigName": parameters["EndpointConfigName"]}
        self._new(send, "DescribeEndpointConfig", "endpoint configuration", which)
        variants, shadows = parameters["ProductionVariants"], parameters.get("ShadowProductionVariants", [])
        serverless = [each for each in variants if "ServerlessConfig" in each]
        excluded = {
            "shadows beside several variants": len(shadows) > 1 or (shadows and len(variants) > 1),
            "several serverless variants": serverless and len(variants) > 1,
            "serverless with data capture": serverless and "DataCaptureConfig" in parameters,
            "serverless with a key of disks": serverless and "KmsKeyId" in parameters,
            "shadows of asynchronous endpoints": shadows and "AsyncInferenceConfig" in parameters,
        }
        for what, is_so in excluded.items():
            if is_so:
                raise CallFailed("ValidationException", f"AWS takes no {what}")
        for each in shadows:
            send("sagemaker", "DescribeModel", {"ModelName": each["ModelName"]})
        answer = send("sagemaker", "CreateEndpointConfig", parameters)
        self._shadows[where, which["EndpointConfigName"]] = shadows
        return answer

    def _new(self, send: Send, operation: str, what: str, which: Answer) -> None:
        try:
            send("sagemaker", operation, which)
        except CallFailed:
            return
        (name,) = which.values()
        raise CallFailed("ValidationException", f'Cannot create already existing {what} "arn:{name}".')

    def _DescribeEndpointConfig(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("sagemaker", "DescribeEndpointConfig", parameters)
        shadows = self._shadows.get((where, parameters["EndpointConfigName"]))
        return {**answer, "ShadowProductionVariants": shadows} if shadows else answer

    def _DeleteEndpointConfig(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        name = parameters["EndpointConfigName"]
        used = [
            each for each, served in self._served.items() if each.region == where and served.config == name
        ]
        assert not used, f"AWS asks not to delete {name} while {used} have it"
        return send("sagemaker", "DeleteEndpointConfig", parameters)

    def _CreateEndpoint(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        if which in self._served:
            raise CallFailed(
                "ValidationException", f'Cannot create already existing endpoint "{which.name}".'
            )
        answer = send("sagemaker", "CreateEndpoint", parameters)
        served = self._wanted(where, send, parameters["EndpointConfigName"])
        failed = self._launch(which, send, served)
        if failed:
            served.status, served.reason = "Failed", failed
        else:
            served.changing, served.polls = "Creating", 1
        self._served[which] = served
        return answer

    def _UpdateEndpoint(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        served = self._changeable(which)
        wanted = self._wanted(where, send, parameters["EndpointConfigName"])
        self._check_scaled(which, send, set(served.weights) - set(wanted.weights))
        if failed := self._launch(which, send, wanted):
            served.reason = failed  # and AWS rolls back
        else:
            self._served[which] = served = wanted
            send("sagemaker", "DeleteEndpoint", {"EndpointName": which.name})  # moto updates none
            made = {"EndpointName": which.name, "EndpointConfigName": wanted.config}
            send("sagemaker", "CreateEndpoint", made)
        served.changing, served.polls = "Updating", 1
        return {"EndpointArn": f"arn:aws:sagemaker:{where}:123456789012:endpoint/{which.name}"}

    def _UpdateEndpointWeightsAndCapacities(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        served = self._changeable(which)
        answer = send("sagemaker", "UpdateEndpointWeightsAndCapacities", parameters)
        for each in parameters["DesiredWeightsAndCapacities"]:
            served.weights[each["VariantName"]] = each["DesiredWeight"]
        served.changing, served.polls = "Updating", 1
        return answer

    def _DeleteEndpoint(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        if which in self._served:
            self._check_scaled(which, send, set(self._changeable(which).weights))
            del self._served[which]
            self._end(which)
        return send("sagemaker", "DeleteEndpoint", parameters)

    def _DescribeEndpoint(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        answer = send("sagemaker", "DescribeEndpoint", parameters)
        served = self._served[which]
        status = served.changing if served.polls else served.status
        served.polls = max(0, served.polls - 1)
        variants = [
            {"VariantName": name, "CurrentWeight": _single(weight)} for name, weight in served.weights.items()
        ]
        shadows = [{"VariantName": name, "CurrentWeight": 1.0} for name in served.shadows]
        return {
            **answer, "EndpointConfigName": served.config, "EndpointStatus": status, "ProductionVariants": variants,
            "FailureReason": served.reason, **({"ShadowProductionVariants": shadows} if shadows else {}),
        }  # fmt: skip

    def _changeable(self, which: _Endpoint) -> _Served:
        if which not in self._served:
            raise CallFailed("ValidationException", f'Could not find endpoint "{which.name}".')
        if self._served[which].polls:
            raise CallFailed("ValidationException", f'Cannot update in-progress endpoint "{which.name}".')
        return self._served[which]

    def _check_scaled(self, which: _Endpoint, send: Send, variants: set[str]) -> None:
        """Refuse to take away variants whose instances are scaled."""
        found = send("application-autoscaling", "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})
        scaled = {each["ResourceId"] for each in found["ScalableTargets"]}
        for variant in variants:
            if f"endpoint/{which.name}/variant/{variant}" in scaled:
                raise CallFailed(
                    "ValidationException", f"The variant {variant} must be deregistered from scaling"
                )

    def _DeregisterScalableTarget(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        """Take its policies away with it, which moto leaves."""
        try:
            answer = send("application-autoscaling", "DeregisterScalableTarget", parameters)
        except CallFailed as failed:
            raise CallFailed("ObjectNotFoundException", str(failed)) from None
        space = {"ServiceNamespace": parameters["ServiceNamespace"]}
        for each in send("application-autoscaling", "DescribeScalingPolicies", space)["ScalingPolicies"]:
            if each["ResourceId"] == parameters["ResourceId"]:
                send(
                    "application-autoscaling",
                    "DeleteScalingPolicy",
                    {**parameters, "PolicyName": each["PolicyName"]},
                )
        return answer

    def _wanted(self, where: str, send: Send, config: str) -> _Served:
        found = send("sagemaker", "DescribeEndpointConfig", {"EndpointConfigName": config})
        variants, shadows = found["ProductionVariants"], self._shadows.get((where, config), [])
        return _Served(
            config, {each["VariantName"]: each["InitialVariantWeight"] for each in variants},
            {each["VariantName"]: each["ModelName"] for each in (*variants, *shadows)},
            [each["VariantName"] for each in shadows],
        )  # fmt: skip

    # -- containers -----------------------------------------------------------------------------------------------

    def _launch(self, which: _Endpoint, send: Send, served: _Served) -> str:
        """Start the variants that do not run, and end those that are wanted no longer; return why one does not."""
        wanted = {(which, name, self._image(send, model)) for name, model in served.models.items()}
        for key in wanted - self._containers.keys():
            container = self._started(key[2])
            if not container.starts():
                container.end()
                return (
                    f"The primary container for production variant {key[1]} did not pass the ping health check. "
                    "Please check CloudWatch logs for this endpoint."
                )
            self._containers[key] = container
        for key in [each for each in self._containers if each[0] == which and each not in wanted]:
            self._containers.pop(key).end()
        return ""

    def _image(self, send: Send, model: str) -> str:
        found = send("sagemaker", "DescribeModel", {"ModelName": model})
        return str(found["PrimaryContainer"]["Image"])

    def _started(self, image: str) -> Container:
        content = self.engine.pushed[image]
        python = re.search(r"python:(3\.\d+)", (content / "Containerfile").read_text())
        assert python is not None, "the tests' containers are of the usual base"
        if python[1] not in self._pythons:
            found = find_python(python[1])
            assert found is not None
            self._pythons[python[1]] = bare_python(found, self._folder / f"python{python[1]}")
        return Container(content, self._pythons[python[1]], self._folder / f"log-{time.monotonic_ns()}")

    def _end(self, which: _Endpoint) -> None:
        for key in [each for each in self._containers if each[0] == which]:
            self._containers.pop(key).end()

    def process(self, endpoint: str, variant: str) -> int | None:
        """Return the number of the process that is a variant, if there is one."""
        for (which, name, _), container in self._containers.items():
            if (which.name, name) == (endpoint, variant):
                return container.process.pid
        return None

    def _InvokeEndpoint(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        which = _Endpoint(where, parameters["EndpointName"])
        if which not in self._served or self._served[which].status != "InService":
            raise CallFailed("ValidationError", f"Endpoint {which.name} of account 123456789012 not found.")
        served = self._served[which]
        self.invoked.append(dict(parameters))
        headers = {"content-type": parameters["ContentType"], "accept": parameters["Accept"]}
        if "CustomAttributes" in parameters:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = parameters["CustomAttributes"]
        asked = ("POST", "/invocations", parameters["Body"], headers)
        for name in served.shadows:
            self.heard.append((name, self._running(which, name).ask(*asked)[0]))
        (variant,) = self._chance.choices(list(served.weights), list(served.weights.values()))
        status, body, kind = self._running(which, variant).ask(*asked)
        if status != 200:
            whose = "client" if status < 500 else "server"
            raise CallFailed(
                "ModelError",
                f'Received {whose} error ({status}) from primary container with message "{body.decode()}". See '
                f"https://{where}.console.aws.amazon.com/cloudwatch/home in account 123456789012 for more information",
            )
        return {"Body": io.BytesIO(body), "ContentType": kind, "InvokedProductionVariant": variant}

    def _running(self, which: _Endpoint, variant: str) -> Container:
        return next(
            found for (at, name, _), found in self._containers.items() if (at, name) == (which, variant)
        )

    # -- jobs -----------------------------------------------------------------------------------------------------

    def _CreateTransformJob(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        """Do what AWS does in some minutes: cut each file into lines, ask with some at once, and put them together."""
        answer = send("sagemaker", "CreateTransformJob", parameters)
        container = self._started(self._image(send, parameters["ModelName"]))
        told, output = parameters["TransformInput"], parameters["TransformOutput"]
        places = (told["DataSource"]["S3DataSource"]["S3Uri"], output["S3OutputPath"])
        source, goal = map(urlsplit, places)
        status = "Completed" if container.starts() else "Failed"
        headers = {"content-type": told["ContentType"], "accept": output["Accept"]}
        found = send("s3", "ListObjectsV2", {"Bucket": source.netloc, "Prefix": source.path.strip("/")})
        for each in found["Contents"]:
            stored = send("s3", "GetObject", {"Bucket": source.netloc, "Key": each["Key"]})
            lines, answered = stored["Body"].read().splitlines(keepends=True), b""
            for start in range(0, len(lines), 50):
                code, body, _ = container.ask(
                    "POST", "/invocations", b"".join(lines[start : start + 50]), headers
                )
                status = status if code == 200 else "Failed"
                answered += body
            key = f"{goal.path.strip('/')}/{Path(each['Key']).name}.out"
            send("s3", "PutObject", {"Bucket": goal.netloc, "Key": key, "Body": answered})
        container.end()
        self._jobs[where, parameters["TransformJobName"]] = status
        return answer

    def _DescribeTransformJob(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        answer = send("sagemaker", "DescribeTransformJob", parameters)
        return {**answer, "TransformJobStatus": self._jobs[where, parameters["TransformJobName"]]}

    def _StopTransformJob(self, where: str, send: Send, parameters: Any) -> Answer:  # noqa: N802
        status = self._jobs.get((where, parameters["TransformJobName"]))
        if status is None:
            raise CallFailed("ResourceNotFound", "Could not find requested job with name")
        raise CallFailed(
            "ValidationException", f"The request was rejected: the transform job is in status {status}"
        )

    def __enter__(self) -> SageMakerCloud:
        return self

    def __exit__(self, *_: object) -> None:
        for container in self._containers.values():
            container.end()


def _check(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Hold a call against AWS's own description of it."""
    from botocore.validate import ParamValidator

    shape = _model(service).operation_model(operation).input_shape
    told = ParamValidator().validate(parameters, shape)
    assert not told.has_errors(), f"{service}.{operation}: {told.generate_report()}"


@cache
def _model(service: str) -> Any:
    from botocore.session import get_session

    return get_session().get_service_model(service)


def _single(weight: float) -> float:
    """Return a weight as AWS keeps it: in single precision."""
    import numpy as np

    return float(np.float32(weight))
