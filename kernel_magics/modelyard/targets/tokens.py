"""The user's copy of each endpoint's token: in the user's own configuration, never in the project."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.catalog import user_config
from modelyard.errors import DeploymentError
from modelyard_runtime.access import token_hash

#: What a record says of its `before`: the token was changed since, so that this one asks for the one before.
STALE = "stale"

_PREFIX = "Authorization: Bearer "


def header_file(root: Path, name: str) -> Path:
    """Return the file (mode 0600) that holds one header line, as ``curl -H @FILE`` reads it."""
    project = hashlib.sha256(str(root).encode()).hexdigest()[:12]
    folder = user_config() / "tokens"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{project}-{name}"


def make_token(root: Path, name: str) -> str:
    """Return the token of deployment `name`: the one that is there, else a new one of 256 random bits."""
    path = header_file(root, name)
    return read_token(root, name) if path.exists() else _new_token(path)


@contextmanager
def renewed_token(root: Path, name: str) -> Iterator[str]:
    """Put a new token in the place of the one that is there; it is put back if what follows fails."""
    path = header_file(root, name)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    try:
        yield _new_token(path)
    except BaseException:
        if before is None:
            forget_token(root, name)
        else:
            _write(path, before)
        raise


def _new_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    _write(path, f"{_PREFIX}{token}\n")
    return token


def _write(path: Path, text: str) -> None:
    """Write a file that is the user's alone from its first moment, and whole or not there."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


def read_token(root: Path, name: str) -> str:
    """Return the token.

    Raises
    ------
    DeploymentError
        This user has none for that deployment.
    """
    path = header_file(root, name)
    try:
        return path.read_text(encoding="utf-8").removeprefix(_PREFIX).strip()
    except FileNotFoundError:
        raise DeploymentError(
            f"no token of deployment {name!r} in {path.parent}; the user who deployed it has it, "
            "or deploy it again with --replace"
        ) from None


def write_hash(path: Path, token: str) -> None:
    """Put the token's hash in the place of the one before, at one stroke: the server reads it at any moment."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(token_hash(token) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def forget_token(root: Path, name: str) -> None:
    header_file(root, name).unlink(missing_ok=True)
