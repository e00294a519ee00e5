"""What a place can hold, as data: the same questions for every target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a place that a bundle can go to; ``None`` means that the place sets none.

    Sizes are in bytes, times in seconds. `source` says where the figures stand and `as_of` when
    somebody last read them there (ISO date).
    """

    source: str
    as_of: str
    unpacked_bytes: int | None = None
    memory_bytes: int | None = None
    request_bytes: int | None = None
    timeout_s: float | None = None
    architectures: tuple[str, ...] | None = None
    pythons: tuple[str, ...] | None = None
    read_only_disk: bool = False
