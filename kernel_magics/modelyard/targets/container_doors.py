"""What an image starts: the plain ASGI door, which is the smallest, or BentoML's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar, Protocol

from modelyard.packaging import Bundle
from modelyard.packaging.locking import completed
from modelyard.packaging.sites import child_lock, needs_child
from modelyard.targets.artifact import copy_parts
from modelyard.targets.slimming import BALLAST, BESIDE_A_GRAPH, Ballast
from modelyard_runtime.doors.asgi import BUNDLE


class Door(Protocol):
    """A server of a bundle, as ``python -m`` starts it."""

    #: What can be left out where nothing but a graph answers.
    beside_a_graph: ClassVar[tuple[Ballast, ...]]

    def lock(self, bundle: Bundle, own: list[str]) -> list[str]:
        """Return what it must find installed, beside and including the bundle's `own` lock.

        Raises
        ------
        BundleError
            It pins what is not installed here, and cannot be completed.
        """
        ...

    def copy(self, bundle: Bundle, bento: Path) -> None:
        """Put what it reads of a bundle into the folder `bento`, which is not there."""
        ...

    def words(self, bento: str) -> tuple[str, ...]:
        """Return what ``python -m`` is given, but for host and port."""
        ...

    def environment(self, bento: str, writable: str) -> dict[str, str]:
        """Return what it is told; `writable` is a folder that it may make."""
        ...


class Asgi:
    """uvicorn with the runtime's own application."""

    beside_a_graph: ClassVar[tuple[Ballast, ...]] = BESIDE_A_GRAPH

    def lock(self, bundle: Bundle, own: list[str]) -> list[str]:
        return [*own, *bundle.door_lock("asgi")]

    def copy(self, bundle: Bundle, bento: Path) -> None:
        copy_parts(bundle.path / "src", bento / "src")

    def words(self, bento: str) -> tuple[str, ...]:
        return "uvicorn", "--factory", "modelyard_runtime.doors.asgi:application", "--no-access-log"

    def environment(self, bento: str, writable: str) -> dict[str, str]:
        return {BUNDLE: bento}


class BentoML:
    """``bentoml serve``, with the pages and the paths that BentoML adds."""

    beside_a_graph: ClassVar[tuple[Ballast, ...]] = BALLAST  # BentoML itself imports more of numpy

    def lock(self, bundle: Bundle, own: list[str]) -> list[str]:
        return completed(own, [*bundle.door_lock("bento"), *bundle.door_lock("asgi")])

    def copy(self, bundle: Bundle, bento: Path) -> None:
        shutil.copytree(bundle.path, bento, ignore=shutil.ignore_patterns("__pycache__"))

    def words(self, bento: str) -> tuple[str, ...]:
        return "bentoml", "serve", bento

    def environment(self, bento: str, writable: str) -> dict[str, str]:
        return {"BENTOML_HOME": f"{writable}/bentoml", "BENTOML_DO_NOT_TRACK": "True"}


#: By the name that people type.
DOORS: dict[str, Door] = {"asgi": Asgi(), "bentoml": BentoML()}


def image_lock(bundle: Bundle, door: Door) -> list[str]:
    """Return all that an image must find installed."""
    own = child_lock(bundle.model_folder) if needs_child(bundle.manifest) else bundle.lock
    return door.lock(bundle, own)


def image_ballast(bundle: Bundle, door: Door) -> tuple[Ballast, ...]:
    """Return what an image can leave out."""
    return BALLAST if needs_child(bundle.manifest) else door.beside_a_graph
