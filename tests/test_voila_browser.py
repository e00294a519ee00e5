"""Published apps as those see them who only look: a real Voila, headless Chromium, and what a viewer cannot do."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser
from websockets.sync.client import connect

import modelyard
from accessibility import violations
from browser import chromium
from modelyard.packaging import Bundle
from modelyard.targets import Deployment
from people import FRAME, MODEL, TARGET, a_place_of_its_own
from voila_server import Served, viewer, voila

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")]

SCREENSHOTS = Path(__file__).parent / "screenshots" / "voila"
PHONE = 390

_TIMES = """async () => {
  const slider = document.querySelector("input[type=range]");
  const shown = document.querySelector(".modelyard-bar-value");
  const took = [];
  for (let turn = 0; turn < 15; turn += 1) {
    const before = shown.textContent;
    const changed = new Promise((done) => {
      const seen = new MutationObserver(() => shown.textContent !== before && (seen.disconnect(), done()));
      seen.observe(shown, { childList: true, characterData: true, subtree: true });
    });
    const began = performance.now();
    slider.value = String(24 + 3 * turn);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await changed;
    took.push(performance.now() - began);
  }
  return took.sort((a, b) => a - b);
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))


@pytest.fixture(scope="module")
def bundle(place: Path) -> Bundle:
    evaluation = modelyard.cross_validate(MODEL, FRAME, TARGET, cv="stratified:3", scoring=["accuracy", "f1"])
    return modelyard.package(MODEL, FRAME, TARGET, name="churn", evaluation=evaluation)


@pytest.fixture(scope="module")
def deployed(bundle: Bundle) -> Iterator[Deployment]:
    made = modelyard.deploy(bundle, to="local", name="churn")
    assert isinstance(made, Deployment)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def what_if(place: Path, bundle: Bundle) -> Iterator[Served]:
    (place / "what-if-scratch").mkdir()
    with voila(modelyard.publish(bundle).folder, place / "what-if-scratch") as served:
        yield served


def kernel_of(page_text: str) -> str:
    found = re.search(r'"kernelId": "([^"]+)"', page_text)
    assert found
    return found[1]


