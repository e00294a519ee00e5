"""``%contract``: what a bundle takes is shown, and changed into its next version, through a real shell and runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell
from sklearn.compose import make_column_transformer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

import modelyard
from modelyard.errors import BundleError, ModelyardError, PackagingWarning, UnknownNameError, UsageError
from modelyard.packaging import Bundle, storing
from modelyard_runtime import bundle_format
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.predictor import Predictor
from modelyard_templates import render
from people import FRAME, MODEL, ROW, TARGET

AGES = (int(FRAME["age"].min()), int(FRAME["age"].max()))
CHANGED = {"contract.json", "golden.jsonl", "card.md", "manifest.json", "signature"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with what the tests below change: packaged once, copied for each test."""
    home = tmp_path_factory.mktemp("contract")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home / "bentoml"))
        patch.setenv("MODELYARD_CONFIG_DIR", str(home / "config"))
        (home / "project" / ".modelyard").mkdir(parents=True)
        patch.chdir(home / "project")
        modelyard.package(MODEL, FRAME, TARGET, name="people")
        modelyard.package(fitted(LogisticRegression()), TOWNS, TARGET, name="strict", policy="reject")
        python = fitted(GaussianProcessClassifier(), (OrdinalEncoder(), ["size"]))
        with pytest.warns(PackagingWarning):
            modelyard.package(python, TOWNS, TARGET, name="python", policy="reject")
    return home


def _towns() -> pd.DataFrame:
    table = FRAME[["age", "town"]].fillna({"town": "Bern"})
    return table.assign(size=np.where(table["age"] > 50, "large", "small"))


TOWNS = _towns()


def fitted(final: Any, *columns: Any) -> Pipeline:
    """Return a model of `TOWNS` that takes any town."""
    towns = OneHotEncoder(handle_unknown="ignore")
    steps = make_column_transformer((towns, ["town"]), ("passthrough", ["age"]), *columns)
    return make_pipeline(steps, final).fit(TOWNS, TARGET)


@pytest.fixture
def people(store: Path, tmp_path: Path) -> Bundle:
    shutil.copytree(store / "bentoml", tmp_path / "bentoml", symlinks=True)
    shutil.copytree(store / "config", tmp_path / "config")
    return modelyard.bundle("people")


def ran(shell: InteractiveShell, code: str) -> Any:
    outcome = shell.run_cell(code)
    outcome.raise_error()
    return outcome.result


def answered(bundle: Bundle, **values: Any) -> tuple[Any, list[str]]:
    """Return what the runtime answers to one row, and its flags."""
    predictor = Predictor(bundle.model_folder)
    (found,), _, flags = predictor.outputs({name: [v] for name, v in {**ROW, **values}.items()}, 1)
    return found, [f"{flag.column}: {flag.flag}" for flag in flags]


def files(bundle: Bundle) -> dict[str, bytes]:
    """Return what we put into the Bento, by path."""
    source = bundle.path / "src"
    others = ("__pycache__", "bentofile.yaml")  # Python's and BentoML's own
    found = (p for p in source.rglob("*") if p.is_file() and not set(p.parts) & set(others))
    return {p.relative_to(source).as_posix(): p.read_bytes() for p in found}


# --- shown


def test_the_contract_of_a_bundle_is_shown_column_by_column(people: Bundle, shell: InteractiveShell) -> None:
    found = ran(shell, "%contract people")
    assert repr(found) == "contract of people:1: 4 columns (flag 4)"
    rows = {row[0]: row[1:] for row in found.table().rows}
    assert rows["age"] == ("integer", rows["age"][1], f"{AGES[0]} to {AGES[1]}", "flag")
    assert rows["town"] == ("string", "yes", "'Basel', 'Bern'", "flag")
    assert rows["member"][2] == "–"
    payload = found._repr_mimebundle_()["application/vnd.modelyard.contract+json"]
    assert [column["name"] for column in payload["columns"]] == list(ROW)
    json.dumps(payload, allow_nan=False)
    assert storing.versions("people") == [storing.Stored("people", 1, people.path)]


