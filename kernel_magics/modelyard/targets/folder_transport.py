"""Requests to a deployment that is a folder: its own runtime answers them in this process, as on the device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import httpx

from modelyard_device.door import application
from modelyard_device.opening import ABOUT
from modelyard_runtime.bundle_format import BundleError
from modelyard_runtime.doors.asgi import PredictorApp

SCHEME = "folder"
#: Beside a folder that is to answer nobody.
STOPPED = "stopped"

_KEPT = 4
_one_at_a_time = ThreadPoolExecutor(
    1, "modelyard-folder"
)  # a notebook's own thread has an event loop already


def url_of(folder: Path) -> str:
    """Return the URL of a device's folder."""
    return f"{SCHEME}://localhost{quote(str(folder))}"


def folder_of(url: str) -> Path:
    """Return the folder that such a URL, or that of a path within it, names."""
    path = Path(httpx.URL(url).path)
    return next((each for each in (path, *path.parents) if (each / ABOUT).is_file()), path)


class FolderTransport(httpx.BaseTransport):
    """Answers requests by the application of the folder that a URL names."""

    @staticmethod
    def usage(url: str) -> str:
        return f"its files, with a README.md: {httpx.URL(url).path}"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return _one_at_a_time.submit(_answered, request).result()


def _answered(request: httpx.Request) -> httpx.Response:
    import asyncio

    folder = folder_of(str(request.url))
    if folder.with_name(STOPPED).exists():
        raise httpx.ConnectError("it is stopped", request=request)
    try:
        app = _opened(folder, _stamp(folder))
    except (BundleError, OSError) as error:
        raise httpx.ConnectError(str(error), request=request) from None
    path = request.url.path.removeprefix(str(folder)) or "/"
    return asyncio.run(_asked(app, request, path))


async def _asked(app: PredictorApp, request: httpx.Request, path: str) -> httpx.Response:
    content = request.read()
    inner = httpx.Request(
        request.method, f"http://folder{quote(path)}", headers=request.headers, content=content
    )
    response = await httpx.ASGITransport(app=app).handle_async_request(inner)
    body = await response.aread()
    return httpx.Response(response.status_code, headers=response.headers, content=body, request=request)


def _stamp(folder: Path) -> tuple[int, int]:
    found = (folder / ABOUT).stat()
    return found.st_mtime_ns, found.st_ino


@lru_cache(_KEPT)
def _opened(folder: Path, stamp: tuple[int, int]) -> PredictorApp:
    return application(folder)
