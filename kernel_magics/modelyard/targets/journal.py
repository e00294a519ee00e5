"""What was made of which plan, in a file that is written before the next call is made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "calls.jsonl"


@dataclass(frozen=True)
class Made:
    """One call that was made.

    Attributes
    ----------
    digest, says : str
        Of the call.
    named : mapping
        What its answer named.
    back : mapping or None
        The call that takes it back, with everything in its place; ``None`` where there is nothing to take back.
    """

    digest: str
    says: str
    named: Mapping[str, Any]
    back: Mapping[str, Any] | None


class Journal:
    """The calls that were made for one deployment, oldest first.

    A line is a JSON object; one that was cut off as it was written never was.

    Parameters
    ----------
    folder : Path
        Of the deployment, the part that stays when it is replaced.

    Attributes
    ----------
    made : list of Made
        All that has not been taken back.
    newest : list of Made
        Those of the plan that is being carried out, or was last, with all that joined it.
    joined : list of Made
        Those among them that joined it last.
    done, begun, settled : set of str
        Of the plan that is being carried out: digests of calls that were made, begun and waited for.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.made: list[Made] = []
        self.newest: list[Made] = []
        self.joined: list[Made] = []
        self.done: set[str] = set()
        self.begun: set[str] = set()
        self.settled: set[str] = set()
        self._is_complete = True
        self._gap = ""
        if self._path.is_file():
            text = self._path.read_text(encoding="utf-8")
            self._gap = "\n" if text and not text.endswith("\n") else ""
            for line in text.splitlines():
                try:
                    self._take(json.loads(line))
                except ValueError:
                    continue

    @property
    def named(self) -> dict[str, Any]:
        """What all of them named; what was named last counts."""
        return {name: value for made in self.made for name, value in made.named.items()}

    @property
    def is_open(self) -> bool:
        """Whether a plan was begun and not carried out to its end."""
        return not self._is_complete

    def note_begun(self, digest: str) -> None:
        """Note that a call will be made now."""
        self._note({"begun": digest})

    def note_made(self, made: Made) -> None:
        """Note that a call was made."""
        self._note({"made": asdict(made)})

    def note_settled(self, digest: str) -> None:
        """Note that what a call made is as it must be."""
        self._note({"settled": digest})

    def note_joining(self) -> None:
        """Note that the calls that follow belong to the plan before, and are taken back with it."""
        self._note({"joins": True})

    def note_completed(self) -> None:
        """Note that every call of a plan was made."""
        self._note({"completed": True})

    def note_taken_back(self, made: Made) -> None:
        """Note that a call was taken back."""
        self._note({"back": made.digest})

    def _note(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(f"{self._gap}{json.dumps(line)}\n")
            lines.flush()
            os.fsync(lines.fileno())
        self._gap = ""
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        if "completed" in line:
            self._is_complete = True
            self.done, self.begun, self.settled = set(), set(), set()  # another plan may have the same calls
        elif "back" in line:
            self._take_back(line["back"])
        elif "joins" in line:
            self.joined, self.done, self.begun, self.settled = [], set(), set(), set()
            self._is_complete = False
        else:
            if self._is_complete:  # the first line of another plan
                self.newest, self.joined, self.done, self.begun, self.settled = [], [], set(), set(), set()
                self._is_complete = False
            self._take_step(line)

    def _take_step(self, line: dict[str, Any]) -> None:
        if "begun" in line:
            self.begun.add(line["begun"])
        elif "settled" in line:
            self.settled.add(line["settled"])
        else:
            made = Made(**line["made"])
            self.made.append(made)
            self.newest.append(made)
            self.joined.append(made)
            self.done.add(made.digest)

    def _take_back(self, digest: str) -> None:
        last = next((made for made in reversed(self.made) if made.digest == digest), None)
        if last is None:
            return
        self.made.remove(last)
        self.newest = [made for made in self.newest if made is not last]
        self.joined = [made for made in self.joined if made is not last]
        self.done.discard(digest)
        self.settled.discard(digest)
        self._is_complete = self._is_complete or not self.newest
