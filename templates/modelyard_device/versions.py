"""The versions that are installed on a device: one answers, the one before stays, and a switch is one rename.

::

    ROOT/versions/3-1f0c…/    a device's folder, with site/: what it imports
    ROOT/current              a link to the one that answers
    ROOT/previous             a link to the one before
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from pathlib import Path

CURRENT, PREVIOUS = "current", "previous"

_VERSIONS = "versions"
_UNFINISHED = ".new"


class Versions:
    """What is installed below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / _VERSIONS

    @property
    def current(self) -> Path | None:
        """The version that answers; ``None`` where none does."""
        return self._linked(CURRENT)

    @property
    def previous(self) -> Path | None:
        """The version before it; ``None`` where there is none."""
        return self._linked(PREVIOUS)

    def _linked(self, link: str) -> Path | None:
        found = self.root / link
        return found.resolve() if found.is_symlink() and found.exists() else None

    def begun(self, name: str) -> Path:
        """Return an empty folder for a version that will be called `name`, or `name` with a number if that is there.

        What was broken off before is gone; a version that is there is not touched.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left)
        names = itertools.chain((name,), (f"{name}-{number}" for number in itertools.count(2)))
        free = next(each for each in names if not (self._folder / each).exists())
        fresh = self._folder / f"{free}{_UNFINISHED}"
        fresh.mkdir()
        return fresh

    def finished(self, fresh: Path) -> Path:
        """Give a version its name, now that all of it is on the disk; return it."""
        whole = fresh.with_name(fresh.name.removesuffix(_UNFINISHED))
        on_disk(fresh)
        fresh.rename(whole)
        on_disk(self._folder, deep=False)
        return whole

    def switch(self, version: Path) -> None:
        """Let a version answer from now on, and remember the one that did; each is one rename."""
        before = self.current
        if before is not None and before != version.resolve():
            self._link(PREVIOUS, before)
        self._link(CURRENT, version)

    def back(self) -> Path | None:
        """Let the version before answer again; return it, or ``None`` where there is none."""
        before, now = self.previous, self.current
        if before is None:
            return None
        self._link(CURRENT, before)
        if now is not None:
            self._link(PREVIOUS, now)
        return before

    def forget(self, version: Path) -> None:
        """Take a version away; links to it are gone before."""
        for link in (CURRENT, PREVIOUS):
            if self._linked(link) == version.resolve():
                (self.root / link).unlink()
        shutil.rmtree(version, ignore_errors=True)

    def tidy(self) -> None:
        """Take all versions away but the one that answers and the one before."""
        kept = {self.current, self.previous}
        for each in self._folder.iterdir():
            if each.resolve() not in kept:
                shutil.rmtree(each, ignore_errors=True)

    def _link(self, link: str, to: Path) -> None:
        fresh = self.root / f".{link}{_UNFINISHED}"
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(os.path.relpath(to, self.root))
        os.replace(fresh, self.root / link)
        on_disk(self.root, deep=False)


def on_disk(folder: Path, *, deep: bool = True) -> None:
    """Wait until a folder, and all that is in it if `deep`, would survive a power cut."""
    paths = [folder, *(folder.rglob("*") if deep else ())]
    for path in paths:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
