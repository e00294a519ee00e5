"""How long a user waits: ``%load_ext``, and a deploy until it answers.

``python benchmarks/startup.py --json`` prints medians. Start-up is measured as whole processes in turn (bare
IPython, IPython with modelyard), so that a machine whose speed drifts treats both alike; deploy is compared with
``bentoml serve`` of an empty service from the same environment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from _measure.project import scratch_project

IPYTHON = [sys.executable, "-m", "IPython", "--no-banner", "--quick", "-c"]
EMPTY_SERVICE = """
import bentoml

@bentoml.service(workers=1)
class Empty:
    @bentoml.api
    def ping(self) -> str:
        return "pong"
"""
PACKAGED = """
import modelyard
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
modelyard.package(LogisticRegression(max_iter=5000).fit(X, y), X, y, name="timed")
"""


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load_ext(runs: int) -> dict[str, float]:
    """Return the medians of IPython's start with and without ``%load_ext modelyard``, in seconds."""
    bare, loaded = [], []
    for _ in range(runs + 1):
        bare.append(seconds(lambda: subprocess.run([*IPYTHON, "pass"], check=True)))
        loaded.append(seconds(lambda: subprocess.run([*IPYTHON, "%load_ext modelyard"], check=True)))
    differences = [b - a for a, b in zip(bare[1:], loaded[1:], strict=True)]  # the first pair warms the disk
    return {
        "ipython_s": statistics.median(bare[1:]),
        "with_load_ext_s": statistics.median(loaded[1:]),
        "load_ext_adds_s": statistics.median(differences),
    }


def deploy_to_ready(runs: int, folder: Path) -> dict[str, float]:
    """Return the medians of a deploy, and of ``bentoml serve`` of an empty service, until they answer, in seconds."""
    import httpx

    import modelyard
    from modelyard.targets import processes

    (folder / "empty.py").write_text(EMPTY_SERVICE, encoding="utf-8")
    subprocess.run([sys.executable, "-c", PACKAGED], check=True, cwd=folder)

    def served(number: int) -> None:
        port = processes.free_port()
        argv = [
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            "empty:Empty",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        mark = folder / f"empty-{number}"
        processes.spawn(
            argv, processes.environment(mark, {"BENTOML_HOME": str(mark)}), folder, folder / "empty.log"
        )
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)

    ours, empty = [], []
    for number in range(runs):
        empty.append(seconds(lambda n=number: served(n)))
        processes.stop(folder / f"empty-{number}")
        ours.append(seconds(lambda n=number: modelyard.deploy("timed", to="local", name=f"timed-{n}")))
        modelyard.deployment(f"timed-{number}").remove()
    ratios = [a / b for a, b in zip(ours, empty, strict=True)]
    return {
        "deploy_to_ready_s": statistics.median(ours),
        "empty_bentoml_serve_s": statistics.median(empty),
        "deploy_over_empty_serve": statistics.median(ratios),
    }


def main() -> None:
    """Measure, and print text or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (5)")
    wanted = parser.parse_args()
    with scratch_project() as folder:
        found = load_ext(wanted.runs) | deploy_to_ready(wanted.runs, folder)
    rounded = {name: round(value, 3) for name, value in found.items()}
    print(
        json.dumps(rounded, indent=1) if wanted.json else "\n".join(f"{k}: {v}" for k, v in rounded.items())
    )


if __name__ == "__main__":
    main()
