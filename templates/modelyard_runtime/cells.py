"""Numbers that several workers count up and all of them can read, also after a worker was killed.

Each process owns one file of doubles, mapped into memory: an addition is a store into a page that the kernel keeps.
Reading sums the files of all processes. Files of processes that are gone are added up into one. The blocks of a file
are taken when it is made: on a disk that is full by then a process counts for itself, and goes on serving.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_BYTES = 8

_log = logging.getLogger("modelyard_runtime")


class Cells:
    """A row of doubles, all 0 at first.

    Parameters
    ----------
    count : int
        How many.
    folder : Path, optional
        Where the processes of one endpoint keep their files; without one, the numbers are this process's alone.
    layout : str
        What the numbers mean: files of another layout are not added up with these.
    """

    def __init__(self, count: int, folder: Path | None, layout: str) -> None:
        self._count = count
        self._folder = folder
        self._layout = layout
        self.own: memoryview[float] = memoryview(bytearray(_BYTES * count)).cast("d")
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._locked(fcntl.LOCK_EX):
                self._retire()
                self.own = _mapped(folder / f"{layout}.{os.getpid()}.{uuid.uuid4().hex[:8]}.cells", count)
        except OSError as error:
            _log.warning("the numbers of this process are not added to those of the others: %s", error)
            self._folder = None

    def total(self) -> np.ndarray:
        """Return the sums over all processes, dead ones included, shape (count,)."""
        if self._folder is None:
            return np.array(self.own)
        with self._locked(fcntl.LOCK_SH):
            parts = [np.fromfile(path, dtype="<f8") for path in self._files()]
        total: np.ndarray = np.sum([part for part in parts if len(part) == self._count], axis=0)
        return total

    def _files(self) -> list[Path]:
        assert self._folder is not None
        return sorted(self._folder.glob(f"{self._layout}.*.cells"))

    def _retire(self) -> None:
        """Add the files of processes that are gone up into one."""
        assert self._folder is not None
        gone = [path for path in self._files() if _is_gone(path)]
        if not gone:
            return
        retired = self._folder / f"{self._layout}.retired.cells"
        parts = [np.fromfile(path, dtype="<f8") for path in [*gone, *([retired] if retired.exists() else [])]]
        fresh = retired.with_suffix(".new")
        np.sum([part for part in parts if len(part) == self._count], axis=0).astype("<f8").tofile(fresh)
        fresh.replace(retired)
        for path in gone:
            path.unlink()

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        assert self._folder is not None
        with (self._folder / "cells.lock").open("ab") as file:
            fcntl.flock(file, how)
            yield


def _mapped(path: Path, count: int) -> memoryview[float]:
    try:
        with path.open("wb+", buffering=0) as file:
            if (
                file.write(bytes(_BYTES * count)) < _BYTES * count
            ):  # written: a hole would kill at its first addition
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return memoryview(mmap.mmap(file.fileno(), _BYTES * count)).cast("d")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _is_gone(path: Path) -> bool:
    owner = path.name.split(".")[-3]
    if not owner.isdigit() or int(owner) == os.getpid():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
