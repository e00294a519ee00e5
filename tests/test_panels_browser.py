"""The panels of results and the form, driven in a real page: by mouse and by keyboard, in both themes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from browser import NotebookPage, chromium, jupyter_lab, open_notebook, write_notebook
from panels import SCREENSHOTS, looked_at, panel_of

pytestmark = pytest.mark.browser

PREPARE = """
%load_ext modelyard
import dataclasses
import time

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import modelyard

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :8]
clinics = np.where(X.index % 3 == 0, "<img src=x onerror=alert(1)>", "north")
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
"""
EVALUATION = """
table = X.assign(clinic=clinics)
from sklearn.compose import make_column_transformer
narrow = make_pipeline(make_column_transformer((StandardScaler(), list(X))), LogisticRegression())
modelyard.cross_validate(narrow, table, y, scoring=["roc_auc", "f1", "accuracy"], by=["clinic", "mean radius"])
"""
STUDY = """
space = "max_depth: int 1..12\\nmin_samples_leaf: int 1..50 log\\ncriterion: gini | entropy"
tree = DecisionTreeClassifier(random_state=0)
small = modelyard.tune(tree, X, y, space, trials=6, method="random", cv="stratified:3")
rng = np.random.default_rng(0)
depth, leaf = rng.integers(1, 13, 2000), np.round(np.exp(rng.uniform(0, np.log(50), 2000))).astype(int)
trials = pd.DataFrame({
    "number": range(2000), "state": "COMPLETE",
    "value": 0.95 - 0.004 * (depth - 6) ** 2 / 6 - 0.02 * np.log(leaf) ** 2 / 8 + rng.normal(0, 0.006, 2000),
    "seconds": 0.1, "reason": "", "folds": 3, "params_max_depth": depth, "params_min_samples_leaf": leaf,
    "params_criterion": pd.Series(rng.choice(["gini", "entropy"], 2000), dtype=object),
})
dataclasses.replace(small, trials=trials, best_score=float(trials["value"].max()))
"""
EXPLANATION = "modelyard.explain(model, X, rows=range(150))"
COMPRESSION = """
tree = DecisionTreeClassifier(random_state=0).fit(X, y)
modelyard.compress(tree, X, y, techniques=["pruning"], by=["mean radius"])
"""
FORM = "%cv --interact --cv kfold:3"
RUN = """
class Slow(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=0):
        self.depth = depth
    def fit(self, X, y):
        time.sleep(0.1)
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return self.classes_[(X.iloc[:, 0].to_numpy() * self.depth % 100 < 50).astype(int)]

how = {"method": "random", "cv": "kfold:2", "scoring": "accuracy", "trials": 5000}
modelyard.tune(Slow(), X, y, {"depth": (1, 1000)}, bg=True, **how)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def notebook(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookPage]:
    """A notebook whose cells have shown every panel."""
    root = tmp_path_factory.mktemp("project")
    (root / ".modelyard").mkdir()
    write_notebook(root / "panels.ipynb", PREPARE, EVALUATION, STUDY, EXPLANATION, COMPRESSION, FORM, RUN)
    with (
        jupyter_lab(root, tmp_path_factory.mktemp("jupyter")) as lab,
        open_notebook(browser, lab, "panels.ipynb", size=(1280, 1500)) as opened,
    ):
        assert opened.run_all(timeout=300).errors == []
        yield opened
        seen = opened.seen()
        assert seen.elsewhere == [], "a request left the machine"


def opened(panel: Locator, label: str) -> Locator:
    panel.get_by_role("tab", name=label).click()
    view = panel.get_by_role("tabpanel", name=label)
    expect(view.locator(".modelyard-stack > *").first).to_be_visible()
    return view


