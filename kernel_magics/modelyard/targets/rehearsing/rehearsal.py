"""Let the target's handler answer the golden rows, and name whatever would go wrong in its place."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.errors import DeploymentError, InvalidInputError
from modelyard.golden.parity import Parity
from modelyard.limits import Limits
from modelyard.packaging import Bundle
from modelyard.progress import track
from modelyard.targets.artifact import Artifact
from modelyard.targets.fitting import Fit, Measured, fit_of
from modelyard.targets.installing import machine, named
from modelyard.targets.rehearsing import imports
from modelyard.targets.rehearsing.box import Box, BoxBroken
from modelyard.targets.rehearsing.golden_replay import GoldenReplay
from modelyard.targets.rehearsing.result import Finding, Import, Rehearsal

_START_S = 120.0  # where the place sets no limit
_ANSWER_S = 60.0
_SLOWED = 2.0  # at most, by noting how long each import takes


@dataclass
class _Run:
    """What is known so far."""

    ready_s: float = math.nan
    cold_start_s: float = math.nan
    seconds: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    largest: int = 0
    largest_request: int = 0
    peak_bytes: int = 0
    is_closed: bool = True
    findings: list[Finding] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)


def rehearsed(bundle: Bundle, target: str, limits: Limits, artifact: Artifact) -> Rehearsal:
    """Rehearse an artifact; whatever becomes of it is a finding, not an error.

    Raises
    ------
    DeploymentError
        It was made for another kind of machine, or was not made since it would not fit.
    """
    if not artifact.is_made:
        raise DeploymentError(fit_of(bundle.tag, target, limits, artifact).sentence())
    _check_machine(target, artifact)
    artifact.prepare()
    golden = GoldenReplay(bundle, own=artifact.golden)
    bodies = golden.bodies()
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        cold, measured = Path(folder, "cold"), Path(folder, "imports")
        cold.mkdir()
        measured.mkdir()
        with track(f"rehearsing {bundle.tag} for {target}", len(bodies), "row") as tracker:
            run = _run(artifact, limits, cold, bodies, tracker)
        waterfall = _waterfall(artifact, limits, measured) if run.answers else ()
    run.findings.extend(_attempts(run, limits, (cold, *artifact.handler.paths)))
    parity = _compared(golden, run)
    fit = fit_of(bundle.tag, target, limits, artifact, _measured(run))
    run.findings.extend(_beyond(fit, run.findings))
    return Rehearsal(
        bundle=bundle.tag, target=target, findings=tuple(run.findings), rows=len(bodies),
        matched=0 if parity is None else parity.rows - parity.differing,
        max_absolute=math.nan if parity is None else parity.max_absolute,
        cold_start_s=run.cold_start_s, ready_s=run.ready_s,
        warm_ms=statistics.median(run.seconds[1:]) * 1e3 if len(run.seconds) > 1 else math.nan,
        peak_mb=run.peak_bytes / 1e6, imports=waterfall,
        isolation="namespaces" if run.is_closed else "advisory", fit=fit,
    )  # fmt: skip


def _check_machine(target: str, artifact: Artifact) -> None:
    made, here = (artifact.system, named(artifact.architecture)), (sys.platform, machine())
    if made != here and not artifact.is_emulated:
        raise DeploymentError(
            f"what goes to {target} is for {' on '.join(made)}, and this machine is {' on '.join(here)}: it cannot be "
            "rehearsed here; choose this machine's --architecture, or ask with --fit, which runs nothing"
        )


def _run(artifact: Artifact, limits: Limits, folder: Path, bodies: list[bytes], tracker: Any) -> _Run:
    run = _Run()
    with Box(artifact.handler, limits, folder) as box:
        run.is_closed = box.is_closed
        try:
            _replay(box, artifact, limits, bodies, run, tracker)
        except BoxBroken as broken:
            run.findings.append(Finding(broken.kind, str(broken)))
        run.peak_bytes = box.peak_bytes
    return run


def _replay(
    box: Box, artifact: Artifact, limits: Limits, bodies: list[bytes], run: _Run, tracker: Any
) -> None:
    box.receive(limits.startup_s or _START_S, "the start")
    run.ready_s = time.perf_counter() - box.started
    for number, body in enumerate(bodies):
        asked = artifact.handler.asked(body)
        run.largest_request = max(
            run.largest_request, len(asked if isinstance(asked, str) else json.dumps(asked))
        )
        said = box.ask(asked, limits.timeout_s or _ANSWER_S)
        if not number:
            run.cold_start_s = time.perf_counter() - box.started
        run.seen.extend((kind, what) for kind, what in said["seen"])
        if "error" in said:
            run.findings.append(Finding("error", f"golden row {number}: {said['error']}"))
            return
        try:
            status, answer = artifact.handler.answered(said["answer"])
        except (KeyError, TypeError, ValueError) as error:
            run.findings.append(Finding("error", f"golden row {number}: no answer of a handler: {error!r}"))
            return
        if status != 200:
            run.findings.append(Finding("error", f"golden row {number} was answered with {status}: {answer}"))
            return
        run.answers.append(answer)
        run.seconds.append(said["seconds"])
        run.largest = max(run.largest, len(json.dumps(answer)))
        tracker.advance()


def _waterfall(artifact: Artifact, limits: Limits, folder: Path) -> tuple[Import, ...]:
    with Box(artifact.handler, limits, folder, imports.TIMED) as box:
        try:
            box.receive(_SLOWED * (limits.startup_s or _START_S), "the start")
        except BoxBroken:  # it started a moment ago, without being timed
            return ()
        return imports.by_package(box.said())


def _attempts(run: _Run, limits: Limits, own: Sequence[Path]) -> Iterable[Finding]:
    """Yield what it tried that the place forbids; whoever gave every answer nevertheless was only stopped."""
    is_violation = bool(run.findings) or not run.is_closed
    for kind, what in dict.fromkeys(run.seen):
        if kind == "writes" and limits.read_only_disk and (told := _closed(Path(what), limits, own)):
            places = f" but for {', '.join(limits.writable)}" if limits.writable else ""
            yield Finding(kind, f"it writes {told}; the disk is read-only{places}", is_violation)
        elif kind == "connects" and not limits.network:
            yield Finding(kind, f"it opens a connection to {what}; there is no network", is_violation)


def _closed(path: Path, limits: Limits, own: Sequence[Path]) -> str | None:
    """Return how to call a path that cannot be written there; ``None`` where it can."""
    for folder in own:  # wherever that lies here, it is none of the places that can be written there
        if path.is_relative_to(folder):
            return f"{path.relative_to(folder)} in its own folder"
    return None if any(path.is_relative_to(place) for place in limits.writable) else str(path)


def _compared(golden: GoldenReplay, run: _Run) -> Parity | None:
    if not run.answers:
        return None
    try:
        parity = golden.compared(run.answers)
    except (InvalidInputError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        run.findings.append(Finding("error", f"the answers are none of a predictor's: {error}"))
        return None
    if parity.first is not None:
        run.findings.append(Finding("differs", str(parity.first)))
    return parity


def _measured(run: _Run) -> Measured | None:
    if not run.answers:
        return None
    return Measured(run.peak_bytes, run.ready_s, max(run.seconds), run.largest, run.largest_request)


def _beyond(fit: Fit, known: list[Finding]) -> list[Finding]:
    """Return the limits that are broken, unless something stopped it for just that."""
    stopped = {finding.kind for finding in known}
    kinds = {
        "bytes of memory": "memory",
        "seconds until it can answer": "startup",
        "seconds for an answer": "timeout",
    }
    return [
        Finding(kinds.get(need.what, "size"), str(need))
        for need in fit.broken
        if kinds.get(need.what, "size") not in stopped
    ]
