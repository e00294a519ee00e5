"""What a bundle must find installed: pinned, closed over what the distributions require, without asking an index.

A line is ``NAME==VERSION  # record:SHA256``. The digest is that of the installed distribution's RECORD, less what
differs from one environment to the next (scripts, compiled files, the installer's own notes), so that the same
wheel has the same digest wherever it is installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
    version,
)

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelyard.errors import BundleError

#: What the core of the runtime imports; each door adds its own.
RUNTIME = ("numpy", "onnxruntime", "msgspec", "prometheus-client")

_NOTES_OF_INSTALLERS = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")


def runtime_lock() -> list[str]:
    """Return the lock of an ONNX bundle: the runtime's four dependencies and what they require."""
    return _closed(RUNTIME)


def traced_lock(modules: Iterable[str]) -> list[str]:
    """Return the lock of what brings these imported modules, such as ``sklearn.tree._tree``, and what that requires."""
    return _closed(_bringing(modules))


def bento_lock() -> list[str]:
    """Return what the BentoML door adds; BentoML pins the rest itself when it builds an image."""
    return [_line("bentoml")]


def asgi_lock() -> list[str]:
    """Return what the plain ASGI door adds: uvicorn, a parser in C, and what they require."""
    return _closed(["uvicorn", "httptools"])


def api_lock() -> list[str]:
    """Return what the FastAPI door adds, its server included; nothing where FastAPI is not installed."""
    return _closed(["fastapi", "uvicorn"]) if _installed("fastapi") else []


def wsgi_lock() -> list[str]:
    """Return what the WSGI door adds, but no server; nothing where a2wsgi is not installed."""
    return _closed(["a2wsgi"])


def arrow_lock() -> list[str]:
    """Return what bodies in Arrow and Parquet add; nothing where pyarrow is not installed."""
    return _closed(["pyarrow"])


def explain_lock(types: Iterable[str]) -> list[str]:
    """Return what the explain door needs, closed: shap, skops, and what brings these types of an estimator."""
    return _closed({"shap", "skops", *_bringing(types)})


def pinned(lock: Iterable[str]) -> dict[str, str]:
    """Return the versions that the lines of a lock pin, by canonical name.

    >>> pinned(["numpy==2.4.6  # record:0123"])
    {'numpy': '2.4.6'}
    """
    pairs = (line.partition("#")[0].strip().partition("==") for line in lock)
    return {canonicalize_name(name): wanted for name, _, wanted in pairs if name}


def pins(lock: Iterable[str]) -> list[str]:
    """Return the lines of a lock as an installer wants them, without digests."""
    return [f"{name}=={wanted}" for name, wanted in pinned(lock).items()]


def missing_requirements(lock: Iterable[str]) -> list[str]:
    """Return what locked distributions require and the lock does not name: ``numpy, which onnxruntime requires``."""
    names = pinned(lock)
    return [
        f"{needed}, which {name} requires"
        for name in names
        for needed in _requirements(name)
        if needed not in names and _installed(needed)
    ]


def completed(lock: Iterable[str], door: Iterable[str]) -> list[str]:
    """Return a lock, what a door adds to it, and what that requires besides, pinned as it is installed here.

    Raises
    ------
    BundleError
        The door's distributions are not installed here as pinned, so that nobody can tell what they require.
    """
    own, added = list(lock), list(door)
    for name, wanted in pinned(added).items():
        found = version(name) if _installed(name) else "none"
        if found != wanted:
            raise BundleError(
                f"{name} {wanted} is wanted, and {found} is installed here; type: pip install {name}=={wanted}"
            )
    known = pinned([*own, *added])
    return [
        *own,
        *added,
        *(line for line in _closed(pinned(added)) if not pinned([line]).keys() & known.keys()),
    ]


def installed(name: str) -> str:
    """Return the installed version of a distribution."""
    return version(name)


def _line(name: str) -> str:
    found = distribution(name)
    return f"{canonicalize_name(name)}=={found.version}  # record:{_record_digest(found)}"


def _record_digest(found: Distribution) -> str:
    lines = (found.read_text("RECORD") or "").splitlines()
    kept = sorted(line for line in lines if _is_the_wheels_own(line.partition(",")[0]))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _is_the_wheels_own(path: str) -> bool:
    name = path.rpartition("/")[2]
    outside = path.startswith(("..", "/"))
    return (
        not outside
        and not path.endswith(".pyc")
        and not (".dist-info/" in path and name in _NOTES_OF_INSTALLERS)
    )


def _bringing(modules: Iterable[str]) -> set[str]:
    """Return the distributions that bring these modules; where several share a root, those whose files they are."""
    by_root: dict[str, set[str]] = {}
    for module in modules:
        by_root.setdefault(module.partition(".")[0], set()).add(module)
    brought: set[str] = set()
    for root, candidates in packages_distributions().items():
        wanted = by_root.get(root, set())
        shared = len(set(candidates)) > 1
        brought.update(
            name for name in set(candidates) if wanted and (not shared or _holds_any(name, wanted))
        )
    return brought


def _holds_any(name: str, modules: Iterable[str]) -> bool:
    files = {str(file).partition(".")[0].removesuffix("/__init__") for file in distribution(name).files or ()}
    return any(module.replace(".", "/") in files for module in modules)


def _requirements(name: str) -> Iterator[str]:
    """Yield what a distribution requires in this environment, without extras."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def required(names: Iterable[str]) -> list[str]:
    """Return `names` and, transitively, what they require, as far as it is installed here."""
    found: set[str] = set()
    waiting: list[str] = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or not _installed(name):
            continue  # required, but not installed: a part that this environment runs without
        found.add(name)
        waiting.extend(_requirements(name))
    return sorted(found)


def _closed(names: Iterable[str]) -> list[str]:
    """Return the lines for `names` and, transitively, what they require."""
    return [_line(name) for name in required(names)]
