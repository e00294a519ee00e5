"""Whether a folder is all there: a list of every file's digest, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelyard_device.errors import NotWholeError

SUMS = "SHA256SUMS"

#: What comes and goes where Python runs.
_NOT_OURS = ("__pycache__",)


def write_sums(folder: Path) -> None:
    """Write the list; it is the last file that is written."""
    fresh = folder / f"{SUMS}.new"
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in _files(folder)]
    fresh.write_text("".join(lines), encoding="utf-8")
    fresh.replace(folder / SUMS)


def check_sums(folder: Path) -> None:
    """Read every file of a folder.

    Raises
    ------
    NotWholeError
        The list is missing, or a file is missing or another one; the message names the first.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotWholeError(
            f"{folder} is not whole: {SUMS} cannot be read ({error}); copy all of it again"
        ) from None
    wrong = [
        name
        for digest, _, name in (line.partition("  ") for line in lines)
        if not _is_so(folder / name, digest)
    ]
    if wrong or not lines:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        first = repr(wrong[0]) if wrong else SUMS
        raise NotWholeError(
            f"{folder} is not whole: {first} is missing or was changed{more}; copy all of it again"
        )


def _is_so(path: Path, digest: str) -> bool:
    return path.is_file() and _digest(path) == digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(SUMS) and not set(path.parts) & set(_NOT_OURS)
    ]
