"""A block of code that finds only some libraries, however many this process has imported already."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: Of the base install, which whatever is compressed here has imported anyway.
_ALWAYS = {"__main__", "joblib", "numpy", "pandas", "scipy", "sklearn", "threadpoolctl"}


class _Hiding(importlib.abc.MetaPathFinder):
    """Finds nothing beyond what is allowed, and keeps what it was asked for."""

    def __init__(self, allowed: set[str]) -> None:
        self.allowed = allowed
        self.asked: list[str] = []

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if _root(fullname) not in self.allowed:
            self.asked.append(fullname)
            raise ModuleNotFoundError(f"{fullname} is hidden", name=fullname)


@contextmanager
def only_libraries_of(*objects: Any) -> Iterator[list[str]]:
    """Hide all libraries but Python's, ours and those of the objects' classes; yield what is asked for beside them."""
    used = {_root(type(each).__module__) for each in objects}
    ours = {name for name in map(_root, sys.modules) if name.startswith("modelyard")}
    hiding = _Hiding(set(sys.stdlib_module_names) | _ALWAYS | used | ours)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(sys.modules):
            if _root(name) not in hiding.allowed:
                patch.delitem(sys.modules, name)
        patch.setattr(sys, "meta_path", [hiding, *sys.meta_path])
        yield hiding.asked


def _root(module: str) -> str:
    return module.partition(".")[0]
