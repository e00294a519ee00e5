"""Latency at half of the maximum load, in those moments in which the machine itself keeps still.

A virtual machine stands still for milliseconds now and then, whoever runs on it. Each round is therefore framed by two
of a server that does nothing (``_servers/echo.py``) at the same rate, and counts where those kept the bound.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from _measure.peers import Peer
from _measure.sockets import paced

STILL = (
    4.0  # p99 over p50 of the server that does nothing: less than what is asked of ours, which does something
)
_SECONDS = 0.25
_MOST_ROUNDS = 120


def at_half_load(
    peer: Peer, echo: Peer, most: float, rounds: int, connections: int, *, at_random: bool
) -> dict[str, Any]:
    """Return medians of p50 and p99 in ms, and of their ratio, at ``most / 2`` requests/s, over `rounds` still rounds.

    The ratio is ``None`` where the machine was not still often enough.
    """
    rate = most / 2

    def once(asked: Peer) -> tuple[float, float]:
        latencies = paced(asked.port, asked.raw_requests(1), rate, _SECONDS, connections, at_random=at_random)
        low, high = np.percentile(latencies, [50, 99]).tolist()
        return low * 1e3, high * 1e3

    once(peer)
    kept: list[tuple[float, float]] = []
    all_: list[tuple[float, float]] = []
    before = once(echo)
    for _ in range(_MOST_ROUNDS):
        found = once(peer)
        after = once(echo)
        all_.append(found)
        if all(high <= STILL * low for low, high in (before, after)):
            kept.append(found)
        before = after
        if len(kept) == rounds:
            break
    enough = len(kept) == rounds
    shown = kept if enough else all_
    return {
        "requests_per_second": rate,
        "p50_ms": statistics.median(low for low, _ in shown),
        "p99_ms": statistics.median(high for _, high in shown),
        "p99_over_p50": statistics.median(high / low for low, high in shown) if enough else None,
        "p99_over_p50_of_all_rounds": statistics.median(high / low for low, high in all_),
        "still_rounds": len(kept),
        "rounds": len(all_),
    }
