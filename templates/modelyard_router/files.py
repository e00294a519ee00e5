"""Small files that others read at any moment: replaced at one stroke."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Put a file in the place of the one before; a reader sees either, and never a part.

    Parameters
    ----------
    durable : bool
        Have it on the disk when this returns.

    Raises
    ------
    OSError
        It cannot be written; the one before is still there.
    """
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
