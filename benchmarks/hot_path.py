"""What one request costs inside the worker: the ASGI application alone, without a socket or an HTTP parser.

``python benchmarks/hot_path.py --json`` packages the forest of ``serving.py`` and calls ``await app(scope, receive,
send)`` in a loop with everything on, beside a bare loop around the same graph. It counts the CPU time of the process,
its threads included: other processes disturb that less. ``--bundle FOLDER`` takes a Bento that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import json
import os
import pstats
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVERS = Path(__file__).with_name("_servers")
TOP = 25


def bodies(sizes: tuple[int, ...]) -> dict[int, list[bytes]]:
    from _measure.peers import as_rows, bodies_of
    from sklearn.datasets import load_breast_cancer

    X, _ = load_breast_cancer(return_X_y=True, as_frame=True)
    return as_rows(bodies_of(X, sizes, 64))


def scope_of(body: bytes, token: str) -> dict[str, Any]:
    """Return a scope as uvicorn makes it for wrk's requests."""
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "server": ("127.0.0.1", 3000), "client": ("127.0.0.1", 50000), "scheme": "http", "method": "POST",
        "root_path": "", "path": "/predict", "raw_path": b"/predict", "query_string": b"", "state": {},
        "headers": [
            (b"content-length", b"%d" % len(body)), (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"), (b"host", b"127.0.0.1:3000"),
        ],
    }  # fmt: skip


async def called(app: Any, requests: list[bytes], token: str, count: int) -> float:
    """Return the CPU seconds for `count` requests, one after the other, each in a task as uvicorn has it."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    async def one(body: bytes) -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope_of(body, token), receive, send)

    turn = itertools.cycle(requests)
    started = time.process_time()
    for _ in range(count):
        await asyncio.create_task(one(next(turn)))
    seconds = time.process_time() - started
    if statuses != [200] * count:
        raise SystemExit(f"answers {sorted(set(statuses))} where 200 was due")
    return seconds


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Do what every application must: this is the cost of being called."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def each_us(work: Callable[[], object], count: int) -> float:
    """Return the microseconds of one call: the median of seven batches."""

    def batch() -> float:
        started = time.thread_time()
        for _ in range(count):
            work()
        return (time.thread_time() - started) / count * 1e6

    return statistics.median(batch() for _ in range(7))


def parts(predictor: Any, gate: Any, requests: list[bytes], token: str) -> dict[str, float]:
    """Return the microseconds of the steps that a request takes, one by one; the steps are the runtime's own.

    Decoding and the graph go over all of `requests` in turn: a tree that sees one row again and again is in the cache.
    """
    import msgspec

    fast, encode = predictor.fast, msgspec.json.Encoder().encode
    next_body = itertools.cycle(requests).__next__
    next_feed = itertools.cycle([fast.decode(body) for body in requests]).__next__
    body = requests[0]
    feed, rows = fast.decode(body)
    found = fast.run(feed, rows)
    labels, probabilities = found
    answer = predictor.put(predictor.plain(labels), probabilities, [])
    payload = encode(answer)
    bearer = b"Bearer " + token.encode()
    count = 200 if rows > 1 else 1000
    steps: dict[str, Callable[[], object]] = {
        "token": lambda: gate.lets_in(bearer),
        "decode, check and fill": lambda: fast.decode(next_body()),
        "graph": lambda: fast.run(*next_feed()),
        "plain and put": lambda: predictor.put(predictor.plain(labels), probabilities, []),
        "count": lambda: predictor.metrics.answered(rows, 0.001, answer.predictions, ()),
        "encode": lambda: encode(answer),
        "count the status": lambda: predictor.metrics.responded("/predict", 200),
    }
    found_us = {name: each_us(work, count) for name, work in steps.items()}

    def later() -> float:
        for _ in range(count):
            predictor.recorder.fed(feed, answer, rows, 0.001)
            predictor.recorder.log.add(body, payload)
        started = time.thread_time()
        predictor.recorder.flush()
        return (time.thread_time() - started) / count * 1e6

    found_us["later: bins and log, on the ticker's thread"] = statistics.median(later() for _ in range(7))
    return found_us


def profiled(app: Any, requests: list[bytes], token: str, count: int) -> list[dict[str, Any]]:
    """Return the functions that take most time themselves; the profiler's own cost is in the figures."""
    profile = cProfile.Profile()
    profile.enable()
    asyncio.run(called(app, requests, token, count))
    profile.disable()
    table = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = [
        {
            "function": f"{Path(file).name}:{line} {name}" if line else name,
            "calls": round(calls / count, 2),
            "own_us": own / count * 1e6,
            "whole_us": whole / count * 1e6,
        }
        for (file, line, name), (_, calls, own, whole, _) in table.items()
    ]
    return sorted(rows, key=lambda row: -row["own_us"])[:TOP]


