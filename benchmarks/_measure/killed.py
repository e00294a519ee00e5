"""A worker is killed under load: who notices, and do the counters still add up?"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from _measure.peers import Peer, client
from _measure.sockets import closed_loop
from modelyard.targets import processes

_SETTLE_S = 1.0
_APART_S = 0.02


def worker_killed(peer: Peer, folder: Path, seconds: float, connections: int) -> dict[str, Any]:
    """Kill -9 the worker that holds the most connections, after a third of the time.

    `folder` is the deployment's own, whose name all its processes bear in their environment.
    """
    seen: dict[str, Any] = {}

    def kill(ports: set[int]) -> None:
        by_worker = {pid: _connections(pid, peer.port) & ports for pid in _processes(folder)}
        workers = {pid: held for pid, held in by_worker.items() if held}  # an idle one is not worth killing
        victim = max(workers, key=lambda pid: len(workers[pid]))
        os.kill(victim, signal.SIGKILL)
        seen.update(in_flight=len(workers[victim]), connections_by_worker=sorted(map(len, workers.values())))

    before = _counted(peer)
    found = closed_loop(
        peer.port, peer.raw_requests(1), seconds, connections, at=seconds / 3, then=kill, apart=_APART_S
    )
    time.sleep(_SETTLE_S)
    after = [_counted(peer) for _ in range(5)]  # whichever worker answers
    return {
        "answered": found.answered,
        "failed": found.failed,
        "failures": sorted(set(found.failures)),
        **seen,
        "metrics_agree": len(set(after)) == 1,
        "counted": after[-1] - before,
        "counted_minus_answered": after[-1] - before - found.answered,
        "requests_per_second": found.answered / found.seconds,
    }


def _processes(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(processes.MARK) == str(folder):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def _connections(pid: int, port: int) -> set[int]:
    """Return the clients' ports of the connections that a process holds."""
    found = psutil.Process(pid).net_connections("tcp")
    return {c.raddr.port for c in found if c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port}


def _counted(peer: Peer) -> float:
    with client(peer.port) as asking:
        text = asking.get("/metrics", headers=peer.headers).text
    lines = [line for line in text.splitlines() if line.startswith("modelyard_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'path="/predict"' in line)
