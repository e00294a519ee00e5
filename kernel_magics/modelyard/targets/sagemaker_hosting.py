"""An endpoint's configuration: which models answer how much on what, as one call's parameters, named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.targets.calls import Call, Settled
from modelyard.targets.sagemaker_instances import encrypts_itself
from modelyard.targets.sagemaker_send import BROKEN, GONE, IN_SERVICE, PATIENCE_S, THERE

_LONGEST = 63
_CAPTURED = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
_KINDS = {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]}


def named(endpoint: str, suffix: str) -> str:
    """Return a name that begins as the endpoint's and is no longer than SageMaker takes.

    >>> named("modelyard-churn", "v2-0a1b2c3d")
    'modelyard-churn-v2-0a1b2c3d'
    """
    return f"{endpoint[: _LONGEST - len(suffix) - 1].rstrip('-')}-{suffix}"


def as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as SageMaker writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@dataclass(frozen=True)
class Hosting:
    """What every configuration of one endpoint says.

    Attributes
    ----------
    endpoint : str
    tags : mapping of str to str
    instance, instances : str, int
        Of each variant; the type is ``""`` where it is serverless.
    memory_mb, concurrency : int or None
        Of a serverless variant; or the second, of an asynchronous one: the most requests at once on one instance.
    capture, share : str or None, float
        Where in S3 requests and answers are kept, and how many percent of them.
    output : str or None
        Where in S3 the answers of an asynchronous endpoint go.
    key : str or None
        The ARN of the KMS key that encrypts all this.
    """

    endpoint: str
    tags: Mapping[str, str]
    instance: str
    instances: int = 1
    memory_mb: int | None = None
    concurrency: int | None = None
    capture: str | None = None
    share: float = 100
    output: str | None = None
    key: str | None = None

    def configuration(
        self, models: Mapping[str, str], weights: Mapping[str, float], shadows: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the parameters of ``CreateEndpointConfig``.

        Parameters
        ----------
        models : mapping of str to str
            The name of each variant's model.
        weights : mapping of str to float
            The share of each variant that answers, or may.
        shadows : sequence of str
            Variants that get a copy of each request; the answers are heard by nobody.
        """
        content = {
            "ProductionVariants": [self._variant(name, models[name], weights[name]) for name in weights],
            **self._shadows(models, shadows), **self._kept(), **self._asynchronous(), **self._encrypted(),
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps([self.endpoint, content], sort_keys=True).encode()).hexdigest()
        return {
            "EndpointConfigName": named(self.endpoint, digest[:10]), **content, "Tags": as_tags(self.tags),
        }  # fmt: skip

    def _variant(self, name: str, model: str, weight: float) -> dict[str, Any]:
        place: dict[str, Any] = {"InstanceType": self.instance, "InitialInstanceCount": self.instances}
        if self.memory_mb is not None:
            place = {
                "ServerlessConfig": {"MemorySizeInMB": self.memory_mb, "MaxConcurrency": self.concurrency}
            }
        return {"VariantName": name, "ModelName": model, "InitialVariantWeight": weight, **place}

    def _shadows(self, models: Mapping[str, str], shadows: Sequence[str]) -> dict[str, Any]:
        listening = [self._variant(name, models[name], 1.0) for name in shadows]
        return {"ShadowProductionVariants": listening} if listening else {}

    def _kept(self) -> dict[str, Any]:
        if self.capture is None:
            return {}
        return {
            "DataCaptureConfig": {
                "EnableCapture": True, "InitialSamplingPercentage": int(self.share),
                "DestinationS3Uri": self.capture, "CaptureOptions": _CAPTURED, "CaptureContentTypeHeader": _KINDS,
                **self._key(),
            }
        }  # fmt: skip

    def _asynchronous(self) -> dict[str, Any]:
        if self.output is None:
            return {}
        at_once = (
            {} if self.concurrency is None else {"MaxConcurrentInvocationsPerInstance": self.concurrency}
        )
        return {
            "AsyncInferenceConfig": {
                "OutputConfig": {"S3OutputPath": self.output, **self._key()},
                **({"ClientConfig": at_once} if at_once else {}),
            }
        }

    def _encrypted(self) -> dict[str, Any]:
        """Return the key of the instances' disks, unless they have disks that encrypt themselves."""
        return {} if not self.instance or encrypts_itself(self.instance) else self._key()

    def _key(self) -> dict[str, str]:
        return {} if self.key is None else {"KmsKeyId": self.key}


def configured(parameters: Mapping[str, Any]) -> Call:
    """Return the call that makes a configuration."""
    which = {"EndpointConfigName": parameters["EndpointConfigName"]}
    variants = ", ".join(each["VariantName"] for each in parameters["ProductionVariants"])
    return Call(
        f"configure an endpoint with {variants}: {which['EndpointConfigName']}", "sagemaker", "CreateEndpointConfig",
        parameters, exists=THERE, found=Call("look", "sagemaker", "DescribeEndpointConfig", which),
        undo=Call(
            f"delete the configuration {which['EndpointConfigName']}", "sagemaker", "DeleteEndpointConfig", which,
            exists=GONE,
        ),
    )  # fmt: skip


def created(endpoint: str, configuration: str, tags: Mapping[str, str]) -> Call:
    """Return the call that makes an endpoint."""
    which = {"EndpointName": endpoint}
    return Call(
        f"create the endpoint {endpoint}", "sagemaker", "CreateEndpoint",
        {**which, "EndpointConfigName": configuration, "Tags": as_tags(tags)}, {"endpoint": "EndpointArn"},
        exists=THERE, found=Call("look", "sagemaker", "DescribeEndpoint", which, {"endpoint": "EndpointArn"}),
        undo=Call(f"delete the endpoint {endpoint}", "sagemaker", "DeleteEndpoint", which, exists=GONE),
        settled=in_service(endpoint),
    )  # fmt: skip


def updated(endpoint: str, configuration: str, before: str) -> Call:
    """Return the call that gives an endpoint another configuration; it answers by the one before meanwhile."""
    return Call(
        f"let {endpoint} answer by that configuration", "sagemaker", "UpdateEndpoint",
        _by(endpoint, configuration), undo=back_to(endpoint, before), settled=in_service(endpoint),
    )  # fmt: skip


def back_to(endpoint: str, configuration: str) -> Call:
    """Return the call that lets an endpoint answer by a configuration again."""
    return Call(
        f"let {endpoint} answer by {configuration} again", "sagemaker", "UpdateEndpoint",
        _by(endpoint, configuration), exists=GONE,
    )  # fmt: skip


def left_at(endpoint: str, configuration: str) -> Call:
    """Return the call that changes nothing, and is taken back by letting `configuration` be in force again.

    It stands behind those that make other configurations, none of which may be deleted while an endpoint has it.
    """
    return Call(
        f"look at {configuration}", "sagemaker", "DescribeEndpointConfig", {"EndpointConfigName": configuration},
        undo=back_to(endpoint, configuration),
    )  # fmt: skip


def in_service(endpoint: str) -> Settled:
    """Return what is so when an endpoint answers."""
    look = Call("look", "sagemaker", "DescribeEndpoint", {"EndpointName": endpoint})
    return Settled(look, "EndpointStatus", IN_SERVICE, BROKEN, PATIENCE_S)


def _by(endpoint: str, configuration: str) -> dict[str, str]:
    return {"EndpointName": endpoint, "EndpointConfigName": configuration}
