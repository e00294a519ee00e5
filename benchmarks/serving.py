"""How fast a bundle is served, beside what else could serve it; every side measured in one run, in turn.

``python benchmarks/serving.py --json`` packages a scaler and a forest of 200 trees on the breast cancer table, deploys
it to this machine with everything on (contract, token, metrics, prediction log), and loads it and its peers over
loopback: a bare uvicorn loop around the bundle's own ``model.onnx``, BentoML's ONNX service, BentoML's tutorial
service with scikit-learn. All are up, one is loaded. ``check.py`` compares the figures with what must be reached.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

CONNECTIONS = 8
MANY = 64
DIFFERENT = 64  # bodies per size, so that nothing is measured on one lucky row


def packaged(folder: Path) -> tuple[Any, Any, Any]:
    """Return the fitted pipeline, its table and its bundle; the pipeline is also in ``forest.joblib``."""
    import joblib
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import modelyard

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(200, random_state=0)).fit(X, y)
    joblib.dump(model, folder / "forest.joblib")
    return model, X, modelyard.package(model, X, y, name="forest")


def deployed(bundle: Any, name: str, workers: int) -> Any:
    """Deploy to this machine, with as many workers where the target can."""
    import modelyard
    from modelyard.targets.local import LocalTarget

    can = any(field.name == "workers" for field in dataclasses.fields(LocalTarget))
    return modelyard.deploy(bundle, to="local", name=name, **({"workers": workers} if can else {}))


@contextmanager
def ours(bundle: Any, name: str, workers: int, requests: dict[int, list[bytes]]) -> Iterator[Any]:
    from _measure.peers import Peer

    deployment = deployed(bundle, name, workers)
    try:
        port = int(deployment.url.rpartition(":")[2])
        bearer = {"authorization": f"Bearer {deployment.token}"}
        yield Peer("modelyard", port, "/predict", requests, lambda a: a["predictions"], bearer)
    finally:
        deployment.remove()


def others(stack: ExitStack, bundle: Any, folder: Path, tables: dict[int, list[Any]]) -> list[Any]:
    """Start the peers; they stop with `stack`."""
    from _measure import peers

    from modelyard.targets.processes import free_port

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
    from _measure import peers
    from _measure.everything_on import everything_on
    from _measure.throughput import interleaved, ratio

    from modelyard.catalog import open_yard

    tables = peers.bodies_of(X, (1, MANY), DIFFERENT)
    expected = {size: [model.predict(table).tolist() for table in each] for size, each in tables.items()}
    with ExitStack() as stack:
        mine = stack.enter_context(ours(bundle, "served", 1, peers.as_rows(tables)))
        bare, graph, tutorial = others(stack, bundle, folder, tables)
        for peer in (mine, bare, graph, tutorial):
            peer.prove(expected)
        args = (wanted.rounds, wanted.seconds, CONNECTIONS)
        one = interleaved([mine, bare, graph, tutorial], 1, *args)
        many = interleaved([mine, bare], MANY, *args)
        most = {name: statistics.median(each) for name, each in one.items()}
        proof = everything_on(mine, open_yard().deployment_folder("served"), int(sum(one["modelyard"])))
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


def half_load(bundle: Any, X: Any, folder: Path, most: float, wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure latency at half of the maximum load; idle servers wake up now and then, so there are none beside."""
    from _measure import peers
    from _measure.tail import at_half_load

    from modelyard.targets.processes import free_port

    requests = peers.as_rows(peers.bodies_of(X, (1,), DIFFERENT))
    port = free_port()
    echo = peers.Peer("echo", port, "/predict", requests, lambda answer: answer)
    argv = [str(peers.SERVERS / "echo.py")]
    with (
        peers.running(folder / "echo", argv, port, "/", PORT=str(port)),
        ours(bundle, "half", 1, requests) as mine,
    ):
        return {
            name: at_half_load(mine, echo, most, wanted.rounds, CONNECTIONS, at_random=name == "random")
            for name in ("even", "random")
        }


def killed(bundle: Any, X: Any, wanted: argparse.Namespace) -> dict[str, Any]:
    """Kill a worker of a deployment of two under load."""
    from _measure import peers
    from _measure.killed import worker_killed

    from modelyard.catalog import open_yard

    requests = peers.as_rows(peers.bodies_of(X, (1,), DIFFERENT))
    with ours(bundle, "killed", 2, requests) as peer:
        return worker_killed(
            peer, open_yard().deployment_folder("killed"), max(6.0, wanted.seconds * 3), CONNECTIONS
        )


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return everything, and the figures that have a bound."""
    from _measure.bounds import BOUNDS
    from _measure.peers import versions
    from _measure.readiness import until_ready
    from _measure.wrk import client_name

    before = os.getloadavg()
    model, X, bundle = packaged(folder)
    found: dict[str, Any] = {
        "versions": versions(),
        "client": client_name(),
        "settings": {"rounds": wanted.rounds, "seconds": wanted.seconds, "connections": CONNECTIONS},
        "busy_before": busy(),
    }
    found |= compared(bundle, model, X, folder, wanted)
    most = found["requests_per_second"]["1 row"]["modelyard"]
    found["half_load"] = half_load(bundle, X, folder, most, wanted)
    found["ready"] = until_ready(bundle, wanted.rounds, folder)
    found["killed"] = killed(bundle, X, wanted)
    found["batch"] = None if wanted.no_batch else batch(wanted.quick)
    found["load"] = {"before": before, "after": os.getloadavg()}
    found["figures"] = {name: bound.judged(_values(found).get(name)) for name, bound in BOUNDS.items()}
    found["missed"] = [name for name, figure in found["figures"].items() if not figure["kept"]]
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


def busy() -> float:
    """Return the share of all cores that others use while this process waits."""
    import psutil

    return float(psutil.cpu_percent(interval=2)) / 100


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _shown(found: dict[str, Any]) -> str:
    return "\n".join(
        f"{'ok  ' if figure['kept'] else 'MISS'} {figure['value']!s:>10}  {figure['bound']:<8} {figure['what']}"
        for figure in found["figures"].values()
    )


def main() -> None:
    """Measure, and print text or JSON; fail where something cannot be measured, not where it is slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="one short round of each: to see that it works")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--seconds", type=int, default=3, help="load on each server in each round (3)")
    parser.add_argument("--no-batch", action="store_true", help="leave batch.py out; it counts as missed")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.rounds, wanted.seconds = 1, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is stopped then, too
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(scratch).resolve()
        (folder / ".modelyard").mkdir()
        os.environ |= {
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "MODELYARD_CONFIG_DIR": str(folder / "config"),
        }
        os.chdir(folder)
        found = measured(folder, wanted)
        os.chdir("/")
    found["took_s"] = time.perf_counter() - started
    found = _rounded(found)
    print(json.dumps(found, indent=1, ensure_ascii=False) if wanted.json else _shown(found))


if __name__ == "__main__":
    main()
