"""A process with its children under the limits of a place: memory, time, disk and network.

Disk and network are closed by Linux namespaces; memory is watched, as resident pages, since a limit on addresses raises
false alarms. Where namespaces cannot be had, attempts are seen and named, but not stopped: the box says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import psutil

from modelyard.limits import Limits
from modelyard.targets.artifact import Function, Server
from modelyard.targets.processes import MARK, stop

_LOOK_S = 0.01
_GRACE_S = 2.0
_LAST_LINES = 3
_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath}
_HERE = Path(__file__).parent


class BoxBroken(Exception):  # noqa: N818  # it says what became of the box
    """A limit was broken, or the process ended: `kind` says which, the message what happened."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@cache
def namespaces() -> tuple[str, ...] | None:
    """Return the command that closes disk and network for what follows it; ``None`` where that cannot be had."""
    found = shutil.which("unshare")
    if found is None or sys.platform != "linux":
        return None
    base = (found, "--net", "--mount", "--fork", "--kill-child")
    for command in (base, (*base, "--user", "--map-root-user")):
        proof = _inside([sys.executable, "-c", ""], Path("/"), read_only=True, loopback=True)
        ran = subprocess.run([*command, *proof], capture_output=True, check=False)
        if ran.returncode == 0:
            return command
    return None


def _inside(
    argv: Sequence[str],
    folder: Path,
    *,
    read_only: bool,
    loopback: bool,
    writable: Sequence[str] = (),
    kept: Sequence[Path] = (),
) -> list[str]:
    told = {
        "argv": list(argv), "folder": str(folder), "read_only": read_only, "loopback": loopback,
        "writable": list(writable), "kept": sorted({str(path) for path in kept if path.exists()}),
    }  # fmt: skip
    return [sys.executable, "-I", "-S", str(_HERE / "inside.py"), json.dumps(told)]


@dataclass
class _Watched:
    """What the watchdog has seen."""

    peak_bytes: int = 0
    over: bool = False


class Box:
    """One run of a handler.

    Parameters
    ----------
    handler : Function or Server
    limits : Limits
    folder : Path
        Where it runs, and where what it says is kept (``said.txt``).
    env : mapping of str to str, optional
        What it is told besides what its place tells it.

    Attributes
    ----------
    is_closed : bool
        Whether disk and network are closed, rather than watched only.
    """

    def __init__(
        self, handler: Function | Server, limits: Limits, folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        self.folder = folder
        self._mark = Path(handler.env.get(MARK, folder))
        self._log = folder.with_name(f"{folder.name}-said.txt")
        self._watched = _Watched()
        closing = limits.read_only_disk or not limits.network
        command = namespaces() if closing else None
        self.is_closed = command is not None or not closing
        argv = [handler.python, str(_HERE / "driving.py"), json.dumps(_told(handler))]
        if command is not None:
            inside = _inside(
                argv, folder, read_only=limits.read_only_disk, loopback=True, writable=limits.writable,
                kept=(folder, _HERE, Path(sys.prefix), Path(handler.python).parent.parent, *handler.paths),
            )  # fmt: skip
            argv = [*(part for part in command if limits.network is False or part != "--net"), *inside]
        self.started = time.perf_counter()
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                argv, env={**_ENVIRONMENT, MARK: str(folder), **handler.env, **(env or {})}, cwd=folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
        self._buffer = b""
        threading.Thread(target=self._watch, daemon=True, name="modelyard-memory").start()

    @property
    def peak_bytes(self) -> int:
        """The most resident memory that all its processes had together."""
        return self._watched.peak_bytes

    def _watch(self) -> None:
        root = psutil.Process(self._process.pid)
        most = self._limits.memory_bytes
        while self._process.poll() is None:
            used = 0
            with contextlib.suppress(psutil.Error):
                for process in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        used += process.memory_info().rss
            self._watched.peak_bytes = max(self._watched.peak_bytes, used)
            if most is not None and used > most:
                self._watched.over = True
                self.close()
                return
            time.sleep(_LOOK_S)

    def receive(self, within: float | None, what: str) -> dict[str, Any]:
        """Return the next line that the driver says.

        Raises
        ------
        BoxBroken
            ``timeout``: none came within so many seconds; ``memory``: it took more than it may; ``ended``.
        """
        deadline = None if within is None else time.monotonic() + within
        out: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        while b"\n" not in self._buffer:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([out], [], [], left)[0]:
                self.close()
                raise BoxBroken("timeout", f"{what} took longer than the {within:g} s that the place gives")
            part = os.read(out.fileno(), 1 << 20)
            if not part:
                raise self._end(what)
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _end(self, what: str) -> BoxBroken:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        if self._watched.over:
            most = self._limits.memory_bytes or 0
            return BoxBroken(
                "memory",
                f"{what} took {self.peak_bytes / 1e6:,.0f} MB of memory, the place has {most / 1e6:,.0f} MB",
            )
        return BoxBroken("ended", f"{what} ended the process: {self.last_words()}")

    def ask(self, event: Any, within: float | None) -> dict[str, Any]:
        """Send one event; return the driver's line. Raises as `receive` does."""
        line = json.dumps(event).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        return self.receive(within, "an answer")

    def last_words(self) -> str:
        """Return the end of what it printed."""
        lines = [line.strip() for line in self.said().splitlines() if line.strip()]
        return " | ".join(lines[-_LAST_LINES:])[-500:] or "it said nothing"

    def said(self) -> str:
        """Return what it printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._process.wait()
        stop(self._mark)  # a server's own children, wherever they went
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


def _told(handler: Function | Server) -> Mapping[str, Any]:
    paths = [str(path) for path in handler.paths]
    if isinstance(handler, Function):
        return {"kind": "function", "entry": handler.entry, "paths": paths}
    return {
        "kind": "server", "module": handler.module, "arguments": list(handler.arguments), "paths": paths,
        "port": handler.port, "ready": handler.ready, "predict": handler.predict,
    }  # fmt: skip
