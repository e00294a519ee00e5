"""The contract: what a row must look like, learned from the training table, checked on every request."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

ColumnType = Literal["number", "integer", "boolean", "string"]
Policy = Literal["reject", "clip", "flag"]

POLICIES: tuple[Policy, ...] = ("reject", "clip", "flag")

_BELONGS: dict[str, str] = {
    "number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a text",
}  # fmt: skip
#: Past this a whole number and its double differ.
EXACT = 2**53
_LARGEST = int(sys.float_info.max)
_SHOWN = 20
_COUNTED = 10_000


@dataclass(frozen=True)
class Violation:
    """One value that breaks the contract: where, what it was, what is wrong, and what was learned."""

    row: int
    column: str
    value: Any
    problem: str
    learned: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.problem}; learned: {self.learned}"


@dataclass(frozen=True)
class Flag:
    """One value that was let through, or clipped, although training never saw its like."""

    row: int
    column: str
    value: Any
    flag: str


class ContractBroken(ValueError):  # noqa: N818  # said of a request, answered with 422
    """Rows that break the contract; `violations` holds the first twenty of `total`, or of more than are counted."""

    def __init__(self, violations: Sequence[Violation], total: int) -> None:
        self.violations = tuple(violations)
        least = "at least " if total >= _COUNTED else ""
        more = f" (and {least}{total - 1} more)" if total > 1 else ""
        super().__init__(f"{violations[0]}{more}")


@dataclass(frozen=True)
class Column:
    """What was learned of one column.

    Attributes
    ----------
    dtype : str
        The pandas dtype of the training column; ``category`` is restored with `categories`.
    minimum, maximum : float or None
        The range of numbers seen in training.
    categories : tuple, or None
        The texts seen in training; ``None`` where there are too many to call them categories.
    null : {"nan", "none"}
        How the training column wrote a missing value, for models that tell the two apart.
    policy : {"flag", "clip", "reject"}
        What happens to a value of the right type that training never saw; ``clip`` moves a number to the
        nearest end of the range and flags it.
    """

    name: str
    type: ColumnType
    dtype: str
    nullable: bool
    policy: Policy
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Any, ...] | None = None
    null: Literal["nan", "none"] = "nan"

    @cached_property
    def _known_categories(self) -> frozenset[Any]:
        return frozenset(self.categories or ())

    @property
    def learned(self) -> str:
        words = _BELONGS[self.type]
        if self.minimum is not None:
            words += f" from {self.minimum:g} to {self.maximum:g}"
        if self.categories is not None:
            shown = ", ".join(repr(c) for c in self.categories[:6])
            words += f", one of {shown}" + (", …" if len(self.categories) > 6 else "")
        return words + (", or null" if self.nullable else "")

    def _problem(self, value: Any) -> str | None:
        if value is None:
            return None if self.nullable else "null, but training never saw one and nothing imputes it"
        found = type(value)
        wanted = _BELONGS[self.type]
        if self.type == "string":
            return None if found is str else f"{_told(value)} where {wanted} belongs"
        if self.type == "boolean":
            return None if found is bool else f"{_told(value)} where {wanted} belongs"
        if found is float and not math.isfinite(value):
            return f"{value!r} where {wanted} belongs"
        if self.type == "integer":
            if not (found is int or (found is float and value.is_integer())):
                return f"{_told(value)} where {wanted} belongs"
            return f"{value!r} is past 2^53 and would be rounded" if abs(value) > EXACT else None
        if found is int and abs(value) > _LARGEST:
            return f"a whole number of {len(str(abs(value)))} digits where {wanted} belongs"
        return None if found is int or found is float else f"{_told(value)} where {wanted} belongs"

    def check(self, values: list[Any], violations: list[Violation], flags: list[Flag]) -> list[Any]:
        """Return `values` as the model may see them; what is wrong goes into `violations` and `flags`."""
        for row, value in enumerate(values):
            problem = self._problem(value)
            if problem:
                violations.append(Violation(row, self.name, _brief(value), problem, self.learned))
                if len(violations) >= _COUNTED:
                    break  # a flood of them must not fill the memory
        if violations:
            return values
        if self.type in ("number", "integer") and self.minimum is not None and self.maximum is not None:
            return self._within_range(values, violations, flags)
        if self.categories is not None:
            self._within_categories(values, violations, flags)
        return values

    def _within_range(self, values: list[Any], violations: list[Violation], flags: list[Flag]) -> list[Any]:
        low, high = self.minimum, self.maximum
        assert low is not None
        assert high is not None
        strange = [row for row, v in enumerate(values) if v is not None and not low <= v <= high]
        if not strange:
            return values
        values = list(values)
        for row in strange:
            value = values[row]
            if self.policy == "reject":
                violations.append(Violation(row, self.name, value, "out of the learned range", self.learned))
            elif self.policy == "clip":
                values[row] = (int if self.type == "integer" else float)(min(max(value, low), high))
                flags.append(Flag(row, self.name, value, f"clipped to {values[row]:g}"))
            else:
                flags.append(Flag(row, self.name, value, f"outside {low:g} to {high:g}"))
        return values

    def _within_categories(self, values: list[Any], violations: list[Violation], flags: list[Flag]) -> None:
        known = self._known_categories
        for row, value in enumerate(values):
            if value is None or value in known:
                continue
            if self.policy == "reject":
                violations.append(
                    Violation(row, self.name, _brief(value), "an unknown category", self.learned)
                )
            else:
                flags.append(Flag(row, self.name, _brief(value), "unknown category"))


def _brief(value: Any) -> Any:
    return value[:80] + "…" if isinstance(value, str) and len(value) > 80 else value


def _told(value: Any) -> str:
    if isinstance(value, str):
        return f"text {_brief(value)!r}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else repr(value)


@dataclass(frozen=True)
class Contract:
    """All columns, in the order in which the model was trained."""

    columns: tuple[Column, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Contract:
        return cls(
            tuple(
                Column(**{**c, "categories": None if c.get("categories") is None else tuple(c["categories"])})
                for c in value["columns"]
            )
        )

    def to_json(self) -> dict[str, Any]:
        def written(column: Column) -> dict[str, Any]:
            default = ("null", "nan")
            return {k: v for k, v in asdict(column).items() if v is not None and (k, v) != default}

        return {"columns": [written(column) for column in self.columns]}

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    def check(self, table: dict[str, list[Any]], rows: int) -> tuple[dict[str, list[Any]], list[Flag]]:
        """Check `rows` rows given column by column; return them as the model may see them, and the flags.

        Raises
        ------
        ContractBroken
            A column is missing or unknown, or a value breaks what was learned.
        """
        if table.keys() != self._known:
            raise ContractBroken(*self._strangers(table))
        wrong: list[Violation] = []
        flags: list[Flag] = []
        checked: dict[str, list[Any]] = {}
        for column in self.columns:
            found: list[Violation] = []
            checked[column.name] = column.check(table[column.name], found, flags)
            wrong.extend(found)
            if len(wrong) >= _COUNTED:
                break
        if wrong:
            wrong.sort(key=lambda violation: violation.row)
            raise ContractBroken(wrong[:_SHOWN], len(wrong))
        return checked, flags

    def _strangers(self, table: dict[str, list[Any]]) -> tuple[list[Violation], int]:
        """Return the first columns that are too many or missing, and how many there are."""
        expected = f"the columns {', '.join(self.names[:8])}" + (", …" if len(self.names) > 8 else "")
        unknown = [name for name in table if name not in self._known]
        missing = [column for column in self.columns if column.name not in table]
        wrong = [
            Violation(0, _brief(name), None, "a column the model never saw", expected)
            for name in unknown[:_SHOWN]
        ]
        wrong += [Violation(0, c.name, None, "the column is missing", c.learned) for c in missing[:_SHOWN]]
        return wrong[:_SHOWN], len(unknown) + len(missing)


def as_array(values: list[Any], dtype: str, null: str) -> np.ndarray:
    """Return checked values as an array of shape (rows,); a missing number is NaN, a missing text is `null`."""
    if dtype == "string":
        return np.array([null if v is None else v for v in values], dtype=object)
    return np.array([math.nan if v is None else v for v in values] if None in values else values, dtype=dtype)
