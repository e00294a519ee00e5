"""What a bundle costs: to build, to keep, to install, and until it answers.

``python benchmarks/bundles.py --json`` packages a forest of 200 trees on the breast cancer table, installs what its
locks name into a fresh environment (from the registry), and answers there through the plain ASGI door: in fresh
processes without a server, and under uvicorn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from _measure.project import scratch_project

UV = [str(Path(sys.executable).with_name("uv")), "-q"]
BOILERPLATE = ("bentofile.yaml",)  # of src/; all else that BentoML writes lies outside of it
TARGETS = {
    "package_warm_s": 10.0,
    "content_bytes": 200_000,
    "site_packages_mb": 150.0,
    "first_prediction_s": 0.6,
}

#: Import, load and predict as a server would, in one process: given the runtime's folder and a body.
FIRST = """
import sys, time
started = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import asyncio
from modelyard_runtime.doors.asgi import application

async def first(app, body):
    sent = []
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent
    return sent[1]["body"]

answer = asyncio.run(first(application(), sys.argv[2].encode()))
print(time.perf_counter() - started, answer.decode())
"""


def packaged(seed: int) -> tuple[Any, Any, Any, float]:
    """Fit a forest and package it; return it, its table, the bundle, and the seconds that packaging took."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    import modelyard

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(200, random_state=seed).fit(X, y)
    started = time.perf_counter()
    bundle = modelyard.package(model, X, y, name="forest")
    return model, X, bundle, time.perf_counter() - started


def environment(folder: Path, lock: list[str]) -> tuple[Path, float]:
    """Install exactly `lock`; return the interpreter, and the megabytes of its site-packages."""
    subprocess.run([*UV, "venv", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    (folder / "pins.txt").write_text("\n".join(lock), encoding="utf-8")
    subprocess.run(
        [*UV, "pip", "install", "--python", str(python), "--no-deps", "-r", str(folder / "pins.txt")], check=True
    )  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    return python, _bytes(site) / 1e6


def first_prediction(python: Path, source: Path, body: str, runs: int) -> tuple[dict[str, float], Any]:
    """Return the medians over fresh processes, in seconds, and the last answer."""
    inside, whole, answer = [], [], ""
    for _ in range(runs + 1):
        started = time.perf_counter()
        done = subprocess.run(
            [str(python), "-I", "-c", FIRST, str(source / "runtime"), body],
            env={"PATH": os.environ["PATH"], "MODELYARD_AUTH": "off"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        whole.append(time.perf_counter() - started)
        seconds, _, answer = done.stdout.partition(" ")
        inside.append(float(seconds))
    medians = {  # the first process compiles and warms the disk
        "first_prediction_s": statistics.median(inside[1:]),
        "first_prediction_whole_process_s": statistics.median(whole[1:]),
        "first_prediction_cold_s": inside[0],
    }
    return medians, json.loads(answer)


def served(python: Path, source: Path, body: str, runs: int) -> tuple[float, Any]:
    """Return the median time until uvicorn answers ``/readyz``, in seconds, and the last answer to `body`."""
    import httpx

    from modelyard.targets.processes import free_port

    ready, answer = [], None
    for _ in range(runs):
        port = free_port()
        argv = [
            "-m",
            "uvicorn",
            "--factory",
            "modelyard_runtime.doors.asgi:application",
            "--log-level",
            "error",
        ]
        started = time.perf_counter()
        server = subprocess.Popen(
            [str(python), "-I", *argv, "--app-dir", str(source / "runtime"), "--port", str(port)],
            env={"PATH": os.environ["PATH"], "MODELYARD_AUTH": "off"},
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
                while not _is_ready(client):
                    if server.poll() is not None:
                        raise SystemExit("uvicorn stopped before it answered")
                    time.sleep(0.005)
                ready.append(time.perf_counter() - started)
                answer = client.post("/predict", content=body).json()
        finally:
            server.terminate()
            server.wait()
    return statistics.median(ready), answer


def _is_ready(client: Any) -> bool:
    import httpx

    try:
        return bool(client.get("/readyz").status_code == 200)
    except httpx.TransportError:
        return False


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _equal(answer: Any, model: Any, X: Any) -> bool:
    """Whether an answer to the rows of `X` is the notebook's: the same labels, probabilities within 1e-5."""
    wanted = model.predict_proba(X)
    found = [list(row.values()) for row in answer["probabilities"]]
    near = all(
        abs(a - b) <= 1e-5
        for r, w in zip(found, wanted.tolist(), strict=True)
        for a, b in zip(r, w, strict=True)
    )
    return near and answer["predictions"] == model.predict(X).tolist()


def measured(folder: Path, runs: int) -> dict[str, Any]:
    """Return all figures."""
    from modelyard.packaging.locking import asgi_lock, pins

    _, _, _, cold = packaged(0)
    model, X, bundle, warm = packaged(1)
    source = bundle.path / "src"
    described = bundle.manifest["model"]
    model_bytes = (source / "model" / described["file"]).stat().st_size
    boilerplate = sum((source / name).stat().st_size for name in BOILERPLATE)
    python, megabytes = environment(folder / "environment", pins([*bundle.lock, *asgi_lock()]))
    rows = X.head(3)
    body = json.dumps({"columns": list(X), "data": rows.to_numpy().tolist()})
    first, answer = first_prediction(python, source, body, runs)
    ready, answered = served(python, source, body, runs)
    return {
        "form": described["kind"],
        "package_cold_s": cold,
        "package_warm_s": warm,
        "model_bytes": model_bytes,
        "content_bytes": _bytes(source) - model_bytes - boilerplate,
        "site_packages_mb": megabytes,
        "distributions": len(bundle.lock) + len(asgi_lock()),
        **first,
        "uvicorn_ready_s": ready,
        "equal_in_process": _equal(answer, model, rows),
        "equal_served": _equal(answered, model, rows),
    }


def main() -> None:
    """Measure, and print text or JSON; fail where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=7, help="counted processes of each kind (7)")
    wanted = parser.parse_args()
    with scratch_project() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the bundle holds Python: `form` says so
        found = measured(folder, wanted.runs)
    found["missed"] = [name for name, most in TARGETS.items() if found[name] > most]
    shown = {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}
    print(json.dumps(shown, indent=1) if wanted.json else "\n".join(f"{k}: {v}" for k, v in shown.items()))
    if found["missed"] or not (found["equal_in_process"] and found["equal_served"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
