"""A candidate is rolled back under load: for how long do workers go on answering by it?"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

import modelyard
from _measure.peers import Peer
from _measure.sockets import closed_loop
from _measure.workers import connections_of
from modelyard_router.policy import POLICY

CONTROL, CANDIDATE = "v1", "v2"
_SHARE = 0.5
_SECONDS = 2.5
_AT_S = 0.5
_APART_S = 0.02
#: Somebody in another process, as another notebook is; it has everything at hand when it is told to.
_PROGRAM = (
    "import sys, modelyard; modelyard.traffic(sys.argv[1]); print('ready', flush=True); sys.stdin.readline(); "
    "modelyard.traffic(sys.argv[1], rollback=True)"
)


class _Answer(msgspec.Struct):
    variant: str


class Watch:
    """Sees from each answer who gave it, and from the folder when the policy was replaced.

    Attributes
    ----------
    before, after : Counter
        Answers by variant, up to the replacement and since.
    replaced : float
        When the old policy was seen last: the replacement came after that, so that no wait is made shorter.
    last : float
        When the candidate's last answer came.
    """

    def __init__(self, policy: Path) -> None:
        self._policy = policy
        self._file = self._looked()
        self._decode = msgspec.json.Decoder(_Answer).decode
        self.before: Counter[str] = Counter()
        self.after: Counter[str] = Counter()
        self.is_replaced = False
        self.replaced = self.last = time.perf_counter()

    def __call__(self, body: bytes) -> None:
        variant, now = self._decode(body).variant, time.perf_counter()
        if not self.is_replaced:
            self.is_replaced = self._looked() != self._file
            if not self.is_replaced:
                self.replaced = now
        (self.after if self.is_replaced else self.before)[variant] += 1
        if variant == CANDIDATE:
            self.last = now

    def _looked(self) -> tuple[int, int]:
        found = os.stat(self._policy)
        return found.st_ino, found.st_mtime_ns


def rolled_back(peer: Peer, name: str, folder: Path, times: int, connections: int) -> dict[str, Any]:
    """Return the seconds from the replacement of the policy to the candidate's last answer, each time, and proofs."""
    each = [_once(peer, name, folder, connections) for _ in range(times)]
    return {
        "seconds": [once["seconds"] for once in each],
        "median_s": statistics.median(once["seconds"] for once in each),
        "most_s": max(once["seconds"] for once in each),
        "from_call_to_policy_s": statistics.median(once["watch"].replaced - once["told"] for once in each),
        "fewest_workers": min(len(once["connections_by_worker"]) for once in each),
        "failed": sum(once["failed"] for once in each),
        "candidate_before": min(once["watch"].before[CANDIDATE] for once in each),
        "candidate_after": max(once["watch"].after[CANDIDATE] for once in each),
        "control_after": min(once["watch"].after[CONTROL] for once in each),
    }


def _once(peer: Peer, name: str, folder: Path, connections: int) -> dict[str, Any]:
    modelyard.traffic(name, canary={CANDIDATE: _SHARE})
    seen: dict[str, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        watch = Watch(folder / POLICY)

        def tell(ports: set[int]) -> None:
            seen["connections_by_worker"] = sorted(connections_of(folder, peer.port, ports).values())
            seen["told"] = time.perf_counter()
            other.stdin.close()

        found = closed_loop(
            peer.port, peer.raw_requests(1), _SECONDS, connections,
            at=_AT_S, then=tell, apart=_APART_S, heard=watch,
        )  # fmt: skip
    if other.returncode or not watch.is_replaced:
        raise SystemExit(f"the candidate was not rolled back within {_SECONDS:g} s ({other.returncode})")
    return {
        **seen,
        "seconds": max(0.0, watch.last - watch.replaced),
        "watch": watch,
        "failed": found.failed,
    }
