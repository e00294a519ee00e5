"""What a bundle must find installed: pinned, closed over what the distributions require."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What the core of the runtime imports; each door adds its own.
RUNTIME = ("numpy", "onnxruntime", "msgspec", "prometheus-client")
_CORE = ("numpy", "msgspec", "prometheus-client")


def runtime_lock() -> list[str]:
    """Return the pinned lines of an ONNX bundle: the runtime's four dependencies and what they require."""
    return _closed(RUNTIME)


def python_lock(imports: Iterable[str]) -> list[str]:
    """Return the pinned lines of a bundle that holds Python: the core, and what brings these imports."""
    by_module = packages_distributions()
    brought = [name for module in imports for name in by_module.get(module, [])[:1]]
    return _closed([*_CORE, *brought])


def bento_lock() -> list[str]:
    """Return the one line that the BentoML door adds; BentoML pins the rest itself when it builds an image."""
    return [f"bentoml=={version('bentoml')}"]


def installed(name: str) -> str:
    """Return the installed version of a distribution."""
    return version(name)


def _closed(names: Iterable[str]) -> list[str]:
    """Pin `names` and, transitively, what they require here (markers of this environment, no extras)."""
    pinned: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in pinned:
            continue
        try:
            pinned[name] = version(name)
        except PackageNotFoundError:
            continue  # required, but not installed: an optional part that this environment runs without
        for line in requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return [f"{name}=={pinned[name]}" for name in sorted(pinned)]
