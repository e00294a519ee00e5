"""What a scoring has answered so far, on disk: a killed run goes on after its last whole part.

``scored.parquet.parts/`` holds the answers in ``part-000000.parquet``, ``part-000001.parquet``, …, each written aside,
flushed to the disk and renamed, and ``plan.json``: which input, which model, which options they belong to.
The columns that are kept of the input are not in the parts; they are read again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from modelyard.batch.chunks import ERROR, Answers
from modelyard.errors import NameTakenError, UsageError

_FORMAT = 1
_ROWS = 131_072
_SECONDS = 5.0
_FLAGGED = b"modelyard.flagged"


class Ledger:
    """The answers to the first rows of one input, kept beside the output.

    Parameters
    ----------
    out : Path
        Where the scored file will be.
    plan : dict
        What a run must have in common with an earlier one to go on with its answers.
    restart : bool
        Throw away what an earlier run left.

    Raises
    ------
    UsageError
        An earlier run with another plan left answers here, or another run writes them now.
    NameTakenError
        The output exists, and no unfinished run is there to go on with.
    """

    def __init__(self, out: Path, plan: dict[str, Any], restart: bool) -> None:
        self._folder = out.with_name(f"{out.name}.parts")
        self._plan = {"format": _FORMAT, **plan}
        if out.exists() and not restart and not (self._folder / "plan.json").exists():
            raise NameTakenError(
                f"{out} exists already; choose another --out, or type --restart to replace it"
            )
        self._folder.mkdir(exist_ok=True)
        self._lock = FileLock(self._folder / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise UsageError(
                f"another run is writing {out} now; wait for it, or choose another --out"
            ) from None
        self.flagged: Counter[str] = Counter()
        self.rows = self.refused = 0
        self.is_published = False
        self._known: list[tuple[int, int, Path]] = []  # first row, how many, file
        self._open: tuple[int, pa.Table] | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_flagged: Counter[str] = Counter()
        self._saved = time.monotonic()
        try:
            self._take_up(out, restart)
        except BaseException:
            self._lock.release()
            raise

    @property
    def unfinished(self) -> Path:
        """Where the output grows until it is whole."""
        return self._folder / "whole.parquet"

    def _take_up(self, out: Path, restart: bool) -> None:
        stated = self._folder / "plan.json"
        if not restart and stated.exists():
            found = _parsed(stated)
            changed = [key for key in self._plan if found.get(key) != self._plan[key]]
            if changed:
                raise UsageError(
                    f"{self._folder} holds the answers of an unfinished run with another "
                    f"{' and another '.join(changed)}; type --restart to throw them away, or choose another --out"
                )
            self._count()
            return
        for path in self._folder.glob("part-*"):
            path.unlink()
        _written(stated, json.dumps(self._plan, indent=1, ensure_ascii=False).encode())

    def _count(self) -> None:
        for number, path in enumerate(sorted(self._folder.glob("part-*.parquet"))):
            if path.name != f"part-{number:06d}.parquet":
                break
            with pq.ParquetFile(path) as part:
                rows = part.metadata.num_rows
                said = (part.schema_arrow.metadata or {}).get(_FLAGGED, b"{}")
                errors = part.read([ERROR]).column(0)
            self._known.append((self.rows, rows, path))
            self.rows += rows
            self.refused += rows - errors.null_count
            self.flagged.update(json.loads(said))

    def recall(self, start: int, rows: int) -> pa.RecordBatch | None:
        """Return the answers to the row `start` and those after it, `rows` at most; ``None`` where there are none."""
        if self._open is None or not self._open[0] <= start < self._open[0] + len(self._open[1]):
            place = next((p for p in self._known if p[0] <= start < p[0] + p[1]), None)
            if place is None:
                return None
            self._open = (place[0], pq.read_table(place[2]).combine_chunks())
        first, table = self._open
        (batch,) = table.slice(start - first, rows).replace_schema_metadata(None).to_batches()
        return batch

    def keep(self, answers: Answers) -> None:
        """Take the answers to the next rows; they are on the disk once there are enough of them."""
        self._pending.append(answers.batch)
        self._pending_flagged.update(answers.flagged)
        count = sum(batch.num_rows for batch in self._pending)
        if count >= _ROWS or time.monotonic() - self._saved > _SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is pending as one more part."""
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending)
        said = {_FLAGGED: json.dumps(self._pending_flagged).encode()}
        path = self._folder / f"part-{len(self._known):06d}.parquet"
        fresh = path.with_suffix(".new")
        pq.write_table(table.replace_schema_metadata(said), fresh, compression="none", use_dictionary=False)
        _on_disk(fresh)
        fresh.replace(path)
        _on_disk(self._folder)
        self._known.append((self.rows, len(table), path))
        self.rows += len(table)
        self.refused += len(table) - table.column(ERROR).null_count
        self.flagged.update(self._pending_flagged)
        self._pending, self._pending_flagged = [], Counter()
        self._saved = time.monotonic()

    def publish(self, out: Path) -> None:
        """Put the whole file in its place, and take the parts away."""
        _on_disk(self.unfinished)
        self.unfinished.replace(out)
        self.is_published = True
        _on_disk(out.parent)
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def leave(self) -> None:
        """Leave the parts for the next run; a folder in which nothing was kept is taken away."""
        self._lock.release()
        self.unfinished.unlink(missing_ok=True)
        if not self._known:
            shutil.rmtree(self._folder, ignore_errors=True)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _written(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    _on_disk(fresh)
    fresh.replace(path)


def _on_disk(path: Path) -> None:
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
