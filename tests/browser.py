"""Drives a real JupyterLab in headless Chromium, all of it in temporary folders."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from modelyard.targets.processes import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
LABEXTENSION = REPOSITORY / "extension" / "modelyard_lab" / "labextension"
SOURCE_ROOTS = [REPOSITORY / root for root in ("kernel_magics", "widgets", "extension", "templates")]

App = Literal["lab", "notebook"]

_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # all cells are in the page
}

_CURRENT_KERNEL_IDLE = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  return widget?.sessionContext?.session?.kernel?.status === 'idle';
}"""

_CELLS = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells;
  return cells.filter(cell => cell.cell_type === 'code' && cell.getSource().trim() !== '').map(cell => ({
    count: cell.execution_count,
    errors: cell.getOutputs().filter(output => output.output_type === 'error')
                .map(output => `${output.ename}: ${output.evalue}`),
  }));
}"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab server."""

    url: str
    token: str
    root: Path
    log: Path

    def request(self, path: str, method: str = "GET") -> Any:
        """Ask the server's REST interface; returns the decoded JSON, or None for an empty answer."""
        request = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def page_url(self, notebook: str, app: App = "lab") -> str:
        if app == "notebook":
            return f"{self.url}/notebooks/{quote(notebook)}?token={self.token}"
        # a workspace of its own: else JupyterLab opens again what an earlier page had open
        workspace = secrets.token_hex(4)
        return f"{self.url}/lab/workspaces/{workspace}/tree/{quote(notebook)}?token={self.token}"


@dataclass(frozen=True)
class Seen:
    """What a notebook showed after all of its cells ran.

    Attributes
    ----------
    errors : list of str
        ``Name: message`` of every error output, in the order of the cells.
    text : str
        The text that a reader sees in the main area.
    complaints : list of str
        Errors of the page itself: exceptions, and what the console calls an error.
    elsewhere : list of str
        Requests to any host but the server: none may be.
    """

    errors: list[str]
    text: str
    complaints: list[str]
    elsewhere: list[str]


