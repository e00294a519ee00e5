"""What changed between two bundles, and which golden rows the other one answers otherwise."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from modelyard.errors import BundleError
from modelyard.packaging.bundle import Bundle
from modelyard.presentation import Result, Table
from modelyard_runtime import bundle_format
from modelyard_runtime.contract import Column, Contract, ContractBroken
from modelyard_runtime.predictor import Predictor

_ABSENT = "–"
_SHOWN_ROWS = 20
_COUNTED = {
    "form": ("fact of the form", "facts of the form"),
    "parameter": ("parameter", "parameters"),
    "contract column": ("contract column", "contract columns"),
    "lock line": ("lock line", "lock lines"),
    "code": ("captured file", "captured files"),
    "figure": ("figure", "figures"),
}
_MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)


@dataclass(frozen=True)
class Change:
    """One thing that is not the same, of a kind in `_COUNTED`; ``None`` where a bundle does not have it."""

    kind: str
    name: str
    ours: str | None
    theirs: str | None


@dataclass(frozen=True)
class Moved:
    """A golden row of ours that the other bundle answers otherwise."""

    row: int
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Refused:
    """A golden row of ours that the other bundle does not answer, and why."""

    row: int
    reason: str


@dataclass(frozen=True, repr=False)
class Difference(Result):
    """What changed between two bundles.

    Attributes
    ----------
    ours, theirs : str
        Their tags.
    changes : tuple of Change
    golden_rows : int
        How many golden rows ours has; `moved` and `refused` are some of them.
    code : str
        The captured code's difference, as a unified diff.
    """

    kind = "difference"

    ours: str
    theirs: str
    changes: tuple[Change, ...]
    golden_rows: int
    moved: tuple[Moved, ...]
    refused: tuple[Refused, ...]
    code: str = ""

    def sentence(self) -> str:
        counts = Counter(change.kind for change in self.changes)
        words = [
            f"{counts[kind]} {names[counts[kind] != 1]}" for kind, names in _COUNTED.items() if counts[kind]
        ]
        words.append(f"{len(self.moved)} of {self.golden_rows} golden rows moved")
        if self.refused:
            words.append(f"{len(self.refused)} refused by {self.theirs}")
        return f"{self.ours} → {self.theirs}: {', '.join(words)}"

    def table(self) -> Table:
        rows = [
            (f"{c.kind} {c.name}", *(_ABSENT if side is None else side for side in (c.ours, c.theirs)))
            for c in self.changes
        ]
        rows += [(f"golden row {m.row}", repr(m.ours), repr(m.theirs)) for m in self.moved[:_SHOWN_ROWS]]
        rows += [(f"golden row {r.row}", "answered", r.reason) for r in self.refused[:_SHOWN_ROWS]]
        return Table(("what", self.ours, self.theirs), rows)

    def notes(self) -> Sequence[str]:
        hidden = sum(max(0, len(rows) - _SHOWN_ROWS) for rows in (self.moved, self.refused))
        return (f"{hidden} more golden rows moved or were refused; all are in the payload",) if hidden else ()

    def payload(self) -> dict[str, Any]:
        return {
            "ours": self.ours,
            "theirs": self.theirs,
            "changes": [asdict(change) for change in self.changes],
            "golden_rows": self.golden_rows,
            "moved": [asdict(row) for row in self.moved],
            "refused": [asdict(row) for row in self.refused],
            "code": self.code,
        }


def difference(ours: Bundle, theirs: Bundle) -> Difference:
    """Compare two bundles; the golden rows of `ours` are answered by `theirs`, in this process.

    A number has moved where it is outside the tolerance that `ours` was packaged with, a class where it is
    another one.

    Raises
    ------
    BundleError
        One of the two is damaged or not trusted, or `theirs` cannot be loaded here.
    """
    for bundle in (ours, theirs):
        if not isinstance(bundle, Bundle):
            raise BundleError(
                f"a bundle is compared with a bundle or its name, found {type(bundle).__name__}; "
                "type: modelyard.bundle('churn:1').diff('churn:2')"
            )
        bundle.check()
    a, b = ours.manifest, theirs.manifest
    ours_code, theirs_code = _paired(_code(ours), _code(theirs))
    changes = (
        *_changes("form", _form(a), _form(b)),
        *_changes("parameter", *({n: repr(v) for n, v in m["parameters"].items()} for m in (a, b))),
        *_column_changes(ours.contract, theirs.contract),
        *_changes("lock line", _locks(ours), _locks(theirs)),
        *_changes("code", _sizes(ours_code), _sizes(theirs_code)),
        *_changes("figure", _figures(a), _figures(b)),
    )
    moved, refused, total = _replay(ours, theirs)
    code = _unified(ours_code, theirs_code)
    return Difference(ours.tag, theirs.tag, changes, total, moved, refused, code)


def _changes(kind: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*ours, *theirs)):
        if ours.get(name) != theirs.get(name):
            yield Change(kind, name, ours.get(name), theirs.get(name))


def _form(manifest: dict[str, Any]) -> dict[str, str]:
    model, trust = manifest["model"], manifest.get("trust") or {}
    facts = {
        "kind": model["kind"],
        "estimator": manifest["estimator"],
        "task": model["task"],
        "classes": model["classes"],
        "training rows": manifest["rows"],
        "trust": trust.get("decision"),
        "runtime": manifest["runtime"]["sha256"][:12],
    }
    return {name: str(fact) for name, fact in facts.items() if fact is not None}


def _column_changes(ours: Contract, theirs: Contract) -> Iterator[Change]:
    a, b = ({column.name: column for column in side.columns} for side in (ours, theirs))
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            sides = (a.get(name), b.get(name))
            yield Change("contract column", name, _told(*sides), _told(*reversed(sides)))


def _told(column: Column | None, other: Column | None) -> str | None:
    """Return what one column says and the other does not."""
    if column is None:
        return None
    words = []
    for fact in fields(Column):
        value, beside = getattr(column, fact.name), getattr(other, fact.name, None)
        if value == beside or fact.name == "name":
            continue
        if fact.name == "categories" and value:
            alone = [repr(category) for category in value if category not in (beside or ())]
            words.append(f"{len(value)} categories" + (f" with {', '.join(alone[:6])}" if alone else ""))
        else:
            words.append(f"{fact.name} {value}")
    return ", ".join(words)


def _locks(bundle: Bundle) -> dict[str, str]:
    """Return what the locks pin: ``numpy`` of lock.txt, ``lock-bento: bentoml`` of another one."""
    found = {}
    for file in sorted(name for name in bundle.manifest["files"] if name.startswith("lock")):
        text = (bundle.model_folder / file).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            name, _, pinned = line.strip().partition("==")
            if name and not name.startswith("#"):
                found[name if file == "lock.txt" else f"{file.removesuffix('.txt')}: {name}"] = pinned
    return found


def _code(bundle: Bundle) -> dict[str, str]:
    names = sorted(n for n in bundle.manifest["files"] if n.startswith("captured/") and n.endswith(".py"))
    return {name: (bundle.model_folder / name).read_text(encoding="utf-8") for name in names}


def _paired(ours: dict[str, str], theirs: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give both sides one name for one file: captured modules are named by digest, so they change it."""
    alone = [name for name in ours if name not in theirs]
    others = [name for name in theirs if name not in ours]
    names = dict(zip(others, alone, strict=False))
    return ours, {names.get(name, name): text for name, text in theirs.items()}


