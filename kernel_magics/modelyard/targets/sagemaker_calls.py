"""The calls that bring a bundle to SageMaker: its image, its model, and an endpoint of it or one in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.targets.aws_log_group import log_group
from modelyard.targets.aws_role import allowing, execution_role
from modelyard.targets.calls import Call
from modelyard.targets.image_push import brought
from modelyard.targets.sagemaker_hosting import Hosting, as_tags, configured, created, named, updated
from modelyard.targets.sagemaker_image import Recipe
from modelyard.targets.sagemaker_role import Reach
from modelyard.targets.sagemaker_scaling import Scaling
from modelyard.targets.sagemaker_send import GONE, ROLE_NOT_YET, THERE

#: Tags of a model, by which the bundle in it is known.
BUNDLE_TAG, DIGEST_TAG = "modelyard:bundle", "modelyard:digest"


@dataclass(frozen=True)
class Wanted:
    """A bundle as it is to be on SageMaker.

    Attributes
    ----------
    name : str
        Of the endpoint, the repository, and the role that is made for it.
    variant, tag, digest : str
        ``v3``, and of the bundle.
    identity : str
        Of the image.
    recipe : Recipe
    isolated : bool
        Whether its container has no network.
    reach : Reach
        What its role may do.
    role : str or None
        The ARN of a role that is there; one is made by default.
    """

    name: str
    variant: str
    tag: str
    digest: str
    identity: str
    recipe: Recipe
    isolated: bool
    reach: Reach
    role: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """By what everything of it is found again from another machine."""
        return {"modelyard:name": self.name, DIGEST_TAG: self.digest}

    @property
    def model(self) -> str:
        """The model's name."""
        return named(self.name, f"{self.variant}-{self.identity[:8]}")

    @property
    def policy(self) -> str | None:
        """The name of its role's policy; ``None`` where the role is not ours."""
        return None if self.role else self.reach.allowed().name


@dataclass(frozen=True)
class Before:
    """What a replaced endpoint is.

    Attributes
    ----------
    policy : str or None
        The name of its role's policy.
    variants : tuple of str
        Those that it has.
    scaling : Scaling or None
        How the instances of each follow its requests.
    """

    policy: str | None
    variants: tuple[str, ...]
    scaling: Scaling | None


def create(wanted: Wanted, hosting: Hosting, scaling: Scaling | None) -> tuple[Call, ...]:
    """Return the calls that make an endpoint where none is."""
    configuration = _alone(wanted, hosting)
    return (
        *log_group(wanted.reach.log_group, wanted.tags),
        *_role(wanted),
        *another_model(wanted, first=True),
        configured(configuration),
        created(wanted.name, configuration["EndpointConfigName"], wanted.tags),
        *_scaled(wanted, scaling),
    )


def update(wanted: Wanted, hosting: Hosting, scaling: Scaling | None, before: Before) -> tuple[Call, ...]:
    """Return the calls that let an endpoint answer by another model; by all that it had again after an undo."""
    configuration = _alone(wanted, hosting)
    lifted = () if before.scaling is None else before.variants
    return (
        Call(
            f"look by what {wanted.name} answers", "sagemaker", "DescribeEndpoint", {"EndpointName": wanted.name},
            {"before": "EndpointConfigName"},
        ),
        *_role_after(wanted, before),
        *another_model(wanted, first=False),
        configured(configuration),
        *(call for each in lifted if before.scaling for call in before.scaling.lifted(wanted.name, each)),
        updated(wanted.name, configuration["EndpointConfigName"], "${before}"),
        *_scaled(wanted, scaling),
    )  # fmt: skip


def another_model(wanted: Wanted, *, first: bool) -> tuple[Call, ...]:
    """Return the calls that make a model, to which nobody is sent; `first` where no repository is there yet."""
    which = {"ModelName": wanted.model}
    recipe = wanted.recipe
    return (
        *brought(wanted.name, wanted.tags, wanted.identity, recipe.base, recipe.platform, first=first),
        Call(
            f"make the model {wanted.model} of it", "sagemaker", "CreateModel",
            {
                **which, "ExecutionRoleArn": wanted.role or "${role}", "PrimaryContainer": {"Image": "${image}"},
                "EnableNetworkIsolation": wanted.isolated,
                "Tags": as_tags({**wanted.tags, BUNDLE_TAG: wanted.tag}),
            },
            {"model": "ModelArn"}, exists=THERE,
            found=Call("look", "sagemaker", "DescribeModel", which, {"model": "ModelArn"}),
            undo=Call(f"delete the model {wanted.model}", "sagemaker", "DeleteModel", which, exists=GONE),
            not_yet=ROLE_NOT_YET,
        ),
    )  # fmt: skip


def model_only(wanted: Wanted, before: Before | None) -> tuple[Call, ...]:
    """Return the calls that make a model with a role, and no endpoint; `before` is what they replace."""
    role = _role(wanted) if before is None else _role_after(wanted, before)
    return (*role, *another_model(wanted, first=before is None))


def _alone(wanted: Wanted, hosting: Hosting) -> dict[str, Any]:
    """Return the configuration with one variant, which answers everything."""
    return hosting.configuration({wanted.variant: wanted.model}, {wanted.variant: 1.0})


def _role(wanted: Wanted) -> tuple[Call, ...]:
    if wanted.role is not None:
        return ()
    role = execution_role(wanted.name, wanted.tags, "sagemaker.amazonaws.com", "SageMaker")
    return (role, *_allowed(wanted))


def _role_after(wanted: Wanted, before: Before) -> tuple[Call, ...]:
    """Return the calls that let a role do more, which may be that of what is replaced."""
    if before.policy is None:
        return _role(wanted)
    return _allowed(wanted) if wanted.policy != before.policy else ()


def _allowed(wanted: Wanted) -> tuple[Call, ...]:
    return () if wanted.role is not None else (allowing(wanted.name, wanted.reach.allowed()),)


def _scaled(wanted: Wanted, scaling: Scaling | None) -> tuple[Call, ...]:
    return () if scaling is None else scaling.registered(wanted.name, wanted.variant)


def bundle_of(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """Return tag and digest of the bundle in a model, by the model's tags; ``None`` for one not of ours."""
    return (tags[BUNDLE_TAG], tags[DIGEST_TAG]) if {BUNDLE_TAG, DIGEST_TAG} <= tags.keys() else None