def test_the_flags_of_every_magic_mean_the_same_here(people: Bundle, shell: InteractiveShell) -> None:
    assert json.loads(repr(ran(shell, "%contract people --json")))["tag"] == "people:1"
    assert ran(shell, "%contract people --quiet --out kept") is None
    assert shell.user_ns["kept"].tag == "people:1"
    shell.user_ns["mine"] = people
    assert ran(shell, "%contract mine").tag == "people:1"
    assert ran(shell, "%contract people:1").tag == "people:1"
    text = repr(ran(shell, "%contract -h"))
    assert all(flag in text for flag in ("--policy", "--range", "--categories", "--no-null", "--show-code"))
    line = "%contract mine --policy age=clip --policy town=reject --range age=18..110 --no-null income"
    assert repr(ran(shell, f'{line} --categories town=Bern,"Zug, Baar" --show-code')) == (
        "modelyard.contract(mine, policy={'age': 'clip', 'town': 'reject'}, "
        "allow={'age': (18, 110), 'town': ['Bern', 'Zug, Baar']}, nullable={'income': False})"
    )
    assert repr(ran(shell, "%contract people --policy reject --show-code")) == (
        "modelyard.contract('people', policy='reject')"
    )
    assert len(storing.versions("people")) == 1


def test_tab_completes_bundles_flags_policies_and_columns(people: Bundle, shell: InteractiveShell) -> None:
    def completions(line: str) -> set[str]:
        context = CompletionContext(line.rpartition(" ")[2], line, len(line), 0, 500)
        found = shell.Completer.custom_matchers[-1](context)["completions"]
        return {completion.text for completion in found}

    assert completions("%contract peo") == {people.name}
    assert {"--policy", "--range", "--no-null"} <= completions("%contract people --")
    assert {"reject", "age=clip"} <= completions("%contract people --policy ")
    assert completions("%contract people --policy age=r") == {"age=reject"}
    assert completions("%contract people --no-null inc") == {"income"}
    assert completions("%contract nobody --policy re") == {"reject"}


# --- changed


def test_a_change_is_the_next_version_with_the_same_model_which_serves_the_new_contract(
    people: Bundle, shell: InteractiveShell
) -> None:
    lines = "%contract people --policy age=clip --policy town=reject --range age=25..110"
    found = ran(shell, lines)
    bundle = found.bundle
    assert bundle.tag == "people:2"
    assert bundle.digest != people.digest
    assert bundle.manifest["amends"] == people.digest
    assert bundle.verify().rows == len(bundle.golden()[0]) < len(people.golden()[0])

    old, new = files(people), files(bundle)
    assert old.keys() == new.keys()
    assert {name.rpartition("/")[2] for name in old if old[name] != new[name]} == CHANGED
    said, says = people.manifest, bundle.manifest
    renewed = {name for name, entry in says["files"].items() if entry != said["files"][name]}
    assert renewed == CHANGED - {"manifest.json", "signature"}
    assert says["golden"]["rows"] == len(bundle.golden()[0])
    apart = {"files", "notes", "amends", "golden"}
    assert {k: v for k, v in says.items() if k not in apart} == {
        k: v for k, v in said.items() if k not in apart
    }
    assert set(new["model/golden.jsonl"].splitlines()) < set(old["model/golden.jsonl"].splitlines())

    assert answered(bundle, age=100)[1] == []
    assert answered(bundle, age=130) == (answered(people, age=110)[0], ["age: clipped to 110"])
    with pytest.raises(ContractBroken, match="'town': an unknown category"):
        answered(bundle, town="Zug")
    assert answered(people, town="Zug")[1] == ["town: unknown category"]

    (note,) = set(bundle.manifest["notes"]) - set(people.manifest["notes"])
    total = len(people.golden()[0])
    assert note == (
        f"contract changed from people:1: age: flag → clip, {AGES[0]} to {AGES[1]} → 25 to 110 (past what training "
        f"saw: no golden row proves it); town: flag → reject; "
        f"{len(bundle.golden()[0])} of {total} golden rows fit that and are kept"
    )
    assert note in found.notes()
    changes = {(c.kind, c.name) for c in people.diff(bundle).changes}
    assert changes == {("contract column", "age"), ("contract column", "town")}
    assert any(record.name == "people:2" for record in modelyard.yard().bundles)


