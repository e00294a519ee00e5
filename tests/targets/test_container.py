"""The container target with real engines: podman builds and runs it, buildah builds it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

import modelyard
from modelyard.catalog import open_yard
from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard.targets.container_engine import Engine, runner
from modelyard.testing import TargetContract

BASE = "localhost/modelyard-test-base:1"
OPTIONS = {"base": BASE, "python": "3.11", "network": "host", "timeout": 120.0}
MOST_ON_TOP = 130e6

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
MODEL = RandomForestClassifier(20, random_state=0).fit(X, y)


@pytest.fixture(autouse=True)
def engines(base_image: str) -> None:
    assert base_image == BASE


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="cancer")


class TestContract(TargetContract):
    name: ClassVar[str] = "container"
    options: ClassVar[dict[str, Any]] = {**OPTIONS, "engine": "podman"}

    def broken_options(self) -> dict[str, Any]:
        return {**self.options, "base": "localhost/no-such-image:1"}

    @pytest.fixture
    def bundle(self, shared_store: Path) -> Bundle:
        return modelyard.package(MODEL, X, y, name="cancer")


@pytest.fixture
def deployment(bundle: Bundle) -> Any:
    made = modelyard.deploy(bundle, to="container", name="boxed", engine="podman", **OPTIONS)
    yield made
    made.remove()


def test_it_is_small_runs_as_nobody_and_can_write_nothing(deployment: Deployment, bundle: Bundle) -> None:
    podman = runner("buildah")
    state = open_yard().get("deployment", "boxed").payload["state"]
    on_top = podman.image_bytes(state["image"]) - podman.image_bytes(BASE)
    assert on_top <= MOST_ON_TOP, f"{on_top / 1e6:.0f} MB"
    print(f"on top of the base image: {on_top / 1e6:.1f} MB")
    name = state["container"]
    assert _inside(podman, name, "import os; print(os.getuid())") == "65532"
    for path in ("/app/x", "/etc/x", "/run/modelyard/token_hashes"):
        assert "Read-only" in _inside(podman, name, f"open({path!r}, 'w')")
    assert _inside(podman, name, "open('/tmp/x', 'w').write('x'); print('ok')") == "ok"
    assert deployment.predict(X).tolist() == MODEL.predict(X).tolist()
    assert abs(deployment.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5


def _inside(podman: Engine, name: str, code: str) -> str:
    done = subprocess.run(
        [podman.path, "exec", name, "python3", "-c", code], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()


def test_the_old_token_is_refused_after_a_rotation(deployment: Deployment) -> None:
    before = deployment.token
    deployment.rotate_token()
    assert deployment.predict(X.head(2)).tolist() == MODEL.predict(X.head(2)).tolist()
    deadline = time.monotonic() + 2
    while (
        asked := httpx.get(f"{deployment.url}/schema", headers={"Authorization": f"Bearer {before}"})
    ).is_success:
        assert time.monotonic() < deadline
    assert asked.status_code == 401


@pytest.mark.thorough
def test_a_replacement_is_taken_back_at_the_same_url(deployment: Deployment) -> None:
    other = RandomForestClassifier(5, random_state=1).fit(X, y)
    second = modelyard.package(other, X, y, name="cancer")
    replaced = modelyard.deploy(
        second, to="container", name="boxed", engine="podman", replace=True, **OPTIONS
    )
    assert isinstance(replaced, Deployment)
    assert (replaced.url, replaced.bundle) == (deployment.url, second.tag)
    assert abs(replaced.predict_proba(X) - other.predict_proba(X)).max() < 1e-5
    back = replaced.undo()
    assert back is not None
    assert (back.url, back.bundle) == (deployment.url, deployment.bundle)
    assert abs(back.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5


@pytest.mark.thorough
def test_bentomls_door_answers_likewise_and_has_its_pages(bundle: Bundle) -> None:
    made = modelyard.deploy(bundle, to="container", name="paged", engine="podman", door="bentoml", **OPTIONS)
    assert isinstance(made, Deployment)
    try:
        assert abs(made.predict_proba(X) - MODEL.predict_proba(X)).max() < 1e-5
        bearer = {"Authorization": f"Bearer {made.token}"}
        assert "BentoML" in httpx.get(f"{made.url}/docs.json", headers=bearer).text
        assert httpx.get(f"{made.url}/docs.json").status_code == 401
        answer = httpx.post(
            f"{made.url}/predict", headers=bearer, json={"rows": X.head(1).to_dict("records")}
        )
        assert answer.json()["variant"] == f"v{bundle.version}"
    finally:
        made.remove()


@pytest.mark.skipif(shutil.which("buildah") is None, reason="make test-targets installs it")
def test_buildah_builds_the_same(bundle: Bundle, tmp_path: Path) -> None:
    made = modelyard.deploy(bundle, to="container", name="built", engine="buildah", **OPTIONS)
    try:
        assert isinstance(made, Deployment)
        assert made.predict(X.head(5)).tolist() == MODEL.predict(X.head(5)).tolist()
    finally:
        made.remove()  # type: ignore[union-attr]


def test_an_engine_that_is_not_there_is_one_line(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeploymentError, match=r"one of buildah, docker, podman is needed to build images"):
        modelyard.deploy(bundle, to="container", name="none", **OPTIONS)
    assert modelyard.yard().deployments == ()
