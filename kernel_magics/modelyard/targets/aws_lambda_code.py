"""How code comes to a function: in a zip file with the call itself, or as an image from a repository beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modelyard.targets.calls import Call, Content
from modelyard.targets.image_push import brought

HANDLER = "app.handler"


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
        return brought(name, tags, self.tag, self.base, self.platform, first=first)

    def parameters(self) -> dict[str, Any]:
        return {"ImageUri": "${image}"}

    def settings(self) -> dict[str, Any]:
        return {}
