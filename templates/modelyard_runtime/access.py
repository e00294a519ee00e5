"""Who may ask: bearer tokens, of which the server knows only the hashes."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Iterable
from pathlib import Path

HASHES_FILE = "MODELYARD_TOKEN_HASHES"
SWITCH = "MODELYARD_AUTH"

_LOOK_S = 1.0


def token_hash(token: str) -> str:
    """Return what the server keeps of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


class Gate:
    """Decide whether an ``Authorization`` header opens the door.

    Tokens are long random strings, so one round of SHA-256 is enough; comparisons take constant time.

    Parameters
    ----------
    hashes : iterable of str
        Whose tokens are let in.
    is_open : bool
        Let everybody in.
    file : Path, optional
        Where hashes are read from instead, one a line, and read again when it changes: a token that is taken out
        of it is refused a second later, one that is added is let in at once. Nobody is let in while it is missing.
    """

    def __init__(
        self, hashes: Iterable[str] = (), *, is_open: bool = False, file: Path | None = None
    ) -> None:
        self._hashes = tuple(h.encode() for h in hashes)
        self._open = is_open
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._look_at = 0.0
        self._last = b""  # the header that was let in last: nearly always the next one too

    @classmethod
    def from_environment(cls) -> Gate:
        """Take the hashes from the file that ``MODELYARD_TOKEN_HASHES`` names.

        ``MODELYARD_AUTH=off`` opens the door to everybody, for a server behind a gateway that checks. With
        neither, every path but the health checks answers 401: a forgotten setting never publishes a model.
        """
        path = os.environ.get(HASHES_FILE)
        return cls(is_open=os.environ.get(SWITCH) == "off", file=Path(path) if path else None)

    def lets_in(self, authorization: bytes | None) -> bool:
        if self._open:
            return True
        if self._file is not None and time.monotonic() >= self._look_at:
            self._look(self._file)
        if authorization and self._last and hmac.compare_digest(authorization, self._last):
            return True
        if self._is_known(authorization):
            self._last = authorization or b""
            return True
        return False

    def _is_known(self, authorization: bytes | None) -> bool:
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            return False
        found = hashlib.sha256(token.strip()).hexdigest().encode()
        if self._file is None:
            return self._knows(found)
        return self._knows(found) or (self._look(self._file) and self._knows(found))

    def _knows(self, found: bytes) -> bool:
        return any([hmac.compare_digest(found, known) for known in self._hashes])

    def _look(self, file: Path) -> bool:
        """Read the file if it is another one than before; return whether it was."""
        self._look_at = time.monotonic() + _LOOK_S
        try:
            now = file.stat()
            seen = (now.st_mtime_ns, now.st_ino, now.st_size)
            if seen == self._seen:
                return False
            self._hashes = tuple(file.read_bytes().split())
        except OSError:  # gone, or not ours to read: nobody is known
            seen, self._hashes = None, ()
        self._seen, self._last = seen, b""
        return True
