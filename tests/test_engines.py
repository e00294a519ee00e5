"""Work past one process: the promises of every engine, and `%cv` and `%tune` on real clusters.

The tests of Ray run in an environment of their own, `make env-ray`; MODELYARD_RAY is set there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from clusters import dask_cluster, free_port, listens, ray_cluster, until
from kernels import kernel
from modelyard.engines import checked_engine, open_engine
from modelyard.errors import EngineError, MissingExtraError, ModelyardError, UnknownNameError, UsageError
from modelyard.evaluation import cross_validate
from modelyard.testing import EngineContract
from modelyard.tuning import tune

cloudpickle.register_pickle_by_value(
    sys.modules[__name__]
)  # as what is written in a cell: no worker can import it

RAY = "MODELYARD_RAY" in os.environ
TREE = DecisionTreeClassifier(random_state=0)
SPACE = "max_depth: int 1..4\ncriterion: gini | entropy"


class Fragile(ClassifierMixin, BaseEstimator):
    """Ends its process when it is fitted with a mark that stands in the way; else it says one class."""

    def __init__(self, depth: int = 0, deadly: int = -1, once: str = "") -> None:
        self.depth = depth
        self.deadly = deadly
        self.once = once

    def fit(self, X: Any, y: Any) -> Fragile:
        if self.depth == self.deadly and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(30)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


class Slow(ClassifierMixin, BaseEstimator):
    """Takes its time, and writes down which process fitted it."""

    def __init__(self, depth: int = 0, seconds: float = 0.3, diary: str = "") -> None:
        self.depth = depth
        self.seconds = seconds
        self.diary = diary

    def fit(self, X: Any, y: Any) -> Slow:
        with open(self.diary, "a", encoding="utf-8") as diary:
            diary.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:200, :8], y.iloc[:200]


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as address:
        yield f"dask://{address}"


@pytest.fixture(scope="module")
def ray_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ray_cluster(tmp_path_factory.mktemp("ray")) as address:
        yield f"ray://{address}"


@pytest.fixture(scope="module")
def ray(ray_alone: str) -> Iterator[str]:
    """A cluster that this process uses already: joining it anew takes Ray a quarter of a minute each time."""
    import ray

    with open_engine(ray_alone):  # which asks again where Ray loses the server that it starts for a client
        assert ray.is_initialized()
        yield ray_alone


def _ray_client_servers() -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any("specific-server" in word for word in each.cmdline()):
                found.append(each)
    return found


@pytest.mark.skipif(not RAY, reason="runs in the environment that `make env-ray` builds")
def test_a_ray_that_loses_this_clients_server_is_asked_again_and_is_left_at_the_end(ray_alone: str) -> None:
    import ray

    lost: list[psutil.Process] = []

    def lose() -> None:
        until(lambda: bool(_ray_client_servers()))
        lost.extend(_ray_client_servers())
        lost[0].kill()

    loser = threading.Thread(target=lose)
    loser.start()
    with open_engine(ray_alone) as opened:
        assert opened is not None
        assert opened.slots == 2
        assert lost
        assert not lost[0].is_running()
    loser.join()
    assert not ray.is_initialized()


@pytest.mark.alone
class TestProcesses(EngineContract):
    name = "local"

    @pytest.fixture
    def engine(self) -> str:
        return "local:2"


@pytest.mark.alone
class TestDask(EngineContract):
    name = "dask"
    unreachable: ClassVar[str | None] = f"dask://127.0.0.1:{free_port()}"

    @pytest.fixture
    def engine(self, dask: str) -> str:
        return dask


@pytest.mark.alone
@pytest.mark.skipif(not RAY, reason="runs in the environment that `make env-ray` builds")
class TestRay(EngineContract):
    name = "ray"
    unreachable: ClassVar[str | None] = f"ray://127.0.0.1:{free_port()}"

    @pytest.fixture
    def engine(self, ray: str) -> str:
        return ray


@pytest.fixture(
    params=[
        "local:2",
        "dask",
        pytest.param("ray", marks=pytest.mark.skipif(not RAY, reason="needs make env-ray")),
    ]
)
def engine(request: Any) -> str:
    found: str = request.param if ":" in request.param else request.getfixturevalue(request.param)
    return found


# The names of engines


@pytest.mark.parametrize(
    ("engine", "kind", "said"),
    [
        (
            "dsk://127.0.0.1:8786",
            UnknownNameError,
            "no engine named 'dsk'; installed: dask, local, ray .did you mean 'dask'",
        ),
        ("dask://nowhere", UsageError, "engine 'dask://nowhere' cannot be read; type 'local', 'local:4'"),
        ("local:0", UsageError, "cannot be read"),
        ("local://127.0.0.1:1", UsageError, "cannot be read"),
        (3, UsageError, "engine 3 cannot be read"),
    ],
)
def test_an_engine_that_cannot_be_is_one_line(
    data: Any, engine: Any, kind: type[ModelyardError], said: str
) -> None:
    for verb, more in ((tune, {"space": SPACE}), (cross_validate, {})):
        with pytest.raises(kind, match=said) as caught:
            verb(TREE, *data, engine=engine, **more)
        assert "\n" not in str(caught.value)


def test_addresses_are_taken_apart() -> None:
    assert checked_engine("local").in_process
    assert checked_engine("local:3").count == 3
    assert checked_engine("ray://[::1]:10001").address == "[::1]:10001"
    assert checked_engine("dask:2").count == 2


@pytest.mark.skipif(RAY, reason="Ray is installed here")
def test_an_engine_that_is_not_installed_says_what_to_type(data: Any) -> None:
    with pytest.raises(MissingExtraError, match=r"engine 'ray' needs 'ray'.*pip install 'modelyard\[ray\]'"):
        cross_validate(TREE, *data, engine="ray")


@pytest.mark.alone
def test_what_listens_but_is_no_scheduler_is_one_line_within_ten_seconds(data: Any, tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port))
        began = time.perf_counter()
        with pytest.raises(EngineError, match="is no Dask scheduler; type dask://HOST:PORT") as caught:
            cross_validate(TREE, *data, engine=f"dask://127.0.0.1:{port}")
        assert time.perf_counter() - began < 10
        assert "\n" not in str(caught.value)
    finally:
        server.kill()
        server.wait()


# Cross-validation


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(10, random_state=0),
    ],
    ids=["logistic", "forest"],
)
def test_scores_of_cross_validation_are_those_of_this_process_bit_by_bit(
    data: Any, engine: str, model: Any
) -> None:
    here = cross_validate(model, *data, cv="stratified:4", seed=3)
    there = cross_validate(model, *data, cv="stratified:4", seed=3, engine=engine)
    pd.testing.assert_frame_equal(there.scores, here.scores, check_exact=True)
    pd.testing.assert_frame_equal(there.summary, here.summary, check_exact=True)


@pytest.mark.alone
def test_a_worker_that_dies_in_cross_validation_costs_a_second_try(
    data: Any, engine: str, tmp_path: Path
) -> None:
    if engine.startswith("local"):
        pytest.skip("local:N is n_jobs=N in cross-validation: joblib's own processes")
    model = Fragile(depth=1, deadly=1, once=str(tmp_path / "began"))
    found = cross_validate(model, *data, cv="kfold:4", scoring="accuracy", engine=engine)
    assert len(found.scores) == 4
    assert (tmp_path / "began").exists()


# Tuning


def _values(found: Any) -> dict[tuple[Any, ...], float]:
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    return {
        (row["params_max_depth"], row["params_criterion"]): row["value"]
        for row in complete.to_dict("records")
    }


def test_a_grid_scores_what_it_scores_in_this_process_bit_by_bit(data: Any, engine: str) -> None:
    here = tune(TREE, *data, SPACE, method="grid", cv="stratified:3", prune=False)
    there = tune(TREE, *data, SPACE, method="grid", cv="stratified:3", prune=False, engine=engine)
    assert _values(there) == _values(here)
    assert len(_values(there)) == len(there.trials) == 8
    assert there.best_score == here.best_score


@pytest.mark.alone
def test_all_workers_are_busy_and_the_budget_is_kept(data: Any, engine: str, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    model = Slow(seconds=0.3, diary=str(diary))
    found = tune(
        model,
        *data,
        {"depth": (1, 1000)},
        method="bayes",
        cv="kfold:2",
        trials=7,
        engine=engine,
        scoring="accuracy",
    )
    assert found.trials["state"].tolist() == ["COMPLETE"] * 7
    assert found.trials["params_depth"].nunique() == 7
    fitted_by = set(diary.read_text().split()) - {str(os.getpid())}
    assert len(fitted_by) == 2
    again = tune(
        model,
        *data,
        {"depth": (1, 1000)},
        cv="kfold:2",
        trials=9,
        engine=engine,
        scoring="accuracy",
        resume=True,
    )
    assert (again.resumed_from, len(again.trials)) == (7, 9)


@pytest.mark.alone
def test_a_killed_worker_costs_only_its_running_trial(data: Any, engine: str, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    model = Slow(seconds=0.5, diary=str(diary))
    killed: list[int] = []

    def kill() -> None:
        until(lambda: diary.exists() and len(diary.read_text().split()) >= 3, 180)
        killed.append(int(diary.read_text().split()[-1]))
        psutil.Process(killed[0]).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    found = tune(
        model, *data, {"depth": (1, 6)}, method="grid", cv="kfold:2", engine=engine, scoring="accuracy"
    )
    killer.join()
    failed = found.trials[found.trials["state"] == "FAIL"]
    assert failed["reason"].tolist() == ["its worker was killed"]
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    assert sorted(complete["params_depth"]) == [1, 2, 3, 4, 5, 6]
    assert failed["params_depth"].iloc[0] in set(complete["params_depth"])


@pytest.mark.thorough
def test_a_point_that_ends_its_worker_twice_is_given_up(data: Any, engine: str) -> None:
    model = Fragile(deadly=2)
    found = tune(
        model, *data, {"depth": [1, 2, 3, 4]}, method="grid", cv="kfold:2", scoring="accuracy", engine=engine
    )
    by_point = found.trials.groupby("params_depth")["reason"].agg(list).to_dict()
    assert by_point[2] == ["its worker was killed", "its worker was killed twice"]
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    assert sorted(complete["params_depth"]) == [1, 3, 4]


# From a notebook


CELL = """
%load_ext modelyard
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

class Shifted(TransformerMixin, BaseEstimator):
    def __init__(self, by=0.0):
        self.by = by
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.asarray(X) + self.by

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = make_pipeline(Shifted(1.0), DecisionTreeClassifier(random_state=0))
"""


def test_a_transformer_of_a_cell_works_on_workers(project: Path, engine: str) -> None:
    with kernel(project) as running:
        running.run(CELL)
        running.run("%cv model X y -o here --quiet")
        running.run(f"%cv model X y --engine {engine} -o there --quiet")
        assert "True" in running.text("print((here.scores == there.scores).all().all())")
        running.run(
            f"%%tune model X y --engine {engine} --method grid -o study --quiet\nmax_depth: int 1..3\nby: 0.0 | 2.0"
        )
        assert "6 True" in running.text(
            "print((study.trials['state'] == 'COMPLETE').sum(), isinstance(study.best_estimator[0], Shifted))"
        )
