"""Proof that a request is routed, or is not, and by what shares."""

from __future__ import annotations

from collections.abc import Mapping

from _measure.peers import Peer, client, counted

_APART = 0.02  # of several thousand draws: four standard deviations and more


def as_wanted(peer: Peer, shares: Mapping[str, float] | None) -> bool:
    """Say whether an endpoint has answered by these shares; ``None`` is an endpoint that has no router."""
    with client(peer.port) as asking:
        ready = asking.get("/readyz").json()
    if shares is None:
        return "policy" not in ready
    found = shares_of(peer)
    return set(ready["variants"]) == set(shares) and all(
        abs(found.get(name, 0.0) - share) < _APART for name, share in shares.items()
    )


def shares_of(peer: Peer) -> dict[str, float]:
    """Return by which variants the requests were answered."""
    found = {name: count for name, count in counted(peer).items() if count}
    return {name: count / sum(found.values()) for name, count in found.items()}
