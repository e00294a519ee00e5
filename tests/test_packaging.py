"""Packaging through its public door: what gets in, what is refused, and what a bundle proves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from modelyard.capture import CaptureError, StaleCodeError
from modelyard.errors import (
    BundleError,
    InvalidInputError,
    InvalidNameError,
    ModelyardError,
    NotFittedError,
    PackagingWarning,
    UnknownNameError,
    UsageError,
)
from modelyard.packaging import storing
from modelyard.packaging.locking import pinned
from modelyard.packaging.proof import replayed
from modelyard_runtime.bundle_format import FORMAT
from modelyard_runtime.predictor import Predictor

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
MODEL = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
LAYOUT = {
    "manifest.json", "model.onnx", "contract.json", "golden.jsonl", "profile.json", "parity.json", "lock.txt",
    "lock-api.txt", "lock-arrow.txt", "lock-asgi.txt", "lock-bento.txt", "lock-wsgi.txt",
    "card.md", "sbom.cdx.json", "signature",
}  # fmt: skip


def store_is_empty() -> bool:
    folder = storing.store_folder()
    return not folder.exists() or not [p for p in folder.rglob("*") if p.is_file()]


def test_a_bundle_is_a_bento_in_bentomls_own_store_with_exactly_the_designed_files() -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    listed = subprocess.run(
        [sys.executable, "-m", "bentoml", "list", "-o", "json"], capture_output=True, text=True, check=True
    )
    assert [entry["tag"] for entry in json.loads(listed.stdout)] == [bundle.tag] == ["cancer:1"]
    assert {path.name for path in bundle.model_folder.iterdir()} == LAYOUT
    runtime = bundle.path / "src" / "runtime" / "modelyard_runtime"
    assert (runtime / "predictor.py").is_file()
    assert not list(bundle.path.rglob("__pycache__"))


def test_nothing_of_the_working_directory_gets_into_a_bundle(project: Path) -> None:
    (project / ".env").write_text("KEY=planted-secret")
    (project / "customers.csv").write_text("planted-row")
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    contents = b"".join(path.read_bytes() for path in bundle.path.rglob("*") if path.is_file())
    assert b"planted" not in contents
    assert str(project).encode() not in contents


def test_the_same_model_again_is_the_same_version_and_another_model_the_next_one() -> None:
    first = modelyard.package(MODEL, X, y, name="cancer")
    again = modelyard.package(MODEL, X, y, name="cancer")
    other = modelyard.package(LogisticRegression(max_iter=5000).fit(X, y), X, y, name="cancer")
    assert (first.tag, again.tag, other.tag) == ("cancer:1", "cancer:1", "cancer:2")
    assert first.digest == again.digest != other.digest
    assert modelyard.bundle("cancer").tag == "cancer:2"
    assert modelyard.bundle("cancer:1").digest == first.digest


def test_the_digest_does_not_depend_on_where_the_bundle_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = modelyard.package(MODEL, X, y, name="cancer")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "other-store"))
    assert modelyard.package(MODEL, X, y, name="cancer").digest == first.digest


def test_golden_rows_are_replayed_in_a_process_without_the_notebook() -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    found = bundle.verify()
    assert found.rows >= 40
    assert found.max_absolute < 1e-5


def test_one_flipped_byte_is_found(tmp_path: Path) -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    path = bundle.model_folder / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"cancer:1: bundle file 'model.onnx' was changed after packaging"):
        bundle.verify()


def test_an_onnx_bundle_asks_for_the_runtimes_four_dependencies_and_what_they_need_only() -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    names = set(pinned(bundle.lock))
    assert {"numpy", "onnxruntime", "msgspec", "prometheus-client"} <= names
    assert not names & {"scikit-learn", "pandas", "modelyard", "bentoml", "ipython"}
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ ]+  # record:[0-9a-f]{64}", line) for line in bundle.lock)


def test_the_lock_is_just_enough_and_without_any_one_line_the_proof_fails() -> None:
    bundle = modelyard.package(MODEL, X, y, name="locked")
    source = bundle.path / "src"
    assert replayed(source, "it", bundle.lock)["rows"]
    for line in bundle.lock:
        rest = [other for other in bundle.lock if other != line]
        with pytest.raises(BundleError, match=r"lacks|does not load"):
            replayed(source, "it", rest)


def test_a_lock_of_another_version_is_told() -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer")
    other = [line.replace("numpy==", "numpy==0.") for line in bundle.lock]
    with pytest.raises(BundleError, match=r"it needs numpy==0\..*, but .* is installed here"):
        replayed(bundle.path / "src", "it", other)


@pytest.mark.parametrize("as_frame", [True, False])
def test_regressors_answer_as_the_notebook_does(as_frame: bool) -> None:
    table, target = load_diabetes(return_X_y=True, as_frame=as_frame)
    model = HistGradientBoostingRegressor(max_iter=30).fit(table, target)
    bundle = modelyard.package(model, table, target, name="diabetes")
    assert bundle.manifest["model"]["kind"] == "onnx", bundle.notes()
    predictor = Predictor(bundle.model_folder)
    frame = pd.DataFrame(table, columns=list(bundle.contract.names))
    got, _, _ = predictor.outputs({name: frame[name].tolist() for name in frame}, len(frame))
    assert np.allclose(got, model.predict(table), rtol=1e-9)


def test_a_null_passes_where_the_pipeline_takes_one_and_only_there() -> None:
    from sklearn.impute import SimpleImputer

    imputing = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000)).fit(X, y)
    assert all(
        column.nullable for column in modelyard.package(imputing, X, y, name="imputing").contract.columns
    )
    assert not any(
        column.nullable for column in modelyard.package(MODEL, X, y, name="strict").contract.columns
    )


def test_without_a_converter_the_bundle_holds_skops_and_says_what_that_costs() -> None:
    small = X.iloc[:60, :3]
    model = GaussianProcessClassifier().fit(small, y[:60])
    with pytest.warns(
        PackagingWarning, match=r"no ONNX: .*skops.*scikit-learn==.*one row takes .* ms in Python"
    ):
        bundle = modelyard.package(model, small, y[:60], name="gaussian")
    assert bundle.manifest["model"]["kind"] == "skops"
    assert (bundle.model_folder / "model.skops").is_file()
    assert bundle.notes()
    assert bundle.verify().rows
    # traced, not guessed: what answering imports, and what that requires
    assert {"scikit-learn", "scipy", "skops", "pandas", "msgspec"} <= set(pinned(bundle.lock))
    assert not {"onnxruntime", "skl2onnx", "bentoml", "optuna"} & set(pinned(bundle.lock))
    without = [line for line in bundle.lock if not line.startswith("pandas")]
    with pytest.raises(BundleError, match=r"does not load outside the notebook: ModuleNotFoundError.*pandas"):
        replayed(bundle.path / "src", "it", without)


@pytest.mark.thorough
def test_where_the_estimator_itself_is_faster_by_far_the_bundle_keeps_it_and_says_so() -> None:
    table, target = make_classification(8000, 6, random_state=0)
    model = KNeighborsClassifier().fit(table, target)
    with pytest.warns(PackagingWarning, match=r"its ONNX form is more than twice as slow"):
        bundle = modelyard.package(model, table, target, name="neighbours")
    assert bundle.manifest["model"]["kind"] == "skops"


CELL = """
from sklearn.base import BaseEstimator, TransformerMixin
FACTOR = 3.0

