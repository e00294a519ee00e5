"""The calls by which the instances of a variant become more while it is asked much, and fewer again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.targets.calls import Call

_SERVICE = "application-autoscaling"
_GONE = "ObjectNotFoundException"
_POLICY = "modelyard"
_DIMENSION = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


@dataclass(frozen=True)
class Scaling:
    """How many instances a variant has.

    Attributes
    ----------
    least, most : int
    per_instance : float
        How many requests a minute one instance shall answer; of an asynchronous endpoint, how many shall wait for it.
    waiting : bool
        Whether it is those that wait which count.
    """

    least: int
    most: int
    per_instance: float
    waiting: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def _tracked(self, endpoint: str) -> dict[str, Any]:
        if self.waiting:
            return {
                "CustomizedMetricSpecification": {
                    "MetricName": "ApproximateBacklogSizePerInstance", "Namespace": "AWS/SageMaker",
                    "Dimensions": [{"Name": "EndpointName", "Value": endpoint}], "Statistic": "Average",
                }
            }  # fmt: skip
        return {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            }
        }

    def registered(self, endpoint: str, variant: str) -> tuple[Call, ...]:
        """Return the calls that let the instances of a variant follow its requests."""
        which = _which(endpoint, variant)
        return (
            Call(
                f"let {variant} have {self.least} to {self.most} instances", _SERVICE, "RegisterScalableTarget",
                self._bounds(which), undo=_deregister(endpoint, variant),
            ),
            Call(
                f"aim at {self.per_instance:g} {'waiting' if self.waiting else 'a minute'} for each of them", _SERVICE,
                "PutScalingPolicy", self._policy(endpoint, which),
            ),
        )  # fmt: skip

    def lifted(self, endpoint: str, variant: str) -> tuple[Call, ...]:
        """Return the calls that leave a variant its instances; taken back, they follow its requests again."""
        which = _which(endpoint, variant)
        looked = {"ServiceNamespace": "sagemaker", "ResourceIds": [which["ResourceId"]]}
        gone = _deregister(endpoint, variant)
        return (
            Call(
                f"look how the instances of {variant} are scaled", _SERVICE, "DescribeScalableTargets", looked,
                undo=Call(
                    f"aim at {self.per_instance:g} for each instance of {variant} again", _SERVICE,
                    "PutScalingPolicy", self._policy(endpoint, which), exists=_GONE,
                ),
            ),
            Call(
                gone.says, _SERVICE, gone.operation, gone.parameters, exists=_GONE,
                found=Call("look", _SERVICE, "DescribeScalableTargets", looked),
                undo=Call(
                    f"let {variant} have {self.least} to {self.most} instances again", _SERVICE,
                    "RegisterScalableTarget", self._bounds(which),
                ),
            ),
        )  # fmt: skip

    def _bounds(self, which: Mapping[str, str]) -> dict[str, Any]:
        return {**which, "MinCapacity": self.least, "MaxCapacity": self.most}

    def _policy(self, endpoint: str, which: Mapping[str, str]) -> dict[str, Any]:
        return {
            "PolicyName": _POLICY, **which, "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": float(self.per_instance), **self._tracked(endpoint)
            },
        }  # fmt: skip


def _which(endpoint: str, variant: str) -> dict[str, str]:
    return {**_DIMENSION, "ResourceId": f"endpoint/{endpoint}/variant/{variant}"}


def _deregister(endpoint: str, variant: str) -> Call:
    return Call(
        f"leave {variant} the instances that it has", _SERVICE, "DeregisterScalableTarget",
        _which(endpoint, variant), exists=_GONE,
    )  # fmt: skip
