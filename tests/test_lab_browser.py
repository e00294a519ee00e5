"""What a person sees in JupyterLab: the result panel, and the Yard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser import LABEXTENSION, Lab, chromium, jupyter_lab, open_notebook, write_notebook
from modelyard.catalog import Yard

pytestmark = pytest.mark.browser

SCREENSHOTS = Path(__file__).parent / "screenshots"

SHOW_A_RESULT = """
from dataclasses import dataclass

from IPython import get_ipython

from modelyard.presentation import Result, Table
from modelyard_widgets.showing import panel_mimebundle


@dataclass(frozen=True, repr=False)
class Scores(Result):
    kind = "evaluation"

    def sentence(self):
        return "LogisticRegression in 10 folds (stratified:10) of 344 rows: roc_auc 0.926 ± 0.024"

    def notes(self):
        return ("the rarest class has 12 rows: <i>stratify</i>, or gather more",)

    def table(self):
        return Table(
            ("metric", "mean", "std", "95 % interval"),
            (("roc_auc", "0.926", "0.0242", "0.9087 to 0.9433"), ("f1", "0.81", "0.031", "0.7878 to 0.8322")),
        )

    def payload(self):
        return {
            "scores": {
                "roc_auc": [0.892, 0.958, 0.931, 0.945, 0.901, 0.926, 0.937, 0.95, 0.899, 0.921],
                "f1": [0.76, 0.85, 0.82, 0.83, 0.78, 0.81, 0.8, 0.84, 0.79, None],
            },
            "summary": {
                "roc_auc": {"mean": 0.926, "std": 0.0242, "ci_low": 0.9087, "ci_high": 0.9433},
                "f1": {"mean": 0.81, "std": 0.031, "ci_low": 0.7878, "ci_high": 0.8322},
            },
        }


formatter = get_ipython().display_formatter.mimebundle_formatter
formatter.for_type(Scores, panel_mimebundle)
Scores()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def labextension() -> Path:
    if not (LABEXTENSION / "package.json").is_file():
        pytest.fail(f"no labextension in {LABEXTENSION}; type: make extension", pytrace=False)
    return LABEXTENSION


@pytest.fixture(scope="module")
def yard_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a notebook, and a yard with things of all kinds but one."""
    root = tmp_path_factory.mktemp("project")
    write_notebook(root / "result.ipynb", SHOW_A_RESULT)
    write_notebook(root / "fault.ipynb", "1 / 0", "print('never')")
    yard = Yard(root)
    yard.add_numbered(
        "evaluation", "logistic-regression", {"model": "LogisticRegression", "cv": "stratified:5"}
    )
    yard.add_numbered("evaluation", "logistic-regression", {"model": "LogisticRegression", "cv": "kfold:10"})
    yard.record(
        "compression", "small", {"model": "LogisticRegression", "chosen": "features (8 of 30 columns)"}
    )
    yard.record("bundle", "churn:1", {"task": "binary", "form": "onnx"})
    yard.record("deployment", "churn", {"bundle": "churn:1", "target": "local"})
    return root


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def lab(
    request: pytest.FixtureRequest,
    yard_root: Path,
    labextension: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lab]:
    scratch = tmp_path_factory.mktemp("jupyter")
    with jupyter_lab(yard_root, scratch, labextension=labextension, theme=request.param) as running:
        yield running


def _picture(request: pytest.FixtureRequest, name: str) -> Path:
    theme = request.node.callspec.params["lab"].split()[-1].lower()
    return SCREENSHOTS / f"{name}-{theme}.png"


def test_a_result_shows_as_a_panel_without_a_network(
    browser: Browser, lab: Lab, request: pytest.FixtureRequest
) -> None:
    with open_notebook(browser, lab, "result.ipynb") as notebook:
        seen = notebook.run_all()
        notebook.screenshot(_picture(request, "result-panel"))
        panel = notebook.page.get_by_role("region", name="Evaluation")

        assert seen.errors == []
        assert seen.elsewhere == []
        assert seen.complaints == []
        assert "roc_auc 0.926 ± 0.024" in panel.inner_text()
        assert "<i>stratify</i>" in panel.inner_text()
        assert panel.get_by_role("columnheader").all_inner_texts() == [
            "metric",
            "mean",
            "std",
            "95 % interval",
        ]
        picture = panel.get_by_role("img")
        assert "roc_auc from 0.892 to 0.958" in (picture.get_attribute("alt") or "")
        assert picture.evaluate("image => image.complete && image.naturalWidth") > 300


def test_a_failing_cell_is_told_and_ends_the_run(browser: Browser, lab: Lab) -> None:
    with open_notebook(browser, lab, "fault.ipynb") as notebook:
        assert notebook.run_all(timeout=30).errors == ["ZeroDivisionError: division by zero"]


def test_the_yard_lists_what_exists_and_what_is_new_after_a_refresh(
    browser: Browser, lab: Lab, yard_root: Path, request: pytest.FixtureRequest
) -> None:
    with open_notebook(browser, lab, "result.ipynb") as notebook:
        notebook.execute("modelyard:show-yard")
        yard = notebook.page.get_by_role("region", name="Yard")
        yard.get_by_text("logistic-regression-2").wait_for()
        notebook.screenshot(_picture(request, "yard"), whole=False)

        names = yard.locator(".modelyard-Yard-name").all_inner_texts()
        assert names == ["logistic-regression-2", "logistic-regression-1", "small", "churn:1", "churn"]
        assert "LogisticRegression, features (8 of 30 columns)" in yard.inner_text()
        assert "None yet; %%tune makes one." in yard.inner_text()

        Yard(yard_root).record("study", "depth", {"method": "bayes"})
        try:
            yard.get_by_role("button", name="Refresh the Yard").click()
            yard.get_by_text("depth").wait_for()
        finally:
            Yard(yard_root).delete("study", "depth")

        assert notebook.seen().complaints == []


def test_the_palette_offers_the_yard(browser: Browser, lab: Lab) -> None:
    with open_notebook(browser, lab, "result.ipynb") as notebook:
        notebook.execute("apputils:activate-command-palette")
        notebook.page.keyboard.type("yard")
        palette = notebook.page.locator(".lm-CommandPalette-item")
        palette.filter(has_text="Show the Yard").wait_for()
        palette.filter(has_text="Refresh the Yard").wait_for()
