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
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.errors import BundleError
from modelyard.packaging.locking import missing_requirements, pinned
from modelyard_runtime.bundle_format import MODEL_FOLDER, RUNTIME_FOLDER

_REPLAY = """
import runpy, sys
sys.path[:0] = sys.argv.pop(1).split("|")
runpy.run_module("modelyard_runtime", run_name="__main__")
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
    lines = list(lock)
    if missing := missing_requirements(lines):
        raise BundleError(f"the lock of {what} lacks {missing[0]}; package the model again")
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        site = Path(folder)
        for name, wanted in pinned(lines).items():
            _link(name, wanted, site, what)
        found = _replayed(source, what, [folder])
    return {key: found[key] for key in ("rows", "max_absolute", "load_s", "row_ms")}


def _replayed(source: Path, what: str, paths: list[str]) -> dict[str, Any]:
    path = "|".join([str(source / RUNTIME_FOLDER), *paths])
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _REPLAY, path, str(source / MODEL_FOLDER)],
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
    if "error" in found:
        raise BundleError(f"{what} does not load outside the notebook: {found['error']}")
    if found["mismatches"]:
        raise BundleError(f"{what} does not reproduce its golden rows: {found['first']}")
    return found


def _link(name: str, wanted: str, site: Path, what: str) -> None:
    """Make one installed distribution importable from `site`, by links; folders are shared only where they must be."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise BundleError(f"{what} needs {name}=={wanted}, which is not installed here") from None
    if found.version != wanted:
        raise BundleError(f"{what} needs {name}=={wanted}, but {found.version} is installed here")
    tops = {
        PurePosixPath(file).parts[0] for file in found.files or () if not str(file).startswith(("..", "/"))
    }
    for top in sorted(tops):
        _link_tree(Path(str(found.locate_file(top))), site / top)


def _link_tree(origin: Path, link: Path) -> None:
    if not link.exists():
        if origin.exists():
            link.symlink_to(origin)
    elif link.is_dir() and link.resolve() != origin.resolve():  # a namespace that two distributions share
        if link.is_symlink():
            before = link.resolve()
            link.unlink()
            link.mkdir()
            for child in before.iterdir():
                _link_tree(child, link / child.name)
        for child in origin.iterdir():
            _link_tree(child, link / child.name)
