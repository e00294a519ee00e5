"""Will it fit? What an artifact is and needs, against what a place takes, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.limits import Limits
from modelyard.presentation import Result, Table
from modelyard.targets.artifact import Artifact, Component
from modelyard.targets.slimming import BALLAST

_MB = 1e6
_SHOWN = 12
_OF_SCIKIT_LEARN = ("scikit-learn", "scipy", "joblib", "threadpoolctl", "skops", "prettytable", "wcwidth")


@dataclass(frozen=True)
class Need:
    """One thing that a place limits, and what is needed of it.

    Attributes
    ----------
    what : str
        ``bytes unpacked``, ``seconds until it can answer``, …
    needed, allowed : float or str or tuple of str
        Numbers, of which the first must not be above the second; or a name, and those that the place has.
    """

    what: str
    needed: float | str
    allowed: float | tuple[str, ...]

    @property
    def is_met(self) -> bool:
        """Whether it fits; exactly at the limit it does."""
        if isinstance(self.allowed, tuple):
            return self.needed in self.allowed
        return float(self.needed) <= self.allowed

    def __str__(self) -> str:
        if isinstance(self.allowed, tuple):
            return f"{self.what} {self.needed}, the place has {', '.join(self.allowed)}"
        return f"{_told(self.needed)} {self.what}, the place takes {_told(self.allowed)}"


def _told(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if isinstance(value, float) else value


@dataclass(frozen=True)
class Remedy:
    """What would make it smaller, and by how many bytes; ``None`` where that must be tried."""

    what: str
    saves_bytes: int | None

    def __str__(self) -> str:
        return self.what if self.saves_bytes is None else f"{self.what}: −{self.saves_bytes / _MB:.1f} MB"


@dataclass(frozen=True)
class Measured:
    """What a rehearsal saw of it.

    Attributes
    ----------
    peak_bytes : int
        The most resident memory of its processes together.
    startup_s, slowest_s : float
        From the start to the first answer, and the slowest answer after it.
    largest_answer_bytes, largest_request_bytes : int
        As the place passes them on.
    """

    peak_bytes: int
    startup_s: float
    slowest_s: float
    largest_answer_bytes: int
    largest_request_bytes: int


@dataclass(frozen=True, repr=False)
class Fit(Result):
    """Whether a bundle fits a place, limit by limit.

    Attributes
    ----------
    needs : tuple of Need
        What the place limits, and what is needed.
    components : tuple of Component
        Of what the size consists, largest first.
    remedies : tuple of Remedy
        What would help, what saves most first; empty where it fits.
    source : str
        Where the limits stand, and when they were read there.
    """

    kind = "fit"

    bundle: str
    target: str
    source: str
    needs: tuple[Need, ...] = ()
    components: tuple[Component, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every limit is kept."""
        return not self.broken

    @property
    def broken(self) -> tuple[Need, ...]:
        """The limits that it does not keep."""
        return tuple(need for need in self.needs if not need.is_met)

    def sentence(self) -> str:
        if not self.needs:
            return f"{self.bundle} fits {self.target}, which sets no limits"
        if self.ok:
            return f"{self.bundle} fits {self.target}: {len(self.needs)} limits, all kept"
        return f"{self.bundle} does not fit {self.target}: {self.broken[0]} ({self.source})"

    def table(self) -> Table:
        whole = sum(component.bytes for component in self.components)
        rows = [(c.name, f"{c.bytes / _MB:.2f}", f"{c.bytes / whole:.0%}") for c in self.components[:_SHOWN]]
        if rest := self.components[_SHOWN:]:
            left = sum(component.bytes for component in rest)
            rows.append((f"{len(rest)} others", f"{left / _MB:.2f}", f"{left / whole:.0%}"))
        return Table(("component", "MB", "share"), tuple(rows))

    def notes(self) -> Sequence[str]:
        return (
            *(f"{'ok' if need.is_met else 'NO'}: {need}" for need in self.needs),
            *(str(remedy) for remedy in self.remedies),
            f"limits: {self.source}",
        )

    def payload(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "target": self.target,
            "ok": self.ok,
            "source": self.source,
            "needs": [
                {"what": n.what, "needed": n.needed, "allowed": n.allowed, "met": n.is_met}
                for n in self.needs
            ],
            "components": [{"name": c.name, "bytes": c.bytes} for c in self.components],
            "remedies": [{"what": r.what, "saves_bytes": r.saves_bytes} for r in self.remedies],
        }


