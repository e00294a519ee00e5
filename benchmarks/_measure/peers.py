"""The servers that are compared: each on loopback, on a free port, with a home of its own, and all of them stopped."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from modelyard.targets import processes

SERVERS = Path(__file__).resolve().parents[1] / "_servers"
_READY_S = 60.0


@dataclass(frozen=True)
class Peer:
    """A server that answers, and how to ask it.

    Attributes
    ----------
    requests : dict
        Bodies by the number of their rows; all servers are asked for the same rows.
    labels : callable
        Returns the predicted labels of a decoded answer, to prove that a server does the work.
    """

    name: str
    port: int
    path: str
    requests: dict[int, list[bytes]]
    labels: Callable[[Any], list[Any]]
    headers: dict[str, str] = field(default_factory=dict)

    def raw_requests(self, rows: int) -> list[bytes]:
        """Return whole HTTP requests."""
        lines = [f"{key}: {value}" for key, value in self.headers.items()]
        head = "\r\n".join([f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}",
                            "content-type: application/json", *lines])  # fmt: skip
        return [f"{head}\r\ncontent-length: {len(b)}\r\n\r\n".encode() + b for b in self.requests[rows]]

    def prove(self, expected: dict[int, list[list[Any]]]) -> None:
        """Ask every request once; the labels must be the model's own."""
        with client(self.port) as asking:
            headers = {"content-type": "application/json", **self.headers}
            for rows, bodies in self.requests.items():
                for body, wanted in zip(bodies, expected[rows], strict=True):
                    answer = asking.post(self.path, content=body, headers=headers)
                    found = self.labels(answer.json()) if answer.status_code == 200 else answer.text[:300]
                    if found != wanted:
                        raise SystemExit(
                            f"{self.name} answers {answer.status_code} {found} where the model says {wanted}"
                        )


def bodies_of(X: Any, sizes: Sequence[int], different: int) -> dict[int, list[Any]]:
    """Return, for each size, that many different tables of rows drawn from `X`."""
    draw = np.random.default_rng(0)
    return {
        size: [X.iloc[draw.integers(len(X), size=size)] for _ in range(max(2, different // size))]
        for size in sizes
    }


def as_rows(tables: dict[int, list[Any]]) -> dict[int, list[bytes]]:
    """Return bodies as modelyard takes them: ``{"rows": [{column: value}, …]}``."""
    return {size: [_json({"rows": t.to_dict("records")}) for t in each] for size, each in tables.items()}


def as_arrays(tables: dict[int, list[Any]]) -> dict[int, list[bytes]]:
    """Return bodies as BentoML takes an array: ``{"X": [[value, …], …]}``."""
    return {size: [_json({"X": t.to_numpy().tolist()}) for t in each] for size, each in tables.items()}


def client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)


def counted(peer: Peer) -> dict[str, float]:
    """Return how many requests to predict an endpoint of ours has counted, by variant."""
    found: dict[str, float] = {}
    for labels, value in samples(peer, "modelyard_requests_total"):
        if labels["path"] == "/predict":
            found[labels["variant"]] = found.get(labels["variant"], 0.0) + value
    return found


def samples(peer: Peer, name: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and the values of one of an endpoint's metrics."""
    with client(peer.port) as asking:
        text = asking.get("/metrics", headers=peer.headers).text
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


def wait_until_ready(port: int, mark: Path, path: str, every: float = 0.01) -> None:
    """Return when ``GET path`` answers as it should; give up after a minute."""
    deadline = time.monotonic() + _READY_S
    with client(port) as asking:
        while time.monotonic() < deadline:
            try:
                if asking.get(path).status_code in (200, 405):  # 405: a server that takes nothing but POST
                    return
            except httpx.TransportError:
                pass
            time.sleep(every)
    raise SystemExit(f"no answer of {mark.name}: {(mark / 'server.log').read_text()[-2000:]}")


def start(mark: Path, argv: list[str], extra: dict[str, str]) -> None:
    """Start ``python argv`` in `mark`, its own folder and BentoML home."""
    mark.mkdir(parents=True)
    env = {"BENTOML_HOME": str(mark), "BENTOML_DO_NOT_TRACK": "True", **extra}
    processes.spawn([sys.executable, *argv], processes.environment(mark, env), SERVERS, mark / "server.log")


def bentoml_serve(service: str, port: int) -> list[str]:
    return ["-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(port)]


def uvicorn_serve(app: str, port: int, *more: str) -> list[str]:
    return ["-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
            "--log-level", "warning", *more]  # fmt: skip


@contextmanager
def running(mark: Path, argv: list[str], port: int, ready: str, **extra: str) -> Iterator[None]:
    """Run ``python argv`` until the block ends."""
    try:
        start(mark, argv, extra)
        wait_until_ready(port, mark, ready)
        yield
    finally:
        processes.stop(mark)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def versions() -> dict[str, str]:
    """Return the versions that matter, and which HTTP parser and event loop uvicorn finds."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0], "cpus": str(os.cpu_count())}
    for name in ("bentoml", "onnxruntime", "scikit-learn", "msgspec", "uvicorn", "httptools", "uvloop"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
