"""What the benchmarks of servers have in common: their flags, a project of its own for each run, what they print."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from _measure.bounds import Bound
from _measure.ours import CONNECTIONS
from _measure.peers import versions
from _measure.project import scratch_project
from _measure.wrk import client_name

Found = dict[str, Any]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the flags that all have."""
    flags = argparse.ArgumentParser(description=doc)
    flags.add_argument("--json", action="store_true", help="print one JSON object")
    flags.add_argument("--quick", action="store_true", help="one short round of each: to see that it works")
    flags.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    flags.add_argument("--seconds", type=int, default=3, help="load on each server in each round (3)")
    return flags


def run(
    wanted: argparse.Namespace,
    measure: Callable[[Path, argparse.Namespace], Found],
    values: Callable[[Found], Mapping[str, float | None]],
    bounds: Mapping[str, Bound],
) -> None:
    """Measure in an empty project, and print text or JSON.

    It fails where something cannot be measured, not where it is slow.

    Parameters
    ----------
    measure : callable
        The project's folder and the flags to what was found.
    values : callable
        What was found to the figures that have bounds.
    """
    if wanted.quick:
        wanted.rounds, wanted.seconds = 1, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is stopped then, too
    started = time.perf_counter()
    with scratch_project() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = os.getloadavg()
        found: Found = {
            "versions": versions(),
            "client": client_name(),
            "settings": {"rounds": wanted.rounds, "seconds": wanted.seconds, "connections": CONNECTIONS},
            "busy_before": _busy(),
        }
        found |= measure(folder, wanted)
    found["load"] = {"before": before, "after": os.getloadavg()}
    reached = values(found)
    found["figures"] = {name: bound.judged(reached.get(name)) for name, bound in bounds.items()}
    found["missed"] = [name for name, figure in found["figures"].items() if not figure["kept"]]
    found["took_s"] = time.perf_counter() - started
    found = _rounded(found)
    print(json.dumps(found, indent=1, ensure_ascii=False) if wanted.json else _shown(found))


def _busy() -> float:
    """Return the share of all cores that others use while this process waits."""
    return float(psutil.cpu_percent(interval=2)) / 100


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _shown(found: Found) -> str:
    return "\n".join(
        f"{'ok  ' if figure['kept'] else 'MISS'} {figure['value']!s:>10}  {figure['bound']:<8} {figure['what']}"
        for figure in found["figures"].values()
    )
