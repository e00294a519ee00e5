"""How long until an endpoint answers: a deploy, ``bentoml serve`` of an empty service, and the plain ASGI door."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import modelyard
from _measure import peers
from modelyard.targets import processes


def until_ready(bundle: Any, runs: int, folder: Path) -> dict[str, Any]:
    """Return the medians, in seconds, of runs in turn; the first of each warms the disk and is not counted."""
    ours, empty, door = [], [], []
    for number in range(runs + 1):
        empty.append(_empty(folder / f"empty-{number}"))
        ours.append(_deploy(bundle, f"timed-{number}"))
        door.append(_door(bundle, folder / f"door-{number}"))
    ratios = [a / b for a, b in zip(ours[1:], empty[1:], strict=True)]
    return {
        "deploy_s": statistics.median(ours[1:]),
        "empty_bentoml_serve_s": statistics.median(empty[1:]),
        "deploy_over_empty_serve": statistics.median(ratios),
        "asgi_door_s": statistics.median(door[1:]),
    }


def _empty(mark: Path) -> float:
    port = processes.free_port()
    started = time.perf_counter()
    with peers.running(mark, peers.bentoml_serve("bentoml_empty:Empty", port), port, "/readyz"):
        return time.perf_counter() - started


def _deploy(bundle: Any, name: str) -> float:
    started = time.perf_counter()
    deployment = modelyard.deploy(bundle, to="local", name=name)
    seconds = time.perf_counter() - started
    deployment.remove()
    return seconds


def _door(bundle: Any, mark: Path) -> float:
    port = processes.free_port()
    argv = peers.uvicorn_serve(
        "modelyard_runtime.doors.asgi:application", port,
        "--factory", "--app-dir", str(bundle.path / "src" / "runtime"),
    )  # fmt: skip
    started = time.perf_counter()
    with peers.running(mark, ["-I", *argv], port, "/readyz"):
        return time.perf_counter() - started
