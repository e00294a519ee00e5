"""The panels of what runs, driven in JupyterLab and Notebook 7: a real bundle and a real endpoint behind each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sklearn.preprocessing import StandardScaler

import modelyard
from browser import Lab, NotebookPage, chromium, jupyter_lab, open_notebook, write_notebook
from panels import looked_at, panel_of
from people import FRAME, MODEL, TARGET, a_place_of_its_own, pipeline

pytestmark = pytest.mark.browser

PREPARE = """
%load_ext modelyard
import modelyard
"""
TRAFFIC = """
modelyard.traffic("churn", canary={"v2": 0.25})
"""
#: as a Python call, so that what is shown is what it returns
PLAN = """
modelyard.plan("churn", to="local", name="other")
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two versions of a bundle, of which the first runs."""
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        modelyard.package(MODEL, FRAME, TARGET, name="churn")
        doubtful = pipeline(StandardScaler()).set_params(logisticregression__C=0.01)
        modelyard.package(doubtful.fit(FRAME, TARGET), FRAME, TARGET, name="churn")
        modelyard.deploy("churn:1", to="local", name="churn")
        yield folder
        for left in modelyard.yard().deployments:
            modelyard.deployment(left.name).remove()


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))


@pytest.fixture(scope="module")
def lab(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    kept = {"BENTOML_HOME": str(place / "bentoml"), "MODELYARD_CONFIG_DIR": str(place / "config")}
    with jupyter_lab(place, tmp_path_factory.mktemp("jupyter"), env=kept) as served:
        yield served


@pytest.fixture(scope="module", params=[pytest.param("lab", marks=pytest.mark.thorough), "notebook"])
def notebook(
    browser: Browser, lab: Lab, place: Path, request: pytest.FixtureRequest
) -> Iterator[NotebookPage]:
    write_notebook(
        place / "running.ipynb",
        PREPARE,
        'modelyard.bundle("churn:1")',
        'modelyard.deployment("churn")',
        TRAFFIC,
        PLAN,
    )
    with open_notebook(browser, lab, "running.ipynb", size=(1280, 1300), app=request.param) as opened:
        assert opened.run_all(timeout=200).errors == []
        yield opened
        assert opened.seen().elsewhere == [], "a request left the machine"


def test_a_slider_of_a_bundle_changes_what_the_model_says(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Bundle churn:1")
    looked_at(notebook, panel, "panel-bundle")
    panel.get_by_role("tab", name="What if").click()
    age = panel.get_by_label("age", exact=True)
    age.wait_for()
    likely = panel.locator(".modelyard-bars").first
    before = likely.inner_text()
    age.focus()
    for _ in range(5):
        notebook.page.keyboard.press("ArrowRight")
    expect(likely).not_to_have_text(before)
    looked_at(notebook, panel, "panel-what-if")


def test_a_place_to_go_is_picked_and_its_plan_is_shown_before_anything_is_done(
    notebook: NotebookPage,
) -> None:
    panel = panel_of(notebook, "Bundle churn:1")
    panel.get_by_role("tab", name="Deploy").click()
    panel.get_by_role("row").filter(has_text="raspberry-pi").get_by_role("radio").check()
    expect(panel.get_by_role("button", name="Apply")).to_be_visible(timeout=60_000)
    looked_at(notebook, panel, "panel-deploy")


def test_an_endpoint_is_watched_and_tells_how_to_call_it(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Deployment churn")
    expect(panel.get_by_text("ready", exact=True)).to_be_visible(timeout=30_000)
    modelyard.deployment("churn").predict(FRAME.head(20))
    expect(panel.get_by_role("row").filter(has_text="income")).to_be_visible(timeout=30_000)
    looked_at(notebook, panel, "panel-endpoint")
    panel.get_by_role("tab", name="Call and log").click()
    expect(panel.get_by_label("Call from Python")).to_contain_text("modelyard.deployment('churn')")
    expect(panel.locator("pre").filter(has_text="curl")).to_be_visible()


def test_a_share_is_set_with_the_slider_and_rolled_back(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Traffic of churn")
    share = panel.get_by_label("Share", exact=True)
    share.focus()
    for _ in range(5):
        notebook.page.keyboard.press("ArrowRight")
    panel.get_by_role("button", name="Set", exact=True).click()
    weights = re.compile(r"v2 \(churn:2\)\s*30 %")
    expect(panel.locator(".modelyard-bars").first).to_have_text(weights, use_inner_text=True, timeout=30_000)
    assert modelyard.traffic("churn").policy.weights["v2"] == pytest.approx(0.3)
    looked_at(notebook, panel, "panel-traffic")
    panel.get_by_role("button", name="Roll back").click()
    expect(panel.locator(".modelyard-bars").first).to_have_text(
        re.compile(r"100 %"), use_inner_text=True, timeout=30_000
    )


@pytest.mark.thorough
def test_a_plan_is_rehearsed(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Plan for local")
    panel.get_by_role("button", name="Rehearse").click()
    expect(panel.get_by_role("heading", name="Rehearsal")).to_be_visible(timeout=90_000)
    looked_at(notebook, panel, "panel-rehearsed")


def test_a_plan_is_applied_and_undone(notebook: NotebookPage) -> None:
    panel = panel_of(notebook, "Plan for local")
    looked_at(notebook, panel, "panel-plan")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.get_by_role("button", name="Undo")).to_be_enabled(timeout=90_000)
    assert modelyard.deployment("other").status().health == "ready"
    panel.get_by_role("button", name="Undo").click()
    expect(panel.get_by_text("nothing is left of 'other'")).to_be_visible(timeout=60_000)
