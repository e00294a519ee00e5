"""The project that a Jupyter server looks at, and how its paths are told to a page."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from modelyard.catalog import Yard, open_yard

_ABOVE = ".."


@dataclass(frozen=True)
class Workspace:
    """A server's root folder, and the project that holds it.

    Attributes
    ----------
    server_root : Path
        What the file browser shows.
    """

    server_root: Path

    @property
    def yard(self) -> Yard:
        """The project's catalog; looked for anew, since a project can begin while the server runs."""
        return open_yard(self.server_root)

    @cached_property
    def _served(self) -> Path:
        return self.server_root.expanduser().resolve()

    def from_server(self, path: Path) -> str:
        """Return a path as the page knows it: from the server's root, with ``..`` where it lies above."""
        relative = Path(os.path.relpath(path.resolve(), self._served)).as_posix()
        return "" if relative == os.curdir else relative

    def browsable(self, path: Path) -> str | None:
        """Return a path that the file browser can open; ``None`` for one that is gone or beyond its root."""
        told = self.from_server(path)
        return None if told.split("/")[0] == _ABOVE or not path.exists() else told

    def inside(self, told: str) -> Path:
        """Return the file or folder of a path that a page asks for.

        Raises
        ------
        PermissionError
            It leads out of the server's root, also by a link.
        """
        path = Path(self._served, *filter(None, told.split("/"))).resolve()
        if not path.is_relative_to(self._served):
            raise PermissionError(f"{told!r} is not below the folder that this server shows")
        return path

    def plain(self, text: str) -> str:
        """Return words without the places of this machine: of paths beyond the project, the last part."""
        if "/" not in text:
            return text
        root = str(self.yard.root)
        text = text.replace(f"{root}/", "").replace(root, "this project")
        return re.sub(r"(?<![\w/:.])/(?:[^\s/'\",;:]+/)+([^\s/'\",;:]+)", r"\1", text)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        return False
