"""The proof that a bundle computes what the notebook computed: a replay where the notebook is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from modelyard.errors import BundleError
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER


def replayed(source: Path, what: str) -> dict[str, Any]:
    """Replay the golden rows of the bundle source `source` in a clean process.

    Returns
    -------
    dict
        ``rows``, ``max_absolute``, ``load_s`` (seconds) and ``row_ms`` (the fastest of one-row predictions).

    Raises
    ------
    BundleError
        It cannot be loaded there, or a golden row is not reproduced.
    """
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "modelyard_runtime", str(source / MODEL_FOLDER)],
        env={**os.environ, "PYTHONPATH": str(source / RUNTIME_FOLDER)},
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    lines = ran.stdout.strip().splitlines()
    found: dict[str, Any] = (
        json.loads(lines[-1]) if lines else {"error": (ran.stderr.strip() or "no answer")[-300:]}
    )
    if "error" in found:
        raise BundleError(f"{what} does not load outside the notebook: {found['error']}")
    if found["mismatches"]:
        raise BundleError(f"{what} does not reproduce its golden rows: {found['first']}")
    return {key: found[key] for key in ("rows", "max_absolute", "load_s", "row_ms")}
