"""What is asked of a contract: checked column by column, and told in words."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from modelyard.errors import UnknownNameError, UsageError, did_you_mean
from modelyard.packaging.contract_view import in_range, texts
from modelyard_runtime.contract import POLICIES, Column, Contract, Policy

_NAMED = 6


@dataclass(frozen=True)
class Change:
    """What is asked of a contract.

    Attributes
    ----------
    policy : {"flag", "clip", "reject"} or mapping of column to policy, optional
        For all columns, or for some.
    allow : mapping of column to (low, high), or to its categories
    nullable : mapping of column to bool
    """

    policy: str | Mapping[str, str] | None = None
    allow: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    nullable: Mapping[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.policy or self.allow or self.nullable)

    @property
    def named(self) -> frozenset[str]:
        """The columns whose policy or values are asked for by name."""
        return frozenset((*self._policies, *self.allow))

    @property
    def _policies(self) -> Mapping[str, str]:
        return self.policy if isinstance(self.policy, Mapping) else {}

    def applied(self, contract: Contract, learned: Contract, tag: str) -> Contract:
        """Return `contract` with the change made.

        Parameters
        ----------
        contract : Contract
            What holds now.
        learned : Contract
            What was proven when the model was packaged: a null may be allowed again where that allows it.
        tag : str
            The bundle, for the messages.

        Raises
        ------
        UnknownNameError
            A column that is not there.
        UsageError
            No policy, no range, no categories, or not of that column's type.
        """
        for given in (self._policies, self.allow, self.nullable):
            if not isinstance(given, Mapping):
                raise UsageError(f"a mapping of column to value belongs here, found {type(given).__name__}")
            for name in given:
                if name not in contract.names:
                    raise UnknownNameError(
                        f"{tag} has no column {name!r}{did_you_mean(str(name), contract.names)}; "
                        f"it has: {_listed(contract.names)}"
                    )
        for policy in self._policies.values() if isinstance(self.policy, Mapping) else (self.policy,):
            if policy is not None and policy not in POLICIES:
                raise UsageError(
                    f"no policy {policy!r}; choose reject, clip or flag{did_you_mean(str(policy), POLICIES)}"
                )
        pairs = zip(contract.columns, learned.columns, strict=True)
        return Contract(tuple(self._column(column, proven, tag) for column, proven in pairs))

    def _column(self, column: Column, proven: Column, tag: str) -> Column:
        general = column.policy if self.policy is None or isinstance(self.policy, Mapping) else self.policy
        column = replace(column, policy=cast(Policy, self._policies.get(column.name, general)))
        if column.name in self.allow:
            column = _allowing(column, self.allow[column.name])
        if (null := self.nullable.get(column.name)) is None:
            return column
        if not isinstance(null, bool):
            raise UsageError(f"column {column.name!r} is nullable or not: True or False, found {null!r}")
        if null and not proven.nullable:
            raise UsageError(
                f"no golden row of {tag} has a null in {column.name!r}, so that the model takes one is not proven; "
                "package the model again, with such rows in X"
            )
        return replace(column, nullable=null)


def _allowing(column: Column, values: Any) -> Column:
    if column.dtype == "category":
        raise UsageError(
            f"column {column.name!r} is of the dtype category, whose values belong to the model itself; "
            "give them to the training table and package the model again"
        )
    given = [] if isinstance(values, str) or not isinstance(values, Collection) else list(values)
    are_texts = bool(given) and all(isinstance(value, str) for value in given)
    if column.type == "string":
        if not are_texts:
            raise UsageError(
                f"column {column.name!r} holds texts: it takes categories such as ['Bern', 'Basel'] "
                f"(--categories '{column.name}=Bern,Basel'), found {_brief(values)}"
            )
        return replace(column, categories=tuple(sorted(set(given))))
    if column.type == "boolean":
        raise UsageError(
            f"column {column.name!r} holds true or false: there is nothing to allow beside these"
        )
    if len(given) != 2 or isinstance(values, set | frozenset) or not all(map(_is_end, given)):
        raise UsageError(
            f"column {column.name!r} holds numbers: it takes a range such as (18, 110) "
            f"(--range '{column.name}=18..110'), found {_brief(values)}"
        )
    low, high = float(given[0]), float(given[1])
    if low > high:
        raise UsageError(f"the range of {column.name!r} runs backwards: {in_range(low, high)}")
    if column.type == "integer" and not (low.is_integer() and high.is_integer()):
        raise UsageError(f"column {column.name!r} holds whole numbers, and so do the ends of its range")
    return replace(column, minimum=low, maximum=high)


def _is_end(value: Any) -> bool:
    try:
        return not isinstance(value, bool | str) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _brief(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"


def told(before: Contract, after: Contract, learned: Contract) -> str:
    """Return what changed in one line: ``age, pay: flag → clip; town: with 'Thun'``.

    A range past that of `learned` is said to be one.
    """
    columns: dict[str, list[str]] = {}
    for ours, theirs, proven in zip(before.columns, after.columns, learned.columns, strict=True):
        if words := _words(ours, theirs, proven):
            columns.setdefault(words, []).append(theirs.name)
    return "; ".join(f"{_listed(names)}: {words}" for words, names in columns.items())


def _words(before: Column, after: Column, learned: Column) -> str:
    words = []
    if before.policy != after.policy:
        words.append(f"{before.policy} → {after.policy}")
    if (before.minimum, before.maximum) != (after.minimum, after.maximum):
        words.append(_of_range(before, after, learned))
    ours, theirs = before.categories or (), after.categories or ()
    if before.categories is None and theirs:
        words.append(f"any text → {texts(theirs)}")
    else:
        added, gone = ([v for v in a if v not in set(b)] for a, b in ((theirs, ours), (ours, theirs)))
        words += [
            f"{word} {texts(values)}" for word, values in (("with", added), ("without", gone)) if values
        ]
    if before.nullable != after.nullable:
        words.append("null taken" if after.nullable else "null refused")
    return ", ".join(words)


def _of_range(before: Column, after: Column, learned: Column) -> str:
    assert after.minimum is not None
    assert after.maximum is not None
    old = (
        "any"
        if before.minimum is None or before.maximum is None
        else in_range(before.minimum, before.maximum)
    )
    told = f"{old} → {in_range(after.minimum, after.maximum)}"
    within = (
        learned.minimum is not None
        and learned.maximum is not None
        and learned.minimum <= after.minimum
        and after.maximum <= learned.maximum
    )
    return told if within else f"{told} (past what training saw: no golden row proves it)"


def _listed(names: Sequence[str]) -> str:
    return (
        ", ".join(names) if len(names) <= _NAMED else f"{', '.join(names[:_NAMED])}, … ({len(names)} columns)"
    )
