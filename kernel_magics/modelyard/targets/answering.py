"""Whether an endpoint on this machine answers, and with which bundle."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from modelyard.errors import DeploymentError
from modelyard.progress import track
from modelyard.targets.connection import connect

_POLL_S = 0.02
_PROBE_TIMEOUT_S = 2.0


def at(port: int | None) -> str:
    """Return the URL of a loopback port."""
    return f"http://127.0.0.1:{port}"


def ready_digest(port: int) -> str | None:
    """Return the digest that the server on `port` says it has loaded; ``""`` where a stranger answers."""
    try:
        with connect(at(port), _PROBE_TIMEOUT_S) as client:
            response = client.get(f"{at(port)}/readyz")
    except httpx.HTTPError:
        return None
    try:
        return str(response.json()["digest"])
    except (ValueError, KeyError, TypeError):
        return ""


def lets_in(port: int, token: str, within: float) -> bool:
    """Whether the server takes a token, at the latest after so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            with connect(at(port), _PROBE_TIMEOUT_S, {"Authorization": f"Bearer {token}"}) as client:
                if client.get(f"{at(port)}/schema").status_code != 401:
                    return True
        except httpx.HTTPError:
            pass
        time.sleep(_POLL_S)
    return False


def wait_until_ready(
    what: str,
    port: int,
    digest: str,
    timeout: float,
    is_alive: Callable[[], bool],
    last_words: Callable[[], str],
) -> None:
    """Wait until the server on `port` has loaded the bundle with that digest.

    Parameters
    ----------
    what : str
        What is starting, for the display of progress.
    timeout : float
        Seconds.
    is_alive, last_words : callable
        Whether it still runs, and the end of what it said.

    Raises
    ------
    DeploymentError
        It stopped, or did not answer in time.
    """
    deadline = time.monotonic() + timeout
    with track(f"{what} is starting", None, "s") as waiting:
        while ready_digest(port) != digest:
            if not is_alive():
                raise DeploymentError(f"the server stopped before it answered: {last_words()}")
            if time.monotonic() > deadline:
                raise DeploymentError(
                    f"no answer after {timeout:g} s: {last_words()}; a slow machine needs a larger --timeout"
                )
            time.sleep(_POLL_S)
            waiting.advance(0)