def scaled(table):
    return table * FACTOR

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return scaled(X)
"""


def test_a_transformer_from_a_cell_travels_as_a_module_that_holds_what_it_reaches_and_nothing_else(
    shell: InteractiveShell,
) -> None:
    shell.run_cell(CELL).raise_error()
    shell.run_cell("password = 'hunter2'; UNUSED = 4").raise_error()
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(
        "from sklearn.pipeline import make_pipeline; from sklearn.linear_model import LogisticRegression\n"
        "model = make_pipeline(Scaled(), LogisticRegression(max_iter=5000)).fit(X, y)"
    ).raise_error()
    model = shell.user_ns["model"]
    with pytest.warns(
        PackagingWarning, match=r"Scaled has no ONNX converter.*FACTOR, Scaled, scaled as a module"
    ):
        bundle = modelyard.package(model, X, y, name="scaled")
    assert bundle.manifest["format"] == FORMAT == 1
    assert bundle.manifest["model"]["kind"] == "hybrid"
    assert bundle.manifest["captured"]["names"] == ["FACTOR", "Scaled", "scaled"]
    (module,) = (bundle.model_folder / "captured").iterdir()
    assert module.stem == bundle.manifest["captured"]["module"]
    assert "hunter2" not in module.read_text()
    # verify replays it in a process in which no cell has run
    assert bundle.verify().max_absolute < 1e-12  # one row at a time differs from all at once in the last bit


def test_an_edited_cell_that_was_not_run_stops_packaging_with_its_number(
    shell: InteractiveShell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"
    fit += "model = make_pipeline(Scaled(), LogisticRegression(max_iter=5000)).fit(X, y)"
    shell.user_ns.update(X=X, y=y)
    for cell in ("FACTOR = 3.0", CELL.replace("FACTOR = 3.0\n", ""), fit):
        shell.run_cell(cell, store_history=True).raise_error()
    edited = ["FACTOR = 4.0", CELL.replace("FACTOR = 3.0\n", ""), fit]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in edited])
    nbformat.write(notebook, project / "work.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "work.ipynb"))
    with pytest.raises(StaleCodeError, match=r"'FACTOR' changed in cell 1 after it ran.*--allow-stale"):
        shell.run_line_magic("package", "model X y --name stale")
    assert store_is_empty()
    bundle = shell.run_line_magic("package", "model X y --name stale --allow-stale")
    assert "FACTOR" in bundle.manifest["captured"]["stale"][0]
    assert bundle.verify().rows


@pytest.mark.thorough
def test_a_cell_that_ran_after_the_notebook_was_saved_is_not_held_against_it(
    shell: InteractiveShell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%load_ext modelyard")])
    nbformat.write(empty, project / "new.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "new.ipynb"))
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(CELL, store_history=True).raise_error()
    shell.run_cell(
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"
        "model = make_pipeline(Scaled(), LogisticRegression(max_iter=5000)).fit(X, y)",
        store_history=True,
    ).raise_error()
    assert shell.run_line_magic("package", "model X y --name unsaved").verify().rows
    time.sleep(0.05)
    nbformat.write(
        empty, project / "new.ipynb"
    )  # saved without those cells: now it is known that they are gone
    with pytest.raises(StaleCodeError, match=r"deleted from the notebook"):
        shell.run_line_magic("package", "model X y --name unsaved")


@pytest.mark.thorough
def test_a_module_beside_the_notebook_travels_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "my_steps.py").write_text(CELL)
    monkeypatch.syspath_prepend(str(project))
    import my_steps

    try:
        model = make_pipeline(my_steps.Scaled(), LogisticRegression(max_iter=5000)).fit(X, y)
        with pytest.warns(PackagingWarning):
            bundle = modelyard.package(model, X, y, name="beside")
        (project / "my_steps.py").unlink()
        assert bundle.manifest["captured"]["names"] == ["FACTOR", "Scaled", "scaled"]
        assert bundle.verify().rows
    finally:
        del sys.modules["my_steps"]


def test_a_frame_in_a_global_is_refused_by_name_and_nothing_is_written(shell: InteractiveShell) -> None:
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(
        "customers = X.head()\n" + CELL.replace("table * FACTOR", "table * len(customers)")
    ).raise_error()
    shell.run_cell(
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"
        "model = make_pipeline(Scaled(), LogisticRegression(max_iter=5000)).fit(X, y)"
    ).raise_error()
    with pytest.raises(CaptureError, match=r"customers.*DataFrame") as told:
        modelyard.package(shell.user_ns["model"], X, y, name="leaky")
    assert "\n" not in str(told.value)
    assert store_is_empty()


def bad_inputs() -> list[Any]:
    renamed = X.rename(columns={"mean area": "area"})
    mixed = X.assign(**{"mean area": ["big", *X["mean area"][1:]]})
    dated = X.assign(when=pd.Timestamp("2026-01-01"))
    any_model = RandomForestClassifier(n_estimators=2)
    cases = [
        (
            LogisticRegression(),
            X,
            y,
            {},
            NotFittedError,
            r"this LogisticRegression is not fitted; call fit\(X, y\)",
        ),
        (MODEL, X, y[:-1], {}, InvalidInputError, r"X has 569 rows and y has 568"),
        (
            MODEL,
            X,
            y,
            {"name": "my model"},
            InvalidNameError,
            r"'my model' cannot name a bundle.*type 'my-model'",
        ),
        (
            MODEL,
            renamed,
            y,
            {},
            InvalidInputError,
            r"a column the model never saw: 'area' \(did you mean 'mean area'",
        ),
        (MODEL, X.drop(columns="mean area"), y, {}, InvalidInputError, r"X lacks the column 'mean area'"),
        (MODEL, mixed, y, {}, InvalidInputError, r"column 'mean area' mixes float, str"),
        (MODEL, X.assign(more=1), y, {}, InvalidInputError, r"a column the model never saw: 'more'"),
        (
            any_model.fit(X.to_numpy(), y),
            X.to_numpy()[:, :3],
            y,
            {},
            InvalidInputError,
            r"X has 3 columns.*fitted on 30",
        ),
        (MODEL, X, y, {"policy": "flagg"}, UsageError, r"no policy 'flagg'.*did you mean 'flag'"),
        (MODEL, X, y, {"policy": {"area": "flag"}}, UnknownNameError, r"policy names the column 'area'"),
        (MODEL, X.head(0), y.head(0), {}, InvalidInputError, r"X has no rows"),
        ("model", X, y, {}, InvalidInputError, r"'model' does not exist; give a fitted estimator"),
        (
            make_pipeline(_Dated()).fit(dated, y),
            dated,
            y,
            {},
            InvalidInputError,
            r"column 'when' holds datetime64",
        ),
    ]
    return [pytest.param(*case, id=str(number)) for number, case in enumerate(cases)]


class _Dated:
    def fit(self, X: Any, y: Any) -> _Dated:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


@pytest.mark.parametrize(("model", "table", "target", "more", "kind", "words"), bad_inputs())
def test_bad_input_is_one_line_of_a_real_type_and_nothing_is_written(
    model: Any, table: Any, target: Any, more: dict[str, Any], kind: type[ModelyardError], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        modelyard.package(model, table, target, **{"name": "bad", **more})
    assert "\n" not in str(told.value)
    assert store_is_empty()
    assert modelyard.yard().bundles == ()


def test_ctrl_c_while_packaging_leaves_nothing_in_the_store(project: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_packaging as t; " + (
        "print('go', flush=True); t.modelyard.package(t.MODEL, t.X, t.y, name='late')"
    )
    for wait in (0.3, 1.5, 2.5):
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(wait)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
        # either it was done by then, or there is nothing; never half of it
        found = storing.versions("late")
        assert all(modelyard.bundle(stored.tag).verify() for stored in found)
        assert not list(Path(os.environ["BENTOML_HOME"]).glob(".modelyard-*"))


def test_the_contract_policy_goes_into_the_bundle() -> None:
    bundle = modelyard.package(MODEL, X, y, name="cancer", policy={"mean area": "clip"})
    policies = {column.name: column.policy for column in bundle.contract.columns}
    assert policies.pop("mean area") == "clip"
    assert set(policies.values()) == {"flag"}


def test_the_estimator_is_as_it_was_before() -> None:
    import joblib

    before = joblib.hash(MODEL)
    modelyard.package(MODEL, X, y, name="cancer")
    assert joblib.hash(MODEL) == before


def test_packaging_says_nothing_on_standard_error_when_all_is_well(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        modelyard.package(MODEL, X, y, name="cancer")
    assert capfd.readouterr().err == ""