def measured(bento: Path, state: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Return requests/s of our application and of the bare loop, in turn, and what ours is made of."""
    # the bundle's own copy of the runtime, as a server has it
    sys.path.insert(0, str(bento / "src" / "runtime"))
    from modelyard_runtime.access import Gate, token_hash
    from modelyard_runtime.doors.asgi import PredictorApp
    from modelyard_runtime.predictor import Predictor

    os.environ["MODEL_FOLDER"] = str(bento / "src" / "model")
    sys.path.insert(0, str(SERVERS))
    import bare

    token = "t" * 43
    (state / "hashes").write_text(token_hash(token) + "\n")
    gate = Gate(file=state / "hashes")
    predictor = Predictor(bento / "src" / "model", state=state)
    app = PredictorApp(predictor, gate)  # its ticker runs from here on
    found: dict[str, Any] = {"load_before": os.getloadavg()}
    for rows, requests in bodies((1, 64)).items():
        apps = {"modelyard": app, "bare": bare.application, "nothing": nothing}
        us: dict[str, list[float]] = {name: [] for name in apps}
        for each in apps.values():
            asyncio.run(called(each, requests, token, 200))
        for _ in range(rounds):
            for name, each in apps.items():
                count = max(200, int(seconds / (asyncio.run(called(each, requests, token, 100)) / 100)))
                us[name].append(asyncio.run(called(each, requests, token, count)) / count * 1e6)
        medians = {name: statistics.median(each) for name, each in us.items()}
        found[f"{rows} row{'s' if rows > 1 else ''}"] = {
            "cpu_us_per_request": medians,
            "requests_per_cpu_second": {name: 1e6 / value for name, value in medians.items()},
            "over_bare": statistics.median(b / a for a, b in zip(us["modelyard"], us["bare"], strict=True)),
            "parts_us": parts(predictor, gate, requests, token),
            "top": profiled(app, requests, token, 2000 if rows == 1 else 300),
        }
    predictor.recorder.stop()
    found["load_after"] = os.getloadavg()
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _shown(found: dict[str, Any]) -> str:
    lines = [f"load {found['load_before'][0]} before, {found['load_after'][0]} after"]
    for size in (key for key in found if "row" in key):
        lines.append(
            f"\n{size}: {found[size]['cpu_us_per_request']} us; over bare {found[size]['over_bare']}"
        )
        lines += [f"  {us:8.2f} us  {name}" for name, us in found[size]["parts_us"].items()]
        lines += [
            f"  {row['own_us']:8.2f} own {row['whole_us']:8.2f} whole  x{row['calls']:<5g} {row['function']}"
            for row in found[size]["top"]
        ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print text or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--bundle", type=Path, help="a Bento's folder; by default one is made")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--seconds", type=float, default=1, help="of each application in each round (1)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(scratch).resolve()
        bento = wanted.bundle.resolve() if wanted.bundle else _made(folder)
        found = measured(bento, folder, wanted.seconds, wanted.rounds)
    found = _rounded(found)
    print(json.dumps(found, indent=1) if wanted.json else _shown(found))


def _made(folder: Path) -> Path:
    """Package in a process of its own: what packaging imports would slow down the one that measures."""
    import subprocess

    (folder / ".modelyard").mkdir()
    packaging = "import pathlib, serving; print(serving.packaged(pathlib.Path('.'))[2].path)"
    told = {
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "MODELYARD_CONFIG_DIR": str(folder / "config"),
        "PYTHONPATH": os.pathsep.join([str(SERVERS.parent), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", packaging], cwd=folder, env=os.environ | told,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
