"""What a deploy will do, said before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.presentation import Result, Table
from modelyard.targets.calls import Call
from modelyard.targets.cost import Cost
from modelyard.targets.fitting import Fit


@dataclass(frozen=True, repr=False)
class Plan(Result):
    """The steps of one deploy, and what should be known before they are taken.

    Attributes
    ----------
    steps : tuple of str
        What will be done, in order.
    fit : Fit or None
        The limits of the place, and whether the bundle keeps them; ``None`` until somebody has looked.
    cost : Cost
        What it costs.
    scaling : str
        What answers when more ask at once, and when nobody does.
    security : tuple of str
        What is insecure about it.
    files : mapping of str to str
        The files it will write: path to content, or to where the content comes from.
    calls : tuple of Call
        The calls that it will make of services, in order; asking how far one of them is comes beside.
    changes : tuple of str
        What is live now and will be otherwise; empty where nothing is live.
    undo : tuple of str
        What ``undo`` will do after it.
    options : mapping
        All options of the target, with which `deploy` does just this.
    """

    kind = "plan"

    target: str
    name: str
    bundle: str
    steps: tuple[str, ...]
    cost: Cost
    scaling: str = "not said"
    fit: Fit | None = None
    security: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    changes: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        fits = "fits" if self.fit is None or self.fit.ok else f"does not fit: {self.fit.broken[0]}"
        return f"plan: {self.bundle} to {self.target} as {self.name!r}, {len(self.steps)} steps; it {fits}"

    def table(self) -> Table:
        return Table(("step", "what"), tuple((str(n), step) for n, step in enumerate(self.steps, 1)))

    def notes(self) -> Sequence[str]:
        return (
            *(f"changes {change}" for change in self.changes),
            f"cost: {self.cost}",
            f"scaling: {self.scaling}",
            *(self.fit.notes() if self.fit else ()),
            *self.security,
            *(f"undo: {step}" for step in self.undo),
        )

    def payload(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "name": self.name,
            "bundle": self.bundle,
            "steps": list(self.steps),
            "fit": self.fit.payload() if self.fit else None,
            "cost": self.cost.payload(),
            "scaling": self.scaling,
            "security": list(self.security),
            "files": dict(self.files),
            "calls": [call.payload() for call in self.calls],
            "changes": list(self.changes),
            "undo": list(self.undo),
        }
