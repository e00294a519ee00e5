"""What a gate found in a file of a bundle, and what its author can do about it."""

from __future__ import annotations

from dataclasses import dataclass

ELSEWHERE = "read it from the environment where it runs, or leave it out of what the model reaches"
OF_DATA = "leave that column out of X or blank the value, then fit and package again"


@dataclass(frozen=True)
class Finding:
    """What was found in one file; `where` is already worded for a message."""

    file: str
    where: str
    what: str
    advice: str
