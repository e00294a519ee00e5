"""Results in a real MLflow server on SQLite, as its pages show them.

The server runs in an environment of its own, `make env-mlflow`, as it would on another machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from clusters import free_port, mlflow_server
from modelyard.errors import ModelyardError, TrackingError, UnknownNameError, UsageError
from modelyard.evaluation import cross_validate
from modelyard.tuning import tune

SERVER = Path(__file__).resolve().parents[1] / ".env-mlflow" / "bin" / "python"
TREE = DecisionTreeClassifier(random_state=0)
SPACE = "max_depth: int 1..4\ncriterion: gini | entropy"

needs_server = pytest.mark.skipif(
    not SERVER.exists(), reason="the server's environment is not there; type: make env-mlflow"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), SERVER) as address:
        yield address


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:150, :6], y.iloc[:150]


@pytest.fixture(autouse=True)
def experiment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = request.node.name[:60]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    return name


def _asked(server: str, path: str, **body: Any) -> Any:
    """Ask as MLflow's pages do."""
    address = f"{server}/api/2.0/mlflow/{path}"
    answered = httpx.post(address, json=body) if body else httpx.get(address)
    assert answered.status_code == 200, answered.text
    return answered.json()


def _runs(server: str, experiment: str, **tags: str) -> list[dict[str, Any]]:
    found = httpx.get(
        f"{server}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": experiment}
    ).json()
    number = found["experiment"]["experiment_id"]
    wanted = " and ".join(f"tags.`{name.replace('__', '.')}` = '{value}'" for name, value in tags.items())
    return list(
        _asked(server, "runs/search", experiment_ids=[number], filter=wanted, max_results=1000).get(
            "runs", ()
        )
    )


def _pairs(run: dict[str, Any], kind: str) -> dict[str, Any]:
    return {each["key"]: each["value"] for each in run["data"].get(kind, ())}


@pytest.mark.thorough
@needs_server
def test_an_evaluation_becomes_a_run_with_every_fold(data: Any, server: str, experiment: str) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
    found = cross_validate(
        model, *data, cv="stratified:4", scoring=["roc_auc", "f1"], track=f"mlflow:{server}"
    )
    (run,) = _runs(server, experiment)
    assert (run["info"]["run_name"], run["info"]["status"]) == (found.name, "FINISHED")
    params, metrics = _pairs(run, "params"), _pairs(run, "metrics")
    assert params["model"] == "Pipeline of StandardScaler, LogisticRegression"
    assert (params["cv"], params["rows"], params["logisticregression__C"]) == ("stratified:4", "150", "0.5")
    for metric in ("roc_auc", "f1"):
        assert metrics[metric] == pytest.approx(found.summary["mean"][metric])
        address = f"{server}/api/2.0/mlflow/metrics/get-history"
        asked = {"run_id": run["info"]["run_id"], "metric_key": f"fold/{metric}"}
        history = httpx.get(address, params=asked).json()["metrics"]
        assert [each["step"] for each in history] == [1, 2, 3, 4]
        assert [each["value"] for each in history] == pytest.approx(found.scores[metric].tolist())
    assert f"tracked at {server}/#/experiments/" in found.warnings[-1]
    assert run["info"]["run_id"] in found.warnings[-1]