def test_the_card_says_the_new_column_the_rows_that_are_left_and_what_was_changed(people: Bundle) -> None:
    bundle = modelyard.contract("people", policy={"town": "reject"}).bundle
    old, new = ((b.model_folder / "card.md").read_text() for b in (people, bundle))
    assert render("bundle/columns.md.j2", columns=people.contract.columns) in old  # one format in both places
    assert f"| town | {bundle.contract.columns[2].learned} | reject |" in new
    assert "contract changed from people:1: town: flag → reject" in new
    added = set(new.splitlines()) - set(old.splitlines())
    assert {line.partition(" ")[0] + " " + line.split()[1] for line in added} == {
        "| town",
        "| golden",
        "- contract",
    }
    assert [h for h in old.splitlines() if h.startswith("#")] == [
        h for h in new.splitlines() if h.startswith("#")
    ]
    assert new.endswith("\n")


def test_the_same_change_again_is_the_same_version_and_no_change_is_the_same_bundle(people: Bundle) -> None:
    first = modelyard.contract("people:1", policy={"age": "reject"})
    again = modelyard.contract("people:1", policy={"age": "reject"})
    assert (again.tag, again.digest) == (first.tag, first.digest)
    nothing = modelyard.contract("people", policy={"age": "reject"}, allow={"town": ["Bern", "Basel"]})
    assert nothing.tag == "people:2"
    assert nothing.remarks == ("nothing changes: people:2 says so already",)
    assert [stored.tag for stored in storing.versions("people")] == ["people:1", "people:2"]


def test_a_contract_that_was_tightened_is_loosened_again_with_the_golden_rows_of_the_packaged_bundle(
    people: Bundle,
) -> None:
    tight = modelyard.contract("people", policy="reject", nullable={"income": False}).bundle
    assert len(tight.golden()[0]) < len(people.golden()[0])
    with pytest.raises(ContractBroken, match="'income': null"):
        answered(tight, income=None)
    loose = modelyard.contract(tight, policy="flag", nullable={"income": True}).bundle
    assert loose.tag == "people:3"
    assert loose.golden() == people.golden()
    assert loose.contract == people.contract
    assert loose.manifest["amends"] == tight.digest
    assert len(loose.manifest["notes"]) == len(people.manifest["notes"]) + 2


def test_without_the_packaged_bundle_a_contract_stays_as_tight_as_it_is(people: Bundle) -> None:
    modelyard.contract("people", policy="reject", nullable={"income": False})
    shutil.rmtree(people.path)
    with pytest.raises(UsageError, match="no golden row of people:2 has a null in 'income'"):
        modelyard.contract("people", nullable={"income": True})
    with pytest.raises(UsageError, match=r"an unknown 'town'.* was not proven"):
        modelyard.contract("people", policy={"town": "flag"})
    found = modelyard.contract("people", policy="flag")
    assert {c.name: c.policy for c in found.columns} == dict.fromkeys(ROW, "flag") | {"town": "reject"}
    assert "'town' was packaged with the policy reject; package the model again" in found.remarks[0]


def test_a_model_that_fails_on_an_unknown_category_keeps_reject(people: Bundle) -> None:
    with pytest.raises(
        UsageError, match="the model itself fails on an unknown 'size'; it stays reject"
    ) as told:
        modelyard.contract("python", policy={"size": "flag"})
    assert "\n" not in str(told.value)
    with pytest.raises(UsageError, match="the model itself fails on 'tiny' in 'size'; it stays reject"):
        modelyard.contract("python", allow={"size": ["large", "small", "tiny"]})
    found = modelyard.contract("python", policy="clip")
    assert {c.name: c.policy for c in found.columns} == {"age": "clip", "town": "clip", "size": "reject"}
    assert found.remarks == ("the model itself fails on an unknown 'size'; it stays reject",)
    nothing = modelyard.contract("python", policy="clip")
    assert (nothing.tag, len(nothing.remarks)) == (found.tag, 2)


