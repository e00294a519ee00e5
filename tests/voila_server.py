"""Serves a published app with a real Voila, as its README says, on a free loopback port."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, Page

from browser import SOURCE_ROOTS
from modelyard.targets.processes import free_port


@dataclass(frozen=True)
class Served:
    """An app that is served."""

    url: str
    token: str
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"token {token}"}
        with httpx.Client(trust_env=False, timeout=60) as client:
            request = client.build_request("GET", self.url, headers=headers)
            # as it is: a client would take ".." out of it
            request.url = request.url.copy_with(raw_path=path.encode())
            return client.send(request)


@contextmanager
def voila(folder: Path, scratch: Path, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve the app in `folder` until the block ends; every folder that Jupyter writes to is under `scratch`."""
    port, token = free_port(), secrets.token_hex(16)
    folders = {
        name: str(scratch / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    for each in folders.values():
        Path(each).mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([*map(str, SOURCE_ROOTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **folders, "PYTHONPATH": path, "MODELYARD_APP_TOKEN": token, **(env or {})}
    command = [str(Path(sys.executable).with_name("voila")), "app.ipynb", "--no-browser", f"--port={port}"]
    command += ["--Voila.ip=127.0.0.1", "--Voila.port_retries=0"]
    log = scratch / "voila.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    served = Served(f"http://127.0.0.1:{port}", token, log, process)
    try:
        _wait_until_up(served)
        yield served
    finally:
        process.terminate()  # shuts the kernels down first
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(served: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and served.process.poll() is None:
        try:
            served.get("/login")
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Voila did not come up; its log:\n{served.log.read_text()[-3000:]}")


@dataclass(frozen=True)
class Viewed:
    """An app as one viewer sees it.

    Attributes
    ----------
    complaints : list of str
        What the page's console calls an error.
    elsewhere : list of str
        Requests to any host but the server: none may be.
    """

    page: Page
    complaints: list[str]
    elsewhere: list[str]


@contextmanager
def viewer(
    browser: Browser,
    served: Served,
    *,
    dark: bool = False,
    width: int = 1000,
    height: int = 800,
    query: str = "",
) -> Iterator[Viewed]:
    """Open an app in a page of its own, and wait until its panel is there."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    page = context.new_page()
    seen = Viewed(page, [], [])
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("console", lambda m: seen.complaints.append(m.text) if m.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            seen.elsewhere.append(request.url)
            if urlsplit(request.url).scheme in ("http", "https", "ws", "wss")
            and urlsplit(request.url).hostname != "127.0.0.1"
            else None
        ),
    )
    try:
        page.goto(f"{served.url}/?token={served.token}{query}")
        page.locator(".modelyard-panel .modelyard-body > *").first.wait_for(timeout=60_000)
        yield seen
    finally:
        context.close()
