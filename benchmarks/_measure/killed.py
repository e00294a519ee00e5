"""A worker is killed under load: who notices, and do the counters still add up?"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from _measure.peers import Peer, counted
from _measure.sockets import closed_loop
from _measure.workers import connections_of

_SETTLE_S = 1.0
_APART_S = 0.02


def worker_killed(peer: Peer, folder: Path, seconds: float, connections: int) -> dict[str, Any]:
    """Kill -9 the worker that holds the most connections, after a third of the time.

    `folder` is the deployment's own, whose name all its processes bear in their environment.
    """
    seen: dict[str, Any] = {}

    def kill(ports: set[int]) -> None:
        workers = connections_of(folder, peer.port, ports)  # an idle one is not worth killing
        victim = max(workers, key=lambda pid: workers[pid])
        os.kill(victim, signal.SIGKILL)
        seen.update(in_flight=workers[victim], connections_by_worker=sorted(workers.values()))

    before = sum(counted(peer).values())
    found = closed_loop(
        peer.port, peer.raw_requests(1), seconds, connections, at=seconds / 3, then=kill, apart=_APART_S
    )
    time.sleep(_SETTLE_S)
    after = [sum(counted(peer).values()) for _ in range(5)]  # whichever worker answers
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
