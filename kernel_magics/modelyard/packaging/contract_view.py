"""A bundle's contract, as it is shown: what each column takes, and what becomes of a value past that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.packaging.bundle import Bundle
from modelyard.presentation import Result, Table
from modelyard_runtime.contract import POLICIES, Column

#: How the note of a change begins, in the manifest's notes and on the card.
CHANGED = "contract changed from "

_SHOWN = 6
_ABSENT = "–"


@dataclass(frozen=True, repr=False)
class ContractView(Result):
    """What a bundle takes.

    Attributes
    ----------
    bundle : Bundle
        Whose contract it is; after a change, the version that holds the changed one.
    digest : str
        The bundle's identity.
    columns : tuple of Column
        In the order in which the model was trained.
    changes : tuple of str
        How it came to differ from what training taught, oldest first.
    remarks : tuple of str
        What the change that was asked for came to.
    """

    kind = "contract"

    bundle: Bundle
    digest: str
    columns: tuple[Column, ...]
    changes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return self.bundle.tag

    def sentence(self) -> str:
        counts = Counter(column.policy for column in self.columns)
        policies = ", ".join(f"{policy} {counts[policy]}" for policy in POLICIES if counts[policy])
        return f"contract of {self.tag}: {len(self.columns)} columns ({policies})"

    def table(self) -> Table:
        rows = [
            (c.name, c.type, "yes" if c.nullable else "no", taken(c), c.policy) for c in self.columns
        ]  # fmt: skip
        return Table(("column", "type", "null", "learned or allowed", "outside of that"), rows)

    def notes(self) -> Sequence[str]:
        return (*self.changes, *self.remarks)

    def payload(self) -> dict[str, Any]:
        return {
            "tag": self.tag,
            "name": self.bundle.name,
            "version": self.bundle.version,
            "digest": self.digest,
            "columns": [asdict(column) | {"learned": column.learned} for column in self.columns],
            "changes": list(self.changes),
            "remarks": list(self.remarks),
        }


def view(bundle: Bundle, remarks: Sequence[str] = ()) -> ContractView:
    """Return the contract of a bundle as it stands on disk."""
    changes = tuple(note for note in bundle.manifest.get("notes", ()) if note.startswith(CHANGED))
    return ContractView(bundle, bundle.digest, bundle.contract.columns, changes, tuple(remarks))


def taken(column: Column) -> str:
    """Return the range or the categories of a column in a few words, or a dash where there are none."""
    if column.minimum is not None and column.maximum is not None:
        return in_range(column.minimum, column.maximum)
    return _ABSENT if column.categories is None else texts(column.categories)


def in_range(low: float, high: float) -> str:
    """Return a range with every digit that it has.

    >>> in_range(18.0, 1234567.25)
    '18 to 1234567.25'
    """
    return " to ".join(str(int(end)) if float(end).is_integer() else repr(float(end)) for end in (low, high))


def texts(values: Sequence[Any]) -> str:
    """Return the first few of some categories, and how many more there are.

    >>> texts(["Basel", "Bern"])
    "'Basel', 'Bern'"
    """
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(repr, values[:_SHOWN])) + more
