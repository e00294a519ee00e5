"""A saved notebook that is opened again: what it kept of a result where no kernel has the panel, else the panel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import LABEXTENSION, App, Lab, chromium, jupyter_lab, open_notebook, write_notebook
from panels import looked_at, panel_of, wear

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PREPARE = """
%load_ext modelyard
import time

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
"""
RESULT = 'modelyard.cross_validate(model, X, y, scoring=["roc_auc", "f1"])'
KEPT = "Kept from an earlier session: run the cell to use its panel."
WHITE = re.compile("color%3D%22%23fff")
RELOAD = "Reload the page to use its panel."
HARM = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab, and ``saved.ipynb``: a notebook that was run and saved, and whose kernel is gone."""
    if not (LABEXTENSION / "package.json").is_file():
        pytest.fail(f"no labextension in {LABEXTENSION}; type: make extension", pytrace=False)
    root = tmp_path_factory.mktemp("project")
    (root / ".modelyard").mkdir()
    write_notebook(root / "saved.ipynb", PREPARE, RESULT)
    with jupyter_lab(root, tmp_path_factory.mktemp("jupyter"), labextension=LABEXTENSION) as running:
        with open_notebook(browser, running, "saved.ipynb") as notebook:
            assert notebook.run_all(timeout=120).errors == []
            saved(notebook.page)
        yield running


def saved(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")


def loaded_again(page: Page) -> None:
    page.reload()
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)


def kept_in(page: Page) -> Locator:
    return page.get_by_role("group", name="Evaluation", exact=True)


def live_in(page: Page) -> Locator:
    return page.get_by_role("region", name="Evaluation", exact=True)


def pictures(kept: Locator) -> list[str]:
    """Return the colour that each picture's text is drawn in; each must have been drawn."""
    images = kept.locator("img[src^='data:image/svg+xml']")
    expect(images.first).to_be_visible()
    assert all(
        images.evaluate_all("images => images.map(image => image.complete && image.naturalWidth > 100)")
    )
    sources = images.evaluate_all("images => images.map(image => decodeURIComponent(image.src))")
    return [match[1] if (match := re.search(r'<svg[^>]* color="([^"]*)"', each)) else "" for each in sources]


@pytest.mark.parametrize("app", get_args(App))
def test_what_was_kept_stands_in_until_the_cell_is_run_again(browser: Browser, lab: Lab, app: App) -> None:
    with open_notebook(browser, lab, "saved.ipynb", size=(1280, 1800), app=app) as notebook:
        page, kept = notebook.page, kept_in(notebook.page)
        expect(kept.get_by_text(KEPT)).to_be_visible(timeout=20_000)
        expect(kept.get_by_role("row")).to_have_count(3)
        expect(page.locator(".jp-OutputArea-executeResult")).not_to_contain_text("Error displaying widget")
        looked_at(notebook, kept, "saved")
        wear(page, "dark")
        expect(kept.get_by_role("img").first).to_have_attribute("src", WHITE)
        assert set(pictures(kept)) == {"#fff"}
        wear(page, "light")
        expect(kept.get_by_role("img").first).not_to_have_attribute("src", WHITE)
        assert len(set(pictures(kept))) == 1

        assert notebook.run_all(timeout=60).errors == []
        panel_of(notebook, "Evaluation").get_by_role("tab", name="Folds").click()
        expect(live_in(page).get_by_role("tabpanel", name="Folds").get_by_role("row")).to_have_count(6)
        expect(kept).to_have_count(0)
        assert notebook.seen().elsewhere == []


@pytest.mark.thorough
def test_a_page_that_is_loaded_again_has_the_live_panel_back_once(browser: Browser, lab: Lab) -> None:
    busy = lab.root / "busy.ipynb"
    write_notebook(busy, PREPARE, RESULT, "time.sleep(0 if 'slept' not in globals() else 6); slept = True")
    with open_notebook(browser, lab, busy.name) as notebook:
        page = notebook.page
        assert notebook.run_all().errors == []
        saved(page)
        loaded_again(page)
        expect(live_in(page)).to_be_visible(timeout=20_000)
        expect(kept_in(page)).to_have_count(0)

        # a kernel that works is not asked what it has before it is done
        page.evaluate(
            "() => { const { content } = window.jupyterapp.shell.currentWidget;"
            " content.activeCellIndex = 2; void window.jupyterapp.commands.execute('notebook:run-cell'); }"
        )
        page.wait_for_timeout(1000)
        saved(page)
        loaded_again(page)
        expect(kept_in(page).get_by_role("row")).to_have_count(3, timeout=20_000)
        expect(kept_in(page).get_by_text(KEPT)).to_be_hidden()
        expect(live_in(page)).to_be_visible(timeout=20_000)
        expect(live_in(page)).to_have_count(1)
        expect(kept_in(page)).to_have_count(0)


def test_a_notebook_of_somebody_else_is_shown_and_runs_nothing(browser: Browser, lab: Lab) -> None:
    theirs = nbformat.read(lab.root / "saved.ipynb", as_version=4)
    for output in theirs.cells[1].outputs:
        if "text/html" in output.data:
            output.data["text/html"] += HARM
    theirs.cells[1].metadata.pop("trusted", None)
    nbformat.write(theirs, lab.root / "theirs.ipynb")
    with open_notebook(browser, lab, "theirs.ipynb") as notebook:
        kept = kept_in(notebook.page)
        expect(kept.get_by_text(KEPT)).to_be_visible(timeout=20_000)
        expect(kept.get_by_role("row")).to_have_count(3)
        assert len(pictures(kept)) == 5
        assert notebook.page.evaluate("() => window.harmed") is None
        assert kept.locator("script, [onerror]").count() == 0


@pytest.mark.thorough
def test_a_page_without_a_kernel_says_how_to_get_the_panel(
    browser: Browser, lab: Lab, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(f"{lab.url}/lab/workspaces/{tmp_path.name}?token={lab.token}")
        page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)
        page.wait_for_function("() => window.jupyterapp !== undefined")
        page.evaluate(
            "() => window.jupyterapp.restored.then(() => void window.jupyterapp.commands.execute("
            "'docmanager:open', { path: 'saved.ipynb', kernelPreference: { shouldStart: false } }))"
        )
        expect(kept_in(page).get_by_text(KEPT)).to_be_visible(timeout=20_000)
        assert lab.request("api/sessions") == []

        page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.changeKernel({ name: 'python3' })"
            ".then(() => void window.jupyterapp.commands.execute('notebook:run-all-cells'))"
        )
        expect(kept_in(page).get_by_text(RELOAD)).to_be_visible(timeout=60_000)
        expect(page.get_by_text("kept as logistic-regression-1", exact=False)).to_have_count(
            0, timeout=60_000
        )
        saved(page)
        loaded_again(page)
        expect(live_in(page)).to_be_visible(timeout=20_000)
    finally:
        page.close()
        for session in lab.request("api/sessions"):
            lab.request(f"api/sessions/{session['id']}", method="DELETE")
