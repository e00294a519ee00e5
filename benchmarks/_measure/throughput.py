"""Answers per second, server after server, round after round: a machine that drifts treats them all alike."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from _measure.peers import Peer
from _measure.wrk import requests_per_second


def interleaved(
    peers: Sequence[Peer], rows: int, rounds: int, seconds: int, connections: int
) -> dict[str, list[float]]:
    """Return each server's answers per second in each round.

    Of three or more another one begins each round, and none is measured twice in a row: the second time it would find
    its caches warm. To and fro, the ones at the ends had 2 to 5 % more than the one between them.
    """
    found: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for peer in peers:
        requests_per_second(peer, rows, 1, connections)  # nobody is measured cold
    for number in range(rounds):
        first = number % len(peers) if len(peers) > 2 else 0
        for peer in (*peers[first:], *peers[:first]):
            found[peer.name].append(requests_per_second(peer, rows, seconds, connections))
    return found


def ratio(found: dict[str, list[float]], ours: str, theirs: str) -> dict[str, Any]:
    """Return the median of the rounds' ratios, and how far they spread."""
    each = [a / b for a, b in zip(found[ours], found[theirs], strict=True)]
    return {"median": statistics.median(each), "least": min(each), "most": max(each)}


def in_turn(found: dict[str, list[float]], shares: Mapping[str, float]) -> list[float]:
    """Return, for each round, what servers would answer per second if each got that share of the requests in turn.

    That is the weighted harmonic mean: what adds up is the time of a request.
    """
    rounds = zip(*(found[name] for name in shares), strict=True)
    return [statistics.harmonic_mean(each, weights=list(shares.values())) for each in rounds]
