"""Processes that outlive the kernel: start one, know it again later, stop it with all its children."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from modelyard.errors import DeploymentError, UsageError

#: Marks every process of a deployment, so that workers are found even when their parent is gone.
MARK = "MODELYARD_DEPLOYMENT"

_GRACE_S = 10.0
_SAME_START_S = 1.0
_HANDED_ON = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
    "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


@dataclass(frozen=True)
class Started:
    """A process that can be told from a later one with the same number."""

    pid: int
    created: float


def environment(mark: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return what a server is told of this session's environment: no secrets, no project's import path."""
    handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return handed_on | {MARK: str(mark)} | dict(extra)


def spawn(argv: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> Started:
    """Start `argv` in a session of its own, where neither Ctrl-C nor the end of the kernel reaches it."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(argv), env=dict(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, close_fds=True,
        )  # fmt: skip
    return Started(process.pid, psutil.Process(process.pid).create_time())


def is_alive(started: Started) -> bool:
    """Whether that very process still runs."""
    try:
        process = psutil.Process(started.pid)
        same = abs(process.create_time() - started.created) < _SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stop(mark: Path) -> None:
    """Stop every process of this user that carries `mark`; wait for their end, then insist."""
    found = list(_marked(mark))
    for process in found:
        _signal(process, "terminate")
    _, left = psutil.wait_procs(found, timeout=_GRACE_S)
    for process in (*left, *_marked(mark)):
        _signal(process, "kill")
    psutil.wait_procs(left, timeout=_GRACE_S)


def _marked(mark: Path) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(mark):
                yield process
        except (psutil.Error, OSError):
            continue


def _signal(process: psutil.Process, method: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, method)()


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def chosen_port(port: int | None, previous: Mapping[str, Any] | None) -> int:
    """Return the port that was asked for; else that of the endpoint that is replaced, else a free one.

    Raises
    ------
    UsageError, DeploymentError
        It cannot be, or it is taken.
    """
    if port is None:
        before = (previous or {}).get("port")
        return int(before) if before and is_free(before) else free_port()
    if not 1024 <= port <= 65535:
        raise UsageError(f"port {port} cannot be; choose one from 1024 to 65535, or leave --port out")
    if not is_free(port):
        raise DeploymentError(f"port {port} of 127.0.0.1 is taken; choose another --port, or leave it out")
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
