"""Hybrid bundles: where a step has no converter, it runs in Python and the rest of the pipeline in ONNX."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

import modelyard
from modelyard.capture import CaptureError, StaleCodeError
from modelyard.errors import BundleError, PackagingWarning
from modelyard.packaging import parity
from modelyard.packaging.bundle import Bundle
from modelyard.packaging.choosing import Candidate, ask, candidates
from modelyard.packaging.locking import pinned
from modelyard.packaging.parity import Gain, Rival
from modelyard.packaging.training_table import checked_table
from modelyard_runtime.models import HybridModel
from modelyard_runtime.predictor import Predictor
from people import FRAME, ROW, TARGET, UNCONVERTED

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :6]
CELL = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
FACTOR = 3.0

def scaled(table):
    return np.log1p(np.asarray(table)) * FACTOR

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return scaled(X)
"""
FIT = (
    "model = make_pipeline(Scaled(), StandardScaler(), RandomForestClassifier(40, random_state=0)).fit(X, y)"
)
Gains = Callable[[float], None]


@pytest.fixture
def notebook(shell: InteractiveShell) -> InteractiveShell:
    """A notebook in which a transformer was written and a model was fitted with it."""
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(CELL).raise_error()
    shell.run_cell(FIT).raise_error()
    return shell


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Gains:
    """Say how many times as fast a hybrid form is measured to be from now on."""

    def times(factor: float) -> None:
        monkeypatch.setattr(parity, "gain", lambda *_: Gain(factor, factor))

    return times


def first_candidate(model: Any, table: Any, target: Any) -> Candidate:
    return next(candidates(ask(model, checked_table(model, table, target), None, False)))


