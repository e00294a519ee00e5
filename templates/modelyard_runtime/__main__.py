"""``python -m modelyard_runtime FOLDER``: load a bundle where nothing of the notebook is, and prove it.

Prints one JSON object: rows, mismatches, the largest difference, how long a load and a row took, and what was
imported for it.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard_runtime.bundle_format import BundleError, read_golden
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.predictor import Predictor

_TIMED_ROWS = 20


def replay(folder: Path, load: Callable[[Path], Predictor] = Predictor) -> dict[str, Any]:
    """Answer every golden row and compare; see the module's docstring for what is returned."""
    started = time.perf_counter()
    predictor = load(folder)
    load_s = time.perf_counter() - started
    golden = read_golden(folder)
    tolerance = predictor.manifest["parity"]["tolerance"]
    has_probabilities = predictor.manifest["model"]["classes"] is not None and golden[0]["probabilities"]
    names = (
        [f"probability of {c!r}" for c in predictor.manifest["model"]["classes"]] if has_probabilities else []
    )
    wrong: list[str] = []
    largest = 0.0
    seconds = math.inf
    for number, line in enumerate(golden):
        started = time.perf_counter()
        table = {name: [value] for name, value in line["row"].items()}
        predictions, probabilities, _ = predictor.outputs(table, 1)
        if number < _TIMED_ROWS:
            seconds = min(seconds, time.perf_counter() - started)
        got = [] if probabilities is None else probabilities[0].tolist()
        values = [
            ("prediction", line["prediction"], predictions[0]),
            *zip(names, line["probabilities"] or [], got, strict=True),
        ]
        for output, wanted, found in values:
            if isinstance(wanted, float) and isinstance(found, float):
                largest = max(largest, abs(wanted - found))
                same = math.isclose(
                    wanted, found, rel_tol=tolerance["relative"], abs_tol=tolerance["absolute"]
                )
            else:
                same = wanted == found
            if not same:
                wrong.append(
                    f"golden row {number}, {output}: expected {wanted!r}, got {found!r}{_nulls(line['row'])}"
                )
                break
    return {
        "rows": len(golden),
        "mismatches": len(wrong),
        "first": wrong[0] if wrong else None,
        "max_absolute": largest,
        "load_s": load_s,
        "row_ms": seconds * 1000,
        "modules": _imported(),
    }


def _nulls(row: dict[str, Any]) -> str:
    """Return which columns of a row are missing: where two models differ, they are the first to look at."""
    missing = [repr(name) for name, value in row.items() if value is None]
    return f" (missing in it: {', '.join(missing)})" if missing else ""


def _imported() -> list[str]:
    """Return the modules, besides Python's own and the runtime's, that answering has imported."""
    own = {*sys.stdlib_module_names, "modelyard_runtime"}
    return sorted(name for name in sys.modules if name.partition(".")[0] not in own)


def main(folder: str) -> int:
    try:
        found = replay(Path(folder))
    except Exception as error:  # noqa: BLE001  # whatever stops a foreign model from loading is the answer
        ours = isinstance(error, BundleError | ContractBroken)
        found = {"error": str(error) if ours else f"{type(error).__name__}: {error}"}
    print(json.dumps(found))  # noqa: T201  # the answer of a command
    return int(found.get("mismatches") != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
