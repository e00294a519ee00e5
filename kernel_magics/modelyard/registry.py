"""Plug-ins by name, found through entry points: ours registered exactly like a stranger's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from modelyard.errors import MissingExtraError, UnknownNameError, did_you_mean, listing


class Registry(Mapping[str, Any]):
    """A read-only mapping from plug-in names to what they name.

    Listing imports nothing; looking one up imports that plug-in's module only.

    Parameters
    ----------
    group : str
        The entry-point group, such as ``modelyard.targets``.
    noun : str
        What a plug-in is called in messages, such as ``deployment target``.
    """

    def __init__(self, group: str, noun: str) -> None:
        self._group = group
        self._noun = noun

    def _found(self) -> dict[str, EntryPoint]:
        return _registered(self._group, tuple(_installed_where()))

    def __getitem__(self, name: str) -> Any:
        """Return the plug-in called `name`.

        Raises
        ------
        UnknownNameError
            No installed distribution registers that name.
        MissingExtraError
            The plug-in is there, but a library that it imports is not.
        """
        found = self._found()
        if name not in found:
            raise UnknownNameError(
                f"no {self._noun} named {name!r}; installed: {listing(found)}{did_you_mean(name, found)}"
            )
        try:
            return found[name].load()
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"{self._noun} {name!r} needs {error.name!r}, which is not installed; "
                f"type: pip install 'modelyard[{name}]'"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._found()))

    def __len__(self) -> int:
        return len(self._found())


@lru_cache(maxsize=32)
def _registered(group: str, where: tuple[tuple[str, int], ...]) -> dict[str, EntryPoint]:
    """Read what is registered from the files of every distribution; again only where something was installed since."""
    return {point.name: point for point in entry_points(group=group)}


def _installed_where() -> Iterator[tuple[str, int]]:
    """Yield the folders where distributions lie, and when something was last put there or taken away."""
    for path in sys.path:
        try:
            yield path, os.stat(path or ".").st_mtime_ns
        except OSError:
            continue


#: Every installed target class by name. It is here for the stages above the targets, which ask one for its limits.
targets = Registry("modelyard.targets", "deployment target")
#: By the scheme of a deployment's URL: what carries requests to where no HTTP is spoken.
transports = Registry("modelyard.transports", "way to an endpoint")
