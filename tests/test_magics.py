"""The magics through a real shell: lines, flags, help, defaults, completion, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeClassifier

import modelyard
from modelyard.errors import (
    InvalidInputError,
    InvalidNameError,
    NotFittedError,
    UnknownNameError,
    UsageError,
)
from modelyard.packaging import Bundle


@pytest.fixture
def cells(shell: InteractiveShell) -> InteractiveShell:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    shell.user_ns.update(X=X, y=y, model=DecisionTreeClassifier(random_state=0), frame=X.assign(target=y))
    return shell


def ran(shell: InteractiveShell, code: str) -> Any:
    outcome = shell.run_cell(code)
    outcome.raise_error()
    return outcome.result


def test_cv_returns_what_the_function_returns(cells: InteractiveShell) -> None:
    found = ran(cells, "%cv model X y --cv kfold:3 --score accuracy --score f1 --seed 4")
    direct = modelyard.cross_validate(
        cells.user_ns["model"],
        cells.user_ns["X"],
        cells.user_ns["y"],
        cv="kfold:3",
        scoring=["accuracy", "f1"],
        seed=4,
    )
    pd.testing.assert_frame_equal(found.scores, direct.scores)


def test_positionals_are_expressions_and_may_hold_spaces_and_quotes(cells: InteractiveShell) -> None:
    found = ran(
        cells, '%cv model frame.drop(columns="target") frame["target"] --cv stratified:3 --score accuracy'
    )
    assert len(found.scores) == 3


def test_braces_and_dollars_are_the_users_own(cells: InteractiveShell) -> None:
    found = ran(
        cells, '%cv model frame[[c for c in X if c not in {"target"}]] y --cv kfold:2 --score accuracy'
    )
    assert found.features == 30


def test_a_semicolon_silences_and_out_assigns(cells: InteractiveShell) -> None:
    ran(cells, "%cv model X y --cv kfold:2 --score accuracy --out kept;")
    assert list(cells.user_ns["kept"].scores.columns) == ["accuracy"]


def test_tune_reads_its_space_from_the_cell(cells: InteractiveShell) -> None:
    line = "%%tune model X y --method random --budget 3trials --cv kfold:2 --score accuracy --name small -o study"
    ran(cells, f"{line}\nmax_depth: int 2..4\n")
    study = cells.user_ns["study"]
    assert study.name == "small"
    assert 2 <= study.best_params["max_depth"] <= 4
    assert len(study.trials) == 3


def test_quiet_shows_nothing_and_json_shows_the_payload(cells: InteractiveShell) -> None:
    assert ran(cells, "%cv model X y --cv kfold:2 --score accuracy --quiet") is None
    shown = ran(cells, "%cv model X y --cv kfold:2 --score accuracy --json")
    assert json.loads(repr(shown))["cv"] == "kfold:2"


def test_show_code_is_the_python_call_and_runs_nothing(cells: InteractiveShell) -> None:
    shown = ran(cells, "%package model X y --name churn --policy clip --show-code")
    assert repr(shown) == "modelyard.package(model, X, y, name='churn', policy='clip')"
    assert modelyard.yard().bundles == ()
    shown = ran(cells, "%deploy churn --to local --port 8123 --timeout 2min --show-code")
    assert repr(shown) == "modelyard.deploy('churn', to='local', port=8123, timeout=120.0)"


@pytest.mark.parametrize("magic", ["cv", "tune", "explain", "package", "deploy", "yard"])
def test_every_magic_has_help(shell: InteractiveShell, magic: str) -> None:
    text = repr(ran(shell, f"%{magic} -h"))
    assert f"usage: %{magic}" in text
    for flag in ("--out", "--json", "--quiet", "--show-code"):
        assert flag in text
    assert repr(ran(shell, f"%{magic} --help")) == text


def test_the_help_of_deploy_lists_targets_and_the_options_of_the_chosen_one(shell: InteractiveShell) -> None:
    text = repr(ran(shell, "%deploy --to local -h"))
    assert all(name in text for name in ("aws-lambda", "container", "raspberry-pi", "sagemaker"))
    assert "(local)" in text  # the default
    assert "--port INT" in text
    assert "--timeout" in text


def test_the_whole_way_in_four_lines(cells: InteractiveShell) -> None:
    ran(cells, "model.fit(X, y)")
    bundle = ran(cells, "%package model X y --name tree")
    assert isinstance(bundle, Bundle)
    endpoint = ran(cells, "%deploy tree --to local --out dp")
    try:
        yard = ran(cells, "%yard")
        assert yard.health["tree"].health == "ready"
        assert (
            endpoint.predict(cells.user_ns["X"]) == cells.user_ns["model"].predict(cells.user_ns["X"])
        ).all()
        cells.user_ns["mine"] = bundle
        assert ran(cells, "%deploy mine --plan").bundle == "tree:1"
    finally:
        endpoint.remove()


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (
            "%cv model X y --scor f1",
            UsageError,
            r"%cv: unknown flag '--scor' \(did you mean '--score'\?\); type %cv -h",
        ),
        ("%cv model X", UsageError, r"%cv: the following arguments are required: y; type %cv -h"),
        ("%cv model X y z", UnknownNameError, r"no variable 'z' here"),
        (
            "%cv modle X y",
            UnknownNameError,
            r"no variable 'modle' here \(did you mean 'model'\?\); run the cell",
        ),
        ("%cv model X[ y", UsageError, r"the line ends inside brackets"),
        ("%cv model X.nothing y", UsageError, r"'X.nothing' fails: AttributeError"),
        ("%cv model X y --repeats two", UsageError, r"argument --repeats: invalid int value: 'two'"),
        ("%cv model X y[:-1]", InvalidInputError, r"569.*568"),
        ("%tune model X y --budget 60", UsageError, r"a budget has a unit, found '60'; type 60trials"),
        ("%package model X y", UsageError, r"required: --name"),
        ("%package model X y --name tree", NotFittedError, r"this DecisionTreeClassifier is not fitted"),
        (
            "%package model X y --name 'my tree'",
            InvalidNameError,
            r"'my tree' cannot name a bundle.*type 'my-tree'",
        ),
        ("%deploy nothing", UnknownNameError, r"no bundle named 'nothing' in BentoML's store; there: none"),
        (
            "%deploy nothing --to mars",
            UnknownNameError,
            r"no deployment target named 'mars'; installed: .*local",
        ),
        ("%deploy nothing --prot 80", UsageError, r"unknown flag '--prot' \(did you mean '--port'\?\)"),
        ("%deploy nothing --port eighty", UsageError, r"argument --port: invalid int value: 'eighty'"),
    ],
)
def test_bad_lines_are_one_line_of_a_real_type(
    cells: InteractiveShell, line: str, kind: type[Exception], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = cells.run_cell(line)
    with pytest.raises(kind, match=words):
        outcome.raise_error()
    shown = capsys.readouterr().out.strip()
    assert shown.startswith(f"{kind.__name__}: ")
    assert "\n" not in shown
    assert "Traceback" not in shown


def test_defaults_come_from_pyproject_then_config_then_the_flag(
    cells: InteractiveShell, project: Path
) -> None:
    (project / "pyproject.toml").write_text('[tool.modelyard.cv]\ncv = "kfold:4"\nscore = ["accuracy"]\n')
    assert len(ran(cells, "%cv model X y").scores) == 4
    ran(cells, "%config CvMagics.defaults = {'cv': 'kfold:3'}")
    assert len(ran(cells, "%cv model X y").scores) == 3
    assert len(ran(cells, "%cv model X y --cv kfold:2").scores) == 2
    (project / "pyproject.toml").write_text("[tool.modelyard.cv]\nfolders = 4\n")
    with pytest.raises(UsageError, match=r"%cv has no flag for the default 'folders'"):
        ran(cells, "%cv model X y")


def completions(shell: InteractiveShell, line: str) -> set[str]:
    matcher = shell.Completer.custom_matchers[-1]
    context = CompletionContext(
        token=line.rpartition(" ")[2], full_text=line, cursor_position=len(line), cursor_line=0, limit=500
    )
    return {completion.text for completion in matcher(context)["completions"]}


def test_tab_completes_flags_variables_values_bundles_and_targets(cells: InteractiveShell) -> None:
    assert {"--cv", "--score"} <= completions(cells, "%cv model X y --")
    assert completions(cells, "%cv mod") == {"model"}
    assert completions(cells, "%cv model X y --score acc") == {"accuracy"}
    assert completions(cells, "%deploy churn --to l") == {"local"}
    assert "--port" in completions(cells, "%deploy churn --p")
    ran(cells, "model.fit(X, y)")
    ran(cells, "%package model X y --name treeling")
    assert "treeling" in completions(cells, "%deploy tree")
    assert completions(cells, "print(mod") == set()


def test_the_shell_itself_offers_our_completions(cells: InteractiveShell) -> None:
    _, found = cells.complete("--met", "%tune model X y --met", 21)
    assert "--method" in found


def test_unloading_takes_everything_away_again(cells: InteractiveShell) -> None:
    before = len(cells.Completer.custom_matchers)
    cells.run_line_magic("unload_ext", "modelyard")
    assert "cv" not in cells.magics_manager.magics["line"]
    assert "tune" not in cells.magics_manager.magics["cell"]
    assert len(cells.Completer.custom_matchers) == before - 1
    cells.run_line_magic("load_ext", "modelyard")
    assert "cv" in cells.magics_manager.magics["line"]
