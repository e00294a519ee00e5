"""What a shadow costs the client: the same endpoint with and without one, in turn, at the same moderate rate."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import modelyard
from _measure.peers import Peer, samples
from _measure.sockets import paced
from _measure.workers import processes_of

SHADOW = "v2"
_SETTLED_S = 30.0
_STILL_S = 0.5
_WARM_S = 0.25
_CLIENTS = ("sleeping", "spinning")


def with_and_without(
    peer: Peer, name: str, folder: Path, rate: float, rounds: int, seconds: float, connections: int
) -> dict[str, Any]:
    """Return medians of p50 in ms by client, of the rounds' ratios, and how much of the shadow's work was done.

    Every other round has the shadow first. A shadow that was switched on has loaded its model, and answered all that
    was there before, when the measuring begins; one that was switched off is gone.
    """
    p50: dict[str, dict[bool, list[float]]] = {client: {True: [], False: []} for client in _CLIENTS}
    kept_up: dict[str, list[float]] = {client: [] for client in _CLIENTS}

    def ask(client: str, lasting: float) -> np.ndarray:
        return paced(
            peer.port, peer.raw_requests(1), rate, lasting, connections,
            at_random=False, sleeps=client == "sleeping",
        )  # fmt: skip

    def settle(on: bool) -> None:
        modelyard.traffic(name, shadow=(SHADOW,) if on else ())
        before, deadline = _compared(peer), time.monotonic() + _SETTLED_S
        while _compared(peer) == before if on else _is_there(folder):
            if time.monotonic() > deadline:
                raise SystemExit(f"the shadow is not {'there' if on else 'gone'} after {_SETTLED_S:g} s")
            ask("sleeping", _WARM_S)
        _wait_until_idle(peer)

    for number in range(rounds):
        for on in (False, True) if number % 2 == 0 else (True, False):
            settle(on)
            for client in _CLIENTS:
                before = _compared(peer)
                latencies = ask(client, seconds)
                if on:
                    kept_up[client].append((_compared(peer) - before) / len(latencies))
                    _wait_until_idle(peer)
                p50[client][on].append(float(np.median(latencies)) * 1e3)
    return {
        "requests_per_second": rate,
        **{
            client: {
                "p50_ms_without": statistics.median(found[False]),
                "p50_ms_with": statistics.median(found[True]),
                "with_over_without": statistics.median(
                    a / b for a, b in zip(found[True], found[False], strict=True)
                ),
                "compared_meanwhile": statistics.median(kept_up[client]),
            }
            for client, found in p50.items()
        },
    }


def _compared(peer: Peer) -> float:
    """Return how many rows the shadow has answered; without one, nobody says."""
    return sum(
        v for labels, v in samples(peer, "modelyard_compared_rows_total") if labels["variant"] == SHADOW
    )


def _is_there(folder: Path) -> bool:
    return any("modelyard_router.comparing" in " ".join(p.cmdline()) for p in processes_of(folder))


def _wait_until_idle(peer: Peer) -> None:
    """Return when the shadow has answered what it was given."""
    before, now = -1.0, _compared(peer)
    while now != before:
        time.sleep(_STILL_S)
        before, now = now, _compared(peer)
