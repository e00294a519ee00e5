"""One way to open a client to an endpoint, also to one that speaks no HTTP."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

import httpx

from modelyard.registry import transports

_OF_HTTP = ("http", "https")


class Way(Protocol):
    """What carries requests to endpoints whose URL has another scheme than http; registered under that scheme.

    A class that is one is an `httpx.BaseTransport`, made without arguments; one entry-point line in the group
    ``modelyard.transports`` registers it. The paths are those of every door.
    """

    @staticmethod
    def usage(url: str) -> str:
        """Return how people ask such an endpoint without modelyard, in one line."""
        ...


def connect(url: str, timeout: float, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """Return a client of whatever answers at `url`; it uses no proxy, and checks certificates of https.

    Reading this machine's certificates takes 30 ms, which plain HTTP is spared.

    Parameters
    ----------
    timeout : float
        Seconds.

    Raises
    ------
    UnknownNameError, MissingExtraError
        Nothing that is installed reaches URLs of that scheme.
    """
    scheme = _scheme(url)
    if scheme not in _OF_HTTP:
        return httpx.Client(transport=transports[scheme](), timeout=timeout, headers=headers)
    verify = _certificates() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(trust_env=False, timeout=timeout, headers=headers, verify=verify)


def usage(url: str, header_file: Path) -> str:
    """Return how people ask an endpoint without modelyard, in one line."""
    scheme = _scheme(url)
    if scheme not in _OF_HTTP:
        return str(transports[scheme].usage(url))
    return f"from the shell: curl -H @{header_file} {url}/schema"


def _scheme(url: str) -> str:
    return url.partition(":")[0]


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
