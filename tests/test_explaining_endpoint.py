"""The explainer that travels: ``POST /explain`` of a real endpoint says what the notebook says, to 1e-6."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

import modelyard
from modelyard.errors import BundleError, UsageError
from modelyard.explanation.attribution import Attribution
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from modelyard_runtime import bundle_format
from modelyard_runtime.access import Gate
from modelyard_runtime.doors.asgi import PredictorApp
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, NUMBERS, TARGET, TEXTS, a_place_of_its_own

SOME = [0, 17, 34, 60, 199]  # nulls in income are among them
WHOLE = FRAME[["age", "income"]].fillna(3000.0)


def forest() -> Any:
    columns = ColumnTransformer([("t", OneHotEncoder(), TEXTS)], remainder="passthrough")
    model = make_pipeline(columns, RandomForestRegressor(n_estimators=20, random_state=0))
    return model.fit(FRAME.fillna({"income": 0}), np.where(TARGET == "yes", 10.0, 3.0) + FRAME["age"])


def booster() -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMClassifier(n_estimators=15, min_child_samples=5, verbose=-1).fit(
        FRAME[NUMBERS], TARGET
    )


def machine() -> Any:
    return make_pipeline(StandardScaler(), SVC()).fit(WHOLE, TARGET)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests of this module share a project and a store: packaging again is quick."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))


@pytest.fixture
def linear(here: None) -> Bundle:
    return modelyard.package(MODEL, FRAME, TARGET, name="people", explain=True)


def body_of(X: pd.DataFrame) -> dict[str, Any]:
    return json.loads(X.to_json(orient="split", index=False, double_precision=15))


def post(deployment: Deployment, body: Any, path: str = "/explain") -> httpx.Response:
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return httpx.post(f"{deployment.url}{path}", json=body, headers=headers, timeout=60)


def said_in_the_notebook(model: Any, X: pd.DataFrame, **options: Any) -> Attribution:
    found = modelyard.explain(model, X, rows=SOME, **options)
    assert isinstance(found, Attribution)
    return found


@pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")
@pytest.mark.parametrize(
    ("name", "make", "X", "y", "explainer"),
    [
        ("linear", lambda: MODEL, FRAME, TARGET, "linear"),
        pytest.param(
            "forest", forest, FRAME.fillna({"income": 0}), FRAME["age"], "tree", marks=pytest.mark.thorough
        ),
        pytest.param("booster", booster, FRAME[NUMBERS], TARGET, "tree", marks=pytest.mark.thorough),
        pytest.param("machine", machine, WHOLE, TARGET, "permutation", marks=pytest.mark.thorough),
    ],
)
def test_the_endpoint_says_what_the_notebook_says(
    here: None, name: str, make: Any, X: pd.DataFrame, y: Any, explainer: str
) -> None:
    model = make()
    expected = said_in_the_notebook(model, X)
    assert expected.explainer.startswith(f"explainer: {explainer}")
    bundle = modelyard.package(model, X, y, name=name, explain=True)
    assert bundle.manifest["parity"]["explanations"]["max_absolute"] < 1e-6
    deployment = modelyard.deploy(bundle, to="local")
    try:
        response = post(deployment, body_of(X.iloc[SOME]))
        assert response.status_code == 200, response.text
        answer = response.json()
        assert np.abs(np.array(answer["values"]) - expected.values).max() < 1e-6
        assert np.abs(np.array(answer["base_values"]) - expected.base_values).max() < 1e-6
        assert answer["columns"] == list(X.columns)
        assert answer["outputs"] == list(expected.outputs)
        assert answer["scale"] == expected.scale
        one = post(deployment, body_of(X.iloc[SOME[2:3]])).json()  # whichever rows are beside it
        assert np.abs(np.array(one["values"])[0] - expected.values[2]).max() < 1e-6
        for told in (bundle, deployment):
            found = said_in_the_notebook(told, X)
            assert np.abs(found.values - expected.values).max() < 1e-6
            assert "with which" in found.explainer
    finally:
        deployment.remove()
    assert bundle.verify().rows


def test_rows_that_break_the_contract_and_callers_without_a_token_are_refused(linear: Bundle) -> None:
    deployment = modelyard.deploy(linear, to="local")
    try:
        body = body_of(FRAME.head(2))
        body["data"][1][0] = "old"
        refused = post(deployment, body)
        assert refused.status_code == 422
        assert refused.json()["violations"][0]["column"] == "age"
        assert post(deployment, {"rows": []}).status_code == 400
        assert httpx.post(f"{deployment.url}/explain", json=body).status_code == 401
        assert post(deployment, {"rows": [{}] * 5_001}).status_code in (413, 422)
        document = httpx.get(
            f"{deployment.url}/openapi.json", headers={"Authorization": f"Bearer {deployment.token}"}
        ).json()
        assert "post" in document["paths"]["/explain"]
    finally:
        deployment.remove()


@pytest.mark.thorough
def test_a_bundle_without_an_explainer_says_how_to_package_it(here: None) -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="without")
    assert not (bundle.path / "src" / "runtime" / "modelyard_explainer").exists()
    assert "explainer" not in bundle.manifest
    assert not (bundle.model_folder / "lock-explain.txt").exists()
    deployment = modelyard.deploy(bundle, to="local")
    try:
        refused = post(deployment, body_of(FRAME.head(1)))
        assert refused.status_code == 404
        assert "--explain" in refused.json()["error"]
        found = modelyard.explain(
            deployment, FRAME.head(30), rows=[0]
        )  # it is asked for its answers, as before
        assert "only answers" in found.notes()[0]
    finally:
        deployment.remove()


@pytest.mark.thorough
def test_the_plain_asgi_door_explains_in_its_own_process(linear: Bundle) -> None:
    app = PredictorApp(Predictor(linear.model_folder), Gate(is_open=True))

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.post("/explain", json=body_of(FRAME.iloc[SOME]), timeout=60)

    response = asyncio.run(asked())
    assert response.status_code == 200, response.text
    expected = said_in_the_notebook(MODEL, FRAME)
    assert np.abs(np.array(response.json()["values"]) - expected.values).max() < 1e-6


@pytest.mark.thorough
def test_a_background_of_ones_own_travels_and_is_used(here: None) -> None:
    options = {"background": WHOLE.iloc[:7], "explainer": "permutation", "shuffles": 2}
    model = make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(WHOLE, TARGET)
    bundle = modelyard.package(model, WHOLE, TARGET, name="near", explain=options)
    expected = said_in_the_notebook(model, WHOLE, **options)
    found = said_in_the_notebook(bundle, WHOLE)
    assert np.abs(found.values - expected.values).max() < 1e-6
    card = (bundle.model_folder / "card.md").read_text(encoding="utf-8")
    assert "7 rows that were given as its background" in card


def test_what_cannot_be_is_refused_in_one_line_before_any_work(here: None) -> None:
    def refused(explain: Any, **more: Any) -> str:
        with pytest.raises(UsageError) as caught:
            modelyard.package(MODEL, FRAME, TARGET, name="never", explain=explain, **more)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "did you mean 'background'" in refused({"backgruond": 3})
    assert "explain=True" in refused("yes")
    assert "permutation" in refused({"explainer": "kernel"})
    assert "shuffles" in refused({"shuffles": 0})
    assert "synthetic" in refused(True, golden="synthetic")


def test_the_code_of_the_explainer_is_checked(linear: Bundle) -> None:
    code = linear.path / "src" / "runtime" / "modelyard_explainer" / "door.py"
    text = code.read_text(encoding="utf-8")
    try:
        code.write_text(f"{text}#", encoding="utf-8")
        with pytest.raises(BundleError, match="explainer was changed"):
            linear.check()
    finally:
        code.write_text(text, encoding="utf-8")


@pytest.mark.thorough
def test_a_changed_contract_keeps_the_explainer(linear: Bundle) -> None:
    changed = modelyard.contract(linear, policy={"age": "reject"}).bundle
    assert changed.version != linear.version
    found = said_in_the_notebook(changed, FRAME)
    assert np.abs(found.values - said_in_the_notebook(MODEL, FRAME).values).max() < 1e-6
    assert "explainer" in bundle_format.read_manifest(changed.model_folder)


def test_the_magic_packages_an_explainer(here: None, shell: InteractiveShell) -> None:
    shell.push({"model": MODEL, "X": FRAME, "y": TARGET})
    bundle = shell.run_line_magic("package", "model X y --name people --explain")
    assert bundle.manifest["explainer"]["words"].startswith("linear")
