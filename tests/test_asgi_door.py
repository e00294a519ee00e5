"""The plain ASGI door: any ASGI server runs a bundle, without BentoML."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

import modelyard
from modelyard.packaging import Bundle
from modelyard.packaging.locking import asgi_lock, pinned, runtime_lock
from modelyard.targets.processes import free_port
from modelyard_runtime.access import token_hash
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

FACTORY = "modelyard_runtime.doors.asgi:application"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with a_place_of_its_own(tmp_path_factory):
        return modelyard.package(MODEL, FRAME, TARGET, name="people")


@contextmanager
def served(runtime: Path, cwd: Path, **environment: str) -> Iterator[str]:
    """Serve with uvicorn from a folder where nothing of the bundle is; yield the address."""
    port = free_port()
    argv = [sys.executable, "-I", "-m", "uvicorn", "--factory", FACTORY, "--app-dir", str(runtime)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELYARD", "PYTHON"))}
    log = cwd / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*argv, "--host", "127.0.0.1", "--port", str(port)],
            cwd=cwd, env={**kept, **environment}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
                break
            except httpx.HTTPError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def asked(method: str, url: str, **more: Any) -> httpx.Response:
    return httpx.request(method, url, trust_env=False, timeout=20, **more)


def test_uvicorn_serves_the_bundle_in_which_the_runtime_lies_and_wants_its_token(
    bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "hashes").write_text(token_hash("secret"))
    runtime = bundle.path / "src" / "runtime"
    with served(runtime, tmp_path, MODELYARD_TOKEN_HASHES=str(tmp_path / "hashes")) as url:
        ready = asked("GET", f"{url}/readyz").json()
        assert (ready["status"], ready["bundle"], ready["variant"]) == ("ready", "people", "v1")
        assert ready["digest"] == bundle.digest
        body = {"rows": [ROW, {**ROW, "income": None}]}
        assert asked("POST", f"{url}/predict", json=body).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert asked("POST", f"{url}/predict", json=body, headers=wrong).status_code == 401
        right = {"Authorization": "Bearer secret"}
        answer = asked("POST", f"{url}/predict", json=body, headers=right).json()
        frame = pd.DataFrame([ROW, {**ROW, "income": float("nan")}])
        assert answer["predictions"] == MODEL.predict(frame).tolist()
        found = [list(row.values()) for row in answer["probabilities"]]
        assert found == [pytest.approx(row, abs=1e-5) for row in MODEL.predict_proba(frame).tolist()]
        assert asked("GET", f"{url}/nothing", headers=right).status_code == 404


def test_the_environment_names_another_bundle_and_without_tokens_nobody_is_let_in(
    bundle: Bundle, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundle.path, tmp_path / "7"))
    runtime = bundle.path / "src" / "runtime"
    with served(runtime, tmp_path, MODELYARD_BUNDLE=str(copy)) as url:
        assert asked("GET", f"{url}/readyz").json()["variant"] == "v7"
        assert asked("GET", f"{url}/schema", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_damaged_bundle_is_never_served(bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.path, tmp_path / "copy"))
    (copy / "src" / "model" / "model.onnx").write_bytes(b"")
    with (
        pytest.raises(AssertionError, match=r"'model\.onnx' was changed after packaging"),
        served(copy / "src" / "runtime", tmp_path),
    ):
        pass


def test_the_doors_lock_is_uvicorn_and_what_it_requires_beside_the_runtimes_own() -> None:
    lock = asgi_lock()
    assert lock == asgi_lock() == sorted(lock)
    assert set(pinned(lock)) == {"uvicorn", "click", "h11", "httptools"}
    assert not set(pinned(lock)) & set(pinned(runtime_lock()))
    assert all("  # record:" in line for line in lock)
