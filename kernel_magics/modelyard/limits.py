"""What a place can hold, as data: the same questions for every target."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """The limits of a place that a bundle can go to; ``None`` means that the place sets none.

    Sizes are in bytes, times in seconds.

    Attributes
    ----------
    source, as_of : str
        Where the figures stand, and when somebody last read them there (ISO date).
    unpacked_bytes, packed_bytes : int or None
        What it takes of files, as they are and as they are sent.
    model_bytes : int or None
        What it takes of the model's own file.
    memory_bytes : int or None
        The memory of one process with its children, as resident pages.
    request_bytes, response_bytes : int or None
        The body of a request and of its answer.
    timeout_s, startup_s : float or None
        How long one answer may take, and how long a start may, until it can answer.
    architectures, pythons : tuple of str or None
        Such as ``x86_64``, ``arm64`` and ``3.13``.
    read_only_disk : bool
        Whether nothing can be written, but beneath `writable`.
    writable : tuple of str
        The folders that can be written nevertheless.
    network : bool
        Whether it may open connections to elsewhere.
    name_length : int or None
        The most characters of a deployment's name.
    """

    source: str
    as_of: str
    unpacked_bytes: int | None = None
    packed_bytes: int | None = None
    model_bytes: int | None = None
    memory_bytes: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    timeout_s: float | None = None
    startup_s: float | None = None
    architectures: tuple[str, ...] | None = None
    pythons: tuple[str, ...] | None = None
    read_only_disk: bool = False
    writable: tuple[str, ...] = ()
    network: bool = True
    name_length: int | None = None

    @property
    def has_any(self) -> bool:
        """Whether the place sets a limit at all."""
        return replace(self, source="", as_of="") != Limits("", "")
