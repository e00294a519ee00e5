"""Latency at half of the maximum load."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from _measure.peers import Peer
from _measure.sockets import paced


def at_half_load(
    peer: Peer, most: float, rounds: int, seconds: float, connections: int, *, at_random: bool
) -> dict[str, Any]:
    """Return medians over rounds of p50 and p99, in milliseconds, and of their ratio, at ``most / 2`` requests/s."""
    requests = peer.raw_requests(1)
    paced(peer.port, requests, most / 2, 0.5, connections, at_random=at_random)
    p50, p99 = [], []
    for _ in range(rounds):
        latencies = paced(peer.port, requests, most / 2, seconds, connections, at_random=at_random)
        low, high = np.percentile(latencies, [50, 99]).tolist()
        p50.append(low * 1e3)
        p99.append(high * 1e3)
    return {
        "requests_per_second": most / 2,
        "p50_ms": statistics.median(p50),
        "p99_ms": statistics.median(p99),
        "p99_over_p50": statistics.median(b / a for a, b in zip(p50, p99, strict=True)),
        "p99_over_p50_rounds": [b / a for a, b in zip(p50, p99, strict=True)],
    }