def test_an_onnx_model_that_was_never_compared_on_an_unknown_category_keeps_reject(people: Bundle) -> None:
    assert modelyard.bundle("strict").manifest["model"]["kind"] == "onnx"
    with pytest.raises(UsageError, match="package the model again with --policy flag"):
        modelyard.contract("strict", policy={"town": "clip"})
    with pytest.raises(UsageError, match=r"answers 'Zug' in 'town'.* was not proven"):
        modelyard.contract("strict", allow={"town": ["Basel", "Bern", "Zug"]})
    assert len(storing.versions("strict")) == 1


def test_an_estimator_in_python_proves_an_added_category_by_answering_it(people: Bundle) -> None:
    packaged = modelyard.bundle("python")
    assert packaged.manifest["model"]["kind"] == "skops"
    bundle = modelyard.contract("python", allow={"town": ["Basel", "Bern", "Thun"]}).bundle
    predictor = Predictor(bundle.model_folder)
    row: dict[str, list[Any]] = {"age": [30], "size": ["small"]}
    assert predictor.outputs(row | {"town": ["Thun"]}, 1)[2] == []
    with pytest.raises(ContractBroken, match="unknown category"):
        predictor.outputs(row | {"town": ["Zug"]}, 1)
    assert bundle.manifest["notes"][-1] == "contract changed from python:1: town: with 'Thun'"
    assert files(bundle).keys() == files(packaged).keys()
    assert bundle.golden() == packaged.golden()


def test_a_bundle_of_format_0_keeps_its_format(people: Bundle) -> None:
    """A committed bundle in a Bento of today: a runtime reads every format up to its own."""
    target = people.path.parents[1] / "petals" / "4"
    shutil.copytree(people.path, target)
    shutil.rmtree(target / "src" / "model")
    shutil.copytree(Path(__file__).parent / "bundles" / "format-0-onnx", target / "src" / "model")
    (target / "src" / "model" / "signature").unlink()
    path = target / "src" / "model" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["runtime"], manifest["service"] = people.manifest["runtime"], people.manifest["service"]
    lock = (people.model_folder / "lock.txt").read_bytes()
    (path.parent / "lock.txt").write_bytes(lock)
    manifest["files"]["lock.txt"]["sha256"] = bundle_format.digest(lock)
    path.write_bytes(bundle_format.canonical(manifest))
    bundle = modelyard.contract("petals", allow={"length": (0, 20)}, policy={"length": "reject"}).bundle
    assert bundle.tag == "petals:5"
    assert bundle.manifest["format"] == 0
    assert bundle.verify().rows == 16
    with pytest.raises(ContractBroken, match="'length': out of the learned range"):
        Predictor(bundle.model_folder).outputs({"length": [21.0], "width": [3.0]}, 1)


def test_what_is_deployed_goes_on_as_it_is_and_the_line_to_replace_it_is_told(people: Bundle) -> None:
    from modelyard.catalog import open_yard

    open_yard().record("deployment", "people", {"bundle": "people:1", "target": "local"})
    open_yard().record("deployment", "second", {"bundle": "people:1", "target": "local"})
    open_yard().record("deployment", "other", {"bundle": "strict:1", "target": "local"})
    found = modelyard.contract("people", policy={"age": "reject"})
    assert found.remarks == (
        "deployment 'people' still holds people:1; type: %deploy people:2 --to local --replace",
        "deployment 'second' still holds people:1; type: %deploy people:2 --to local --name second --replace",
    )


