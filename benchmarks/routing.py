"""What it costs to have several bundles behind one endpoint, and how fast a rollback is; all measured in one run.

``python benchmarks/routing.py --json`` packages two forests that differ in their seed only, as v1 and v2, and asks:

Throughput, as ``serving.py`` measures it: one worker each, all are up, one is loaded by wrk. v1 alone, v2 alone, and
one of them per request, by chance, at 50 and at 10 %. "Without a router" is the same command in the same environment
without a policy: token, counters and log are on in both. Two variants together are compared with the mean of the two
alone (harmonic, weighted with the shares: what requests of both kinds in turn would take).

The bound is on ``choosing_over_plain``, where the same bundle answers: a candidate has one request in ten thousand, so
that every request is drawn. Requests that are there at the same time are answered by one run of a graph; those of two
variants need two, and that, no work of the router, is what ``routed_over_plain`` (half and half) and
``canary_over_plain`` lose besides. ``routed_over_plain_one_connection`` is half and half where nothing comes together.

A shadow: p50 at a quarter of the maximum rate, with and without. **The figure is that of the client that sleeps**
between requests (``select``): on two cores, the server then has one and the shadow finds the other one nearly free.
Beside it stands the client that spins, which is exact, but keeps a core to itself: server and shadow share what is
left, no core is free, and there is no bound. ``compared_meanwhile`` says how much of what came the shadow managed to
answer at the same time; a shadow that lags would cost little for the wrong reason.

A rollback: two workers under load, a candidate at 50 %, and ``modelyard.traffic(rollback=True)`` in another process.
Counted from the last look at which the old ``policy.json`` was still there to the last answer that names the candidate
when it arrives, and so never too short. ``check.py`` compares the figures with what must be reached.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from _measure import peers
from _measure.bounds import ROUTING
from _measure.everything_on import everything_on
from _measure.ours import CONNECTIONS, DIFFERENT, endpoint, folder_of, packaged, unrouted
from _measure.rolled_back import rolled_back
from _measure.routes import as_wanted, shares_of
from _measure.run import parser, run
from _measure.shadowed import SHADOW, with_and_without
from _measure.throughput import in_turn, interleaved, ratio

import modelyard

EVEN, TENTH, HARDLY = {"v1": 0.5, "v2": 0.5}, {"v1": 0.9, "v2": 0.1}, {"v1": 0.9999, "v2": 0.0001}
ROLLBACKS = 10
NEAR = 3

Requests = dict[int, list[bytes]]


def throughput(
    first: Any,
    second: Any,
    requests: Requests,
    expected: dict[int, list[list[Any]]],
    wanted: argparse.Namespace,
) -> dict[str, Any]:
    """Measure answers per second with and without a router."""
    with ExitStack() as stack:
        plain = [
            stack.enter_context(unrouted(bundle, name, requests))
            for bundle, name in ((first, "plain-v1"), (second, "plain-v2"))
        ]
        single, split, canary, choosing = routed = [
            stack.enter_context(endpoint(first, name, 1, requests, name))
            for name in ("single", "split", "canary", "choosing")
        ]
        for peer, shares in ((split, EVEN), (canary, TENTH), (choosing, HARDLY)):
            modelyard.traffic(peer.name, split=shares)
        for peer in (*plain, *routed):
            peer.prove(expected)
        slices = wanted.rounds * wanted.seconds  # of a second each: 3 % want neighbours, not long rounds
        found = interleaved([*plain, *routed], 1, slices, 1, CONNECTIONS)
        # What has a bound of 3 % is measured again, as close neighbours and often: the slices differ by 10 %.
        near = interleaved([plain[0], single, choosing], 1, NEAR * slices, 1, CONNECTIONS)
        found["mean"] = in_turn(found, {"plain-v1": 0.5, "plain-v2": 0.5})
        found["mean at 9 to 1"] = in_turn(found, {"plain-v1": 0.9, "plain-v2": 0.1})
        alone = interleaved([*plain, split], 1, slices, 1, 1)
        alone["mean"] = in_turn(alone, {"plain-v1": 0.5, "plain-v2": 0.5})
        return {
            "requests_per_second": {
                f"{CONNECTIONS} connections": {name: median(each) for name, each in found.items()},
                "one connection": {name: median(each) for name, each in alone.items()},
            },
            "ratios": {
                "routed_over_plain": ratio(found, "split", "mean"),
                "canary_over_plain": ratio(found, "canary", "mean at 9 to 1"),
                "single_over_plain": ratio(near, "single", "plain-v1"),
                "choosing_over_plain": ratio(near, "choosing", "plain-v1"),
                "routed_over_plain_one_connection": ratio(alone, "split", "mean"),
                "v2_over_v1": ratio(found, "plain-v2", "plain-v1"),
            },
            "shares": {peer.name: shares_of(peer) for peer in routed},
            "routes": {
                **{peer.name: as_wanted(peer, None) for peer in plain},
                **{
                    peer.name: as_wanted(peer, shares)
                    for peer, shares in (
                        (single, {"v1": 1.0}),
                        (split, EVEN),
                        (canary, TENTH),
                        (choosing, HARDLY),
                    )
                },
            },
            "on": {
                peer.name: everything_on(
                    peer, folder_of(peer.name), int(sum(found[peer.name]) + sum(near.get(peer.name, ())))
                )
                for peer in (*plain, *routed)
            },
        }


def shadow(first: Any, requests: Requests, most: float, wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure p50 with and without a shadow at a quarter of the rate `most`."""
    with endpoint(first, "shadowed", 1, requests) as peer:
        return with_and_without(
            peer, "shadowed", folder_of("shadowed"), most / 4, wanted.rounds, wanted.seconds, CONNECTIONS
        )


def rollback(first: Any, requests: Requests, wanted: argparse.Namespace) -> dict[str, Any]:
    """Roll a candidate back under load, again and again."""
    with endpoint(first, "rolled-back", 2, requests) as peer:
        times = 2 if wanted.quick else ROLLBACKS
        return rolled_back(peer, "rolled-back", folder_of("rolled-back"), times, CONNECTIONS)


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything."""
    model, X, first = packaged(seed=0)
    other, _, second = packaged(seed=1)
    tables = peers.bodies_of(X, (1,), DIFFERENT)
    expected, others = (
        {size: [each.predict(table).tolist() for table in tables[size]] for size in tables}
        for each in (model, other)
    )
    if expected != others or (first.version, second.version) != (1, int(SHADOW[1:])):
        raise SystemExit("v1 and v2 are not as they are thought to be: other labels, or other versions")
    requests = peers.as_rows(tables)
    found = throughput(first, second, requests, expected, wanted)
    most = found["requests_per_second"][f"{CONNECTIONS} connections"]["single"]
    found["shadow"] = shadow(first, requests, most, wanted)
    found["rollback"] = rollback(first, requests, wanted)
    return found


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    back, shadow = found["rollback"], found["shadow"]
    all_on = (
        all(found["routes"].values())
        and all(all(each.values()) for each in found["on"].values())
        and shadow["sleeping"]["compared_meanwhile"] > 0
        and back["candidate_before"] > 0
        and back["control_after"] > 0
    )
    return {
        **{name: ratio["median"] for name, ratio in found["ratios"].items()},
        "shadow_p50_over_without": shadow["sleeping"]["with_over_without"],
        "rollback_s": back["most_s"],
        "rollback_workers": back["fewest_workers"],
        "rollback_failures": back["failed"],
        "all_on": float(all_on),
    }


def main() -> None:
    run(parser(__doc__).parse_args(), measured, _values, ROUTING)


if __name__ == "__main__":
    main()
