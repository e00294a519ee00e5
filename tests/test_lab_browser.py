"""What a person sees of the Yard in JupyterLab: one server and one page, light and dark."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Browser, Page, expect
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from accessibility import violations
from browser import LABEXTENSION, Lab, chromium, jupyter_lab, open_notebook, write_notebook
from modelyard.catalog import Yard
from modelyard.targets import Deployment
from modelyard.targets.processes import MARK
from panels import SCREENSHOTS, wear
from yard_page import item, look, notification, run, view, yard_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

THEMES = ("light", "dark")
#: What the page asks; JupyterLab adds the time, so that no cache answers.
LISTING = re.compile(r"/modelyard/yard(\?|$)")
HOSTILE = "<img src=x onerror=alert(1)>"

SUMMARY = {
    "roc_auc": {"mean": 0.9874, "std": 0.0091, "ci_low": 0.9794, "ci_high": 0.9954},
    "f1": {"mean": 0.9716, "std": 0.0118, "ci_low": 0.9612, "ci_high": 0.9819},
}


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
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jupyter")


@pytest.fixture(scope="module")
def yard_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notebooks and a model, and a yard with things of all kinds."""
    root = tmp_path_factory.mktemp("project")
    write_notebook(root / "churn.ipynb", "1 + 1")
    write_notebook(root / "fault.ipynb", "1 / 0", "print('never')")
    write_onnx(root / "scorer.onnx")
    (root / "reports").mkdir()
    yard = Yard(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JPY_SESSION_NAME", str(root / "churn.ipynb"))
        yard.add_numbered(
            "evaluation", "logistic-regression",
            {"model": "Pipeline(StandardScaler, LogisticRegression)", "cv": "stratified:5", "rows": 569, "features": 30,
             "seconds": 0.412, "summary": SUMMARY, "warnings": ["the rarest class has 212 rows"]},
        )  # fmt: skip
    yard.record(
        "evaluation", "hostile-1", {"model": HOSTILE, "cv": "kfold:3", "summary": {HOSTILE: {"mean": 0.5}}}
    )
    yard.record("study", "depth", {"state": "running", "model": "RandomForestClassifier", "method": "bayes"})
    yard.record(
        "compression", "small", {"model": "LogisticRegression", "chosen": "features (8 of 30 columns)"}
    )
    return root


def write_onnx(path: Path) -> None:
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 30])]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])]
    weights = helper.make_tensor("W", TensorProto.FLOAT, [30, 2], [0.1] * 60)
    nodes = [
        helper.make_node("MatMul", ["X", "W"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    graph = helper.make_graph(nodes, "scorer", inputs, outputs, [weights])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="skl2onnx"), path
    )


@pytest.fixture(scope="module")
def endpoint(yard_root: Path, scratch: Path) -> Iterator[Deployment]:
    """A real endpoint of the project, which has answered a few requests."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(yard_root)
        patch.setenv("MODELYARD_CONFIG_DIR", str(scratch / "modelyard"))
        patch.setenv("BENTOML_HOME", str(yard_root / "store"))
        made = modelyard.deploy(modelyard.package(model, X, y, name="cancer"), to="local")
        assert isinstance(made, Deployment)
        for _ in range(20):
            made.predict(X.head(3))
        yield made
        made.remove()


@pytest.fixture(scope="module")
def lab(yard_root: Path, labextension: Path, scratch: Path, endpoint: Deployment) -> Iterator[Lab]:
    with jupyter_lab(yard_root, scratch, labextension=labextension) as running:
        yield running


@dataclass(frozen=True)
class Opened:
    """JupyterLab in a page, with no notebook, and what the page has asked for and complained of."""

    page: Page
    elsewhere: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def opened(browser: Browser, lab: Lab) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    found = Opened(page, [], [])

    def asked(url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).hostname != "127.0.0.1":
            found.elsewhere.append(url)

    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("console", lambda said: found.complaints.append(said.text) if said.type == "error" else None)
    page.goto(f"{lab.url}/lab/workspaces/{secrets.token_hex(4)}?token={lab.token}")
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)
    page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('apputils:change-theme')")
    page.evaluate("() => window.jupyterapp.restored.then(() => null)")  # else it puts its own panel in front
    page.set_default_timeout(15_000)
    yield found
    page.close()


@pytest.fixture(autouse=True)
def here(project: Path, yard_root: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the server does, with the same store and the same user's secrets."""
    monkeypatch.chdir(yard_root)
    monkeypatch.setenv("BENTOML_HOME", str(yard_root / "store"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(scratch / "modelyard"))


@pytest.fixture
def page(opened: Opened) -> Iterator[Page]:
    """The module's page; whatever a test did, no request left the machine and the page did not complain."""
    yield opened.page
    assert opened.elsewhere == []
    assert opened.complaints == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_yard_lists_what_exists_with_its_health(page: Page, theme: str) -> None:
    wear(page, theme)
    yard = yard_of(page)
    item(yard, "cancer").get_by_text("ready").wait_for(timeout=30_000)

    names = yard.locator(".modelyard-Yard-name").all_inner_texts()
    assert names == ["hostile-1", "logistic-regression-1", "depth", "small", "cancer:1", "cancer"]
    assert HOSTILE in yard.inner_text()
    assert yard.locator("img").count() == 0
    assert "running" in item(yard, "depth").inner_text()
    assert page.locator(".modelyard-StatusItem").inner_text().split() == ["1", "endpoint"]
    look(page, "yard", ".modelyard-YardPanel", theme)
    item(yard, "cancer").hover()
    page.screenshot(path=SCREENSHOTS / f"yard-actions-{theme}.png")
    assert violations(page, ".modelyard-StatusItem") == []


def test_a_new_deployment_shows_within_two_seconds_by_itself(page: Page, yard_root: Path) -> None:
    yard = yard_of(page)
    taken: list[float] = []
    for number in range(3):
        name = f"fresh-{number}"
        Yard(yard_root).record("deployment", name, stopped_record(name, yard_root))
        began = time.monotonic()
        item(yard, name).wait_for(timeout=10_000)
        taken.append(time.monotonic() - began)
        item(yard, name).get_by_text("stopped").wait_for(timeout=10_000)
        Yard(yard_root).delete("deployment", name)
        item(yard, name).wait_for(state="detached", timeout=10_000)

    print("a new deployment shows after", [round(seconds, 2) for seconds in taken], "s")
    assert max(taken) <= 2


def stopped_record(name: str, root: Path, **changes: Any) -> dict[str, Any]:
    """What the catalog keeps of a local deployment that does not run."""
    payload = Yard(root).get("deployment", "cancer").payload
    folder = Yard(root).deployment_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    state = {**payload["state"], "folder": str(folder), "port": 9}
    del state["pid"]
    return payload | {"desired": "stopped", "state": state} | changes


def test_an_entry_opens_by_keyboard_in_the_main_area_and_keeps_markup_as_text(page: Page) -> None:
    yard = yard_of(page)
    yard.get_by_role("button", name="hostile-1", exact=True).focus()
    page.keyboard.press("Enter")
    shown = view(page, "Evaluation hostile-1")
    shown.get_by_role("table").wait_for()

    assert HOSTILE in shown.get_by_role("table").inner_text()
    assert shown.locator("img").count() == 0
    assert 'cross_validate(model, X, y, cv="kfold:3")' in shown.inner_text()
    page.keyboard.press("Tab")  # the next thing after the name is its first action
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") is not None


@pytest.mark.parametrize("theme", THEMES)
def test_a_deployment_shows_its_figures_live_in_the_main_area(
    page: Page, theme: str, endpoint: Deployment
) -> None:
    wear(page, theme)
    item(yard_of(page), "cancer").get_by_role("button", name="cancer", exact=True).click()
    shown = view(page, "Deployment cancer")
    shown.get_by_text("requests/s", exact=True).wait_for(timeout=20_000)
    shown.get_by_role("group", name="By variant, and counts since the beginning").get_by_text("v1").wait_for()

    assert 'modelyard.deployment("cancer")' in shown.inner_text()
    assert endpoint.url in shown.inner_text()
    assert endpoint.token not in page.content()
    look(page, "deployment", "[aria-label='Deployment cancer']", theme)


@pytest.mark.parametrize("theme", THEMES)
def test_an_evaluation_opens_with_its_figures_and_leads_to_its_notebook(page: Page, theme: str) -> None:
    wear(page, theme)
    run(page, "modelyard:open-entry", kind="evaluations", name="logistic-regression-1")
    shown = view(page, "Evaluation logistic-regression-1")
    shown.get_by_text("0.9874").wait_for()
    assert "churn.ipynb" in shown.inner_text()
    look(page, "evaluation", "[aria-label='Evaluation logistic-regression-1']", theme)

    shown.get_by_role("button", name="Open the Notebook: logistic-regression-1").click()
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.title.label === 'churn.ipynb'")


def test_the_call_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run(page, "modelyard:open-entry", kind="deployments", name="cancer")
    view(page, "Deployment cancer").get_by_role("button", name="Copy the Python Call: cancer").click()
    notification(page, 'Copied: modelyard.deployment("cancer")').wait_for()

    assert page.evaluate("() => navigator.clipboard.readText()") == 'modelyard.deployment("cancer")'


@pytest.mark.parametrize("theme", THEMES)
def test_a_model_file_and_a_bundle_have_a_card_in_the_file_browsers_menu(page: Page, theme: str) -> None:
    wear(page, theme)
    run(page, "filebrowser:activate")
    run(page, "filebrowser:open-path", path="/", dontShowBrowser=False)
    right_click(page, "scorer.onnx")
    page.locator(".lm-Menu").get_by_text("Show Model Card").wait_for()
    page.screenshot(path=SCREENSHOTS / f"card-menu-{theme}.png")
    page.locator(".lm-Menu").get_by_text("Show Model Card").click()
    shown = view(page, "Card of scorer.onnx")
    shown.get_by_text("ai.onnx::Softmax").wait_for()
    assert "N × 30" in shown.inner_text()
    look(page, "card-onnx", "[aria-label='Card of scorer.onnx']", theme)
    if theme == "dark":
        return

    right_click(page, "reports")
    page.locator(".lm-Menu").get_by_text("Rename").wait_for()
    assert page.locator(".lm-Menu-item:visible", has_text="Show Model Card").count() == 0
    page.keyboard.press("Escape")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('filebrowser:go-to-path', {path: 'store/bentos/cancer'})"
    )
    page.locator(".jp-DirListing-item", has_text="latest").wait_for()
    right_click(page, "1")
    page.locator(".lm-Menu").get_by_text("Show Model Card").click()
    card = view(page, "Card of store/bentos/cancer/1")
    card.get_by_role("group", name="Model card").wait_for()
    assert "LogisticRegression" in card.inner_text()
    look(page, "card-bundle", "[aria-label='Card of store/bentos/cancer/1']", theme)


def right_click(page: Page, name: str) -> None:
    row = page.locator(".jp-DirListing-item", has=page.get_by_text(name, exact=True))
    row.wait_for()
    with page.expect_response(lambda answer: "modelyard/bundles" in answer.url, timeout=20_000):
        run(page, "filebrowser:refresh")
    row.click(button="right")


@pytest.mark.parametrize("theme", THEMES)
def test_the_running_panel_and_the_launcher_know_the_yard(page: Page, theme: str) -> None:
    wear(page, theme)
    run(page, "running:show-panel")
    panel = page.locator("#jp-running-sessions")
    panel.get_by_text("Deployments", exact=True).first.wait_for()
    panel.locator(".jp-RunningSessions-item", has_text="cancer").first.wait_for()
    run(page, "launcher:create")
    card = page.locator(".jp-LauncherCard:visible", has_text="Yard").first
    card.wait_for()
    page.screenshot(path=SCREENSHOTS / f"running-and-launcher-{theme}.png")
    run(page, "filebrowser:activate")
    card.click()
    page.get_by_role("region", name="Yard", exact=True).wait_for()


def test_the_palette_offers_every_command(page: Page) -> None:
    run(page, "apputils:activate-command-palette")
    page.keyboard.type("modelyard")
    palette = page.locator(".lm-CommandPalette-item")
    for label in ("Show the Yard", "Refresh the Yard", "Open from the Yard…", "Stop the Deployment…",
                  "Roll Back the Traffic…", "Copy the Python Call…", "Open the Notebook…"):  # fmt: skip
        palette.filter(has_text=label).first.wait_for()
    page.keyboard.press("Escape")


def test_the_settings_change_what_the_page_shows_and_tells(page: Page, yard_root: Path) -> None:
    run(page, "settingeditor:open", query="modelyard")
    editor = page.locator(".jp-SettingsPanel")
    status = page.locator(".modelyard-StatusItem")
    expect(status).to_be_visible()
    editor.get_by_label("Status bar").uncheck()
    expect(status).to_be_hidden()
    page.screenshot(path=SCREENSHOTS / "settings.png")

    editor.get_by_label("Notifications").uncheck()
    editor.locator("input[id$=refreshSeconds]").fill("2")
    for _ in range(3):
        page.wait_for_event("request", lambda asked: LISTING.search(asked.url) is not None, timeout=4_000)
    Yard(yard_root).record("study", "quiet", {"state": "finished", "model": "Ridge", "finished": 3})
    item(yard_of(page), "quiet").wait_for(timeout=10_000)
    page.wait_for_timeout(500)
    assert notification(page, "Study quiet").count() == 0

    editor.get_by_role("button", name="Restore to Defaults").click()
    expect(status).to_be_visible()
    Yard(yard_root).delete("study", "quiet")
    item(yard_of(page), "quiet").wait_for(state="detached", timeout=10_000)


def test_a_study_that_ends_is_told_and_leads_there(page: Page, yard_root: Path) -> None:
    facts = {
        "state": "finished",
        "finished": 60,
        "best_score": 0.912,
        "metric": "f1",
        "best_params": {"max_depth": 4},
    }
    Yard(yard_root).record("study", "depth", {"model": "RandomForestClassifier", "method": "bayes", **facts})
    told = notification(page, "Study depth has ended: finished, 60 trials, best f1 0.912")
    told.wait_for(timeout=10_000)
    told.get_by_role("button", name="Show").click()
    view(page, "Study depth").get_by_text("max_depth").wait_for()


@pytest.mark.parametrize("theme", THEMES)
def test_what_cannot_be_started_again_is_a_warning_everywhere(
    page: Page, theme: str, yard_root: Path
) -> None:
    wear(page, theme)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        name = f"fraud-{theme}"
        changed = stopped_record(name, yard_root, desired="running", url=f"http://127.0.0.1:{port}")
        changed["state"] |= {"port": port}
        Yard(yard_root).record("deployment", name, changed)
        try:
            yard = yard_of(page)
            item(yard, name).get_by_text("down", exact=True).wait_for(timeout=20_000)
            item(yard, name).get_by_text("taken by something else").wait_for(timeout=20_000)
            page.locator(".modelyard-StatusItem").get_by_text("1 down").wait_for(timeout=10_000)
            notification(page, f"{name} cannot be started again").wait_for(timeout=10_000)
            look(page, "yard-warning", ".modelyard-YardPanel", theme)
        finally:
            Yard(yard_root).delete("deployment", name)
        item(yard, name).wait_for(state="detached", timeout=10_000)


def test_a_killed_endpoint_is_started_again_by_the_server_and_the_page_says_so(
    page: Page, endpoint: Deployment, lab: Lab
) -> None:
    yard = yard_of(page)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK, "").endswith("/deployments/cancer"):
                process.send_signal(signal.SIGKILL)
    notification(page, "cancer was started again").wait_for(timeout=60_000)
    item(yard, "cancer").get_by_text("started again once").wait_for(timeout=20_000)
    item(yard, "cancer").get_by_text("ready", exact=True).wait_for(timeout=20_000)
    assert endpoint.status().health == "ready"

    # all that was done so far, and no model has been loaded: the server has mapped no library of one
    mapped = {Path(part.path).name for part in server_of(lab).memory_maps()}
    assert not [
        name for name in mapped if "onnxruntime" in name or "_cython_blas" in name or "sklearn" in name
    ]


