"""The prediction log read back: whole, or as it grows.

Several processes append to it, each to segments of its own, whose names begin with when they were begun. A segment that
is full is followed by another one, and the oldest is deleted when there is no room: any segment may be gone at any
moment, and the last line of one may be half-written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

#: The folder of the log, in the folder where an endpoint keeps its state.
PREDICTIONS = "predictions"

_ABSENT = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a request with its answer, or feedback; each JSON as it was received or sent, ``b""`` where it is not.

    Attributes
    ----------
    at : float
        When it was noted, in seconds of the epoch.
    """

    at: float
    request: bytes
    answer: bytes
    feedback: bytes


class Logbook:
    """All that is in a prediction log.

    Parameters
    ----------
    folder : Path
        Where the segments are; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """Yield the whole lines that were noted at `since` (seconds of the epoch) or later, oldest segment first.

        Lines of one process are in order; those of several are not, among each other. What is no line of a log, such as
        one that a full disk cut, is passed over.
        """
        for path in _segments(self._folder):
            try:
                if path.stat().st_mtime < since - 1:  # a file system may keep whole seconds only
                    continue
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                for line in file:
                    entry = _entry(line)
                    if entry is not None and entry.at >= since:
                        yield entry


class Follower:
    """Reads a prediction log as it grows.

    Parameters
    ----------
    folder : Path
        Where the segments are; it need not be there yet.
    offsets : mapping of str to int, optional
        Where an earlier follower stopped; from the beginning by default.

    Attributes
    ----------
    offsets : dict of str to int
        Up to which byte each segment was read, by name; plain JSON. Segments that are gone are forgotten.
    """

    def __init__(self, folder: Path, offsets: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self.offsets = dict(offsets or {})
        self._looked_at: dict[str, int] = {}  # up to which byte, a line included that is not whole yet

    def read(self, limit_bytes: int) -> list[Entry]:
        """Return the whole lines that came since the last call, oldest segment first.

        It stops after the line with which it has read `limit_bytes`; the next call goes on there.
        """
        found: list[Entry] = []
        left = limit_bytes
        for name, size in self._sizes().items():
            if left <= 0:
                break
            if size > max(self.offsets.get(name, 0), self._looked_at.get(name, 0)):
                left -= self._read(name, left, found)
        return found

    def behind(self) -> int:
        """Return how many bytes there are that `read` has not looked at."""
        return sum(
            max(0, size - max(self.offsets.get(name, 0), self._looked_at.get(name, 0)))
            for name, size in self._sizes().items()
        )

    def skip_to_end(self) -> int:
        """Pass over everything that is there now; return how many bytes that is."""
        skipped = 0
        for name, size in self._sizes().items():
            skipped += max(0, size - self.offsets.get(name, 0))
            self.offsets[name] = size
        return skipped

    def _read(self, name: str, limit: int, found: list[Entry]) -> int:
        """Add the next lines of one segment to `found`; return how many bytes they have."""
        start = end = self.offsets.get(name, 0)
        try:
            file = (self._folder / name).open("rb")
        except FileNotFoundError:
            return 0
        with file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    self._looked_at[name] = end + len(line)
                    break
                end += len(line)
                entry = _entry(line)
                if entry is not None:
                    found.append(entry)
                if end - start >= limit:
                    break
        self.offsets[name] = end
        return end - start

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of the segments that are there, by name, oldest first; the others are forgotten."""
        sizes = {}
        for path in _segments(self._folder):
            try:
                sizes[path.name] = path.stat().st_size
            except FileNotFoundError:
                continue
        for known in (self.offsets, self._looked_at):
            for name in known.keys() - sizes.keys():
                del known[name]
        return sizes


class _Line(msgspec.Struct, gc=False):
    time: float
    request: msgspec.Raw = _ABSENT
    answer: msgspec.Raw = _ABSENT
    feedback: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Line).decode


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _entry(line: bytes) -> Entry | None:
    """Return what stands in a line, unless it is not whole, or not one of a log."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not len(found.feedback) and not (len(found.request) and len(found.answer)):
        return None
    return Entry(found.time, bytes(found.request), bytes(found.answer), bytes(found.feedback))
