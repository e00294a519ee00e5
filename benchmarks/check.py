"""Hold the figures of ``serving.py`` against what must be reached; exit with 1 where one is missed.

``python benchmarks/check.py`` measures; ``python benchmarks/check.py FILE`` reads what was measured before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def measured(arguments: list[str]) -> dict[str, Any]:
    """Return the figures of a file, or of a run now with `arguments`."""
    if arguments and not arguments[0].startswith("-"):
        return dict(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    serving = Path(__file__).with_name("serving.py")
    done = subprocess.run([sys.executable, str(serving), "--json", *arguments], stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"{serving.name} stopped with {done.returncode}: nothing was measured")
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print every figure with its bound."""
    found = measured(sys.argv[1:])
    load = found["load"]
    print(f"load {load['before'][0]:g} before, {load['after'][0]:g} after; client: {found['client']}")
    for name, figure in found["figures"].items():
        value = "not measured" if figure["value"] is None else f"{figure['value']:g}"
        print(
            f"{'ok  ' if figure['kept'] else 'MISS'} {value:>12}  {figure['bound']:<6}  {figure['what']} [{name}]"
        )
    if found["missed"]:
        sys.exit(f"{len(found['missed'])} of {len(found['figures'])} missed: {', '.join(found['missed'])}")


if __name__ == "__main__":
    main()
