"""A model in a process of its own: it answers as it does in the server's, and what befalls it stays there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer

import modelyard
from modelyard.errors import BundleError
from modelyard.packaging import Bundle
from modelyard.packaging.sites import locked_site
from modelyard_runtime import child
from modelyard_runtime.bundle_format import BundleError as BrokenBundleError
from modelyard_runtime.child import ChildLostError, ChildModel, ModelError
from modelyard_runtime.models import OnnxModel, load_model
from people import FRAME, MODEL, TARGET, UNCONVERTED

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :3]
CELL = """
import os
import time

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

class Moody(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X = np.asarray(X, dtype=float)
        if X[0, 0] == -1:
            raise ValueError("not\\nthis row")
        if X[0, 0] == -2:
            time.sleep(100)
        if X[0, 0] == -3:
            os._exit(3)
        if X[0, 0] == -4:
            print("said to nobody", flush=True)
        return np.log1p(np.abs(X))

model = make_pipeline(Moody(), DecisionTreeClassifier(max_depth=3, random_state=0)).fit(X, y)
"""
GOOD = {name: [value] for name, value in X.iloc[0].items()}


def row(first: float) -> dict[str, list[Any]]:
    return {**GOOD, "mean radius": [first]}


_PACKAGED: dict[str, Bundle] = {}


@pytest.fixture
def moody(shared_store: Path, request: pytest.FixtureRequest) -> Bundle:
    """A bundle with captured code, packaged once."""
    if "moody" not in _PACKAGED:
        shell: InteractiveShell = request.getfixturevalue("shell")
        shell.user_ns.update(X=X, y=y)
        shell.run_cell(CELL).raise_error()
        _PACKAGED["moody"] = modelyard.package(shell.user_ns["model"], X, y, name="moody")
    return _PACKAGED["moody"]


@pytest.fixture
def people(shared_store: Path) -> Bundle:
    if "people" not in _PACKAGED:
        _PACKAGED["people"] = modelyard.package(UNCONVERTED, FRAME, TARGET, name="people")
    return _PACKAGED["people"]


def site_of(bundle: Bundle, folder: Path) -> Path:
    site = folder / f"site-{bundle.name}"
    site.mkdir()
    locked_site(bundle.lock, site, bundle.tag)
    return site


@pytest.fixture
def model(moody: Bundle, tmp_path: Path) -> Iterator[ChildModel]:
    made = ChildModel(moody.model_folder, site_of(moody, tmp_path), timeout=20)
    yield made
    made.close()


def test_the_child_answers_exactly_as_the_same_model_does_in_this_process(
    people: Bundle, tmp_path: Path
) -> None:
    here = load_model(people.model_folder, people.manifest, people.contract)
    there = ChildModel(people.model_folder, site_of(people, tmp_path))
    whole = FRAME.astype(object).where(FRAME.notna(), None)
    for rows in (1, 7, len(whole)):
        table = {str(name): values.tolist()[:rows] for name, values in whole.items()}
        (labels, probabilities), (found, given) = here(table, rows), there(table, rows)
        assert (found.tolist(), found.shape) == (labels.tolist(), labels.shape)
        assert given is not None
        assert np.array_equal(given, probabilities)
    there.close()


def test_numbers_that_messagepack_does_not_know_are_answered_too(people: Bundle, tmp_path: Path) -> None:
    here = load_model(people.model_folder, people.manifest, people.contract)
    there = ChildModel(people.model_folder, site_of(people, tmp_path))
    table = {"age": [30], "income": [10**25], "town": ["Bern"], "member": [True]}
    assert there(table, 1)[0].tolist() == here(table, 1)[0].tolist()
    there.close()


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, 2]), np.array(["a", "ö€"]), np.array([True, False]), np.array([[0.25, 0.75]], dtype="f4"),
        np.array(["a", None, 3, 0.5, True], dtype=object), np.arange(6).reshape(2, 3)[:, ::2], np.empty((0, 2)),
        np.array(["2024-01-01"], dtype="M8[D]"),
    ],
)  # fmt: skip
def test_arrays_of_every_kind_survive_the_way(array: np.ndarray) -> None:
    found = child._Array.of(array).array()
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


def test_what_the_model_raises_is_one_line_and_the_next_request_goes_to_the_same_child(
    moody: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ChildModel(moody.model_folder, site_of(moody, tmp_path))
    pid = model.pid
    with pytest.raises(ModelError, match=r"^ValueError: not this row$") as told:
        model(row(-1), 1)
    assert not isinstance(told.value, ChildLostError)
    assert model(GOOD, 1)[0].tolist() == [0]
    assert model.pid == pid
    assert "in transform" in capfd.readouterr().err  # the traceback is in the log, not in the answer
    model.close()


@pytest.mark.thorough
def test_what_the_model_prints_is_no_answer(
    moody: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ChildModel(moody.model_folder, site_of(moody, tmp_path))
    assert model(row(-4), 1)[0].shape == (1,)
    printed = capfd.readouterr()
    assert "said to nobody" not in printed.out
    assert "said to nobody" in printed.err
    model.close()


def test_a_child_that_was_killed_at_rest_is_replaced_and_nobody_notices(model: ChildModel) -> None:
    for _ in range(2):
        pid = model.pid
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        assert model(GOOD, 1)[0].tolist() == [0]
        assert model.pid != pid


def test_a_child_that_dies_at_work_costs_that_request_alone(model: ChildModel) -> None:
    with pytest.raises(ChildLostError, match=r"the model's process died; another one was started, ask again"):
        model(row(-3), 1)
    assert model(GOOD, 1)[0].tolist() == [0]


def test_a_child_that_takes_too_long_is_replaced(moody: Bundle, tmp_path: Path) -> None:
    model = ChildModel(moody.model_folder, site_of(moody, tmp_path), timeout=1)
    pid = model.pid
    started = time.monotonic()
    with pytest.raises(ChildLostError, match=r"took longer than 1 s"):
        model(row(-2), 1)
    assert time.monotonic() - started < 5
    assert not psutil.pid_exists(pid)
    for _ in range(30):
        try:
            assert model(GOOD, 1)[0].tolist() == [0]
            break
        except ChildLostError as error:
            assert "still starting" in str(error)  # noqa: PT017
    else:
        pytest.fail("no other child came")
    model.close()


def test_threads_share_a_child_and_each_gets_its_own_answer(model: ChildModel, moody: Bundle) -> None:
    here = load_model(moody.model_folder, moody.manifest, moody.contract)
    table = {str(name): values.tolist() for name, values in X.items()}
    expected = here(table, len(X))[0].tolist()
    wrong: list[int] = []

    def ask(start: int) -> None:
        for number in range(start, len(X), 8):
            one = {name: values[number : number + 1] for name, values in table.items()}
            if model(one, 1)[0].tolist() != expected[number : number + 1]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=[start]) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_child_is_told_nothing_of_the_session_and_sees_only_its_lock(
    moody: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-hand-on")
    site = site_of(moody, tmp_path)
    model = ChildModel(moody.model_folder, site)
    process = psutil.Process(model.pid)
    environment = process.environ()
    assert "do-not-hand-on" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert process.cwd() == os.sep
    assert os.readlink(f"/proc/{model.pid}/fd/0") == os.devnull
    assert not (site / "bentoml").exists()
    assert (site / "sklearn").exists()
    model.close()


@pytest.mark.parametrize("busy", [False, True])
def test_the_child_ends_when_its_parent_is_killed_even_in_the_middle_of_a_prediction(
    moody: Bundle, tmp_path: Path, busy: bool
) -> None:
    code = """
import sys, time
from pathlib import Path
from modelyard_runtime.child import ChildModel
model = ChildModel(Path(sys.argv[1]), Path(sys.argv[2]))
print(model.pid, flush=True)
if sys.argv[3] == "True":
    model({"mean radius": [-2.0], "mean texture": [1.0], "mean perimeter": [1.0]}, 1)
time.sleep(100)
"""
    argv = [sys.executable, "-c", code, str(moody.model_folder), str(site_of(moody, tmp_path)), str(busy)]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    time.sleep(0.5 if busy else 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert psutil.wait_procs([orphan], timeout=10)[1] == []


def test_a_child_that_cannot_load_says_why_in_one_line(moody: Bundle, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        BrokenBundleError, match=r"^the model does not load in a process of its own: it ended"
    ):
        ChildModel(moody.model_folder, empty)
    with pytest.raises(BrokenBundleError, match=r"no bundle in .*manifest.json is missing"):
        ChildModel(tmp_path / "nothing", site_of(moody, tmp_path))


def test_a_child_that_cannot_start_again_is_not_tried_at_every_request(moody: Bundle, tmp_path: Path) -> None:
    site = site_of(moody, tmp_path)
    model = ChildModel(moody.model_folder, site)
    site.rename(tmp_path / "away")
    os.kill(model.pid, signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(ChildLostError, match=r"the model's process does not start"):
        model(GOOD, 1)
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(ChildLostError, match=r"does not start"):
            model(GOOD, 1)
    assert time.monotonic() - started < 1
    (tmp_path / "away").rename(site)
    time.sleep(1.1)
    assert model(GOOD, 1)[0].tolist() == [0]
    model.close()


def test_only_models_with_python_go_to_a_child_and_only_where_the_environment_says_so(
    people: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifest, contract = people.model_folder, people.manifest, people.contract
    monkeypatch.delenv(child.SITE, raising=False)
    assert not isinstance(child.load(folder, manifest, contract), ChildModel)
    monkeypatch.setenv(child.SITE, str(site_of(people, tmp_path)))
    model = child.load(folder, manifest, contract)
    assert isinstance(model, ChildModel)
    model.close()
    onnx = modelyard.package(MODEL, FRAME, TARGET, name="onnx")
    assert isinstance(child.load(onnx.model_folder, onnx.manifest, onnx.contract), OnnxModel)


def test_a_site_of_a_lock_that_does_not_hold_here_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"churn:3 needs numpy==0\.1, but .* is installed here"):
        locked_site(["numpy==0.1  # record:0"], tmp_path, "churn:3")
    with pytest.raises(BundleError, match=r"churn:3 needs no-such==1, which is not installed here"):
        locked_site(["no-such==1"], tmp_path, "churn:3")
