"""On which values of another parameter a parameter exists: ``degree: int 2..5 if kernel == poly``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.tuning.parameter import Condition, Parameter


@dataclass(frozen=True)
class Stated:
    """A condition as it was written, before the other parameter is known.

    Attributes
    ----------
    parent : str
    values : tuple
        Python values; a class is named by its name.
    negated : bool
        ``!=`` and ``not in``.
    where : str
        Begins the message of an error, such as ``line 3``.
    """

    parent: str
    values: tuple[Any, ...]
    negated: bool
    where: str


def settle(space: Mapping[str, Parameter], stated: Mapping[str, Stated]) -> dict[str, Parameter]:
    """Return a space with its conditions, parents before what depends on them.

    Raises
    ------
    UsageError
        A condition names a parameter or a value that is not there, a continuous parameter, or a circle.
    """
    settled = {
        name: dataclasses.replace(part, condition=_settled(name, space, stated[name]))
        if name in stated
        else part
        for name, part in space.items()
    }
    return parents_first(settled, {name: each.where for name, each in stated.items()})


def parents_first(
    space: Mapping[str, Parameter], where: Mapping[str, str] | None = None
) -> dict[str, Parameter]:
    """Return a space in an order in which every parameter stands behind the one it depends on."""
    ordered: dict[str, Parameter] = {}
    waiting = dict(space)
    while waiting:
        ready = [
            n for n, part in waiting.items() if part.condition is None or part.condition.parent in ordered
        ]
        if not ready:
            name = next(iter(waiting))
            raise UsageError(
                f"{(where or {}).get(name, 'the space')}: {name!r} depends on itself through {listing(waiting)}; "
                "take one of the conditions out"
            )
        ordered |= {name: waiting.pop(name) for name in ready}
    return ordered


def _settled(name: str, space: Mapping[str, Parameter], stated: Stated) -> Condition:
    parent = space.get(stated.parent)
    if parent is None or stated.parent == name:
        others = [other for other in space if other != name]
        raise UsageError(
            f"{stated.where}: {name!r} depends on {stated.parent!r}, which has no line of its own"
            f"{did_you_mean(stated.parent, others)}; add one above"
        )
    if parent.kind == "float":
        raise UsageError(
            f"{stated.where}: {name!r} depends on {stated.parent!r}, a range of floats; "
            "a condition is on choices or whole numbers"
        )
    named: list[Any] = []
    for value in stated.values:
        matching = [label for label in parent.every() if parent.means(value, label)]
        if not matching:
            shown = [str(label) for label in parent.every()[:12]]
            raise UsageError(
                f"{stated.where}: {stated.parent!r} is never {value!r}{did_you_mean(str(value), shown)}; "
                f"it is one of {', '.join(shown)}"
            )
        named += matching
    chosen = [label for label in parent.every() if (repr(label) in map(repr, named)) != stated.negated]
    if not chosen:
        raise UsageError(f"{stated.where}: the condition of {name!r} is never true; take the line out")
    return Condition(stated.parent, tuple(chosen))
