"""Amounts with their units, as people type them and as results show them: ``1ms``, ``200kB``."""

from __future__ import annotations

import math
import re

from modelyard.errors import UsageError, did_you_mean

_AMOUNT = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[a-zA-Zµμ]*)")
_MICROSECONDS = {"us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3, "s": 1e6}
_BYTES = {
    "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30,
}  # fmt: skip


def as_microseconds(amount: str | float, what: str) -> float:
    """Return a time, given as ``1ms``, ``250us``, ``0.5s``, or as a number of microseconds.

    Parameters
    ----------
    amount : str or float
    what : str
        What it is of, for the message: ``budget_latency``.

    Raises
    ------
    UsageError
        It has no unit, another one, or is not above 0.

    Examples
    --------
    >>> as_microseconds("1.5ms", "budget_latency"), as_microseconds(250, "budget_latency")
    (1500.0, 250.0)
    """
    return _read(amount, what, _MICROSECONDS, "microseconds", ("1ms", "250us"))


def as_bytes(amount: str | float, what: str) -> float:
    """Return a size, given as ``200kB`` (1,000 bytes each), ``2MiB`` (1,048,576), or as a number of bytes.

    Raises
    ------
    UsageError
        It has no unit, another one, or is not above 0.

    Examples
    --------
    >>> as_bytes("200kB", "budget_size"), as_bytes(4096, "budget_size")
    (200000.0, 4096.0)
    """
    return _read(amount, what, _BYTES, "bytes", ("200kB", "2MB"))


def _read(
    amount: str | float, what: str, units: dict[str, float], plain: str, examples: tuple[str, str]
) -> float:
    typed = f"type {examples[0]} or {examples[1]}"
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        raise UsageError(f"{what} is an amount with its unit, found {amount!r}; {typed}")
    if isinstance(amount, str):
        found = _AMOUNT.fullmatch(amount.strip())
        if found is None:
            raise UsageError(f"{what} is an amount with its unit, found {amount!r}; {typed}")
        unit = found["unit"].lower()
        if unit not in units:
            said = f"has the unit {found['unit']!r}{did_you_mean(unit, units)}" if unit else "has no unit"
            raise UsageError(f"{what} {said}, found {amount!r}; {typed}")
        value = float(found["number"]) * units[unit]
    else:
        value = float(amount)
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} must be above 0 {plain}, found {amount!r}; {typed}")
    return value


def time_text(microseconds: float) -> str:
    """Return a time as people read it.

    >>> time_text(41.26), time_text(1530), time_text(2.5e6)
    ('41.3 µs', '1.53 ms', '2.5 s')
    """
    return _text(microseconds, (("s", 1e6), ("ms", 1e3), ("µs", 1.0)))


def size_text(size: float) -> str:
    """Return a size in bytes as people read it.

    >>> size_text(812), size_text(48_300), size_text(3.21e6)
    ('812 B', '48.3 kB', '3.21 MB')
    """
    return _text(size, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)))


def _text(value: float, scale: tuple[tuple[str, float], ...]) -> str:
    if value != value:
        return "–"
    unit, size = next(((unit, size) for unit, size in scale if value >= size), scale[-1])
    return f"{value / size:.3g} {unit}"
