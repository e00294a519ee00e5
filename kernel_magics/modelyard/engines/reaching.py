"""Whether a cluster answers at an address: asked by itself, since clients retry for minutes."""

from __future__ import annotations

import socket

from modelyard.errors import EngineError

_PATIENCE_S = 5.0


def check_reachable(address: str, what: str) -> None:
    """Raise EngineError unless something listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error) or "no answer"
        raise EngineError(
            f"no {what} answers at {address} ({said}); start it, or mend the address"
        ) from error
