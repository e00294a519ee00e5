"""What a deploy will do, said before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.limits import Limits
from modelyard.presentation import Result, Table


@dataclass(frozen=True, repr=False)
class Plan(Result):
    """The steps of one deploy, and what should be known before they are taken.

    Attributes
    ----------
    steps : tuple of str
        What will be done, in order.
    fit : tuple of str
        Each limit of the place that the bundle breaks; empty where it fits.
    cost : str
        What it costs.
    security : tuple of str
        What is insecure about it.
    files : mapping of str to str
        The files it will write: path to content, or to where the content comes from.
    """

    kind = "plan"

    target: str
    name: str
    bundle: str
    steps: tuple[str, ...]
    cost: str
    fit: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        fits = "fits" if not self.fit else f"does not fit: {self.fit[0]}"
        return f"plan: {self.bundle} to {self.target} as {self.name!r}, {len(self.steps)} steps; it {fits}"

    def table(self) -> Table:
        return Table(("step", "what"), tuple((str(n), step) for n, step in enumerate(self.steps, 1)))

    def notes(self) -> Sequence[str]:
        return (f"cost: {self.cost}", *self.fit, *self.security)

    def payload(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "name": self.name,
            "bundle": self.bundle,
            "steps": list(self.steps),
            "fit": list(self.fit),
            "cost": self.cost,
            "security": list(self.security),
            "files": dict(self.files),
        }


def misfits(limits: Limits, *, unpacked_bytes: int, python: str, architecture: str) -> tuple[str, ...]:
    """Return each limit that a bundle of this size, for this Python and architecture, breaks.

    >>> misfits(Limits("a manual", "2026-01-01", unpacked_bytes=10), unpacked_bytes=11, python="3.11",
    ...         architecture="x86_64")
    ('11 bytes unpacked, the place takes 10 (a manual, 2026-01-01)',)
    >>> misfits(Limits("a manual", "2026-01-01", unpacked_bytes=10), unpacked_bytes=10, python="3.11",
    ...         architecture="x86_64")
    ()
    """
    broken = []
    if limits.unpacked_bytes is not None and unpacked_bytes > limits.unpacked_bytes:
        broken.append(f"{unpacked_bytes} bytes unpacked, the place takes {limits.unpacked_bytes}")
    if limits.pythons is not None and python not in limits.pythons:
        broken.append(f"packaged under Python {python}, the place has {', '.join(limits.pythons)}")
    if limits.architectures is not None and architecture not in limits.architectures:
        broken.append(f"made on {architecture}, the place has {', '.join(limits.architectures)}")
    return tuple(f"{finding} ({limits.source}, {limits.as_of})" for finding in broken)
