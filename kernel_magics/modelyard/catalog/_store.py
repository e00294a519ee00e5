"""The project's one SQLite file: small records by kind and name, beside Optuna's own tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from modelyard.catalog._disks import on_network_disk
from modelyard.catalog._origins import session_notebook
from modelyard.catalog._project import FOLDER, find_root
from modelyard.errors import CatalogError, NameTakenError, UnknownNameError, did_you_mean, listing

Kind = Literal["evaluation", "study", "compression", "bundle", "deployment"]

_FILE = "yard.sqlite"
_BUSY_S = 30
_TABLES = """
CREATE TABLE IF NOT EXISTS yard_records (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    created TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (kind, name)
)
"""
# beside the records and not in them: a record holds what its stage wrote, and nothing else
_ORIGINS = """
CREATE TABLE IF NOT EXISTS yard_origins (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    notebook TEXT NOT NULL,
    PRIMARY KEY (kind, name)
)
"""


@dataclass(frozen=True)
class Record:
    """One thing that exists: its kind, its name, when it came (ISO 8601, UTC), and what is known of it."""

    kind: Kind
    name: str
    created: str
    payload: dict[str, Any]


class Yard:
    """The catalog of one project; each call is one short transaction, safe among processes.

    Every method raises `CatalogError` where the file cannot be read or written, such as on a full disk.

    Attributes
    ----------
    root : Path
        The project's root.
    folder : Path
        Its ``.modelyard/``, made on first use and ignored by git.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER

    @property
    def studies_url(self) -> str:
        """The default Optuna storage: tables of its own in the same file."""
        with self._told("written"):
            self._prepare()
        return f"sqlite:///{self.folder / _FILE}"

    def deployment_folder(self, name: str) -> Path:
        return self.folder / "deployments" / name

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say in one line what an operating system or SQLite says of the file."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise CatalogError(
                f"the project's catalog cannot be {what}: {error}; look at the disk of {self.folder}"
            ) from error

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        if not (self.folder / _FILE).exists():
            self._make()

    def _make(self) -> None:
        """Give the file its name when it is whole: its journal cannot be chosen while others use it."""
        from filelock import FileLock

        fresh = self.folder / f"{_FILE}.new"
        with FileLock(self.folder / "yard.lock"):
            if (self.folder / _FILE).exists():
                return
            for left in self.folder.glob(f"{fresh.name}*"):  # by a process that was killed
                left.unlink()
            with closing(sqlite3.connect(fresh)) as connection:
                if not on_network_disk(
                    self.folder
                ):  # a write-ahead log wants memory that all processes share
                    connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(_TABLES)
            fresh.rename(self.folder / _FILE)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / _FILE, timeout=_BUSY_S)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._told("written"):
            self._prepare()
            with closing(self._connect()) as connection, connection:
                connection.execute(_TABLES)
                connection.execute("BEGIN IMMEDIATE")
                yield connection

    def record(self, kind: Kind, name: str, payload: dict[str, Any]) -> Record:
        """Write a record, over one of the same kind and name; its first date stays."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO yard_records VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, name) DO UPDATE SET payload = excluded.payload",
                (kind, name, now, json.dumps(payload)),
            )
            self._note_origin(connection, kind, name)
        return self.get(kind, name)

    def claim(self, kind: Kind, name: str, payload: dict[str, Any]) -> Record:
        """Write a record under a name that is free.

        Raises
        ------
        NameTakenError
            A record of that kind and name exists.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with self._transaction() as connection:
                connection.execute(
                    "INSERT INTO yard_records VALUES (?, ?, ?, ?)", (kind, name, now, json.dumps(payload))
                )
                self._note_origin(connection, kind, name)
        except sqlite3.IntegrityError as error:
            raise NameTakenError(f"a {kind} named {name!r} exists already; choose another name") from error
        return self.get(kind, name)

    def add_numbered(self, kind: Kind, stem: str, payload: dict[str, Any]) -> Record:
        """Write a record named ``STEM-N``, N being one more than the highest there is."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT name FROM yard_records WHERE kind = ? AND name GLOB ?", (kind, f"{stem}-[0-9]*")
            )
            numbers = [int(tail) for (name,) in rows if (tail := name[len(stem) + 1 :]).isdigit()]
            name = f"{stem}-{max(numbers, default=0) + 1}"
            connection.execute(
                "INSERT INTO yard_records VALUES (?, ?, ?, ?)", (kind, name, now, json.dumps(payload))
            )
            self._note_origin(connection, kind, name)
        return self.get(kind, name)

    def _note_origin(self, connection: sqlite3.Connection, kind: Kind, name: str) -> None:
        notebook = session_notebook(self.root)
        if notebook is not None:  # the first one stays, as the first date does
            connection.execute(_ORIGINS)
            connection.execute("INSERT OR IGNORE INTO yard_origins VALUES (?, ?, ?)", (kind, name, notebook))

    def notebooks(self) -> dict[tuple[Kind, str], str]:
        """Return the notebook that made each record, from the project's root, where one did; by kind and name."""
        if not (self.folder / _FILE).exists():
            return {}
        with self._told("read"), closing(self._connect_to_read()) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'yard_origins'").fetchall():
                return {}
            rows = connection.execute("SELECT kind, name, notebook FROM yard_origins").fetchall()
        return {(kind, name): notebook for kind, name, notebook in rows}

    def records(self, kind: Kind) -> tuple[Record, ...]:
        """Return all records of a kind, oldest first; none, and nothing made, where no yard is."""
        if not (self.folder / _FILE).exists():
            return ()
        with self._told("read"):
            try:
                rows = self._rows(kind)
            except sqlite3.OperationalError:
                ahead = Path(f"{self.folder / _FILE}-wal")
                if ahead.exists() and ahead.stat().st_size:
                    raise
                rows = self._rows(kind, "?immutable=1")  # a full disk has no room for what readers share
        return tuple(Record(k, name, created, json.loads(payload)) for k, name, created, payload in rows)

    def _connect_to_read(self, how: str = "?mode=ro") -> sqlite3.Connection:
        address = f"{(self.folder / _FILE).absolute().as_uri()}{how}"
        return sqlite3.connect(address, timeout=_BUSY_S, uri=True)

    def _rows(self, kind: Kind, how: str = "?mode=ro") -> list[tuple[Kind, str, str, str]]:
        with closing(self._connect_to_read(how)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'yard_records'").fetchall():
                return []
            return connection.execute(
                "SELECT kind, name, created, payload FROM yard_records WHERE kind = ? ORDER BY created, rowid",
                (kind,),
            ).fetchall()

    def find(self, kind: Kind, name: str) -> Record | None:
        return next((record for record in self.records(kind) if record.name == name), None)

    def get(self, kind: Kind, name: str) -> Record:
        """Return one record.

        Raises
        ------
        UnknownNameError
            There is none of that kind and name.
        """
        found = self.find(kind, name)
        if found is None:
            known = [record.name for record in self.records(kind)]
            raise UnknownNameError(
                f"no {kind} named {name!r} in {self.root}; there: {listing(known)}{did_you_mean(name, known)}"
            )
        return found

    def delete(self, kind: Kind, name: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM yard_records WHERE kind = ? AND name = ?", (kind, name))
            connection.execute(_ORIGINS)
            connection.execute("DELETE FROM yard_origins WHERE kind = ? AND name = ?", (kind, name))


def open_yard(start: Path | None = None) -> Yard:
    """Return the catalog of the project that holds `start` (the working directory by default)."""
    return Yard(find_root(start))
