"""How fast a bundle is served, beside what else could serve it; every side measured in one run, in turn.

``python benchmarks/serving.py --json`` packages a scaler and a forest of 200 trees on the breast cancer table, deploys
it to this machine with everything on (contract, token, metrics, prediction log), and loads it and its peers over
loopback: a bare uvicorn loop around the bundle's own ``model.onnx``, BentoML's ONNX service, BentoML's tutorial
service with scikit-learn. All are up, one is loaded. ``check.py`` compares the figures with what must be reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
from _measure import peers
from _measure.bounds import SERVING
from _measure.everything_on import everything_on
from _measure.killed import worker_killed
from _measure.ours import CONNECTIONS, DIFFERENT, endpoint, folder_of, packaged
from _measure.readiness import until_ready
from _measure.run import parser, run
from _measure.tail import at_half_load, cores_kept, servers_apart
from _measure.throughput import interleaved, ratio

from modelyard.targets.processes import free_port

MANY = 64
MOST_KILLS = 5


def others(stack: ExitStack, bundle: Any, folder: Path, tables: dict[int, list[Any]]) -> list[Any]:
    """Start the peers; they stop with `stack`."""
    described = bundle.manifest["model"]
    onnx = bundle.path / "src" / "model" / described["file"]
    classes = described["classes"]
    rows, arrays = peers.as_rows(tables), peers.as_arrays({1: tables[1]})
    bare, graph, tutorial = free_port(), free_port(), free_port()
    for name, argv, port, ready, told in (
        ("bare", peers.uvicorn_serve("bare:application", bare, "--lifespan", "off"), bare, "/",
         {"MODEL_FOLDER": str(onnx.parent)}),
        ("onnx", peers.bentoml_serve("bentoml_onnx:OnnxForest", graph), graph, "/readyz",
         {"FOREST_ONNX": str(onnx)}),
        ("tutorial", peers.bentoml_serve("bentoml_tutorial:Forest", tutorial), tutorial, "/readyz",
         {"FOREST_JOBLIB": str(folder / "forest.joblib")}),
    ):  # fmt: skip
        stack.enter_context(peers.running(folder / name, argv, port, ready, **told))

    def plain(answer: Any) -> Any:
        return answer

    assert classes == [0, 1], "the peers answer the labels as they are"
    return [
        peers.Peer("bare", bare, "/predict", rows, lambda answer: answer["predictions"]),
        peers.Peer("bentoml_onnx", graph, "/predict", arrays, plain),
        peers.Peer("bentoml_tutorial", tutorial, "/predict", arrays, plain),
    ]


def batch(quick: bool) -> dict[str, Any] | None:
    """Return what ``batch.py`` says; ``None`` where there is none, or it prints nothing."""
    script = Path(__file__).with_name("batch.py")
    if not script.is_file():
        return None
    argv = [
        sys.executable,
        str(script),
        "--json",
        *(["--runs", "1", "--rows", "100000"] if quick else ["--full"]),
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    try:
        return {"exit": done.returncode, **json.loads(done.stdout)}
    except ValueError:
        return {"exit": done.returncode, "error": (done.stderr or done.stdout)[-1000:]}


def compared(bundle: Any, model: Any, X: Any, folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure what needs the peers: throughput and latency."""
    tables = peers.bodies_of(X, (1, MANY), DIFFERENT)
    expected = {size: [model.predict(table).tolist() for table in each] for size, each in tables.items()}
    with ExitStack() as stack:
        mine = stack.enter_context(endpoint(bundle, "served", 1, peers.as_rows(tables)))
        bare, graph, tutorial = others(stack, bundle, folder, tables)
        for peer in (mine, bare, graph, tutorial):
            peer.prove(expected)
        args = (wanted.rounds, wanted.seconds, CONNECTIONS)
        one = interleaved([mine, bare, graph, tutorial], 1, *args)
        many = interleaved([mine, bare], MANY, *args)
        most = {name: statistics.median(each) for name, each in one.items()}
        proof = everything_on(mine, folder_of("served"), int(sum(one["modelyard"])))
    return {
        "requests_per_second": {
            "1 row": most,
            f"{MANY} rows": {name: statistics.median(each) for name, each in many.items()},
        },
        "ratios": {
            "one_row_over_bare": ratio(one, "modelyard", "bare"),
            "one_row_over_bentoml_onnx": ratio(one, "modelyard", "bentoml_onnx"),
            "one_row_over_bentoml_tutorial": ratio(one, "modelyard", "bentoml_tutorial"),
            "many_rows_over_bare": ratio(many, "modelyard", "bare"),
        },
        "on": proof,
    }


