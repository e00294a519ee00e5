"""What a rehearsal found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.presentation import Result, Table
from modelyard.targets.fitting import Fit

_SHOWN = 8


@dataclass(frozen=True)
class Finding:
    """One thing that would go wrong in the place, or might.

    Attributes
    ----------
    kind : str
        ``differs``, ``error``, ``ended``, ``memory``, ``timeout``, ``startup``, ``size``, ``writes`` or ``connects``.
    text : str
        What happened, and what the place allows.
    is_violation : bool
        Whether it would go wrong there; otherwise it was tried, stopped, and the answer was right nevertheless.
    """

    kind: str
    text: str
    is_violation: bool = True

    def __str__(self) -> str:
        return f"{'NO' if self.is_violation else 'note'}: {self.kind}: {self.text}"


@dataclass(frozen=True)
class Import:
    """How long one package took to be imported, in seconds, itself and its own modules only."""

    package: str
    seconds: float


@dataclass(frozen=True, repr=False)
class Rehearsal(Result):
    """The golden rows, answered here by a target's real handler under the target's limits.

    Attributes
    ----------
    ok : bool
        Whether every golden row was answered as it must be, within all limits.
    findings : tuple of Finding
    rows, matched : int
        Golden rows that were sent, and that were answered within the tolerance.
    max_absolute : float
        The largest difference of a probability or value.
    cold_start_s, ready_s, warm_ms : float
        From nothing to the first answer; from nothing until it could answer; the median answer after the first.
        They are NaN where it did not get as far.
    peak_mb : float
        The most resident memory of its processes together, in 1e6 bytes.
    imports : tuple of Import
        What the start consists of, slowest first.
    isolation : str
        ``namespaces``, or ``advisory`` where attempts were seen, but could not be stopped here.
    fit : Fit
        The same limits, with what was measured.
    """

    kind = "rehearsal"

    bundle: str
    target: str
    findings: tuple[Finding, ...]
    rows: int
    matched: int
    max_absolute: float
    cold_start_s: float
    ready_s: float
    warm_ms: float
    peak_mb: float
    imports: tuple[Import, ...]
    isolation: str
    fit: Fit

    @property
    def ok(self) -> bool:
        """Whether it would work there, as far as can be seen from here."""
        return not any(finding.is_violation for finding in self.findings)

    def sentence(self) -> str:
        found = next((finding for finding in self.findings if finding.is_violation), None)
        if found is None:
            return (
                f"{self.bundle} on {self.target}: {self.matched} of {self.rows} golden rows reproduced, "
                f"first answer after {self.cold_start_s:.2f} s, then {self.warm_ms:.1f} ms, "
                f"{self.peak_mb:.0f} MB at most"
            )
        return f"{self.bundle} would fail on {self.target}: {found.text}"

    def table(self) -> Table:
        whole = sum(each.seconds for each in self.imports) or 1.0
        return Table(
            ("import", "ms", ""),
            tuple(
                (each.package, f"{each.seconds * 1e3:.0f}", "█" * max(1, round(30 * each.seconds / whole)))
                for each in self.imports[:_SHOWN]
            ),
        )

    def notes(self) -> Sequence[str]:
        advisory = (
            ("advisory: this machine has no namespaces, so what is forbidden there was seen, not stopped",)
            if self.isolation == "advisory"
            else ()
        )
        return (*(str(finding) for finding in self.findings), *advisory, *self.fit.notes())

    def payload(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "target": self.target,
            "ok": self.ok,
            "findings": [
                {"kind": f.kind, "text": f.text, "is_violation": f.is_violation} for f in self.findings
            ],
            "rows": self.rows,
            "matched": self.matched,
            "max_absolute": _finite(self.max_absolute),
            "cold_start_s": _finite(self.cold_start_s),
            "ready_s": _finite(self.ready_s),
            "warm_ms": _finite(self.warm_ms),
            "peak_mb": self.peak_mb,
            "imports": [{"package": i.package, "seconds": i.seconds} for i in self.imports],
            "isolation": self.isolation,
            "fit": self.fit.payload(),
        }


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