def server_of(lab: Lab) -> psutil.Process:
    port = int(lab.url.rpartition(":")[2])
    return next(
        process
        for process in psutil.Process(os.getpid()).children(recursive=True)
        if any(each.laddr.port == port and each.status == "LISTEN" for each in process.net_connections())
    )


def test_stopping_asks_first_and_two_tabs_that_stop_get_one_clear_line_each(
    page: Page, endpoint: Deployment, lab: Lab
) -> None:
    yard = yard_of(page)
    cancer = item(yard, "cancer")
    cancer.get_by_role("button", name="Stop the Deployment: cancer").click()
    page.locator(".jp-Dialog").get_by_text("Stop cancer?").wait_for()
    page.screenshot(path=SCREENSHOTS / "stop-dialog-dark.png")
    page.locator(".jp-Dialog").get_by_role("button", name="Stop").click()
    notification(page, "cancer is stopped").wait_for(timeout=30_000)
    cancer.get_by_text("stopped", exact=True).wait_for(timeout=20_000)
    assert page.locator(".modelyard-StatusItem").inner_text().split() == ["0", "endpoints"]

    again = lab.request("modelyard/deployments/cancer/stop", method="POST")
    assert again["message"] == "cancer is already stopped"
    cancer.get_by_role("button", name="Start the Deployment: cancer").click()
    notification(page, "cancer answers at").wait_for(timeout=60_000)
    cancer.get_by_text("ready", exact=True).wait_for(timeout=20_000)


