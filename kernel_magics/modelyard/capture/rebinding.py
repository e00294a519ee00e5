"""A fitted object taken apart and put together again on the captured module's definitions."""

from __future__ import annotations

import io
import linecache
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from modelyard.capture.errors import CaptureError

_UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError, RecursionError)

#: Given any object of a model: its path in the captured module, or ``None`` where it is not captured.
Address = Callable[[Any], "str | None"]


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, address: Address, **options: Any) -> None:
        super().__init__(file, protocol=5, **options)
        self._address = address

    def persistent_id(self, value: Any) -> str | None:
        return self._address(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, module: ModuleType) -> None:
        super().__init__(file)
        self._module = module

    def persistent_load(self, path: str) -> Any:
        return found_in(self._module, path)


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def found_in(module: ModuleType, path: str) -> Any:
    """Return what stands at a dotted path in the captured module."""
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def walk(model: Any, address: Address) -> None:
    """Show each object that a pickle of `model` would hold to `address`; nothing is kept."""

    def apart(_: pickle.PickleBuffer) -> bool:
        return False  # arrays stay where they are

    try:
        _Pickler(_Nowhere(), address, buffer_callback=apart).dump(model)
    except _UNPICKLABLE as error:
        raise _uncopied(model, error) from None


def rebuilt(model: Any, module: ModuleType, address: Address) -> Any:
    """Return a copy of `model` whose definitions are those of `module`."""
    file = io.BytesIO()
    try:
        _Pickler(file, address).dump(model)
    except _UNPICKLABLE as error:
        raise _uncopied(model, error) from None
    file.seek(0)
    return _Unpickler(file, module).load()


def _uncopied(model: Any, error: Exception) -> CaptureError:
    reason = str(error).partition("\n")[0]
    return CaptureError(
        f"{type(model).__name__} holds something that cannot be copied ({reason}); delete that attribute after fit"
    )


def imported(name: str, source: str) -> ModuleType:
    """Import the captured module from its text, once.

    Raises
    ------
    CaptureError
        The text does not import by itself.
    """
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(keepends=True), module.__file__)
    sys.modules[name] = module  # dataclasses and enums look their module up
    try:
        exec(compile(source, module.__file__, "exec", dont_inherit=True), vars(module))
    except (NameError, AttributeError, ImportError, TypeError, ValueError, SyntaxError, LookupError) as error:
        del sys.modules[name]
        raise CaptureError(
            f"the definitions do not import by themselves ({type(error).__name__}: {error}); "
            "a definition needs something at import that only the notebook has"
        ) from error
    return module