def test_a_slider_is_answered_at_once_in_light_and_dark_and_on_a_phone(
    browser: Browser, what_if: Served
) -> None:
    with viewer(browser, what_if) as seen:
        page = seen.page
        assert page.title() == "churn:1: what if?"
        assert violations(page, "html") == []
        page.screenshot(path=_shot("what-if-light.png"), full_page=True)
        took = page.evaluate(_TIMES)
        (SCREENSHOTS / "what-if-ms.json").write_text(json.dumps([round(each, 1) for each in took]))
        assert took[len(took) // 2] <= 150, took

        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": PHONE, "height": 800})
        assert violations(page, "html") == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE
        page.screenshot(path=_shot("what-if-phone-dark.png"), full_page=True)

        slider = page.get_by_label("age", exact=True)
        slider.focus()
        before = page.locator(".modelyard-bar-value").first.inner_text()
        page.keyboard.press("End")
        page.wait_for_function(
            "before => document.querySelector('.modelyard-bar-value').textContent !== before", arg=before
        )
        assert seen.elsewhere == []
        assert seen.complaints == []


def test_a_page_whose_kernel_is_gone_says_so(browser: Browser, what_if: Served) -> None:
    with viewer(browser, what_if) as seen:
        for process in psutil.Process(what_if.process.pid).children(recursive=True):
            if any("ipykernel" in word for word in process.cmdline()):
                process.kill()
        gone = seen.page.get_by_text("The kernel behind this page is gone. Load the page again to go on.")
        gone.wait_for(timeout=30_000)
        assert seen.page.locator(".modelyard-panel").evaluate("panel => panel.inert")


def test_without_the_token_nobody_sees_anything(what_if: Served) -> None:
    for token in (None, "wrong"):
        answer = what_if.get("/", token)
        assert answer.status_code in (302, 403)
        assert "churn" not in answer.text
    kernel = str(uuid.uuid4())
    assert what_if.get(f"/api/kernels/{kernel}").status_code == 403


def test_a_viewer_reads_no_file(what_if: Served, place: Path) -> None:
    (place / "churn-what-if" / "picture.png").write_text("mine")
    paths = [
        "/voila/files/app.ipynb", "/voila/files/voila.py", "/voila/files/picture.png", "/voila/files/../picture.png",
        "/voila/files/..%2f..%2f..%2f..%2fetc%2fpasswd", "/voila/static/../../../../../../../../etc/passwd",
        "/voila/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/voila/templates/modelyard/static/../../../../../voila.py", "/voila/templates/../static/voila.py",
        "/voila/templates/modelyard/static/..%2f..%2f..%2f..%2f..%2fapp.ipynb",
        "/voila/labextensions/..%2f..%2fetc%2fpasswd",
        "/api/contents/app.ipynb", "/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/voila/tree",
        "/voila/render/app.ipynb", "/voila/api/contents/app.ipynb", "/voila.py", "/app.ipynb",
    ]  # fmt: skip
    for path in paths:
        answer = what_if.get(path, what_if.token)
        assert answer.status_code in (302, 400, 403, 404, 405, 500), (path, answer.status_code)
        if answer.status_code == 302:  # whatever it asks for is looked for among the files, which are none
            answer = what_if.get(answer.headers["location"], what_if.token)
            assert answer.status_code in (400, 403, 404), path
        for secret in ("modelyard_widgets", "MODELYARD_APP_TOKEN", "mine", "root:"):
            assert secret not in answer.text, path


def test_a_viewer_runs_no_code(what_if: Served, place: Path) -> None:
    kernel = kernel_of(what_if.get("/", what_if.token).text)
    trace = place / "was-run"
    session = uuid.uuid4().hex
    address = f"{what_if.url.replace('http', 'ws')}/api/kernels/{kernel}/channels?session_id={session}"
    with connect(
        address, additional_headers={"Authorization": f"token {what_if.token}"}, proxy=None, open_timeout=30
    ) as socket:

        def send(kind: str, content: dict[str, Any], channel: str = "shell") -> str:
            name = uuid.uuid4().hex
            header = {"msg_id": name, "msg_type": kind, "session": session, "username": "", "version": "5.3"}
            header["date"] = ""
            message = {
                "header": header,
                "parent_header": {},
                "metadata": {},
                "content": content,
                "buffers": [],
            }
            socket.send(json.dumps({**message, "channel": channel}))
            return name

        def told_of(name: str, kind: str) -> dict[str, Any]:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                got = json.loads(socket.recv(timeout=30))
                parent = got["parent_header"].get("msg_id")
                assert parent not in refused, got["msg_type"]
                if parent == name and got["msg_type"] == kind:
                    return dict(got["content"])
            raise TimeoutError(kind)

        code = {"code": f"open({str(trace)!r}, 'w')", "silent": False}
        refused = {
            send("execute_request", code),
            send("execute_request", code, "control"),
            send("complete_request", {"code": "open(", "cursor_pos": 5}),
            send("inspect_request", {"code": "open", "cursor_pos": 4}),
            send("debug_request", {"type": "request", "command": "evaluate"}, "control"),
        }
        assert told_of(send("kernel_info_request", {}), "kernel_info_reply")["status"] == "ok"
        # nor makes widgets of its own: what asks for one is closed again
        name = send("comm_open", {"comm_id": uuid.uuid4().hex, "target_name": "jupyter.widget", "data": {}})
        told_of(name, "comm_close")
    assert not trace.exists()
    assert 'Received message of type "execute_request", which is not allowed' in what_if.log.read_text()


def test_a_theme_is_one_of_two_and_never_markup(what_if: Served) -> None:
    page = what_if.get('/?theme="><script>alert(1)</script>', what_if.token)
    assert page.status_code == 200
    assert "<script>alert(1)" not in page.text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"https?://(?!127\.0\.0\.1|www\.w3\.org)", page.text)


@pytest.mark.parametrize("app", ["report", "monitor"])
def test_what_is_only_looked_at_has_nothing_that_acts(
    browser: Browser, place: Path, bundle: Bundle, deployed: Deployment, app: str
) -> None:
    published = modelyard.publish("churn", app)
    (place / app).mkdir()
    with voila(published.folder, place / app) as served, viewer(browser, served) as seen:
        page = seen.page
        if app == "monitor":
            deployed.predict(FRAME)
            page.get_by_text("ready", exact=True).wait_for(timeout=30_000)
            page.get_by_role("img", name=re.compile("requests a second")).wait_for(timeout=30_000)
        assert page.locator(".modelyard-panel .modelyard-controls").count() == 0
        assert violations(page, "html") == []
        page.screenshot(path=_shot(f"{app}-light.png"), full_page=True)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": PHONE, "height": 800})
        assert violations(page, "html") == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE
        page.screenshot(path=_shot(f"{app}-phone-dark.png"), full_page=True)
        if app == "monitor":
            deployed.stop()
            page.get_by_text("'churn' is stopped; whoever runs it can start it again").wait_for(
                timeout=30_000
            )
            assert deployed.token not in page.content()
        assert seen.elsewhere == []
        assert seen.complaints == []


def _shot(name: str) -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS / name
