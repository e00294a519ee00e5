"""How code comes to a function: in a zip file with the call itself, or as an image from a repository beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modelyard.targets.calls import Call, Content
from modelyard.targets.image_push import ENGINE, PUSH

HANDLER = "app.handler"

_NO_REPOSITORY = "RepositoryNotFoundException"


class Code(Protocol):
    """What a function runs."""

    #: As AWS calls it: ``Zip`` or ``Image``; a function keeps the one that it was made with.
    package: str

    def brought(self, name: str, tags: Mapping[str, str], *, first: bool) -> tuple[Call, ...]:
        """Return the calls that bring it to where the function `name` finds it; `first` where nothing is there."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Return what says which code it is."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what says how it is started."""
        ...


@dataclass(frozen=True)
class ZipCode:
    """A zip file.

    Attributes
    ----------
    content : Content
    runtime : str
        ``python3.13``.
    """

    content: Content
    runtime: str
    package = "Zip"

    def brought(self, name: str, tags: Mapping[str, str], *, first: bool) -> tuple[Call, ...]:
        return ()

    def parameters(self) -> dict[str, Any]:
        return {"ZipFile": self.content}

    def settings(self) -> dict[str, Any]:
        return {"Runtime": self.runtime, "Handler": HANDLER}


@dataclass(frozen=True)
class ImageCode:
    """An image, which is built as it is pushed, to a repository that has the function's name.

    It stays there until the repository goes with the function: versions before the newest may run it.

    Attributes
    ----------
    tag : str
        By which other content has another one.
    base : str
        The image that it is built on.
    platform : str
        ``amd64`` or ``arm64``.
    """

    tag: str
    base: str
    platform: str
    package = "Image"

    def brought(self, name: str, tags: Mapping[str, str], *, first: bool) -> tuple[Call, ...]:
        repository = _created(name, tags) if first else _found(name, "look where its images are")
        return (
            repository,
            Call("ask for the right to push there for some hours", "ecr", "GetAuthorizationToken"),
            Call(
                f"build the image for linux/{self.platform}, and push it", ENGINE, PUSH,
                {"image": f"${{repository}}:{self.tag}", "base": self.base, "platform": self.platform},
                {"image": "image"},
            ),
        )  # fmt: skip

    def parameters(self) -> dict[str, Any]:
        return {"ImageUri": "${image}"}

    def settings(self) -> dict[str, Any]:
        return {}


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
