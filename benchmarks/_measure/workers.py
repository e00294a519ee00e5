"""The processes of a deployment, and who of them holds which connections."""

from __future__ import annotations

from pathlib import Path

import psutil

from modelyard.targets import processes


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that bear the deployment's folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(processes.MARK) == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def connections_of(folder: Path, port: int, among: set[int]) -> dict[int, int]:
    """Return how many of the clients' ports `among` each worker is connected with, by process id; none has none."""
    held = {process.pid: len(_connected(process, port) & among) for process in processes_of(folder)}
    return {pid: count for pid, count in held.items() if count}


def _connected(process: psutil.Process, port: int) -> set[int]:
    found = process.net_connections("tcp")
    return {c.raddr.port for c in found if c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port}