def answers_as(bundle: Bundle, model: Any, table: pd.DataFrame) -> None:
    """Assert that the runtime answers every row of `table` as the model does."""
    predictor = Predictor(bundle.model_folder)
    values = {n: table[n].astype(object).where(table[n].notna(), None).tolist() for n in table}
    predictions, probabilities, _ = predictor.outputs(values, len(table))
    if hasattr(model, "predict_proba"):
        assert predictions == model.predict(table).tolist()
        np.testing.assert_allclose(probabilities, model.predict_proba(table), atol=1e-5)
    else:
        np.testing.assert_allclose(predictions, model.predict(table), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------------- what it holds


def test_a_transformer_from_a_cell_runs_in_python_and_what_follows_it_in_onnx(
    notebook: InteractiveShell, tmp_path: Path
) -> None:
    model = notebook.user_ns["model"]
    with pytest.warns(PackagingWarning, match=r"Scaled has no ONNX converter; Scaled runs in Python"):
        bundle = modelyard.package(model, X, y, name="scaled")
    described = bundle.manifest["model"]
    assert (described["kind"], described["file"]) == ("hybrid", "model.onnx")
    assert described["steps"]["file"] == "steps.skops"
    (trusted,) = described["steps"]["trusted_types"]
    assert trusted == f"{bundle.manifest['captured']['module']}.Scaled"
    assert bundle.manifest["trust"] == {
        "decision": "skops-types",
        "granted_by": "modelyard.package: installed distributions and captured/ define these",
        "code": [trusted],
    }
    assert bundle.manifest["captured"]["names"] == ["FACTOR", "Scaled", "scaled"]
    assert b"RandomForest" not in (bundle.model_folder / "steps.skops").read_bytes()
    assert bundle.manifest["notes"][0] == (
        "no ONNX: Scaled has no ONNX converter; Scaled runs in Python, with FACTOR, Scaled, scaled as a module of "
        "its own, the rest (StandardScaler, RandomForestClassifier) in ONNX"
    )
    assert {"onnxruntime", "skops", "pandas"} <= set(pinned(bundle.lock))
    assert not {"skl2onnx", "onnx", "bentoml", "modelyard"} & set(pinned(bundle.lock))
    assert bundle.verify().rows >= 40
    answers_as(bundle, model, X)
    answers_elsewhere(bundle, tmp_path / "elsewhere")


def answers_elsewhere(bundle: Bundle, folder: Path) -> None:
    """Assert that a copy of the bundle's source answers where no notebook and no project is."""
    shutil.copytree(bundle.path / "src", folder)
    program = (
        "import sys; sys.path.insert(0, 'runtime')\nfrom pathlib import Path\n"
        "from modelyard_runtime.__main__ import replay\n"
        "print(replay(Path('model'))['mismatches'], 'modelyard' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "0 False", ran.stderr


@pytest.mark.thorough
def test_a_changed_byte_of_the_steps_is_found(measured: Gains) -> None:
    measured(5.0)
    model = make_pipeline(SplineTransformer(), LogisticRegression(max_iter=5000)).fit(X, y)
    bundle = modelyard.package(model, X, y, name="splines")
    path = bundle.model_folder / "steps.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"'steps.skops' was changed after packaging"):
        bundle.verify()


@pytest.mark.thorough
def test_a_step_of_scikit_learn_without_a_converter_runs_in_python_too() -> None:
    model = make_pipeline(SplineTransformer(), RandomForestClassifier(40, random_state=0)).fit(X, y)
    bundle = modelyard.package(model, X, y, name="splines")
    assert bundle.manifest["model"]["kind"] == "hybrid"
    assert bundle.manifest["trust"] is None or "captured" not in str(bundle.manifest["trust"]["code"])
    assert bundle.manifest["captured"] is None
    assert bundle.verify().max_absolute < 1e-5
    answers_as(bundle, model, X)


@pytest.mark.thorough
def test_a_model_that_was_trained_on_an_array_is_fed_one() -> None:
    table, target = load_diabetes(return_X_y=True)
    model = make_pipeline(SplineTransformer(), RandomForestClassifier(30, random_state=0))
    model.fit(table, target > 150)
    bundle = modelyard.package(model, table, target > 150, name="array")
    assert bundle.manifest["model"]["kind"] == "hybrid"
    assert bundle.verify().rows


# ---------------------------------------------------------------------------------------- when it is chosen


@pytest.mark.thorough
def test_a_final_estimator_without_a_converter_stays_in_python_altogether() -> None:
    table, target = X.iloc[:80, :3], y[:80]
    model = make_pipeline(SplineTransformer(), GaussianProcessClassifier()).fit(table, target)
    bundle = modelyard.package(model, table, target, name="gaussian")
    assert bundle.manifest["model"]["kind"] == "skops"
    assert not (bundle.model_folder / "model.onnx").exists()


@pytest.mark.thorough
def test_where_two_parts_are_not_clearly_faster_the_estimator_stays_whole(measured: Gains) -> None:
    measured(1.1)
    table, target = load_diabetes(return_X_y=True, as_frame=True)
    model = make_pipeline(SplineTransformer(), Ridge()).fit(table, target)
    bundle = modelyard.package(model, table, target, name="cheap")
    assert bundle.manifest["model"]["kind"] == "skops"
    assert bundle.manifest["notes"] == [
        "no ONNX: SplineTransformer has no ONNX converter; the bundle holds the estimator as skops "
        "(with only SplineTransformer in Python it is not clearly faster)"
    ]


@pytest.mark.thorough
def test_a_cheap_model_answers_the_same_in_whichever_form() -> None:
    table, target = load_diabetes(return_X_y=True, as_frame=True)
    model = make_pipeline(SplineTransformer(), Ridge()).fit(table, target)
    bundle = modelyard.package(model, table, target, name="cheap")
    assert bundle.manifest["model"]["kind"] in ("hybrid", "skops")
    answers_as(bundle, model, table)


@pytest.mark.parametrize(
    ("gain", "clear"),
    [(Gain(1.1, 5.0), False), (Gain(1.3, 1.0), True), (Gain(9.0, 0.7), False), (Gain(9.0, 0.9), True)],
)
def test_one_row_must_be_clearly_faster_and_many_rows_not_clearly_slower(gain: Gain, clear: bool) -> None:
    assert gain.is_clear is clear


def test_the_fewest_steps_run_in_python_also_out_of_a_pipeline_in_a_pipeline(measured: Gains) -> None:
    measured(5.0)
    inner = Pipeline(
        [("scale", StandardScaler()), ("spline", SplineTransformer()), ("nothing", "passthrough")]
    )
    model = make_pipeline(None, inner, StandardScaler(), LogisticRegression(max_iter=5000)).fit(X, y)
    found = first_candidate(model, X, y)
    assert "StandardScaler, SplineTransformer run in Python, the rest (StandardScaler, Log" in found.notes[0]


@pytest.mark.thorough
def test_one_branch_without_a_converter_keeps_its_whole_union_in_python(measured: Gains) -> None:
    measured(5.0)
    both = FeatureUnion([("splines", SplineTransformer()), ("scaled", StandardScaler())])
    model = make_pipeline(StandardScaler(), both, LogisticRegression(max_iter=5000)).fit(X, y)
    found = first_candidate(model, X, y)
    assert "StandardScaler, FeatureUnion run in Python, the rest (LogisticRegression)" in found.notes[0]


# --------------------------------------------------------------------------------------- what steps hand on


def words() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["good", "bad", "fair", "nice", "rain"], 4)) for _ in range(120)]
    frame = pd.DataFrame({"text": texts, "length": random.integers(1, 9, 120)})
    return frame, frame["text"].str.contains("good").to_numpy()


