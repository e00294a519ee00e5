"""``--env lock``: what serves imports the locks of the bundle, and nothing of this kernel's environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import modelyard
from modelyard.catalog import open_yard
from modelyard.errors import BundleError, UsageError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.targets.processes import _marked

X, y = load_iris(return_X_y=True, as_frame=True)


class Doubled(TransformerMixin, BaseEstimator):
    """What nobody has a converter for: it goes as Python."""

    def fit(self, X: Any, y: Any = None) -> Doubled:
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X * 2


GRAPH = LogisticRegression(max_iter=500).fit(X, y)
PYTHON = make_pipeline(Doubled(), LogisticRegression(max_iter=500)).fit(X, y)


def deployed(model: Any) -> Deployment:
    bundle = modelyard.package(model, X, y, name="iris")
    made = modelyard.deploy(bundle, to="local", env="lock", timeout=120.0)
    assert isinstance(made, Deployment)
    return made


@pytest.fixture
def graph(shared_store: Path) -> Iterator[Deployment]:
    made = deployed(GRAPH)
    yield made
    made.remove()


def mapped(name: str) -> set[str]:
    """Return the compiled modules that processes of a deployment have loaded."""
    return {
        line.split()[-1]
        for process in _marked(open_yard().deployment_folder(name))
        for line in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8").splitlines()
        if line.endswith(".so")
    }


def test_nothing_of_the_kernels_environment_is_loaded(graph: Deployment) -> None:
    assert graph.predict(X).tolist() == GRAPH.predict(X).tolist()
    folder = str(open_yard().deployment_folder("iris"))
    kernel = {path for path in mapped("iris") if path.startswith(f"{sys.prefix}/")}
    own = {path for path in mapped("iris") if path.startswith(folder)}
    assert kernel == set()
    assert any("onnxruntime" in path for path in own)


def test_it_starts_again_and_takes_a_second_bundle(graph: Deployment) -> None:
    graph.stop()
    graph.start()
    second = modelyard.package(PYTHON, X, y, name="iris")
    modelyard.traffic("iris", promote=f"v{second.version}")
    assert abs(graph.predict_proba(X) - PYTHON.predict_proba(X)).max() < 1e-5
    assert {path for path in mapped("iris") if path.startswith(f"{sys.prefix}/")} == set()
    assert any("sklearn" in path for path in mapped("iris"))


def test_it_is_rehearsed_as_it_will_serve(shared_store: Path) -> None:
    bundle = modelyard.package(GRAPH, X, y, name="iris")
    rehearsal = modelyard.rehearse(bundle, to="local", env="lock")
    assert rehearsal.ok
    assert rehearsal.matched == rehearsal.rows > 0


def test_a_bundle_that_holds_python_runs_in_its_own_lock(shared_store: Path) -> None:
    made = deployed(PYTHON)
    try:
        assert made.predict(X).tolist() == PYTHON.predict(X).tolist()
        assert {path for path in mapped("iris") if path.startswith(f"{sys.prefix}/")} == set()
        assert any("sklearn" in path for path in mapped("iris"))
    finally:
        made.remove()
    assert not open_yard().deployment_folder("iris").exists()


def test_what_cannot_be_is_one_line(shared_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = modelyard.package(GRAPH, X, y, name="iris")
    with pytest.raises(UsageError, match="env 'conda' cannot be; choose kernel, lock"):
        modelyard.deploy(bundle, to="local", env="conda")
    honest = Bundle.door_lock
    pinned = {"bento": ["bentoml==0.0.1"]}
    monkeypatch.setattr(Bundle, "door_lock", lambda self, door: pinned.get(door) or honest(self, door))
    with pytest.raises(
        BundleError, match=r"bentoml 0.0.1 is wanted, and .* is installed here; type: pip install"
    ):
        modelyard.deploy(bundle, to="local", env="lock")
    assert modelyard.yard().deployments == ()
