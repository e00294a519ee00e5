"""In what a function's files are sent: a zip file, or an image that this machine builds and pushes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelyard.targets.archive import write_zip
from modelyard.targets.artifact import files_in
from modelyard.targets.aws_lambda_code import HANDLER, Code, ImageCode, ZipCode
from modelyard.targets.calls import Content, Send
from modelyard.targets.container_engine import BASE, PLATFORMS, builder
from modelyard.targets.image_push import pushing
from modelyard_templates import render

#: What AWS calls a megabyte.
MIB = 2**20
#: Where a function finds its files.
ROOT = "/var/task"
#: Within the folder that is filled: the zip file.
ZIP = "function.zip"

# AWS's runtime client, which a zip file finds there and an image must have, with what it requires.
_CLIENT = ("awslambdaric==4.2.2", "simplejson==4.3.0", "snapshot-restore-py==1.0.0")
_CONTEXT, _TASK = "context", "task"


@dataclass(frozen=True)
class Options:
    """What of the target's options a package asks for."""

    python: str
    architecture: str
    base: str | None
    engine: str | None


class Package(Protocol):
    """One of the two."""

    #: In the words of a plan.
    says: str
    #: The Pythons that it can be made for.
    pythons: Sequence[str]
    #: Distributions that it brings beside the lock.
    beside: Sequence[str]
    #: Within the folder that is filled: where the files go.
    content: str
    unpacked_bytes: int
    packed_bytes: int | None

    def close(self, folder: Path, options: Options) -> int | None:
        """Pack what lies in `content`; return its size as it is sent, where that is known."""
        ...

    def code(self, folder: Path, options: Options) -> Code:
        """Return how a call names what was made."""
        ...

    def reach(self, send: Send, folder: Path, options: Options) -> Send:
        """Return what makes all calls that bring it there.

        Raises
        ------
        DeploymentError
            What that takes is not on this machine.
        """
        ...


class Zip:
    """A zip file, which is sent with the call itself."""

    says = f"pack them with the model, the runtime and a handler into {ZIP}"
    # In those before, the C library is too old for wheels of manylinux_2_28.
    pythons: Sequence[str] = ("3.12", "3.13")
    beside: Sequence[str] = ()
    content = "function"
    unpacked_bytes = 250 * MIB
    packed_bytes: int | None = 50 * MIB  # where it is uploaded directly

    def close(self, folder: Path, options: Options) -> int | None:
        write_zip(folder / self.content, folder / ZIP)
        return (folder / ZIP).stat().st_size

    def code(self, folder: Path, options: Options) -> Code:
        packed = (folder / ZIP).read_bytes()
        return ZipCode(Content(ZIP, hashlib.sha256(packed).hexdigest()), f"python{options.python}")

    def reach(self, send: Send, folder: Path, options: Options) -> Send:
        return send


class Image:
    """An image of any base that has the Python, from a repository that is made for the function."""

    says = "put them with the model, the runtime and a handler into an image, which an engine of this machine builds"
    pythons: Sequence[str] = ("3.11", "3.12", "3.13")
    beside: Sequence[str] = _CLIENT
    content = f"{_CONTEXT}/{_TASK}"
    unpacked_bytes = 10 * 1024 * MIB  # with the base, which is not counted here
    packed_bytes: int | None = None

    def close(self, folder: Path, options: Options) -> int | None:
        text = render(
            "aws_lambda/Containerfile.j2", base=_base(options), platform=PLATFORMS[options.architecture], root=ROOT,
            task=_TASK, handler=HANDLER,
        )  # fmt: skip
        (folder / _CONTEXT / "Containerfile").write_text(text, encoding="utf-8")
        return None

    def code(self, folder: Path, options: Options) -> Code:
        return ImageCode(_digest(folder / _CONTEXT)[:20], _base(options), PLATFORMS[options.architecture])

    def reach(self, send: Send, folder: Path, options: Options) -> Send:
        return pushing(send, builder(options.engine), folder / _CONTEXT)


#: By the name that people type.
PACKAGES: dict[str, Package] = {"zip": Zip(), "image": Image()}


def _base(options: Options) -> str:
    return options.base or BASE.format(python=options.python)


def _digest(folder: Path) -> str:
    """Return what other content has another one of."""
    found = hashlib.sha256()
    for path in files_in(folder):
        found.update(f"{path}\0{hashlib.sha256((folder / path).read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