def test_rolling_back_asks_first_and_the_earlier_bundle_answers_again(
    page: Page, endpoint: Deployment
) -> None:
    rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    before = endpoint.predict(rows.head(20))
    contrary = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows, 1 - labels)
    modelyard.package(contrary, rows, 1 - labels, name="cancer")
    modelyard.traffic("cancer", promote="v2")
    assert list(endpoint.predict(rows.head(20))) == [1 - each for each in before]

    cancer = item(yard_of(page), "cancer")
    cancer.get_by_text("cancer:2, local").wait_for(timeout=20_000)
    cancer.get_by_role("button", name="Roll Back the Traffic: cancer").click()
    asked = page.locator(".jp-Dialog")
    asked.get_by_text("Roll back cancer?").wait_for()
    asked.get_by_role("button", name="Cancel").click()
    assert list(endpoint.predict(rows.head(20))) == [1 - each for each in before]

    cancer.get_by_role("button", name="Roll Back the Traffic: cancer").click()
    page.screenshot(path=SCREENSHOTS / "roll-back-dialog.png")
    asked.get_by_role("button", name="Roll Back").click()
    notification(page, "cancer: back from v2 to v1").wait_for(timeout=30_000)
    cancer.get_by_text("cancer:1, local").wait_for(timeout=20_000)
    assert list(endpoint.predict(rows.head(20))) == list(before)


def test_a_server_of_another_version_is_one_clear_line(page: Page) -> None:
    page.route(LISTING, lambda route: route.fulfill(json={"schema": 1, "root": ""}))
    try:
        run(page, "modelyard:refresh-yard")
        yard_of(page).get_by_text("This page and its server are of different versions").wait_for()
    finally:
        page.unroute(LISTING)
    run(page, "modelyard:refresh-yard")
    yard_of(page).get_by_text("different versions").wait_for(state="detached")


def test_a_failing_cell_is_told_and_ends_the_run(browser: Browser, lab: Lab) -> None:
    with open_notebook(browser, lab, "fault.ipynb") as notebook:
        assert notebook.run_all(timeout=30).errors == ["ZeroDivisionError: division by zero"]
