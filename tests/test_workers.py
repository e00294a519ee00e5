"""Several workers of one endpoint, tokens that change while it runs, and what a replacement keeps."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from endpoints import eventually
from endpoints import server_processes as workers
from modelyard.errors import DeploymentError, UnknownNameError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.targets.local import LocalTarget
from modelyard_runtime.access import Gate, token_hash
from people import FRAME, TARGET, UNCONVERTED

pytestmark = pytest.mark.alone

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
MODEL = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
ROW = {"rows": X.head(1).to_dict("records")}
RESTART_S = 30.0  # the supervisor looks every 10 s


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def bundle(store: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("BENTOML_HOME", str(store))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(store / "config"))
    return modelyard.package(
        MODEL, X, y, name="cancer.v-1"
    )  # dots and dashes must reach BentoML's configuration


@pytest.fixture
def pair(bundle: Bundle) -> Iterator[Deployment]:
    made = modelyard.deploy(bundle, to="local", name="pair", workers=2)
    assert isinstance(made, Deployment)
    yield made
    made.remove()


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def answers(deployment: Deployment, process: psutil.Process) -> bool:
    """Whether that worker uses its processor while the endpoint is asked on new connections."""
    before = sum(process.cpu_times()[:2])
    for _ in range(100):
        httpx.post(f"{deployment.url}/predict", json=ROW, headers=header(deployment.token), trust_env=False)
    return sum(process.cpu_times()[:2]) > before


def test_as_many_workers_as_asked_for_answer_and_one_that_is_killed_comes_back(pair: Deployment) -> None:
    assert len(workers(pair)) == 2
    expected = MODEL.predict(X.head(1)).tolist()
    assert eventually(lambda: all(answers(pair, worker) for worker in workers(pair)), 60)

    failed: list[str] = []
    asked = [0]
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(headers=header(pair.token), trust_env=False, timeout=20) as client:
            while not stop.is_set():
                try:
                    response = client.post(f"{pair.url}/predict", json=ROW)
                    if response.status_code != 200 or response.json()["predictions"] != expected:
                        failed.append(response.text)
                except httpx.HTTPError as error:
                    failed.append(repr(error))
                asked[0] += 1
                time.sleep(0.01)

    clients = [threading.Thread(target=load) for _ in range(3)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    victim = workers(pair)[0]
    victim.kill()
    try:
        assert eventually(lambda: len(workers(pair)) == 2 and victim not in workers(pair), RESTART_S)
        time.sleep(1)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert asked[0] > 100
    assert len(failed) <= len(clients), failed  # each client had at most one request with it
    assert pair.status().health == "ready"


def test_a_replacement_keeps_the_number_of_workers_unless_told_another(
    bundle: Bundle, pair: Deployment
) -> None:
    again = modelyard.deploy(bundle, to="local", name="pair", replace=True)
    assert isinstance(again, Deployment)
    assert len(workers(again)) == 2
    again = modelyard.deploy(bundle, to="local", name="pair", replace=True, workers=1)
    assert isinstance(again, Deployment)
    assert len(workers(again)) == 1


@pytest.mark.thorough
def test_a_replacement_keeps_counters_and_log_also_when_it_fails_and_removing_takes_them(
    bundle: Bundle, pair: Deployment
) -> None:
    state = Path.cwd() / ".modelyard" / "deployments" / "pair" / "state"
    (state / "predictions").mkdir(parents=True, exist_ok=True)
    note = state / "predictions" / "kept.jsonl"
    note.write_text("{}\n")
    assert state.stat().st_mode & 0o077 == 0
    modelyard.deploy(bundle, to="local", name="pair", replace=True)
    assert note.read_text() == "{}\n"
    with pytest.raises(DeploymentError, match=r"no answer after 0\.1 s"):
        modelyard.deploy(bundle, to="local", name="pair", replace=True, timeout=0.1)
    assert note.read_text() == "{}\n"
    assert pair.status().health == "ready"
    # a replacement that was killed half-way: the log is where the folder was put aside
    pair.stop()
    state.parent.rename(state.parent.with_name("pair.replaced"))
    state.parent.mkdir()
    modelyard.deploy(bundle, to="local", name="pair", replace=True)
    assert note.read_text() == "{}\n"
    pair.remove()
    assert os.listdir(state.parents[1]) == []


def test_a_number_of_workers_that_cannot_be_is_one_line(bundle: Bundle, shell: InteractiveShell) -> None:
    for wrong in (0, 65, -1, True, 1.5, "2"):
        with pytest.raises(UsageError, match=r"workers .* cannot be; choose a number from 1 to 64"):
            modelyard.plan(bundle, to="local", workers=wrong)
    assert any("with 3 workers" in step for step in LocalTarget(workers=3).plan(bundle, "x").steps)
    assert any("with 1 worker," in step for step in LocalTarget().plan(bundle, "x").steps)
    code = shell.run_line_magic("deploy", "churn --workers 2 --show-code")
    assert repr(code) == "modelyard.deploy('churn', to='local', workers=2)"


def test_a_new_token_is_let_in_at_once_and_the_old_one_refused_within_two_seconds_by_every_worker(
    pair: Deployment, shell: InteractiveShell
) -> None:
    before, ran = pair.token, [worker.pid for worker in workers(pair)]

    def refused(token: str) -> bool:
        with httpx.Client(headers=header(token), trust_env=False) as client:
            return client.get(f"{pair.url}/schema").status_code == 401

    assert not any(refused(before) for _ in range(20))
    changed = shell.run_line_magic("deploy", "pair --rotate-token")
    assert changed.token == pair.token != before
    assert not any(refused(pair.token) for _ in range(20))
    time.sleep(2)
    assert all(refused(before) for _ in range(20))
    assert (pair.predict(X.head(3)) == MODEL.predict(X.head(3))).all()
    assert [worker.pid for worker in workers(pair)] == ran  # without a restart
    assert pair.header_file.stat().st_mode & 0o077 == 0
    assert os.listdir(pair.header_file.parent) == [pair.header_file.name]

    assert pair.start().health == pair.rotate_token().status().health == "ready"
    pair.stop()
    pair.rotate_token()
    pair.start()
    assert (pair.predict(X.head(3)) == MODEL.predict(X.head(3))).all()


def test_a_token_that_cannot_be_changed_stays(pair: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pair.token

    def fails(*_: Any) -> None:
        raise DeploymentError("the place does not answer")

    monkeypatch.setattr(LocalTarget, "change_token", fails)
    with pytest.raises(DeploymentError, match=r"does not answer"):
        pair.rotate_token()
    assert pair.token == before
    assert (pair.predict(X.head(3)) == MODEL.predict(X.head(3))).all()


def test_the_magic_says_which_call_it_stands_for_and_refuses_what_does_not_go_together(
    shell: InteractiveShell,
) -> None:
    code = shell.run_line_magic("deploy", "churn --rotate-token --show-code")
    assert repr(code) == "modelyard.deployment('churn').rotate_token()"
    with pytest.raises(UsageError, match=r"--rotate-token and --replace are two things"):
        shell.run_line_magic("deploy", "churn --rotate-token --replace")
    with pytest.raises(UnknownNameError, match=r"no deployment named 'churn'"):
        shell.run_line_magic("deploy", "churn --rotate-token")


def test_a_gate_reads_its_file_again_when_it_changes_and_shuts_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hashes"
    now = [100.0]
    monkeypatch.setattr("modelyard_runtime.access.time.monotonic", lambda: now[0])
    monkeypatch.setenv("MODELYARD_TOKEN_HASHES", str(file))
    gate = Gate.from_environment()
    assert not gate.lets_in(b"Bearer first")
    file.write_text(f"{token_hash('first')}\n{token_hash('second')}\n")
    assert gate.lets_in(b"Bearer first")  # a new token need not wait
    assert gate.lets_in(b"bearer second")
    file.write_text(token_hash("second"))
    now[0] += 1.1
    assert not gate.lets_in(b"Bearer first")
    assert gate.lets_in(b"Bearer second")
    file.unlink()
    assert gate.lets_in(b"Bearer second")  # known until the next look
    now[0] += 1.1
    assert not gate.lets_in(b"Bearer second")
    assert not gate.lets_in(None)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")
def test_a_bundle_with_python_answers_as_the_notebook_does_and_no_worker_imports_its_libraries(
    bundle: Bundle,
) -> None:
    made = modelyard.deploy(modelyard.package(UNCONVERTED, FRAME, TARGET, name="people"), to="local")
    assert isinstance(made, Deployment)
    try:
        assert (made.predict(FRAME) == UNCONVERTED.predict(FRAME)).all()
        assert np.abs(made.predict_proba(FRAME) - UNCONVERTED.predict_proba(FRAME)).max() < 1e-5
        (worker,) = workers(made)
        (child,) = [p for p in worker.children() if "modelyard_runtime.child" in " ".join(p.cmdline())]
        assert not [m.path for m in worker.memory_maps() if "/sklearn/" in m.path]
        assert [m.path for m in child.memory_maps() if "/sklearn/" in m.path]

        child.kill()  # at rest: the next request finds another one
        psutil.wait_procs([child], timeout=5)
        assert (made.predict(FRAME) == UNCONVERTED.predict(FRAME)).all()

        site = Path.cwd() / ".modelyard" / "deployments" / "people" / "site"
        made.stop()
        assert not [p for p in psutil.process_iter() if str(site) in " ".join(_line(p))]
        (site / "numpy").unlink()  # as after an update of the environment
        assert made.start().health == "ready"
        assert (made.predict(FRAME) == UNCONVERTED.predict(FRAME)).all()

        made.stop()
        lock = next(site.parent.rglob("lock.txt"))
        lock.write_text(lock.read_text().replace("numpy==", "numpy==9"))
        with pytest.raises(
            DeploymentError, match=r"the model cannot run here: people:1 needs numpy==9.*is installed"
        ):
            made.start()
    finally:
        made.remove()


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
