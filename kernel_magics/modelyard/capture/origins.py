"""How a module came by what it holds: import statements, decorators, the class that owns a method."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from modelyard.capture.cells import MAIN, binds, executed, statements
from modelyard.capture.errors import CaptureError, StaleCodeError
from modelyard.capture.sources import Source, is_form_of

Space = Mapping[str, Any]


def import_statements(name: str, space: Space) -> Iterator[tuple[str, str]]:
    """Yield the module and attribute of each ``from … import`` that gave a module its `name`, latest first."""
    for text in executed(space):
        for statement in reversed(statements(text)):
            node = statement.node
            if not isinstance(node, ast.ImportFrom):
                if binds(node, name):
                    return
                continue
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    module = "." * node.level + (node.module or "")
                    if node.level:
                        module = importlib.util.resolve_name(module, str(space.get("__package__") or ""))
                    if module in sys.modules:
                        yield module, alias.name


def is_made_by(value: Any, source: Source) -> bool:
    if not source.is_top:
        return False
    code = getattr(value, "__code__", None)
    return code is None or is_decorated(source) or is_form_of(code, source)


def is_decorated(source: Source) -> bool:
    return bool(getattr(source.node, "decorator_list", ()))


def owner_of(function: FunctionType, space: Space) -> type | None:
    path, _, name = function.__qualname__.rpartition(".")
    owner = found_at(space, path) if path and "<" not in function.__qualname__ else None
    held = inspect.getattr_static(owner, name, None) if isinstance(owner, type) else None
    return owner if isinstance(owner, type) and getattr(held, "__func__", held) is function else None


def found_at(space: Space, path: str) -> Any:
    root, *rest = path.split(".")
    found = space.get(root)
    for part in rest:
        found = getattr(found, part, None)
    return found


def no_source(value: Any, space: Space) -> Exception:
    module, name = str(space.get("__name__", value.__module__)), value.__qualname__
    if module != MAIN and executed(space):
        return StaleCodeError(
            f"{module}.py changed after {name} was imported from it; restart the kernel and run again"
        )
    return CaptureError(
        f"the source of {name} is not to be had: no cell that ran makes it as it is now; "
        "type its definition into a cell and run it"
    )
