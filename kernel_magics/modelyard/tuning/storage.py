"""Optuna's storage: opened with errors in one line, kept quiet, and locked among processes and machines."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from modelyard.catalog import Yard
from modelyard.errors import MissingExtraError, UsageError
from modelyard.evaluation.splitters import first_line

_BUSY_S = 30
_REACH_S = 4  # a server may have an IPv4 and an IPv6 address, and each is tried for so long
_SECRETS = ("password", "sslpassword")
_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_before = optuna.logging.INFO


@dataclass(frozen=True, eq=False)
class OpenStorage:
    """An open storage.

    Attributes
    ----------
    backend : RDBStorage
    shown : str
        Its URL without a password, for people and records; ``env:NAME`` where it was given so.
    in_yard : bool
        Whether it is the project's own file, which only this machine writes.
    lock : context manager
        Held while a trial is asked for or taken over, so that processes never draw the same point: a file
        beside the yard, and on PostgreSQL an advisory lock, which reaches other machines.
    """

    backend: RDBStorage
    shown: str
    in_yard: bool
    lock: AbstractContextManager[Any] = field(repr=False)

    def close(self) -> None:
        """Let go of the database; a later call would open it again."""
        self.backend.remove_session()
        self.backend.engine.dispose()

    def study_names(self) -> list[str]:
        return [str(study.study_name) for study in self.backend.get_all_studies()]


class AdvisoryLock:
    """PostgreSQL's lock of a session: held by one connection of one machine, and let go when that breaks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held = threading.local()
        digest = hashlib.sha256(b"modelyard:studies").digest()
        self._number = int.from_bytes(digest[:8], "big", signed=True)

    def __enter__(self) -> None:
        connection = self._engine.connect()
        try:
            connection.execute(text("SET tcp_keepalives_idle = 30"))  # a machine that vanished lets go soon
            connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": self._number})
            connection.commit()  # the lock is the session's, not the transaction's
        except BaseException:
            connection.invalidate()  # Ctrl-C while it waited: the server lets go of it with the connection
            connection.close()
            raise
        self._held.connection = connection

    def __exit__(self, *_: object) -> None:
        connection = self._held.connection
        try:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": self._number})
            connection.commit()
        except SQLAlchemyError:  # a broken connection holds nothing any more
            connection.invalidate()
        finally:
            connection.close()


def open_storage(yard: Yard, url: str | None) -> OpenStorage:
    """Open the yard's own storage, or the one at an Optuna URL; ``env:NAME`` is the URL in that variable.

    Raises
    ------
    UsageError
        The URL cannot be read, or the database cannot be opened; after some 10 s if it does not answer.
    MissingExtraError
        The driver of the database is not installed.
    """
    if url is not None and not isinstance(url, str):
        raise UsageError(f"storage is an Optuna URL, found {type(url).__name__}; type 'sqlite:///studies.db'")
    address = _address(yard.studies_url if url is None else _given(url))
    shown = url if url is not None and url.startswith("env:") else without_secrets(address)
    yard.folder.mkdir(parents=True, exist_ok=True)
    file_lock = FileLock(yard.folder / "studies.lock")
    kind = address.get_backend_name()
    try:
        with file_lock, _alone_in(address, kind):  # two processes would both make the tables
            backend = RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=_options(kind))
            if kind == "sqlite":
                _sync_at_checkpoints(backend.engine)
    except (ImportError, NoSuchModuleError) as error:
        if kind == "postgresql":
            raise MissingExtraError(
                "storage in PostgreSQL needs its driver, psycopg, which is not installed; "
                "type: pip install 'modelyard[postgres]'"
            ) from error
        raise UsageError(
            f"storage {kind!r} needs a driver that is not installed: {first_line(error)}"
        ) from error
    except (SQLAlchemyError, RuntimeError, OSError) as error:
        said = first_line(getattr(error, "orig", None) or error)
        raise UsageError(f"storage {shown!r} cannot be opened: {said}; check the URL") from error
    lock = AdvisoryLock(backend.engine) if kind == "postgresql" else file_lock
    return OpenStorage(backend, shown, url is None, lock)


def _sync_at_checkpoints(engine: Engine) -> None:
    """Wait for the disk at a write-ahead log's checkpoints, and not twice in each trial.

    What was committed outlives this process in any case; a loss of power may take the last trials, and damages
    nothing (SQLite's manual, "PRAGMA synchronous"). A file without such a log waits as before.
    """

    def connected(connection: Any, _: object) -> None:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(engine, "connect", connected)
    engine.dispose()  # connections that were made before


def without_secrets(address: URL) -> str:
    """Return a URL for people: no password, neither before the host nor among the options.

    >>> without_secrets(make_url("postgresql://ann:secret@db/studies?sslpassword=secret"))
    'postgresql://ann:***@db/studies?sslpassword=***'
    """
    hidden = {name: "***" for name in address.query if name in _SECRETS}
    shown = address.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", "***")


@contextmanager
def _alone_in(address: URL, kind: str) -> Iterator[None]:
    """Hold the lock of a database of which no storage is open yet."""
    if kind != "postgresql":
        yield
        return
    engine = create_engine(address, **_options(kind))
    try:
        with AdvisoryLock(engine):
            yield
    finally:
        engine.dispose()


def _given(url: str) -> str:
    if not url.startswith("env:"):
        return url
    name = url.removeprefix("env:")
    if not os.environ.get(name):
        raise UsageError(f"storage {url!r} names a variable of the environment that is not set; set {name}")
    return os.environ[name]


def _address(url: str) -> URL:
    """Return a URL with the driver that we bring where it names none."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError) as error:  # the URL is not repeated: it may hold a password
        raise UsageError(
            "storage is no database URL; type 'sqlite:///studies.db' or leave it away"
        ) from error
    if address.drivername in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    return address


def _options(kind: str) -> dict[str, Any]:
    if kind == "sqlite":
        return {"connect_args": {"timeout": _BUSY_S}}
    options: dict[str, Any] = {"pool_pre_ping": True}  # a long trial outlives an idle connection
    return options | ({"connect_args": {"connect_timeout": _REACH_S}} if kind == "postgresql" else {})


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's log lines off the screen inside the block; the user's level is put back after the last."""
    global _quiet_depth, _quiet_before
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_before = optuna.logging.get_verbosity()
            optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                optuna.logging.set_verbosity(_quiet_before)
