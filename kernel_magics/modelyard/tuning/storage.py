"""Optuna's storage: opened with errors in one line, kept quiet, and locked among processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from modelyard.catalog import Yard
from modelyard.errors import UsageError
from modelyard.evaluation.splitters import first_line

_BUSY_S = 30
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
        Its URL without a password, for people and records.
    in_yard : bool
        Whether it is the project's own file, which only this machine writes.
    lock : FileLock
        Held while a trial is asked for or taken over, so that processes never draw the same point.
    """

    backend: RDBStorage
    shown: str
    in_yard: bool
    lock: FileLock = field(repr=False)

    def close(self) -> None:
        """Let go of the database; a later call would open it again."""
        self.backend.remove_session()
        self.backend.engine.dispose()

    def study_names(self) -> list[str]:
        return [str(study.study_name) for study in self.backend.get_all_studies()]


def open_storage(yard: Yard, url: str | None) -> OpenStorage:
    """Open the yard's own storage, or the one at an Optuna URL.

    Raises
    ------
    UsageError
        The URL cannot be read, its driver is missing, or the database cannot be opened.
    """
    if url is not None and not isinstance(url, str):
        raise UsageError(f"storage is an Optuna URL, found {type(url).__name__}; type 'sqlite:///studies.db'")
    address = yard.studies_url if url is None else url
    yard.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(yard.folder / "studies.lock")
    try:
        shown = make_url(address).render_as_string(hide_password=True)
        options = {"connect_args": {"timeout": _BUSY_S}} if shown.startswith("sqlite") else {}
        with lock:  # two processes would both make the tables
            backend = RDBStorage(address, engine_kwargs=options)
    except ArgumentError as error:
        raise UsageError(
            f"storage {url!r} is no database URL; type 'sqlite:///studies.db' or leave it away"
        ) from error
    except ImportError as error:
        scheme = address.partition(":")[0]
        raise UsageError(
            f"storage {scheme!r} needs a driver that is not installed: {first_line(error)}"
        ) from error
    except (SQLAlchemyError, RuntimeError) as error:
        raise UsageError(f"storage {shown!r} cannot be opened: {first_line(error)}; check the URL") from error
    return OpenStorage(backend, shown, url is None, lock)


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
