"""Latency at half of the maximum load, over those tenths of a second in which the machine does least beside.

On a machine of two cores whatever else runs takes the client's or the server's: here a kernel thread that looks
through memory (``kdamond``) and the agent of the virtual machine, milliseconds at a time, several times a second.
Everybody's latency has that, also that of a server which does nothing; it tells of the machine. So the processor time
of all threads that are neither the client's nor the server's is read before and after each tenth of a second, and the
fifth of them counts in which they had least. What the server's own threads take from its requests counts, always.

The client spins, so that it keeps one core to itself, and the server's processes have the others: as if it were
elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from _measure.peers import Peer
from _measure.sockets import paced
from _measure.workers import processes_of

PARTS = 8
_SECONDS = 0.1
_OF = 5  # of so many tenths of a second, one counts


@contextmanager
def servers_apart() -> Iterator[None]:
    """Let servers that are started in this block have all cores but one; after it, this process has that one."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise SystemExit("latency under load needs two cores or more: one for the client")
    mine = min(cores)
    os.sched_setaffinity(0, cores - {mine})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {mine})


@contextmanager
def cores_kept() -> Iterator[None]:
    """Give this process its cores back after the block."""
    cores = os.sched_getaffinity(0)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def at_half_load(
    peer: Peer, folder: Path, most: float, rounds: int, connections: int, *, at_random: bool
) -> dict[str, Any]:
    """Return medians of p50 and p99 in ms, and of their ratio, at ``most / 2`` requests/s.

    Each of the `rounds` is `PARTS` tenths of a second together. ``others_ms`` is the processor time that all others
    had in the least disturbed of the tenths that do not count.
    """
    ours = {os.getpid(), *(process.pid for process in processes_of(folder))}
    rate, wanted = most / 2, rounds * PARTS
    all_: list[np.ndarray] = []
    disturbed: list[float] = []
    for _ in range(_OF * wanted):
        before = _used()
        all_.append(paced(peer.port, peer.raw_requests(1), rate, _SECONDS, connections, at_random=at_random))
        disturbed.append(
            sum(ms - before.get(thread, 0.0) for thread, ms in _used().items() if thread[0] not in ours)
        )
    order = np.argsort(disturbed, kind="stable")
    return {
        "requests_per_second": rate,
        **_medians([all_[index] for index in sorted(order[:wanted].tolist())]),
        "p99_over_p50_disturbed": _medians(all_)["p99_over_p50"],
        "others_ms": disturbed[order[wanted]],
    }


def _medians(tenths: list[np.ndarray]) -> dict[str, float]:
    rounds = [np.concatenate(tenths[start : start + PARTS]) for start in range(0, len(tenths), PARTS)]
    found = np.array([np.percentile(each, [50, 99]) * 1e3 for each in rounds])
    low, high = np.median(found, axis=0).tolist()
    ratio = float(np.median(found[:, 1] / found[:, 0]))
    return {"p50_ms": low, "p99_ms": high, "p99_over_p50": ratio}


def _used() -> dict[tuple[int, int], float]:
    """Return how many ms of processor time each thread of this machine has had, by process and thread."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/task/[0-9]*/schedstat"):
        try:
            found[int(place.parts[2]), int(place.parts[4])] = int(place.read_text().split()[0]) / 1e6
        except (OSError, ValueError, IndexError):  # it has ended
            continue
    return found
