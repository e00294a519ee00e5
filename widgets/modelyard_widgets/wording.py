"""Figures as people read them: a number, or a dash where there is none, and the ends of an interval."""

from __future__ import annotations

from modelyard.presentation import number


def number_text(value: float | None) -> str:
    """Return a number, or a dash.

    >>> number_text(0.98765), number_text(None)
    ('0.9877', '–')
    """
    return "–" if value is None else number(value)


def ends_text(low: float | None, high: float | None) -> str:
    """Return the ends of an interval, or a dash.

    >>> ends_text(0.25, 0.5), ends_text(None, 0.5)
    ('0.25 to 0.5', '–')
    """
    return "–" if low is None or high is None else f"{number(low)} to {number(high)}"


def interval_text(low: float | None, high: float | None) -> str:
    """Return what stands below a figure: its 95 % interval, or nothing.

    >>> interval_text(0.25, 0.5), interval_text(0.25, None)
    ('95 %: 0.25 to 0.5', '')
    """
    return "" if low is None or high is None else f"95 %: {ends_text(low, high)}"
