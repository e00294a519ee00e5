"""The form of a magic: fields made from its parser, the line that they type, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import VBox, Widget
from sklearn.datasets import load_breast_cancer
from sklearn.tree import DecisionTreeClassifier

from modelyard.errors import UsageError
from modelyard.magics import _verb
from modelyard_widgets.panel import Panel


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    yield
    Widget.close_all()


@pytest.fixture
def cells(shell: InteractiveShell) -> InteractiveShell:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    shell.user_ns.update(X=X, y=y, model=DecisionTreeClassifier(random_state=0), few=np.zeros(3), number=3)
    return shell


@pytest.fixture
def page(cells: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    """A shell that believes that a page shows what it returns."""
    monkeypatch.setattr(_verb, "has_page", lambda shell: True)
    return cells


class Filled:
    """A form that somebody fills in."""

    def __init__(self, shell: InteractiveShell, magic: str, line: str, body: str | None = None) -> None:
        whole = f"{line} --interact"
        shown = (
            shell.run_line_magic(magic, whole) if body is None else shell.run_cell_magic(magic, whole, body)
        )
        assert isinstance(shown, VBox)
        panel, self.output = shown.children
        assert isinstance(panel, Panel)
        self.panel = panel

    def use(self, key: str, value: Any = True) -> None:
        self.panel._handle_custom_msg({"do": key, "value": value, "turn": 1}, [])

    @property
    def line(self) -> str:
        return next(block["text"] for block in self.panel.blocks if block["type"] == "code")

    @property
    def told(self) -> str:
        return str(self.panel.blocks[-1]["text"])

    @property
    def controls(self) -> dict[str, dict[str, Any]]:
        found = {}
        for block in self.panel.blocks:
            for each in [block, *block.get("blocks", ())]:
                found.update({control["key"]: control for control in each.get("controls", ())})
        return found

    def options(self, key: str) -> list[str]:
        return [option["value"] for option in self.controls[key]["options"]]


def test_the_variables_that_suit_are_offered(page: InteractiveShell) -> None:
    form = Filled(page, "cv", "")
    assert form.options("model") == ["model", "…"]
    assert form.options("X") == ["X", "…"]
    assert form.options("y") == ["y", "…"]
    assert form.line == "%cv model X y"


@pytest.mark.parametrize(
    ("magic", "line", "typed"),
    [
        ("cv", "model X y --folds 3", "%cv model X y --folds 3"),
        ("tune", "", "%tune model X y"),
        ("explain", "", "%explain model X y"),
        ("compress", "--max-drop 0.5%", "%compress model X y --max-drop 0.5%"),
        ("package", "--name churn --out bd", "%package model X y --name churn --out bd"),
        ("package", "X.assign(a=1)", "%package X.assign(a=1) X y"),
        ("deploy", "churn", "%deploy churn"),
    ],
)
def test_what_a_line_says_is_filled_in(page: InteractiveShell, magic: str, line: str, typed: str) -> None:
    assert Filled(page, magic, line).line == typed


def test_every_flag_has_a_field_with_the_help_of_the_parser(page: InteractiveShell) -> None:
    controls = Filled(page, "cv", "").controls
    assert {"cv", "folds", "score", "groups", "by", "repeats", "seed", "jobs", "engine", "out"} <= set(
        controls
    )
    assert controls["folds"]["type"] == "number"
    assert controls["json"]["type"] == "check"
    assert controls["jobs"]["help"] == "folds at a time; -1 for all cores"
    assert "interact" not in controls


def test_fields_type_flags_and_values_with_spaces_are_quoted(page: InteractiveShell) -> None:
    form = Filled(page, "cv", "")
    form.use("score", "accuracy f1")
    form.use("jobs", -1)
    form.use("groups", 'X["mean radius"] > 3')
    form.use("json", True)
    typed = "%cv model X y --score accuracy --score f1 --groups 'X[\"mean radius\"] > 3' --jobs -1 --json"
    assert form.line == typed
    form.use("jobs", None)
    form.use("json", False)
    assert "--j" not in form.line


def test_another_expression_has_a_field_of_its_own(page: InteractiveShell) -> None:
    form = Filled(page, "cv", "")
    form.use("X", "…")
    assert form.controls["X…"]["label"] == "X: expression"
    form.use("X…", "X.iloc[:, :3]")
    assert form.line == "%cv model X.iloc[:, :3] y"


def test_run_runs_exactly_the_line_and_keeps_what_it_assigns(page: InteractiveShell) -> None:
    form = Filled(page, "cv", "--cv kfold:3 --out found")
    form.use("score", "accuracy")
    form.use("run")
    assert form.told == ""
    assert list(page.user_ns["found"].scores.columns) == ["accuracy"]
    assert len(page.user_ns["found"].scores) == 3
    assert form.panel.busy == ""


def test_a_mistake_is_told_in_the_panel_in_one_line(page: InteractiveShell) -> None:
    form = Filled(page, "cv", "--cv nonsense")
    form.use("run")
    assert form.told.startswith("cv cannot be read, found 'nonsense'")
    needed = Filled(page, "package", "")
    needed.use("run")
    assert "--name" in needed.told


def test_the_body_of_a_cell_is_a_field_too(page: InteractiveShell) -> None:
    form = Filled(
        page, "tune", "model X y --method random --budget 2trials --cv kfold:2 -o st", "max_depth: int 2..4"
    )
    assert form.line.startswith("%%tune model X y --method random --budget 2trials")
    form.use("body", "max_depth: int 2..3\n")
    assert form.line.endswith("\nmax_depth: int 2..3")
    form.use("run")
    assert form.told == ""
    assert page.user_ns["st"].best_params["max_depth"] in (2, 3)


def test_an_unknown_flag_is_refused_before_there_is_a_form(page: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="unknown flag '--folds-of'"):
        Filled(page, "cv", "--folds-of 3")


def test_a_terminal_says_what_to_type_instead(cells: InteractiveShell) -> None:
    told = cells.run_line_magic("package", "--interact")
    assert repr(told) == (
        "a form needs a notebook; here type %package model X y --name NAME, or %package -h for all of it"
    )
