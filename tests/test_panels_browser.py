"""The panels of results and the form, driven in JupyterLab and Notebook 7: by mouse and keyboard, in both themes."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

import shown_results as made
from browser import App, Lab, NotebookPage, chromium, jupyter_lab, open_notebook, write_notebook
from panels import SCREENSHOTS, all_looked_at, looked_at, panel_of

pytestmark = pytest.mark.browser

#: What is shown, by the names of the panels.
RESULTS = {
    "Evaluation": made.evaluation,
    "Comparison": made.comparison,
    "Study": made.study_of_many_trials,
    "Explanation": made.attribution,
    "Dependence": made.dependence,
    "Counterfactuals": made.counterfactuals,
    "Importance": made.importance,
    "Interactions": made.interactions,
    "Fairness": made.fairness,
    "Compression": made.compression,
}
PREPARE = """
%load_ext modelyard
import pickle
import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

import modelyard

with open("../results", "rb") as kept:
    results, model, X, y = pickle.load(kept)
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
APPS: tuple[App, ...] = ("lab", "notebook")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with a project for each app, in which the same notebook shows the same results."""
    root = tmp_path_factory.mktemp("projects")
    with made.in_a_folder_of_its_own(tmp_path_factory):
        shown = {name: result() for name, result in RESULTS.items()}
    (root / "results").write_bytes(pickle.dumps((shown, made.LOGISTIC, *made.data())))
    for app in APPS:
        (root / app / ".modelyard").mkdir(parents=True)
        cells = [f"results[{name!r}]" for name in RESULTS]
        write_notebook(root / app / "panels.ipynb", PREPARE, *cells, FORM, RUN)
    with jupyter_lab(root, tmp_path_factory.mktemp("jupyter")) as served:
        yield served


@pytest.fixture(scope="module", params=APPS)
def notebook(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[NotebookPage]:
    """A notebook whose cells have shown every panel."""
    app: App = request.param
    with open_notebook(browser, lab, f"{app}/panels.ipynb", size=(1280, 1500), app=app) as opened:
        assert opened.run_all(timeout=300).errors == []
        yield opened
        assert opened.seen().elsewhere == [], "a request left the machine"


def opened(panel: Locator, label: str) -> Locator:
    panel.get_by_role("tab", name=label).click()
    view = panel.get_by_role("tabpanel", name=label)
    expect(view.locator(".modelyard-stack > *").first).to_be_visible()
    return view


def with_words(words: str) -> re.Pattern[str]:
    return re.compile(re.escape(words))


# what each app adds of its own is seen below, in what was opened; a look at all of them takes some seconds
@pytest.mark.parametrize("notebook", ["lab"], indirect=True)
def test_every_panel_can_be_read_in_light_and_dark(notebook: NotebookPage) -> None:
    all_looked_at(notebook, {f"panel-{name.lower()}": panel_of(notebook, name) for name in RESULTS})


def test_an_evaluation_is_walked_with_the_keyboard(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Evaluation")
    panel.get_by_role("tab", name="Overview").focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("tab", name="Folds")).to_be_focused()
    expect(panel.get_by_role("tabpanel", name="Folds").get_by_role("row")).to_have_count(6)
    assert opened(panel, "Curves").get_by_role("img").count() == 4
    notebook.page.keyboard.press("ArrowLeft")
    slices = panel.get_by_role("tabpanel", name="Slices")
    expect(slices.get_by_role("img")).to_have_attribute("alt", re.compile("^roc_auc of each slice"))
    before = slices.get_by_role("img").get_attribute("src")
    slices.get_by_label("Metric").select_option("accuracy")
    expect(slices.get_by_role("columnheader", name="accuracy")).to_be_visible()
    assert slices.get_by_role("img").get_attribute("src") != before
    assert made.HOSTILE in slices.inner_text()


def test_a_pair_of_models_is_chosen_and_they_stand_side_by_side(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Comparison")
    expect(opened(panel, "Metrics").get_by_role("img")).to_have_attribute("alt", with_words("accuracy"))
    expect(opened(panel, "Slices").get_by_role("columnheader", name=made.HOSTILE)).to_be_visible()
    folds = opened(panel, "Folds")
    folds.get_by_label("Metric").select_option("accuracy")
    expect(folds.get_by_role("row")).to_have_count(6)
    pairs = opened(panel, "Pairs")
    pairs.get_by_role("radio").first.focus()
    notebook.page.keyboard.press("ArrowDown")
    expect(pairs.get_by_role("heading", name="logistic and neighbours")).to_be_visible()
    expect(pairs.get_by_role("img")).to_have_attribute(
        "alt", with_words("roc_auc of logistic less that of neighbours")
    )
    assert pairs.get_by_role("radio").nth(1).is_checked()
    notebook.page.keyboard.press("ArrowUp")
    expect(pairs.get_by_role("heading", name=f"logistic and {made.HOSTILE}")).to_be_visible()


def test_a_study_of_2000_trials_is_looked_at_from_all_sides(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Study")
    importance = opened(panel, "Importance")
    expect(importance.get_by_role("img")).to_have_attribute("alt", re.compile("max_depth"), timeout=20_000)
    expect(opened(panel, "Parallel coordinates").get_by_role("img")).to_be_visible()
    trials = opened(panel, "Trials")
    expect(trials.get_by_text("The last 300 of 2000 trials")).to_be_visible()
    listed = trials.get_by_role("group", name="Trials, the last first")
    listed.focus()
    notebook.page.keyboard.press("ArrowDown")
    expect(listed).to_be_focused()
    notebook.page.wait_for_function("() => document.activeElement.scrollTop > 0")
    slices = opened(panel, "Slices")
    slices.get_by_label("Parameter").select_option("min_samples_leaf")
    expect(slices.get_by_role("img")).to_have_attribute("alt", re.compile("over min_samples_leaf"))


def test_an_explanation_shows_one_column_and_one_row(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Explanation")
    expect(opened(panel, "All rows").get_by_role("img")).to_be_visible()
    column = opened(panel, "One column")
    column.get_by_label("Column").select_option("mean area")
    expect(column.get_by_role("img")).to_have_attribute("alt", re.compile("What mean area adds"))
    row = opened(panel, "One row")
    row.get_by_label("Row").select_option("7")
    expect(row.get_by_role("img")).to_have_attribute("alt", re.compile("^Row 7 for 1: from the base value"))
    row.get_by_label("Answer").select_option("0")
    expect(row.get_by_role("img")).to_have_attribute("alt", re.compile("^Row 7 for 0"))


def test_a_curve_follows_the_column_and_a_change_the_row(notebook: NotebookPage) -> None:
    curves = panel_of(notebook, "Dependence")
    column = curves.get_by_label("Column", exact=True)
    other = "mean area" if column.input_value() == "mean radius" else "mean radius"
    column.select_option(other)
    expect(curves.get_by_role("img")).to_have_attribute("alt", with_words(f"over {other}"))
    changes = panel_of(notebook, "Counterfactuals")
    changes.get_by_label("Row", exact=True).select_option("1")
    expect(changes.get_by_label("Changes 1 of row 1").first).to_be_visible()
    expect(opened(changes, "All rows").get_by_role("img")).to_be_visible()


def test_the_worth_of_columns_is_told_and_pairs_are_picked(notebook: NotebookPage) -> None:
    worth = panel_of(notebook, "Importance")
    expect(worth.get_by_role("img")).to_have_attribute("alt", with_words("Loss of roc_auc where each column"))
    panel = panel_of(notebook, "Interactions")
    panel.get_by_label("Pairs of", exact=True).select_option("mean texture")
    expect(panel.get_by_role("radio")).to_have_count(2)
    panel.get_by_role("radio").first.focus()
    notebook.page.keyboard.press("ArrowDown")
    expect(panel.get_by_text("of 3 pairs", exact=True)).to_be_visible()
    expect(panel.get_by_label("Call that draws the pair")).to_contain_text("'mean texture')])")


def test_groups_are_compared_by_the_measure_that_is_chosen(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Fairness")
    panel.get_by_label("Groups of", exact=True).select_option("clinic")
    panel.get_by_label("Measure", exact=True).select_option("true positive rate")
    expect(panel.get_by_role("img")).to_have_attribute("alt", with_words("True positive rate by clinic"))
    words = panel.get_by_text("Of those that are 1 it finds the fewest in")
    expect(words).to_contain_text(made.HOSTILE)
    expect(opened(panel, "All measures").get_by_role("row")).to_have_count(9)
    opened(panel, "Groups")


def test_a_candidate_of_a_compression_is_picked(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Compression")
    expect(panel.get_by_text("For whom it changes", exact=False).first).to_be_attached()
    original = panel.get_by_role("row").filter(has_text="original").get_by_role("radio")
    original.check()
    expect(panel.get_by_text("This is the model as it was given")).to_be_visible()
    notebook.page.keyboard.press("ArrowUp")
    expect(panel.get_by_role("heading", name=re.compile("^With pruning"))).to_be_visible()


def test_what_was_opened_and_chosen_can_be_read_in_light_and_dark(notebook: NotebookPage) -> None:
    all_looked_at(notebook, {f"panel-{name.lower()}-used": panel_of(notebook, name) for name in RESULTS})


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
    panel.screenshot(path=SCREENSHOTS / "panel-kernel-gone.png")
