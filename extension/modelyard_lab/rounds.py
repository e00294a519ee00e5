"""One thread that looks at the project a few times a second, and sets off what is due."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from modelyard.catalog import Record, Yard
from modelyard.errors import ModelyardError
from modelyard_lab.events import CHANGED, Bus
from modelyard_lab.health import HealthBoard
from modelyard_lab.listing import Seen, listing, read_records
from modelyard_lab.notices import Notice, Notices
from modelyard_lab.supervision import Supervisor
from modelyard_lab.workspace import Workspace
from modelyard_router.policy import POLICY

_TICK_S = 0.25

Records = dict[str, tuple[Record, ...]]


class Rounds:
    """Keeps what is known of a project up to date, and tells the page of changes.

    Parameters
    ----------
    workspace : Workspace
    bus : Bus
    log : Logger
        The server's.
    """

    def __init__(self, workspace: Workspace, bus: Bus, log: logging.Logger) -> None:
        self._workspace, self._bus, self._log = workspace, bus, log
        self._again = threading.Event()
        self._over = threading.Event()
        self.board = HealthBoard(self._again.set)
        self.supervisor = Supervisor(self._attempted)
        self._notices = Notices(workspace)
        self._stamp: tuple[Any, ...] | None = None
        self._records: Records | None = None
        self._told: dict[str, Any] | None = None
        self._fault = ""
        self._failures: dict[str, str] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, name="modelyard", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    @property
    def seen(self) -> Seen:
        """What is known of deployments beyond their records."""
        return Seen(self.board.of, lambda name: self.board.meter(name).drift(), self._care)

    def _care(self, name: str) -> dict[str, Any]:
        told = self.supervisor.told(name)
        failure = told["failure"]
        return told | {"failure": None if failure is None else self._workspace.plain(failure)}

    def _run(self) -> None:
        while not self._over.wait(_TICK_S) and not self._bus.is_closed:
            try:
                self._round()
            except ModelyardError as error:  # a catalog that cannot be read: said once, and looked at again
                self._say_fault(str(error))
            except Exception:  # noqa: BLE001  # a mistake of ours must not end the supervision without a word
                self._log.exception("modelyard: a look at the project failed")

    def _say_fault(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._log.warning("modelyard: %s", fault)

    def _round(self) -> None:
        yard = self._workspace.yard
        stamp = _stamp(yard)
        changed = stamp != self._stamp
        if changed or self._records is None:
            self._records = read_records(yard)
            self._stamp = stamp  # what is written while this reads is read in the next round
        deployments = self._records["deployments"]
        heard = self._again.is_set()
        self._again.clear()
        if changed or heard:
            names = {record.name for record in deployments}
            self.board.keep(names)
            self.supervisor.keep(names)
            self._tell(yard, self._records)
        for record in deployments:
            self.board.ask_if_due(yard, record)
            self.supervisor.look(yard, record, self.board.of(record.name))

    def _tell(self, yard: Yard, records: Records) -> None:
        now = listing(self._workspace, records, self.seen)
        if now != self._told:
            self._told = now
            self._bus.tell(CHANGED)
        for notice in self._notices.look(yard, records):
            self._bus.tell(notice.told())

    def _attempted(self, name: str, well: bool, words: str) -> None:
        self._log.warning("modelyard: deployment %r: %s", name, words)
        self.board.hurry(name)
        if words != self._failures.get(name):  # the same again is in the listing, and would only disturb
            notice = Notice("restarted" if well else "restart-failed", name, self._workspace.plain(words))
            self._bus.tell(notice.told())
        self._failures[name] = "" if well else words
        self._again.set()


def _stamp(yard: Yard) -> tuple[Any, ...]:
    """Return what is another one after each write to the catalog or to a policy."""
    files = [yard.folder / "yard.sqlite", yard.folder / "yard.sqlite-wal"]
    files += sorted((yard.folder / "deployments").glob(f"*/{POLICY}"))
    return (yard.root, *(_stamp_of(file) for file in files))


def _stamp_of(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (str(file), found.st_mtime_ns, found.st_size, found.st_ino)