def test_an_evaluation_is_walked_with_the_keyboard(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Evaluation")
    looked_at(notebook, panel, "panel-evaluation")
    panel.get_by_role("tab", name="Overview").focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tab", name="Folds")).to_be_focused()
    expect(panel.get_by_role("tabpanel", name="Folds").get_by_role("row")).to_have_count(6)
    notebook.page.keyboard.press("ArrowRight")
    slices = panel.get_by_role("tabpanel", name="Slices")
    expect(slices.get_by_role("img")).to_have_attribute("alt", re.compile("^roc_auc of each slice"))
    before = slices.get_by_role("img").get_attribute("src")
    slices.get_by_label("Metric").select_option("accuracy")
    expect(slices.get_by_role("columnheader", name="accuracy")).to_be_visible()
    assert slices.get_by_role("img").get_attribute("src") != before
    assert "<img src=x onerror=alert(1)>" in slices.inner_text()
    looked_at(notebook, panel, "panel-evaluation-slices")
    expect(opened(panel, "Curves").get_by_role("img")).to_have_count(4)
    looked_at(notebook, panel, "panel-evaluation-curves")


def test_a_study_of_2000_trials_is_looked_at_from_all_sides(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Study")
    looked_at(notebook, panel, "panel-study")
    importance = opened(panel, "Importance")
    expect(importance.get_by_role("img")).to_have_attribute("alt", re.compile("max_depth"), timeout=20_000)
    expect(opened(panel, "Parallel coordinates").get_by_role("img")).to_be_visible()
    slices = opened(panel, "Slices")
    slices.get_by_label("Parameter").select_option("min_samples_leaf")
    expect(slices.get_by_role("img")).to_have_attribute("alt", re.compile("over min_samples_leaf"))
    looked_at(notebook, panel, "panel-study-slices")
    expect(opened(panel, "Trials").get_by_text("The last 300 of 2000 trials")).to_be_visible()


def test_an_explanation_shows_one_column_and_one_row(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Explanation")
    looked_at(notebook, panel, "panel-explanation")
    expect(opened(panel, "All rows").get_by_role("img")).to_be_visible()
    column = opened(panel, "One column")
    column.get_by_label("Column").select_option("mean area")
    expect(column.get_by_role("img")).to_have_attribute("alt", re.compile("What mean area adds"))
    looked_at(notebook, panel, "panel-explanation-column")
    row = opened(panel, "One row")
    row.get_by_label("Row").select_option("7")
    expect(row.get_by_role("img")).to_have_attribute("alt", re.compile("^Row 7 for 1: from the base value"))
    row.get_by_label("Answer").select_option("0")
    expect(row.get_by_role("img")).to_have_attribute("alt", re.compile("^Row 7 for 0"))
    looked_at(notebook, panel, "panel-explanation-row")


def test_a_candidate_of_a_compression_is_picked(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Compression")
    expect(panel.get_by_text("For whom it changes", exact=False).first).to_be_attached()
    original = panel.get_by_role("row").filter(has_text="original").get_by_role("radio")
    original.check()
    expect(panel.get_by_text("This is the model as it was given")).to_be_visible()
    notebook.page.keyboard.press("ArrowUp")
    expect(panel.get_by_role("heading", name=re.compile("^With pruning"))).to_be_visible()
    looked_at(notebook, panel, "panel-compression-picked")


def test_a_live_study_is_paused_given_more_trials_and_stopped(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Study slow-1")
    expect(panel.get_by_role("img")).to_be_visible(timeout=60_000)
    panel.get_by_role("button", name="Pause").click()
    expect(panel.get_by_role("button", name="Go on")).to_be_visible()
    looked_at(notebook, panel, "panel-study-run")
    panel.get_by_label("More trials").fill("30")
    panel.get_by_role("button", name="Add trials").click()
    expect(panel.get_by_role("status").filter(has_text="30 more trials: 5030 in all")).to_be_visible()
    panel.get_by_role("button", name="Go on").click()
    expect(panel.get_by_role("button", name="Pause")).to_be_visible()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_role("tab", name="Trials")).to_be_visible(timeout=60_000)
    expect(panel.get_by_text("Finished")).to_be_visible()


def test_a_form_types_a_line_and_runs_it(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Form of %cv")
    typed = panel.locator("pre")
    expect(typed).to_have_text("%cv model X y --cv kfold:3")
    panel.get_by_label("--score").fill("accuracy f1")
    panel.get_by_label("--score").press("Tab")
    expect(typed).to_have_text("%cv model X y --cv kfold:3 --score accuracy --score f1")
    panel.get_by_label("--cv").fill("nonsense")
    panel.get_by_label("--cv").press("Tab")
    panel.get_by_role("button", name="Run").click()
    expect(panel.get_by_role("alert")).to_contain_text("cv cannot be read, found 'nonsense'")
    looked_at(notebook, panel, "panel-form")
    panel.get_by_label("--cv").fill("kfold:4")
    panel.get_by_label("--cv").press("Tab")
    panel.get_by_role("button", name="Run").click()
    expect(notebook.page.get_by_text("in 4 folds (kfold:4) of 569 rows").first).to_be_visible(timeout=30_000)


def test_a_kernel_that_was_started_again_is_told_of_in_every_panel(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Study")
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    expect(panel.get_by_text("The kernel is gone, or was started again")).to_be_visible(timeout=30_000)
    panel.screenshot(path=SCREENSHOTS / "panel-kernel-gone-dark.png")
