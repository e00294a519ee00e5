"""Capture: from a fitted object to one importable module, and the object on that module."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

import numpy as np

from modelyard.capture.belonging import PREFIX, is_definition
from modelyard.capture.cells import MAIN, Cells, notebook_cells, notebook_saved_at
from modelyard.capture.closure import Closure
from modelyard.capture.errors import CaptureError, StaleCodeError
from modelyard.capture.names import inner_imports
from modelyard.capture.ordering import written
from modelyard.capture.rebinding import found_in, imported, rebuilt, walk
from modelyard.capture.staleness import findings
from modelyard.capture.values import UnwritableError, expression


@dataclass(frozen=True)
class Captured:
    """The definitions of a notebook that a fitted object reaches, as one importable module."""

    module: str
    source: str = field(repr=False)
    names: tuple[str, ...]
    imports: tuple[str, ...]
    stale: tuple[str, ...] = ()
    bindings: Mapping[int, tuple[Any, str]] = field(default_factory=dict, repr=False, compare=False)

    def load(self) -> ModuleType:
        """Import the module from its source, under its name."""
        return imported(self.module, self.source)

    def rebound(self, model: Any) -> Any:
        """Return a copy of `model` whose classes and functions are those of the captured module.

        Raises
        ------
        CaptureError
            It holds something that cannot be copied, or a definition that was not captured with it.
        """
        return rebuilt(model, self.load(), self._address)

    def _address(self, value: Any) -> str | None:
        known = self.bindings.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        if is_definition(value) and getattr(value, "__module__", None) != self.module:
            raise CaptureError(f"{value.__qualname__} was not captured with this object; capture it again")
        return None


def capture(model: Any, *, cells: Cells | None = None, allow_stale: bool = False) -> Captured | None:
    """Capture the definitions of the notebook that a fitted object reaches.

    Parameters
    ----------
    model : object
        A fitted estimator, or anything that can be pickled but for code of the notebook in it.
    cells : sequence of (int, str), optional
        The saved notebook's code cells, numbered from 1. By default those of the ``.ipynb`` that this kernel
        belongs to; without one, nothing is compared.
    allow_stale : bool
        Record what differs from the saved cells in `Captured.stale` instead of refusing it.

    Returns
    -------
    Captured or None
        ``None`` if no code of the notebook, or of a file beside it, is in the object.

    Raises
    ------
    CaptureError
        A definition has no source, uses something that is neither definition nor constant, or opens a file.
    StaleCodeError
        A definition or a constant is not what the notebook says now.
    """
    found: list[Any] = []

    def noted(value: Any) -> str | None:
        if not is_definition(value):
            return None
        found.append(value)
        return "noted"

    walk(model, noted)
    closure = Closure()
    for value in found:
        closure.reach(value)
    if not closure.bindings:
        return None
    source = written(closure.entries, closure.imports)
    saved, saved_at = (notebook_cells(), notebook_saved_at()) if cells is None else (cells, None)
    stale = [] if saved is None else findings(closure.entries, vars(sys.modules[MAIN]), saved, saved_at)
    if stale and not allow_stale:
        more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        raise StaleCodeError(stale[0] + more)
    captured = Captured(
        module=PREFIX + hashlib.sha256(source.encode()).hexdigest()[:12],
        source=source,
        names=tuple(sorted(closure.entries)),
        imports=_roots(source),
        stale=tuple(stale),
        bindings=closure.bindings,
    )
    _check_values(captured)
    return captured


def _roots(source: str) -> tuple[str, ...]:
    roots = {module.partition(".")[0] for module in inner_imports(ast.parse(source))}
    return tuple(sorted(roots - {"__future__"}))


def _check_values(captured: Captured) -> None:
    """Compare what was computed when a definition ran with what its text computes from today's constants."""
    module = captured.load()
    for value, path in captured.bindings.values():
        made = found_in(module, path)
        now = _parts(made)
        for name, before in _parts(value).items():
            after = now.get(name)
            if before is not None and before != after:
                raise StaleCodeError(
                    f"{name} of {path!r} is {_short(before)} in this object, but {_short(after)} when its definition "
                    "runs on what the notebook's globals hold now; run its cell again and fit again"
                )


def _parts(value: Any) -> dict[str, str | None]:
    """Return, as text, the defaults and attributes of a function, or the attributes of a class."""
    if isinstance(value, type):
        parts = {k: v for k, v in vars(value).items() if not k.startswith("__")}
    elif isinstance(value, FunctionType):
        parts = {f"default {k}": v for k, v in enumerate(value.__defaults__ or (), 1)}
        parts |= (value.__kwdefaults__ or {}) | {
            k: v for k, v in vars(value).items() if not k.startswith("__")
        }
    else:
        parts = {}
    return {name: _as_text(part) for name, part in parts.items()}


def _as_text(value: Any) -> str | None:
    """Return a text that is equal for equal plain values, or ``None``."""
    if type(value) is np.ndarray and value.dtype.kind != "O":
        return f"{value.dtype.str}{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, MappingProxyType):
        value = dict(value)
    try:
        return expression(value, lambda _: "_")
    except UnwritableError:
        return None


def _short(text: str | None) -> str:
    return "gone" if text is None else text if len(text) <= 60 else f"{text[:57]}..."