@needs_server
def test_a_study_becomes_a_run_its_trials_runs_inside_and_the_best_model_loads_again(
    data: Any, server: str, experiment: str, tmp_path: Path
) -> None:
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", name="tracked", track=f"mlflow:{server}")
    (run,) = _runs(server, experiment, modelyard__kind="study")
    assert (run["info"]["run_name"], run["info"]["status"]) == ("tracked", "FINISHED")
    assert _pairs(run, "metrics")["best/roc_auc"] == pytest.approx(found.best_score)
    assert _pairs(run, "params")["space/max_depth"] == "int 1..4"
    parts = _runs(server, experiment, mlflow__parentRunId=run["info"]["run_id"])
    told = {
        (int(_pairs(part, "params")["max_depth"]), _pairs(part, "params")["criterion"]): _pairs(
            part, "metrics"
        )["roc_auc"]
        for part in parts
    }
    kept = {
        (row["params_max_depth"], row["params_criterion"]): row["value"]
        for row in found.trials.to_dict("records")
    }
    assert told == pytest.approx(kept)
    script = f"""
import json, mlflow, pandas as pd
model = mlflow.sklearn.load_model("runs:/{run["info"]["run_id"]}/model")
print(json.dumps(model.get_params()["max_depth"]))
"""
    done = subprocess.run(
        [str(SERVER), "-c", script],
        env={**os.environ, "MLFLOW_TRACKING_URI": server},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found.best_params["max_depth"]


@pytest.mark.thorough
@needs_server
def test_a_resumed_study_goes_on_with_its_run_and_tells_no_trial_twice(
    data: Any, server: str, experiment: str
) -> None:
    for trials in (3, 6):
        tune(
            TREE,
            *data,
            SPACE,
            method="grid",
            cv="kfold:2",
            name="twice",
            trials=trials,
            resume=trials > 3,
            track=f"mlflow:{server}",
        )
    (run,) = _runs(server, experiment, modelyard__kind="study")
    assert _pairs(run, "metrics")["trials"] == 6
    parts = _runs(server, experiment, mlflow__parentRunId=run["info"]["run_id"])
    assert sorted(part["info"]["run_name"] for part in parts) == [
        f"twice trial {number}" for number in range(6)
    ]


@pytest.mark.thorough
@needs_server
def test_telling_of_many_trials_costs_little(data: Any, server: str) -> None:
    X, y = data
    began = time.perf_counter()
    tune(TREE, X, y, {"ccp_alpha": (0.0, 0.1)}, method="random", cv="kfold:2", trials=40)
    without = time.perf_counter() - began
    began = time.perf_counter()
    tune(
        TREE,
        X,
        y,
        {"ccp_alpha": (0.0, 0.1)},
        method="random",
        cv="kfold:2",
        trials=40,
        track=f"mlflow:{server}",
    )
    assert time.perf_counter() - began - without < 20  # half a second a trial, on a busy machine


@pytest.mark.thorough
@needs_server
def test_the_magics_track_too_by_the_address_in_the_environment(
    shell: InteractiveShell, data: Any, server: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    shell.user_ns |= {"model": TREE, "X": data[0], "y": data[1]}
    shell.run_line_magic("cv", "model X y --track mlflow --quiet")
    shell.run_cell_magic("tune", "model X y --budget 2trials --track mlflow --quiet", SPACE)
    assert len(_runs(server, experiment)) == 1 + 1 + 2


@pytest.mark.alone
@needs_server
def test_a_server_that_goes_away_in_the_middle_loses_no_study(data: Any, tmp_path: Path) -> None:
    with mlflow_server(tmp_path, SERVER) as address:
        from modelyard.tracking import open_tracking

        tracking = open_tracking(f"mlflow:{address}", "gone")
    assert tracking is not None
    from modelyard.tracking import Entry, log_or_remark

    began = time.perf_counter()
    remark = log_or_remark(tracking, Entry(name="lost-1", key="lost"))
    assert remark.startswith(f"not tracked: MLflow at {address} failed")
    assert remark.endswith("lost-1 itself is kept in the yard")
    assert "\n" not in remark
    assert time.perf_counter() - began < 30


BAD: list[tuple[Any, type[ModelyardError], str]] = [
    (
        f"mlflow:http://ann:pa55-word@127.0.0.1:{free_port()}",
        TrackingError,
        r"no MLflow server answers at http://ann:\*\*\*@127",
    ),
    ("wandb", UnknownNameError, "no tracking server named 'wandb'; installed: mlflow"),
    ("", UsageError, "track cannot be read"),
    (3, UsageError, "track cannot be read, found int"),
]


@pytest.mark.alone
@pytest.mark.parametrize(
    ("track", "kind", "said"), BAD, ids=[str(kind.__name__) + str(n) for n, (_, kind, _) in enumerate(BAD)]
)
def test_a_server_that_cannot_be_is_one_line_before_anything_is_done(
    data: Any, track: Any, kind: Any, said: str
) -> None:
    for verb, more in ((tune, {"space": SPACE}), (cross_validate, {})):
        began = time.perf_counter()
        with pytest.raises(kind, match=said) as caught:
            verb(TREE, *data, track=track, **more)
        assert time.perf_counter() - began < 10
        assert "\n" not in str(caught.value)
        assert "pa55-word" not in str(caught.value)


@pytest.mark.thorough
def test_what_answers_but_is_no_mlflow_is_one_line(data: Any, tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        with pytest.raises(TrackingError, match=r"is no MLflow server \(status 404 at /health\)"):
            cross_validate(TREE, *data, track=f"mlflow:http://127.0.0.1:{port}")
    finally:
        server.kill()
        server.wait()


def test_nothing_is_reported_to_anybody() -> None:
    code = "import modelyard.tracking.mlflow_server, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "true"


@needs_server
def test_a_packaged_bundle_is_kept_with_its_files(data: Any, server: str, experiment: str) -> None:
    from modelyard import package

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(*data)
    bundle = package(model, *data, name="kept", track=f"mlflow:{server}")
    (run,) = _runs(server, experiment, modelyard__kind="bundle")
    assert _pairs(run, "params")["digest"] == bundle.digest
    asked = {"run_id": run["info"]["run_id"], "path": "bundle/model"}
    listed = httpx.get(f"{server}/api/2.0/mlflow/artifacts/list", params=asked).json()["files"]
    assert {"bundle/model/manifest.json", "bundle/model/model.onnx"} <= {each["path"] for each in listed}
    assert f"tracked at {server}" in bundle.remarks[-1]