def fit_of(
    bundle: str, target: str, limits: Limits, artifact: Artifact, measured: Measured | None = None
) -> Fit:
    """Hold an artifact, and what a rehearsal measured of it, against the limits of a place.

    >>> from pathlib import Path
    >>> from modelyard.targets.artifact import Function
    >>> parts = (Component("model", {"model.onnx": 11}),)
    >>> artifact = Artifact(Path(), parts, Function("app:f", ()), "3.13", "x86_64")
    >>> [fit_of("m:1", "there", Limits("a manual", "2026-01-01", unpacked_bytes=n), artifact).ok for n in (10, 11, 12)]
    [False, True, True]
    """
    needs = tuple(_needs(limits, artifact, measured))
    components = tuple(sorted(artifact.components, key=lambda component: -component.bytes))
    too_large = any("bytes" in need.what and not need.is_met for need in needs)
    return Fit(
        bundle, target, f"{limits.source}, {limits.as_of}", needs, components,
        (*(Remedy(what, None) for what in artifact.remedies), *_remedies(components)) if too_large else (),
    )  # fmt: skip


def _needs(limits: Limits, artifact: Artifact, measured: Measured | None) -> Iterable[Need]:
    wanted: list[tuple[str, float | str | None, float | tuple[str, ...] | None]] = [
        ("Python", artifact.python, limits.pythons),
        ("architecture", artifact.architecture, limits.architectures),
        ("bytes unpacked", artifact.unpacked_bytes, limits.unpacked_bytes),
        ("bytes packed", artifact.packed_bytes, limits.packed_bytes),
        ("bytes of the model", artifact.model_bytes, limits.model_bytes),
    ]
    if measured is not None:
        wanted += [
            ("bytes of memory", measured.peak_bytes, limits.memory_bytes),
            ("seconds until it can answer", measured.startup_s, limits.startup_s),
            ("seconds for an answer", measured.slowest_s, limits.timeout_s),
            ("bytes in an answer", measured.largest_answer_bytes, limits.response_bytes),
            ("bytes in a request", measured.largest_request_bytes, limits.request_bytes),
        ]
    for what, needed, allowed in wanted:
        if needed is not None and allowed is not None:
            yield Need(what, needed, allowed)


def _remedies(components: Sequence[Component]) -> list[Remedy]:
    distributions = [component for component in components if component.is_distribution]
    of_bundle = [component for component in components if component.name == "model"]
    beyond_onnx = [c for c in distributions if c.name in _OF_SCIKIT_LEARN]
    found = [
        *(
            Remedy(f"leave out {ballast.what}", _matching(distributions, ballast.holds))
            for ballast in BALLAST
        ),
        Remedy(
            "package as ONNX instead of scikit-learn (see the bundle's notes for why it is not)",
            sum(component.bytes for component in beyond_onnx),
        ),
    ]
    saving = sorted(
        (remedy for remedy in found if remedy.saves_bytes), key=lambda remedy: -(remedy.saves_bytes or 0)
    )
    model = sum(component.bytes for component in of_bundle)
    return [*saving, Remedy(f"%compress the model, which has {model / _MB:.1f} MB", None)]


def _matching(components: Iterable[Component], wanted: Callable[[str], bool]) -> int:
    return sum(size for component in components for path, size in component.files.items() if wanted(path))
