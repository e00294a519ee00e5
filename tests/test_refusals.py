"""What must not travel is refused by `%package` itself, in one line, with nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import modelyard
from modelyard.capture import CaptureError
from modelyard.errors import EmbeddedDataError, ModelyardError, SecretFoundError
from modelyard.packaging import storing

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
# in pieces, so that no tool that looks for keys finds one in this file
AWS = "AKIA" + "3XQ7R2M5KDLW9ZPT"
ACCOUNT = {"type": "service_account", "project_id": "yard", "private_key_id": "a1b2c3d4e5",
           "private_key": "-----BEGIN " + "PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----\n",
           "client_email": "robot@yard.iam.gserviceaccount.com"}  # fmt: skip
CSV = "customer,age,income\nAnna,34,5100\nBeat,51,7300\nCarla,28,4200\n"

CELL = """
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return X * len(PLANTED)

model = make_pipeline(Scaled(), LogisticRegression(max_iter=50)).fit(X, y)
"""


def refusal(shell: InteractiveShell, planted: str, cell: str = CELL) -> ModelyardError:
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(f"PLANTED = {planted}").raise_error()
    shell.run_cell(cell).raise_error()
    with pytest.raises(ModelyardError) as told:
        shell.run_line_magic("package", "model X y --name planted")
    assert "\n" not in str(told.value)
    assert storing.versions("planted") == []
    assert modelyard.yard().bundles == ()
    return told.value


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_value_of_the_projects_env_file_is_refused(shell: InteractiveShell, project: Path) -> None:
    (project / ".env").write_text("CRM_TOKEN=correct-horse-battery-staple\n")
    found = refusal(shell, "'correct-horse-battery-staple'")
    assert isinstance(found, SecretFoundError)
    assert "'PLANTED'" in str(found)
    assert "CRM_TOKEN" in str(found)
    assert "battery" not in str(found)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_an_aws_key_is_refused_and_not_repeated(shell: InteractiveShell) -> None:
    found = refusal(shell, repr(AWS))
    assert isinstance(found, SecretFoundError)
    assert "'PLANTED'" in str(found)
    assert AWS not in str(found)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("as_text", [False, True])
def test_a_service_account_is_refused(shell: InteractiveShell, as_text: bool) -> None:
    found = refusal(shell, repr(json.dumps(ACCOUNT)) if as_text else repr(ACCOUNT))
    assert isinstance(found, SecretFoundError)
    assert "MIIE" not in str(found)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_csv_in_a_constant_is_refused(shell: InteractiveShell) -> None:
    assert isinstance(refusal(shell, repr(CSV)), EmbeddedDataError)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_rows_of_the_training_table_in_a_constant_are_refused(shell: InteractiveShell) -> None:
    rows = X.head(5).round(6).to_dict("records")
    found = refusal(shell, repr(rows))
    assert isinstance(found, EmbeddedDataError)
    assert "'PLANTED'" in str(found)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("file", [".env", "customers.csv", "service-account.json"])
def test_a_file_that_captured_code_opens_is_refused_by_name(
    shell: InteractiveShell, project: Path, file: str
) -> None:
    (project / file).write_text("a,b\n1,2\n")
    cell = CELL.replace("len(PLANTED)", f"len(open({file!r}).read())")
    found = refusal(shell, "1", cell)
    assert isinstance(found, CaptureError)
    assert file in str(found)


@pytest.mark.parametrize("model", [KNeighborsClassifier(), SVC()])
def test_a_model_that_keeps_its_training_rows_is_packaged_and_the_card_says_so(model: object) -> None:
    bundle = modelyard.package(model.fit(X, y), X, y, name="keeps", golden="synthetic")  # type: ignore[attr-defined]
    card = (bundle.model_folder / "card.md").read_text(encoding="utf-8")
    assert f"- {type(model).__name__} keeps " in card
    assert bundle.verify().rows


def test_the_magic_hands_all_of_it_on(shell: InteractiveShell, project: Path) -> None:
    shell.user_ns.update(X=X, y=y)
    shell.run_cell(
        "from sklearn.tree import DecisionTreeClassifier\nmodel = DecisionTreeClassifier(max_depth=2).fit(X, y)"
    ).raise_error()
    shell.run_line_magic("cv", "model X y --cv kfold:3 --out ev --quiet")
    bundle = shell.run_line_magic(
        "package", "model X y --name all --golden synthetic --evaluation ev --ci --golden-rows 20"
    )
    assert bundle.manifest["golden"]["source"] == "synthetic"
    assert bundle.manifest["metrics"]["evaluation"]["cv"] == "kfold:3"
    assert (project / "tests" / "test_all_bundle.py").is_file()
    assert (project / ".github" / "workflows" / "all-bundle.yml").is_file()
    assert "wrote .github/workflows/all-bundle.yml, tests/test_all_bundle.py" in bundle.notes()
    said = repr(shell.run_line_magic("package", "model X y --name all --evaluation ev --ci --show-code"))
    assert said == "modelyard.package(model, X, y, evaluation=ev, name='all', ci=True)"
