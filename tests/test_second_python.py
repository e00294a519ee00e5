"""A bundle answers in a second minor version of Python as the notebook does in the first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from modelyard.packaging import Bundle
from modelyard.packaging.locking import pins

HERE = sys.version_info[:2]
OTHERS = [minor for minor in ((3, 12), (3, 13), (3, 11)) if minor != HERE]
UV = str(Path(sys.executable).with_name("uv"))

CELLS = (
    """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
FLOOR = 0.001
""",
    """
def logarithm(table):
    return np.log(np.maximum(np.asarray(table, dtype=float), FLOOR))

class Logarithm(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return logarithm(X)
""",
    """
model = make_pipeline(Logarithm(), StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
bundles = %package model X y --name logarithm
""",
)

#: Given the runtime, a model folder, and a file of rows: the replay's own words, and the answers to all rows.
PROGRAM = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from modelyard_runtime.__main__ import replay
from modelyard_runtime.predictor import Predictor
folder = pathlib.Path(sys.argv[2])
found = replay(folder)
table = json.loads(pathlib.Path(sys.argv[3]).read_text())
predictions, probabilities, flags = Predictor(folder).outputs(table, len(next(iter(table.values()))))
print(json.dumps({
    "python": sys.version_info[:2], "rows": found["rows"], "mismatches": found["mismatches"], "first": found["first"],
    "predictions": predictions, "probabilities": probabilities.tolist(), "flags": len(flags),
    "strangers": [name for name in sys.modules if name.startswith(("modelyard.", "IPython"))],
}))
"""


def _second_python() -> str:
    """Return the path of an interpreter of another minor version, one that really runs."""
    for major, minor in OTHERS:
        named = shutil.which(f"python{major}.{minor}")
        versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        for path in ([Path(named)] if named else []) + sorted(versions.glob(f"{major}.{minor}*/bin/python3")):
            told = subprocess.run(
                [str(path), "-I", "-c", "import sys; print(sys.executable, *sys.version_info[:2])"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip  # pyenv's shims are on the path, and fail, where their version is not chosen
            if told.returncode == 0 and told.stdout.split()[1:] == [str(major), str(minor)]:
                return told.stdout.split()[0]
    reason = f"no Python {' or '.join(f'{a}.{b}' for a, b in OTHERS)} beside {HERE[0]}.{HERE[1]}"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have one", pytrace=False)
    pytest.skip(reason)


def _environment(python: str, bundle: Bundle, folder: Path) -> Path:
    """Make an environment of exactly the bundle's lock; return its interpreter."""
    subprocess.run([UV, "-q", "venv", "--python", python, str(folder)], check=True)
    wanted = folder / "pins.txt"
    wanted.write_text("\n".join(pins(bundle.lock)))
    inside = folder / "bin" / "python"
    subprocess.run(
        [UV, "-q", "pip", "install", "--python", str(inside), "--no-deps", "-r", str(wanted)], check=True
    )
    return inside


def _answered(python: Path | str, bundle: Bundle, X: pd.DataFrame, elsewhere: Path) -> dict[str, Any]:
    """Answer every row of `X` with a copy of the bundle, in a folder where nothing of the notebook is."""
    elsewhere.mkdir()
    source = Path(shutil.copytree(bundle.path / "src", elsewhere / "src"))
    (elsewhere / "rows.json").write_text(json.dumps({name: X[name].tolist() for name in X}))
    argv = [str(source / "runtime"), str(source / "model"), str(elsewhere / "rows.json")]
    done = subprocess.run(
        [str(python), "-I", "-c", PROGRAM, *argv],
        cwd=elsewhere, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")
def test_a_three_cell_notebook_predicts_identically_elsewhere_and_in_a_second_python(
    shell: InteractiveShell, tmp_path: Path
) -> None:
    second = _second_python()
    for cell in CELLS:
        shell.run_cell(cell, store_history=True).raise_error()
    X, names = shell.user_ns["X"], shell.user_ns
    shell.run_cell("onnx = %package plain X y --name plain").raise_error()
    for estimator, bundle in ((names["model"], names["bundles"]), (names["plain"], names["onnx"])):
        assert bundle.manifest["model"]["kind"] == "onnx" or bundle.manifest["captured"]["names"] == [
            "FLOOR", "Logarithm", "logarithm",
        ]  # fmt: skip
        environment = _environment(second, bundle, tmp_path / f"environment-{bundle.name}")
        here = _answered(sys.executable, bundle, X, tmp_path / f"here-{bundle.name}")
        there = _answered(environment, bundle, X, tmp_path / f"there-{bundle.name}")
        assert (tuple(here["python"]), tuple(there["python"])) == (HERE, there_minor(second))
        for found in (here, there):
            assert found["rows"] >= 40
            assert found["mismatches"] == 0, found["first"]
            assert found["predictions"] == estimator.predict(X).tolist()
            wanted = estimator.predict_proba(X).tolist()
            assert found["probabilities"] == [pytest.approx(row, abs=1e-9) for row in wanted]
            assert found["strangers"] == []
            assert found["flags"] == 0
        assert there["predictions"] == here["predictions"]
    assert names["bundles"].manifest["model"]["kind"] != "onnx"  # it holds code of the notebook
    assert names["onnx"].manifest["model"]["kind"] == "onnx"


def there_minor(python: str) -> tuple[int, ...]:
    told = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    return tuple(map(int, told.stdout.split()))