def write_notebook(path: Path, *sources: str) -> None:
    """Write a notebook of code cells that names its kernel, so that JupyterLab does not ask for one."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def _environment(scratch: Path, settings: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    folders = {
        "JUPYTER_CONFIG_DIR": scratch / "config",
        "JUPYTER_DATA_DIR": scratch / "data",
        "JUPYTER_RUNTIME_DIR": scratch / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": scratch / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": scratch / "workspaces",
        "IPYTHONDIR": scratch / "ipython",
        "MODELYARD_CONFIG_DIR": scratch / "modelyard",
        "BENTOML_HOME": scratch / "bentoml",
    }
    for folder in (*folders.values(), scratch / "app"):
        folder.mkdir(parents=True, exist_ok=True)
    (scratch / "app" / "overrides.json").write_text(json.dumps({**_SETTINGS, **settings}), encoding="utf-8")
    # enabled as an installed modelyard would be
    enabled = scratch / "config" / "jupyter_server_config.d"
    enabled.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "extension" / "jupyter-config" / "server-config" / "modelyard_lab.json", enabled)
    path = os.pathsep.join([*map(str, SOURCE_ROOTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ,
        **{name: str(folder) for name, folder in folders.items()},
        "JUPYTER_PREFER_ENV_PATH": "0",  # an installed modelyard brings a labextension of its own, maybe an old one
        "PYTHONPATH": path,
        **env,
    }


def _wait_until_up(lab: Lab, process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            lab.request("api/status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(
        f"JupyterLab did not come up in {seconds:g} s; its log:\n{lab.log.read_text()[-4000:]}"
    )


@contextmanager
def jupyter_lab(
    root: Path,
    scratch: Path,
    *,
    labextension: Path | None = None,
    theme: str = "JupyterLab Light",
    env: Mapping[str, str] | None = None,
) -> Iterator[Lab]:
    """Serve `root` with JupyterLab on a free loopback port until the block ends.

    Every folder that Jupyter, modelyard and BentoML write to is under `scratch`; `env` is added to the
    environment of the server and its kernels and wins. `labextension` is a built labextension to load.
    """
    settings = {"@jupyterlab/apputils-extension:themes": {"theme": theme}}
    environment = _environment(scratch, settings, env or {})
    if labextension:
        link = Path(environment["JUPYTER_DATA_DIR"]) / "labextensions" / "modelyard-lab"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(labextension, target_is_directory=True)
    port, token = free_port(), secrets.token_hex(16)
    lab = Lab(f"http://127.0.0.1:{port}", token, root, scratch / "lab.log")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", "--allow-root"]
    command += [f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    command += [f"--LabApp.app_settings_dir={scratch / 'app'}"]
    with lab.log.open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_up(lab, process, 60)
        yield lab
    finally:
        if process.poll() is None:
            process.terminate()  # shuts the kernels down first
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Open the system's Chromium, without a window, until the block ends."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("no Chromium found; type: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True)
        try:
            yield browser
        finally:
            browser.close()


class NotebookPage:
    """One notebook, open in one page.

    Parameters
    ----------
    notebook : str
        Its path under the server's root.
    app : {"lab", "notebook"}
        JupyterLab, or Notebook 7, which the same server serves.
    """

    def __init__(
        self,
        browser: Browser,
        lab: Lab,
        notebook: str,
        *,
        size: tuple[int, int] = (1280, 900),
        app: App = "lab",
    ) -> None:
        self._lab = lab
        self._complaints: list[str] = []
        self._elsewhere: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self.page.on("pageerror", lambda error: self._complaints.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(lab.page_url(notebook, app))
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)
        try:
            self.page.wait_for_function(_CURRENT_KERNEL_IDLE, timeout=30_000)
        except PlaywrightTimeoutError as error:
            asks = self.page.locator(".jp-Dialog").all_inner_texts()
            raise TimeoutError(
                f"no idle kernel for {notebook} after 30 s; dialogs: {asks or 'none'}"
            ) from error

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error":
            self._complaints.append(text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).hostname != "127.0.0.1":
            self._elsewhere.append(url)

    def execute(self, command: str) -> None:
        """Run a command of JupyterLab and return once it is done."""
        self.page.evaluate("command => window.jupyterapp.commands.execute(command)", command)

    def run_all(self, *, timeout: float = 120) -> Seen:
        """Run all cells; return when each has run, or when one has failed.

        Raises
        ------
        TimeoutError
            `timeout` seconds went by first.
        """
        # not awaited: the page would be deaf for as long as the cells run
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        deadline = time.monotonic() + timeout
        while True:
            cells = self.page.evaluate(_CELLS)
            over = any(cell["errors"] for cell in cells) or all(cell["count"] is not None for cell in cells)
            if over and self.page.evaluate(_CURRENT_KERNEL_IDLE):
                break
            if time.monotonic() > deadline:
                waiting = sum(cell["count"] is None for cell in cells)
                raise TimeoutError(f"{waiting} of {len(cells)} cells had not run after {timeout:g} s")
            self.page.wait_for_timeout(100)
        self.page.wait_for_timeout(1000)  # widgets draw after their cell is done
        return self.seen()

    def seen(self) -> Seen:
        errors = [error for cell in self.page.evaluate(_CELLS) for error in cell["errors"]]
        text = self.page.locator("#jp-main-dock-panel, #main-panel").first.inner_text()
        return Seen(errors, text, list(self._complaints), list(self._elsewhere))

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page; `whole` makes the window as high as the notebook first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size or {"width": 1280, "height": 900}
        if whole:
            height = self.page.evaluate(
                "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
                ".reduce((sum, cell) => sum + cell.offsetHeight, 220)"
            )
            self.page.set_viewport_size(
                {"width": size["width"], "height": max(size["height"], min(height, 8000))}
            )
            top = "() => document.querySelector('.jp-Notebook .jp-Cell')?.scrollIntoView()"
            self.page.evaluate(top)
            self.page.wait_for_timeout(300)
        self.page.screenshot(path=path)
        self.page.set_viewport_size(size)

    def close(self) -> None:
        """Close the page and shut its kernels down, which would outlive it."""
        self.page.close()
        for session in self._lab.request("api/sessions"):
            self._lab.request(f"api/sessions/{session['id']}", method="DELETE")


@contextmanager
def open_notebook(
    browser: Browser, lab: Lab, notebook: str, *, size: tuple[int, int] = (1280, 900), app: App = "lab"
) -> Iterator[NotebookPage]:
    """Open a notebook of the server's root, in JupyterLab or Notebook 7, until the block ends; its kernel waits."""
    opened = NotebookPage(browser, lab, notebook, size=size, app=app)
    try:
        yield opened
    finally:
        opened.close()
