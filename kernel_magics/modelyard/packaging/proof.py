"""The proof that a bundle computes what the notebook computed: a replay where the notebook is not.

The golden rows are answered by the bundle's own runtime in a process that can import the standard library, that
runtime, and the distributions of the bundle's lock. Nothing else is on its path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelyard.errors import BundleError
from modelyard.packaging.sites import locked_site
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER

#: How far from the notebook's an explanation may be.
EXPLAINED_WITHIN = 1e-6

_REPLAY = """
import runpy, sys
sys.path[:0] = sys.argv.pop(1).split("|")
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def traced(source: Path, what: str) -> list[str]:
    """Answer the golden rows with everything importable; return the modules that this imported.

    Raises
    ------
    BundleError
        The bundle cannot be loaded outside the notebook, or a golden row is not reproduced.
    """
    installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    modules: list[str] = _replayed(source, what, installed)["modules"]
    return modules


def replayed(source: Path, what: str, lock: Iterable[str]) -> dict[str, Any]:
    """Answer the golden rows of the bundle source `source` with only the distributions of `lock` importable.

    Returns
    -------
    dict
        ``rows``, ``max_absolute``, ``load_s`` (seconds) and ``row_ms`` (the fastest of one-row predictions).

    Raises
    ------
    BundleError
        The lock does not suffice, the bundle cannot be loaded, or a golden row is not reproduced.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        locked_site(lock, Path(folder), what)
        found = _replayed(source, what, [folder])
    return {key: found[key] for key in ("rows", "max_absolute", "load_s", "row_ms")}


def explanations_replayed(source: Path, what: str, lock: Iterable[str]) -> dict[str, Any]:
    """Explain the golden rows of an explainer with only the distributions of `lock` importable.

    Returns
    -------
    dict
        ``rows``, ``max_absolute``, ``load_s`` (seconds) and ``row_ms`` (the median over single rows).

    Raises
    ------
    BundleError
        The lock does not suffice, the explainer cannot be loaded, or a row is explained otherwise than in the notebook.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        locked_site(lock, Path(folder), what)
        found = _run("modelyard_explainer", source, [folder])
    if "error" in found:
        raise BundleError(f"the explainer of {what} does not load outside the notebook: {found['error']}")
    refuse_other_explanations(found["max_absolute"], f"the explainer of {what}")
    return found


def refuse_other_explanations(apart: float, what: str) -> None:
    """Refuse an explainer whose values are so far from the notebook's.

    Raises
    ------
    BundleError
    """
    if not apart <= EXPLAINED_WITHIN:
        raise BundleError(
            f"{what} is {apart:.2g} from what the notebook says of a golden row, more than {EXPLAINED_WITHIN:g}; "
            "leave --explain out, or type explain={'explainer': 'permutation'}"
        )


def _replayed(source: Path, what: str, paths: list[str]) -> dict[str, Any]:
    found = _run("modelyard_runtime", source, paths)
    if "error" in found:
        raise BundleError(f"{what} does not load outside the notebook: {found['error']}")
    if found["mismatches"]:
        raise BundleError(f"{what} does not reproduce its golden rows: {found['first']}")
    return found


def _run(package: str, source: Path, paths: list[str]) -> dict[str, Any]:
    """Run a package of the bundle's own where only `paths` can be imported; return what it prints as JSON."""
    path = "|".join([str(source / RUNTIME_FOLDER), *paths])
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _REPLAY, path, package, str(source / MODEL_FOLDER)],
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
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
    return found