def half_load(bundle: Any, X: Any, most: float, wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure latency at half of the maximum load; idle servers wake up now and then, so there are none beside."""
    requests = peers.as_rows(peers.bodies_of(X, (1,), DIFFERENT))
    with ExitStack() as stack:
        stack.enter_context(cores_kept())
        with servers_apart():
            mine = stack.enter_context(endpoint(bundle, "half", 1, requests))
        folder = folder_of("half")
        at_half_load(mine, folder, most, 1, CONNECTIONS, at_random=False)  # warm up
        return {
            name: at_half_load(mine, folder, most, wanted.rounds, CONNECTIONS, at_random=name == "random")
            for name in ("even", "random")
        }


def killed(bundle: Any, X: Any, wanted: argparse.Namespace) -> dict[str, Any]:
    """Kill a worker of a deployment of two under load, until one was killed while both had a part of it.

    The client has a core to itself: on two cores one worker alone may have taken every connection.
    """
    requests = peers.as_rows(peers.bodies_of(X, (1,), DIFFERENT))
    with endpoint(bundle, "killed", 2, requests) as peer:
        for _ in range(MOST_KILLS):
            found = worker_killed(peer, folder_of("killed"), max(6.0, wanted.seconds * 3), CONNECTIONS)
            if len(found["connections_by_worker"]) > 1:
                break
        return found


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything."""
    model, X, bundle = packaged()
    joblib.dump(model, folder / "forest.joblib")
    found = compared(bundle, model, X, folder, wanted)
    most = found["requests_per_second"]["1 row"]["modelyard"]
    found["half_load"] = half_load(bundle, X, most, wanted)
    found["ready"] = until_ready(bundle, wanted.rounds, folder)
    found["killed"] = killed(bundle, X, wanted)
    found["batch"] = None if wanted.no_batch else batch(wanted.quick)
    return found


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    hit, batch = found["killed"], found["batch"] or {}
    strayed = abs(hit["counted_minus_answered"]) if hit["metrics_agree"] else hit["answered"]
    return {
        **{name: ratio["median"] for name, ratio in found["ratios"].items()},
        "p99_over_p50_even": found["half_load"]["even"]["p99_over_p50"],
        "p99_over_p50_random": found["half_load"]["random"]["p99_over_p50"],
        "deploy_over_empty_serve": found["ready"]["deploy_over_empty_serve"],
        "asgi_door_s": found["ready"]["asgi_door_s"],
        "killed_workers": len(hit["connections_by_worker"]),
        "killed_failures_beyond_in_flight": max(0, hit["failed"] - hit["in_flight"]),
        "killed_miscounted_beyond_in_flight": max(0, strayed - hit["in_flight"]),
        "all_on": float(all(found["on"].values())),
        "batch_over_loop": min(
            (value for name, value in batch.items() if name.endswith("_over_plain_loop")), default=None
        ),
        "batch_kept": float(not batch["missed"]) if "missed" in batch else None,
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--no-batch", action="store_true", help="leave batch.py out; it counts as missed")
    run(flags.parse_args(), measured, _values, SERVING)


if __name__ == "__main__":
    main()