# --- refused


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("%contract", UsageError, r"required: bundle"),
        ("%contract poeple", UnknownNameError, r"no bundle named 'poeple'.*did you mean 'people'"),
        ("%contract people:7 --policy clip", UnknownNameError, r"no version '7' of 'people'"),
        ("%contract people --polcy clip", UsageError, r"unknown flag '--polcy' \(did you mean '--policy'\?\)"),
        ("%contract people --policy klip", UsageError, r"no policy 'klip'; choose .*did you mean 'clip'"),
        ("%contract people --policy age=klip", UsageError, r"no policy 'klip'"),
        ("%contract people --policy agee=clip", UnknownNameError, r"people:1 has no column 'agee' .*mean 'age'"),
        ("%contract people --policy clip --policy age=flag", UsageError, r"one --policy for all columns, or"),
        ("%contract people --policy age=clip --policy age=flag", UsageError, r"--policy names 'age' twice"),
        ("%contract people --range age=80..18", UsageError, r"the range of 'age' runs backwards: 80 to 18"),
        ("%contract people --range age=18-80", UsageError, r"--range wants COLUMN=LOW..HIGH.*found 'age=18-80'"),
        ("%contract people --range 18..80", UsageError, r"--range wants COLUMN=VALUE, found '18..80'"),
        ("%contract people --range age=18..nan", UsageError, r"'age' holds numbers: it takes a range"),
        ("%contract people --range age=18.5..80", UsageError, r"'age' holds whole numbers, and so do the ends"),
        ("%contract people --range town=1..2", UsageError, r"'town' holds texts: it takes categories.*found \(1, 2\)"),
        ("%contract people --range member=0..1", UsageError, r"'member' holds true or false: there is nothing"),
        ("%contract people --categories income=a,b", UsageError, r"'income' holds numbers: it takes a range"),
        ("%contract people --categories town=,", UsageError, r"'town' holds texts: it takes categories"),
        ("%contract people --no-null nobody", UnknownNameError, r"no column 'nobody'; it has: age, income, town"),
        ("%contract people --range age=1000..2000 --policy age=reject", UsageError, r"none of the \d+ golden rows"),
    ],
)  # fmt: skip
def test_bad_lines_are_one_line_and_leave_nothing(
    people: Bundle,
    shell: InteractiveShell,
    line: str,
    kind: type[ModelyardError],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = shell.run_cell(line)
    with pytest.raises(kind, match=words):
        outcome.raise_error()
    shown = capsys.readouterr().out.strip()
    assert shown.startswith(f"{kind.__name__}: ")
    assert "\n" not in shown
    assert len(storing.versions("people")) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"allow": {"age": 7}}, {"allow": {"age": "18..80"}}, {"allow": {"age": (18, True)}}, {"allow": {"age": {1, 2}}},
        {"allow": {"town": "Bern"}}, {"allow": {"town": []}}, {"allow": {"town": ["Bern", 3]}}, {"allow": [1]},
        {"nullable": {"age": 1}}, {"nullable": {"age": None}, "policy": 7}, {"nullable": "age"},
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_one_line(people: Bundle, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as told:
        modelyard.contract("people", **asked)
    assert "\n" not in str(told.value)


def test_what_is_no_bundle_and_a_bundle_that_was_tampered_with_are_one_line(people: Bundle) -> None:
    with pytest.raises(BundleError, match="contract takes a bundle or its name, found int"):
        modelyard.contract(7)  # type: ignore[arg-type]
    with (people.model_folder / "contract.json").open("a") as file:
        file.write(" ")
    for asked in ({}, {"policy": "reject"}):
        with pytest.raises(BundleError, match=r"'contract.json' was changed after packaging"):
            modelyard.contract("people", **asked)


@pytest.mark.parametrize("moment", ["replayed", "storing.build"])
def test_an_interruption_leaves_nothing_in_the_store(
    people: Bundle, moment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before = sorted(str(path) for path in (tmp_path / "bentoml" / "bentos").rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(f"modelyard.packaging.amending.{moment}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            modelyard.contract("people", policy="reject")
    assert sorted(str(path) for path in (tmp_path / "bentoml" / "bentos").rglob("*")) == before
    assert modelyard.contract("people", policy="reject").tag == "people:2"
