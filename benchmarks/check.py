"""Hold the figures of the benchmarks against what must be reached; exit with 1 where one is missed.

``python benchmarks/check.py`` measures; ``python benchmarks/check.py FILE …`` reads what was measured before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What is run, and the flags that only that one knows.
SCRIPTS = {
    "serving.py": {"--no-batch"},
    "routing.py": set(),
    "cross_validation.py": set(),
    "tuning.py": set(),
    "engines.py": set(),
    "explanation.py": set(),
    "compression.py": set(),
    "targets.py": set(),
    "devices.py": set(),
    "panels.py": set(),
}


def measured(arguments: list[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the figures of files, or of runs now with `arguments`; ``None`` for a run that stopped."""
    if arguments and not arguments[0].startswith("-"):
        for name in arguments:
            yield name, json.loads(Path(name).read_text(encoding="utf-8"))
        return
    own = set().union(*SCRIPTS.values())
    for name, known in SCRIPTS.items():
        flags = [flag for flag in arguments if flag not in own or flag in known]
        script = Path(__file__).with_name(name)
        done = subprocess.run([sys.executable, str(script), "--json", *flags], stdout=subprocess.PIPE)
        yield name, None if done.returncode else json.loads(done.stdout)


def told(name: str, found: dict[str, Any]) -> list[str]:
    """Print every figure with its bound; return those that were missed."""
    load = found["load"]
    print(f"{name}: load {load['before'][0]:g} before, {load['after'][0]:g} after; client: {found['client']}")
    for figure_name, figure in found["figures"].items():
        value = "not measured" if figure["value"] is None else f"{figure['value']:g}"
        print(
            f"{'ok  ' if figure['kept'] else 'MISS'} {value:>12}  {figure['bound']:<6}  "
            f"{figure['what']} [{figure_name}]"
        )
    return list(found["missed"])


def main() -> None:
    """Print everything, and then what was missed."""
    missed, stopped, seen = [], [], 0
    for name, found in measured(sys.argv[1:]):
        if found is None:
            print(f"{name} stopped: it measured nothing")
            stopped.append(name)
        else:
            missed += told(name, found)
            seen += len(found["figures"])
    words = [f"{len(missed)} of {seen} missed: {', '.join(missed)}"] if missed else []
    words += [f"{name} measured nothing" for name in stopped]
    if words:
        sys.exit("; ".join(words))


if __name__ == "__main__":
    main()
