"""A folder from which the distributions of a lock can be imported, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.errors import BundleError
from modelyard.packaging.locking import missing_requirements, pinned

#: The lock of what the explain door adds, in the bundles that an explainer travels in.
EXPLAIN_LOCK = "lock-explain.txt"


def child_lock(model_folder: Path) -> list[str]:
    """Return the lines of the locks from which a model's child imports, and its explainer's if there is one."""
    files = [model_folder / "lock.txt", model_folder / EXPLAIN_LOCK]
    return [
        line for file in files if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()
    ]


def needs_child(manifest: Mapping[str, Any]) -> bool:
    """Whether something of a bundle runs in a process of its own: Python of the model, or an explainer."""
    return manifest["model"]["kind"] != "onnx" or "explainer" in manifest


def locked_site(lock: Iterable[str], folder: Path, what: str) -> None:
    """Make the distributions of `lock` importable from `folder`, by links to where they are installed.

    For a Python that has no other: ``python -I -S`` with `folder` on its path.

    Parameters
    ----------
    lock : iterable of str
        Its lines.
    folder : Path
        Empty and there.
    what : str
        Whose lock it is, in the words of an error: ``churn:3``.

    Raises
    ------
    BundleError
        The lock is not closed, or a distribution is not installed here in the locked version.
    """
    lines = list(lock)
    for name, wanted in pinned(lines).items():
        _link(name, wanted, folder, what)
    if missing := missing_requirements(lines):
        raise BundleError(f"the lock of {what} lacks {missing[0]}; package the model again")


def _link(name: str, wanted: str, site: Path, what: str) -> None:
    """Make one installed distribution importable from `site`; folders are shared only where they must be."""
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
