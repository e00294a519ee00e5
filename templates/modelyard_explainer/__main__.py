"""``python -m modelyard_explainer FOLDER``: explain where nothing of the notebook is, and prove it.

Prints one JSON object: rows, the largest difference from what the notebook said, how long the start and a row took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_explainer.carried import Explainer, load
from modelyard_runtime.bundle_format import BundleError, read_manifest
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import frame_of


def replay(folder: Path) -> dict[str, Any]:
    """Explain every row whose values the notebook wrote down, each by itself; see the module's docstring."""
    started = time.perf_counter()
    manifest = read_manifest(folder)
    contract = Contract.from_json(msgspec.json.decode((folder / "contract.json").read_bytes()))
    explainer = load(folder, manifest, contract)
    load_s = time.perf_counter() - started
    differences, seconds = compared(explainer, folder, manifest["explainer"], contract)
    return {
        "rows": len(differences),
        "max_absolute": max(differences),
        "load_s": load_s,
        "row_ms": 1000 * sorted(seconds)[len(seconds) // 2],
    }


def compared(
    explainer: Explainer, folder: Path, described: dict[str, Any], contract: Contract
) -> tuple[list[float], list[float]]:
    """Return, for each golden row of an explainer, how far its values are from the notebook's, and how long it took."""
    base = np.array(described["base_values"])
    differences, seconds = [], []
    for line in (folder / described["golden"]["file"]).read_bytes().splitlines():
        said = msgspec.json.decode(line)
        frame = frame_of(contract, {n: [v] for n, v in zip(contract.names, said["row"], strict=True)})
        started = time.perf_counter()
        found = explainer.explain(frame)
        seconds.append(time.perf_counter() - started)
        wanted = np.array(said["values"])
        same_shape = found.values[0].shape == wanted.shape and found.base.shape == base.shape
        apart = (
            [np.abs(found.values[0] - wanted).max(), np.abs(found.base - base).max()]
            if same_shape
            else [np.inf]
        )
        differences.append(float(max(apart)))
    return differences, seconds


def main(folder: str) -> int:
    """Print what `replay` found."""
    try:
        found = replay(Path(folder))
    except BundleError as error:
        found = {"error": str(error)}
    except Exception as error:  # noqa: BLE001  # whatever stops a foreign model from loading is the answer
        found = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(found))  # noqa: T201  # the answer of a command
    return int("error" in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