def _as_frame(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"mood": table["text"].str[:4], "long": table["length"] > 4, "n": table["length"]})


def _as_objects(table: pd.DataFrame) -> np.ndarray:
    return table.assign(text=table["text"].str[:4]).to_numpy(dtype=object)


def _with_gaps(table: pd.DataFrame) -> pd.DataFrame:
    return _as_frame(table).assign(mood=lambda made: made["mood"].where(made["mood"] != "fair"))


def _nullable(table: pd.DataFrame) -> pd.DataFrame:
    return table[["length"]].astype("Int64").mask(table[["length"]] > 6)


MADE = {
    "a frame of texts, booleans and whole numbers": (_as_frame, [OneHotEncoder(handle_unknown="ignore")]),
    "texts with gaps": (_with_gaps, [OneHotEncoder(handle_unknown="ignore")]),
    "texts without columns": (lambda table: table["text"].str.upper(), [TfidfVectorizer()]),
    "a list of texts": (lambda table: table["text"].tolist(), [HashingVectorizer(n_features=32)]),
    "an array of objects": (_as_objects, [OneHotEncoder(handle_unknown="ignore")]),
    "whole numbers": (lambda table: table[["length"]].to_numpy() * 2, [StandardScaler()]),
    "booleans": (lambda table: np.column_stack([table["length"] > n for n in (3, 5)]), []),
    "float32": (lambda table: table[["length"]].to_numpy(dtype="float32") / 3, [StandardScaler()]),
    "numbered columns": (lambda table: pd.DataFrame(table[["length"]].to_numpy() / 2), [StandardScaler()]),
    "nullable numbers": (_nullable, [SimpleImputer()]),
    "a sparse matrix": (lambda table: csr_matrix(table[["length"]].to_numpy(dtype=float)), []),
}


@pytest.mark.parametrize("kind", MADE)
def test_steps_hand_on_what_they_like(kind: str, measured: Gains) -> None:
    measured(5.0)
    function, more = MADE[kind]
    table, target = words()
    model = make_pipeline(FunctionTransformer(function), *more, LogisticRegression()).fit(table, target)
    found = first_candidate(model, table, target)
    assert found.form.described["kind"] == "hybrid", found.notes
    rival = Rival(found.form, found.contract)
    for rows in (table, table.head(1)):
        got = rival.outputs(rows)
        assert got.predictions.tolist() == model.predict(rows).tolist()
        np.testing.assert_allclose(got.probabilities, model.predict_proba(rows), atol=1e-5)


def test_a_sparse_matrix_too_wide_to_be_dense_stays_in_python(measured: Gains) -> None:
    measured(5.0)
    table, target = words()
    steps = (FunctionTransformer(lambda table: table["text"]), HashingVectorizer(n_features=2**16))
    found = first_candidate(make_pipeline(*steps, LogisticRegression()).fit(table, target), table, target)
    assert found.form.described["kind"] == "skops"


def test_steps_that_make_other_columns_than_in_training_are_not_answered(measured: Gains) -> None:
    measured(5.0)
    table, target = words()
    model = make_pipeline(FunctionTransformer(_as_frame), OneHotEncoder(), LogisticRegression())
    found = first_candidate(model.fit(table, target), table, target)
    served = Rival(found.form, found.contract).served
    assert isinstance(served, HybridModel)
    served._steps = FunctionTransformer(lambda table: _as_frame(table).rename(columns={"n": "m"}))
    with pytest.raises(ValueError, match="made other columns than in training"):
        served({"text": ["good"], "length": [3]}, 1)


