"""Whose a definition is: the notebook's and its helper modules', or an installed distribution's."""

from __future__ import annotations

import functools
import sys
import sysconfig
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from modelyard.capture.cells import MAIN

PREFIX = "modelyard_captured_"


def is_local(name: str | None) -> bool:
    """Whether the loaded module `name` is the notebook, or a file that no distribution installed."""
    if name == MAIN:
        return True
    file = getattr(sys.modules.get(name or ""), "__file__", None)
    if name is None or not isinstance(file, str):
        return False
    if name.partition(".")[0].startswith("modelyard"):
        return name.startswith(PREFIX)
    return _outside_distributions(file)


@functools.cache
def _outside_distributions(file: str) -> bool:
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    paths = sysconfig.get_paths()
    folders = [Path(paths[key]).resolve() for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    return not any(path.is_relative_to(folder) for folder in folders)


def module_of(value: Any) -> str | None:
    """Return the name of the module that a class or a function belongs to."""
    found = getattr(value, "__module__", None)
    if found is None and isinstance(value, FunctionType):
        found = value.__globals__.get("__name__")
    return found if isinstance(found, str) else None


def is_definition(value: Any) -> bool:
    """Whether `value` is a class, a function, or what a decorator made of one, and the notebook's."""
    if isinstance(value, type | FunctionType):
        return is_local(module_of(value))
    if isinstance(value, MethodType | functools.partial | ModuleType) or not callable(value):
        return False
    named = isinstance(getattr(value, "__qualname__", None), str)
    return named and is_local(module_of(value))


def importable(value: Any) -> tuple[str, str] | None:
    """Return the module and the name under which an installed object can be imported."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str) or "<" in name:
        return None
    for module in (getattr(value, "__module__", None), "numpy", "scipy.special", "builtins"):
        if isinstance(module, str) and not is_local(module) and attribute(module, name) is value:
            return module, name
    return None


def attribute(module: str, path: str) -> Any:
    """Return what stands at a dotted path in a loaded module, or ``None``."""
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found
