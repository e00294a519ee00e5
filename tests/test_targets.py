"""The local target, by the contract suite and beyond it: real servers on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given, settings
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from modelyard.catalog import open_yard
from modelyard.errors import (
    BundleError,
    ContractError,
    DeploymentError,
    InvalidNameError,
    NameTakenError,
    UnknownNameError,
    UsageError,
)
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.testing import TargetContract
from people import FRAME, TARGET, answered_as_the_notebook_does, rows
from people import MODEL as FRAME_MODEL

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
MODEL = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="cancer")


@pytest.fixture
def endpoint(bundle: Bundle) -> Iterator[Deployment]:
    made = modelyard.deploy(bundle, to="local")
    assert isinstance(made, Deployment)
    yield made
    made.remove()


def taken_port() -> dict[str, Any]:
    """A port on which something listens for as long as the tests run."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    _LISTENERS.append(listener)
    return {"port": listener.getsockname()[1]}


_LISTENERS: list[socket.socket] = []


class TestLocalKeepsTheContract(TargetContract):
    name = "local"

    def broken_options(self) -> dict[str, Any]:
        return taken_port()

    @pytest.fixture
    def bundle(self, bundle: Bundle) -> Bundle:  # the module's, not the suite's
        return bundle


def test_the_endpoint_answers_what_the_notebook_answers_on_every_row(endpoint: Deployment) -> None:
    assert (endpoint.predict(X) == MODEL.predict(X)).all()
    assert np.abs(endpoint.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5


def test_rows_may_come_as_frame_matrix_mapping_or_list_of_mappings(endpoint: Deployment) -> None:
    rows = X.head(3)
    expected = MODEL.predict(rows).tolist()
    assert endpoint.predict(rows).tolist() == expected
    assert endpoint.predict(rows.to_numpy()).tolist() == expected
    assert endpoint.predict(rows.to_dict("records")).tolist() == expected
    assert endpoint.predict(rows.iloc[0].to_dict()).tolist() == expected[:1]


def test_only_health_is_open_without_the_token(endpoint: Deployment) -> None:
    with httpx.Client(base_url=endpoint.url, trust_env=False) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["bundle"] == "cancer"
        for path in ("/schema", "/openapi.json", "/metrics", "/", "/docs.json", "/no-such-path"):
            assert client.get(path).status_code == 401, path
        assert client.post("/predict", json={"rows": []}).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert client.get("/metrics", headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {endpoint.token}"}
        assert client.get("/schema", headers=right).status_code == 200
        # BentoML's own pages lie behind the token, not in front of it
        assert client.get("/docs.json", headers=right).status_code == 200


def test_metrics_count_requests_and_rows(endpoint: Deployment) -> None:
    endpoint.predict(X.head(7))
    text = httpx.get(f"{endpoint.url}/metrics", headers={"Authorization": f"Bearer {endpoint.token}"}).text
    assert 'modelyard_rows_total{bundle="cancer",variant="v1"} 7.0' in text
    assert 'modelyard_requests_total{bundle="cancer",path="/predict",status="200",variant="v1"} 1.0' in text


def test_the_token_is_the_users_alone_and_the_project_holds_only_its_hash(endpoint: Deployment) -> None:
    assert stat.S_IMODE(endpoint.header_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(endpoint.header_file.parent.stat().st_mode) == 0o700
    token = endpoint.token.encode()
    files = [path for path in (Path.cwd() / ".modelyard").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if token in path.read_bytes()]


def test_curl_reads_the_token_from_the_header_file(endpoint: Deployment, tmp_path: Path) -> None:
    body = tmp_path / "row.json"
    body.write_text(json.dumps({"rows": X.head(1).to_dict("records")}))
    command = ["curl", "-s", "-H", f"@{endpoint.header_file}", "-d", f"@{body}", f"{endpoint.url}/predict"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert answer["predictions"] == MODEL.predict(X.head(1)).tolist()
    assert answer["variant"] == "v1"


def test_rows_that_break_the_contract_get_one_line_that_says_where(endpoint: Deployment) -> None:
    row = X.head(2)
    with pytest.raises(ContractError, match=r"column 'colour': a column the model never saw"):
        endpoint.predict(row.assign(colour=1))
    with pytest.raises(
        ContractError, match=r"row 0, column 'mean area': text 'big' where a number belongs; learned"
    ):
        endpoint.predict(row.astype(object).assign(**{"mean area": "big"}))
    with pytest.raises(ContractError, match=r"'mean area': the column is missing"):
        endpoint.predict(row.drop(columns="mean area"))
    with pytest.raises(ContractError, match=r"row 1, column 'mean area': inf where a number belongs"):
        endpoint.predict(row.assign(**{"mean area": [1.0, np.inf]}))


def test_a_name_that_is_taken_says_what_has_it_and_what_to_type(endpoint: Deployment, bundle: Bundle) -> None:
    with pytest.raises(
        NameTakenError, match=r"'cancer' exists \(cancer:1 at http://127.0.0.1:\d+\); type --replace"
    ) as told:
        modelyard.deploy(bundle, to="local")
    assert "%traffic" in str(told.value)
    assert endpoint.status().health == "ready"


def test_replace_keeps_url_and_token_and_serves_the_new_bundle(endpoint: Deployment) -> None:
    other = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X, y)
    newer = modelyard.package(other, X, y, name="cancer")
    token = endpoint.token
    replaced = modelyard.deploy(newer, to="local", replace=True)
    assert isinstance(replaced, Deployment)
    assert (replaced.url, replaced.token, replaced.bundle) == (endpoint.url, token, newer.tag)
    assert np.abs(replaced.predict_proba(X) - other.predict_proba(X)).max() < 1e-5


def test_a_replacement_that_fails_leaves_the_old_endpoint_running(
    endpoint: Deployment, bundle: Bundle
) -> None:
    with pytest.raises(DeploymentError, match=r"port \d+ of 127.0.0.1 is taken"):
        modelyard.deploy(bundle, to="local", replace=True, **taken_port())
    assert endpoint.status().health == "ready"
    assert (endpoint.predict(X.head()) == MODEL.predict(X.head())).all()


def test_a_bundle_that_is_gone_or_changed_is_refused_before_anything_starts(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "own-store"))
    own = modelyard.package(MODEL, X, y, name="doomed")
    with (own.model_folder / "model.onnx").open("ab") as file:
        file.write(b"!")
    with pytest.raises(BundleError, match=r"doomed:1: bundle file 'model.onnx' was changed after packaging"):
        modelyard.deploy(own, to="local")
    own.path.rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"doomed:1 is gone from .*; package the model again"):
        modelyard.deploy(own, to="local")
    with pytest.raises(UnknownNameError, match=r"no bundle named 'doomed'"):
        modelyard.deploy("doomed", to="local")
    assert modelyard.yard().deployments == ()


def test_bad_targets_options_and_names_are_one_line_each(bundle: Bundle) -> None:
    with pytest.raises(UnknownNameError, match=r"no deployment target named 'mars'; installed: .*local"):
        modelyard.deploy(bundle, to="mars")
    with pytest.raises(UsageError, match=r"target 'local' has no option 'prot'; .*did you mean 'port'"):
        modelyard.deploy(bundle, to="local", prot=1)
    with pytest.raises(InvalidNameError, match=r"'My Name' cannot name a deployment.*type 'my-name'"):
        modelyard.deploy(bundle, to="local", name="My Name")
    with pytest.raises(UsageError, match=r"port 80 cannot be"):
        modelyard.deploy(bundle, to="local", port=80)
    with pytest.raises(
        BundleError, match=r"takes a bundle or its name, found Pipeline; package the model first"
    ):
        modelyard.deploy(MODEL, to="local")  # type: ignore[arg-type]
    assert modelyard.yard().deployments == ()


def test_undo_lets_answer_again_what_was_replaced_and_then_leaves_nothing(bundle: Bundle, shell: Any) -> None:
    first = modelyard.deploy(bundle, to="local", name="undone", timeout=61.0)
    other = make_pipeline(StandardScaler(), LogisticRegression(C=0.001)).fit(X, y)
    second = modelyard.deploy(modelyard.package(other, X, y, name="cancer"), name="undone", replace=True)
    assert np.abs(second.predict_proba(X) - other.predict_proba(X)).max() < 1e-5
    assert open_yard().get("deployment", "undone").payload["options"] == {
        "timeout": 61.0
    }  # not given again: kept
    back = second.undo()
    assert (back.url, back.bundle, back.token) == (first.url, bundle.tag, first.token)
    assert np.abs(back.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5
    said = shell.run_line_magic("deploy", "undone --undo")
    assert repr(said) == "nothing is left of deployment 'undone'; its bundles are there"
    assert modelyard.yard().deployments == ()
    with pytest.raises(UnknownNameError, match=r"no deployment named 'undone'"):
        modelyard.undo("undone")


def test_a_plan_says_the_steps_and_starts_nothing(bundle: Bundle) -> None:
    plan = modelyard.plan(bundle, to="local", port=4321)
    assert any("127.0.0.1:4321" in step for step in plan.steps)
    assert plan.fit.ok
    assert isinstance(modelyard.deploy(bundle, to="local", apply=False), type(plan))
    assert modelyard.yard().deployments == ()


def test_the_endpoint_outlives_the_process_that_made_it_and_another_finds_it(bundle: Bundle) -> None:
    code = f"import modelyard; print(modelyard.deploy({bundle.tag!r}, to='local', name='cancer').url)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    again = modelyard.deployment("cancer")
    try:
        assert again.url == ran.stdout.strip()
        assert again.status().health == "ready"
        assert (again.predict(X) == MODEL.predict(X)).all()
        assert modelyard.yard().health["cancer"].health == "ready"
    finally:
        again.remove()


@pytest.mark.alone
def test_a_server_that_was_killed_is_shown_as_down_and_starts_again_at_the_same_url(
    endpoint: Deployment,
) -> None:
    record = json.dumps(modelyard.yard().deployments[0].payload["state"])
    parent = psutil.Process(json.loads(record)["pid"])
    for process in [*parent.children(recursive=True), parent]:
        process.kill()
    psutil.wait_procs([parent], timeout=10)
    status = endpoint.status()
    assert status.health == "down"
    assert "start()" in status.detail
    with pytest.raises(DeploymentError, match=r"does not answer at http://127.0.0.1:\d+"):
        endpoint.predict(X.head())
    assert "down" in modelyard.yard()._repr_mimebundle_()["text/plain"]
    assert endpoint.start().health == "ready"
    assert (endpoint.predict(X.head()) == MODEL.predict(X.head())).all()


@pytest.mark.alone
def test_ctrl_c_during_deploy_leaves_no_process_and_no_record(bundle: Bundle, project: Path) -> None:
    code = "import modelyard; print('go', flush=True); modelyard.deploy('cancer', to='local')"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    log = project / ".modelyard" / "deployments" / "cancer" / "server.log"
    deadline = time.monotonic() + 30
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    child.wait(timeout=60)
    assert modelyard.yard().deployments == ()
    assert not log.exists()
    marked = [
        p for p in psutil.process_iter() if _environment(p).get("MODELYARD_DEPLOYMENT") == str(log.parent)
    ]
    assert marked == []


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def test_the_server_sees_no_secret_of_the_session(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-hand-on")
    made = modelyard.deploy(bundle, to="local")
    assert isinstance(made, Deployment)
    try:
        state = modelyard.yard().deployments[0].payload["state"]
        environment = _environment(psutil.Process(state["pid"]))
        assert environment["BENTOML_DO_NOT_TRACK"] == "True"
        assert "do-not-hand-on" not in [*environment.values(), *state["env"].values()]
    finally:
        made.remove()


def test_nulls_and_frames_of_any_index_travel(endpoint: Deployment) -> None:
    shuffled = X.sample(50, random_state=1)
    assert (endpoint.predict(shuffled) == MODEL.predict(shuffled)).all()
    with pytest.raises(ContractError, match=r"row 0, column 'mean radius': null"):
        endpoint.predict(pd.DataFrame([{**X.iloc[0].to_dict(), "mean radius": None}]))


@pytest.mark.thorough
def test_two_deployments_of_one_bundle_do_not_share_metrics(endpoint: Deployment, bundle: Bundle) -> None:
    second = modelyard.deploy(bundle, to="local", name="second")
    assert isinstance(second, Deployment)
    try:
        endpoint.predict(X.head(3))
        second.predict(X.head(5))
        for deployment, rows in ((endpoint, 3), (second, 5)):
            headers = {"Authorization": f"Bearer {deployment.token}"}
            assert f'variant="v1"}} {rows}.0' in httpx.get(f"{deployment.url}/metrics", headers=headers).text
        with pytest.raises(DeploymentError, match=r"401"):
            Deployment.predict(Deployment(**{**vars(second), "url": endpoint.url}), X.head(1))
    finally:
        second.remove()
    assert os.listdir(Path.cwd() / ".modelyard" / "deployments") == ["cancer"]


def test_a_fuzzed_live_endpoint_answers_as_the_notebook_does_or_says_what_is_wrong() -> None:
    made = modelyard.deploy(modelyard.package(FRAME_MODEL, FRAME, TARGET, name="people"), to="local")
    assert isinstance(made, Deployment)
    headers = {"Authorization": f"Bearer {made.token}"}
    with httpx.Client(base_url=made.url, headers=headers, trust_env=False) as client:

        @settings(max_examples=300, deadline=None, database=None)
        @given(row=rows)
        def every_row(row: dict[str, Any]) -> None:
            response = client.post("/predict", json={"rows": [row]})
            answered_as_the_notebook_does(row, response.status_code, response.json())

        try:
            every_row()
        finally:
            made.remove()
