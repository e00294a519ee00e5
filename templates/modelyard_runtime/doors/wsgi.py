"""The same application for WSGI servers, through a2wsgi.

``gunicorn --pythonpath BENTO/src/runtime 'modelyard_runtime.doors.wsgi:application()'`` serves a bundle; it
may also be mounted below a path of another application. The token is checked there as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from a2wsgi import ASGIMiddleware

from modelyard_runtime.doors import asgi

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Callback = Callable[[Environ, StartResponse], Iterable[bytes]]


def create(app: asgi.Application) -> Callback:
    """Return a WSGI callable that answers as `app` does, under whichever path it is mounted."""
    answer: Any = ASGIMiddleware(app)  # type: ignore[arg-type]  # it wants its own names for the same types

    def called(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # a2wsgi puts the mounting path before the path, and ours are exact
        found: Iterable[bytes] = answer({**environ, "SCRIPT_NAME": ""}, start_response)
        return found

    return called


def application() -> Callback:
    """Return the callable for the bundle that `asgi.opened` finds."""
    return create(asgi.application())
