"""Who may ask: bearer tokens, of which the server knows only the hashes."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

HASHES_FILE = "MODELYARD_TOKEN_HASHES"
SWITCH = "MODELYARD_AUTH"


def token_hash(token: str) -> str:
    """Return what the server keeps of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


class Gate:
    """Decide whether an ``Authorization`` header opens the door.

    Tokens are long random strings, so one round of SHA-256 is enough; comparisons take constant time.
    """

    def __init__(self, hashes: Iterable[str], *, is_open: bool = False) -> None:
        self._hashes = tuple(h.encode() for h in hashes)
        self._open = is_open

    @classmethod
    def from_environment(cls) -> Gate:
        """Read the hashes, one a line, from the file that ``MODELYARD_TOKEN_HASHES`` names.

        ``MODELYARD_AUTH=off`` opens the door to everybody, for a server behind a gateway that checks. With
        neither, every path but the health checks answers 401: a forgotten setting never publishes a model.
        """
        path = os.environ.get(HASHES_FILE)
        lines = Path(path).read_text(encoding="utf-8").split() if path else []
        return cls(lines, is_open=os.environ.get(SWITCH) == "off")

    def lets_in(self, authorization: bytes | None) -> bool:
        if self._open:
            return True
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            return False
        found = hashlib.sha256(token.strip()).hexdigest().encode()
        return any([hmac.compare_digest(found, known) for known in self._hashes])