def _sizes(code: Mapping[str, str]) -> dict[str, str]:
    return {n: f"{t.count(chr(10))} lines, {bundle_format.digest(t.encode())[:12]}" for n, t in code.items()}


def _unified(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    lines: list[str] = []
    for name in dict.fromkeys((*ours, *theirs)):
        a, b = (side.get(name, "").splitlines() for side in (ours, theirs))
        lines += difflib.unified_diff(a, b, f"ours/{name}", f"theirs/{name}", lineterm="")
    return "\n".join(lines)


def _figures(manifest: dict[str, Any]) -> dict[str, str]:
    def flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from flat(f"{prefix}.{name}", inner)
        elif value is not None:
            yield prefix, f"{value:.6g}" if isinstance(value, float) else str(value)

    groups = ("parity", "metrics")
    return {name: told for group in groups for name, told in flat(group, manifest.get(group))}


def _replay(ours: Bundle, theirs: Bundle) -> tuple[tuple[Moved, ...], tuple[Refused, ...], int]:
    rows, wanted = ours.golden()
    tolerance = ours.manifest["parity"]["tolerance"]
    try:
        predictor = Predictor(theirs.model_folder)
    except (bundle_format.BundleError, ImportError) as error:
        raise BundleError(f"bundle {theirs.tag} cannot be loaded here: {error}") from None
    moved, refused = [], []
    for number, (row, expected) in enumerate(zip(rows, wanted, strict=True)):
        try:
            (found,), _, _ = predictor.outputs({name: [value] for name, value in row.items()}, 1)
        except ContractBroken as error:
            first = error.violations[0]
            refused.append(Refused(number, f"column {first.column!r}: {first.problem}"))
        except _MODEL_ERRORS as error:
            refused.append(Refused(number, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"))
        else:
            if not _same(expected, found, tolerance):
                moved.append(Moved(number, expected, found))
    return tuple(moved), tuple(refused), len(rows)


def _same(expected: Any, found: Any, tolerance: Mapping[str, float]) -> bool:
    if isinstance(expected, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return math.isclose(expected, found, rel_tol=tolerance["relative"], abs_tol=tolerance["absolute"])
    return type(expected) is type(found) and bool(expected == found)
