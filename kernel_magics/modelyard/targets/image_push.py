"""A call of a plan that an engine of this machine makes: build an image, and push it to a cloud's repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError
from modelyard.targets.calls import Call, CallFailed, Send
from modelyard.targets.container_engine import Engine

#: The service and the operation, as a plan names them.
ENGINE, PUSH = "engine", "Push"

_TOKEN = ("ecr", "GetAuthorizationToken")
_NO_REPOSITORY = "RepositoryNotFoundException"


def brought(
    name: str, tags: Mapping[str, str], tag: str, base: str, platform: str, *, first: bool
) -> tuple[Call, ...]:
    """Return the calls that build an image and push it to the repository `name`; they name it ``image``.

    Parameters
    ----------
    name : str
        Of the repository; the image stays there until that goes.
    tags : mapping of str to str
        The repository's.
    tag : str
        The image's, by which other content has another one.
    base, platform : str
        The image that it is built on; ``amd64`` or ``arm64``.
    first : bool
        Whether no repository is there yet.
    """
    repository = _created(name, tags) if first else _found(name, "look where its images are")
    return (
        repository,
        Call("ask for the right to push there for some hours", *_TOKEN),
        Call(
            f"build the image for linux/{platform}, and push it", ENGINE, PUSH,
            {"image": f"${{repository}}:{tag}", "base": base, "platform": platform}, {"image": "image"},
        ),
    )  # fmt: skip


def pushing(send: Send, engine: Engine, context: Path) -> Send:
    """Return what makes the calls of `send`, and lets `engine` build and push what lies in `context`.

    The password that the cloud gives for some hours is kept in memory: neither the plan nor its journal has it.
    """
    given: list[Mapping[str, Any]] = []

    def sent(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if (service, operation) == (ENGINE, PUSH):
            known = given or [send(*_TOKEN, {})]  # this call is made again by another kernel, or much later
            return _pushed(engine, context, parameters, known[-1])
        answer = send(service, operation, parameters)
        if (service, operation) == _TOKEN:
            given.append(answer)
        return answer

    return sent


def _pushed(
    engine: Engine, context: Path, parameters: Mapping[str, Any], right: Mapping[str, Any]
) -> Mapping[str, Any]:
    image = parameters["image"]
    try:
        engine.build(context, image, parameters["base"], parameters["platform"])
        engine.push(image, right["authorizationData"][0]["authorizationToken"])
    except DeploymentError as error:
        raise CallFailed(engine.name, str(error)) from None
    finally:
        engine.remove_image(image)
    return {"image": image}


def _created(name: str, tags: Mapping[str, str]) -> Call:
    which = {"repositoryName": name}
    return Call(
        f"create the repository {name} for its images, which are looked through for known weaknesses", "ecr",
        "CreateRepository",
        {
            **which,
            "imageScanningConfiguration": {"scanOnPush": True},
            "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        },
        {"repository": "repository.repositoryUri"}, exists="RepositoryAlreadyExistsException",
        found=_found(name, "look"),
        undo=Call(
            f"delete the repository {name} with all its images", "ecr", "DeleteRepository", {**which, "force": True},
            exists=_NO_REPOSITORY,
        ),
    )  # fmt: skip


def _found(name: str, says: str) -> Call:
    return Call(
        says, "ecr", "DescribeRepositories", {"repositoryNames": [name]},
        {"repository": "repositories.0.repositoryUri"},
    )  # fmt: skip