# --------------------------------------------------------------------------------------------- the contract


def test_texts_and_nulls_pass_through_the_python_steps_as_through_the_estimator() -> None:
    bundle = modelyard.package(UNCONVERTED, FRAME, TARGET, name="people")
    assert bundle.manifest["model"]["kind"] == "hybrid"
    assert "ColumnTransformer runs in Python, the rest (LogisticRegression)" in bundle.manifest["notes"][0]
    answers_as(bundle, UNCONVERTED, FRAME)
    assert {c.name for c in bundle.contract.columns if c.nullable} >= {"age", "income", "town"}
    predictor = Predictor(bundle.model_folder)
    for changed in ({}, {"age": None}, {"income": None}, {"town": None}, {"town": "Atlantis"}, {"age": 1e6}):
        row = ROW | changed
        frame = pd.DataFrame([row])[list(ROW)]
        frame = frame.astype({"age": float, "income": float, "town": FRAME["town"].dtype})
        predictions, probabilities, _ = predictor.outputs({name: [row[name]] for name in row}, 1)
        assert predictions == UNCONVERTED.predict(frame).tolist()
        np.testing.assert_allclose(probabilities, UNCONVERTED.predict_proba(frame), atol=1e-5)
    assert bundle.verify().rows


# --------------------------------------------------------------------------------------- identity and gates


@pytest.mark.thorough
def test_two_builds_have_one_digest_however_fast_each_was_measured_to_be(
    notebook: InteractiveShell, measured: Gains
) -> None:
    measured(5.0)
    first = modelyard.package(notebook.user_ns["model"], X, y, name="scaled")
    measured(7.0)
    notebook.run_cell(CELL).raise_error()
    notebook.run_cell(FIT).raise_error()
    again = modelyard.package(notebook.user_ns["model"], X, y, name="scaled")
    assert (first.tag, first.digest) == (again.tag, again.digest)
    assert first.manifest["model"]["kind"] == "hybrid"


@pytest.mark.thorough
def test_a_difference_names_the_code_that_changed(notebook: InteractiveShell) -> None:
    ours = modelyard.package(notebook.user_ns["model"], X, y, name="scaled")
    notebook.run_cell(CELL.replace("log1p", "sqrt")).raise_error()
    notebook.run_cell(FIT).raise_error()
    theirs = modelyard.package(notebook.user_ns["model"], X, y, name="scaled")
    found = ours.diff(theirs)
    assert "+    return np.sqrt(np.asarray(table)) * FACTOR" in found.code
    assert not found.refused


@pytest.mark.thorough
def test_an_edited_cell_of_a_step_stops_packaging(
    shell: InteractiveShell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.user_ns.update(X=X, y=y)
    for cell in (CELL, FIT):
        shell.run_cell(cell, store_history=True).raise_error()
    edited = [CELL.replace("FACTOR = 3.0", "FACTOR = 4.0"), FIT]
    saved = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in edited])
    nbformat.write(saved, project / "work.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "work.ipynb"))
    with pytest.raises(StaleCodeError, match=r"'FACTOR' changed in cell 1 after it ran"):
        shell.run_line_magic("package", "model X y --name stale")
    bundle = shell.run_line_magic("package", "model X y --name stale --allow-stale")
    assert bundle.manifest["model"]["kind"] == "hybrid"
    assert "FACTOR" in bundle.manifest["captured"]["stale"][0]
    assert "FACTOR" in bundle.manifest["notes"][-1]


def test_a_step_that_cannot_travel_is_refused_by_name(shell: InteractiveShell) -> None:
    shell.user_ns.update(X=X, y=y)
    shell.run_cell("customers = X.head()\n" + CELL.replace("* FACTOR", "* len(customers)")).raise_error()
    shell.run_cell(FIT).raise_error()
    with pytest.raises(CaptureError, match=r"customers.*DataFrame"):
        modelyard.package(shell.user_ns["model"], X, y, name="leaky")
