"""Values as Python expressions: what a constant of the notebook is in the captured module."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import math
import pathlib
import re
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

MAX_ELEMENTS = 1000

#: How an expression refers to an object: a name in the module, which the caller makes available.
Refer = Callable[[Any], str]


class UnwritableError(TypeError):
    """A value that no short expression makes again; the message is what it is."""


def expression(value: Any, refer: Refer, depth: int = 0) -> str:
    """Return a Python expression that makes `value` again.

    Parameters
    ----------
    value : object
        Plain values, containers of them, numpy scalars and small arrays, enum members, patterns, paths,
        dates, partials, dataclass instances; classes and functions go through `refer`.
    refer : callable
        Given a class, a function or a module's attribute, makes it available and returns its name.

    Raises
    ------
    UnwritableError
        The value is, or holds, something else.
    """
    kind = type(value)
    if depth > 40:
        raise UnwritableError(f"{_named(kind)} nested more than 40 deep, or holding itself")

    def inner(part: Any) -> str:
        return expression(part, refer, depth + 1)

    if value is None or kind in (bool, int, str, bytes) or value is Ellipsis:
        return repr(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else f'float("{value!r}")'
    if kind is complex:
        return f"complex({inner(value.real)}, {inner(value.imag)})"
    if kind in (list, tuple, set, frozenset, dict):
        return _container(value, inner)
    if isinstance(value, enum.Enum):
        return f"{inner(kind)}[{value.name!r}]" if value.name else _refuse(value)
    if isinstance(value, np.generic | np.ndarray | np.dtype):
        return _numpy(value, refer, inner)
    if isinstance(value, functools.partial) and kind is functools.partial:
        words = [inner(value.func), *map(inner, value.args)]
        words += [f"{name}={inner(part)}" for name, part in value.keywords.items()]
        return f"{refer(functools.partial)}({', '.join(words)})"
    if isinstance(value, type | FunctionType | BuiltinFunctionType | np.ufunc):
        return refer(value)
    return _other(value, kind, refer, inner)


def _other(value: Any, kind: type, refer: Refer, inner: Callable[[Any], str]) -> str:
    if kind is range:
        return repr(value)
    if kind is slice:
        return f"slice({inner(value.start)}, {inner(value.stop)}, {inner(value.step)})"
    if isinstance(value, re.Pattern):
        return f"{refer(re.compile)}({inner(value.pattern)}, {int(value.flags)})"
    if isinstance(value, pathlib.PurePath):
        return f"{refer(pathlib.Path if isinstance(value, pathlib.Path) else kind)}({str(value)!r})"
    if kind in (datetime.date, datetime.time, datetime.datetime) and getattr(value, "tzinfo", None) is None:
        return f"{refer(kind)}.fromisoformat({value.isoformat()!r})"
    if kind is datetime.timedelta:
        return f"{refer(kind)}({value.days}, {value.seconds}, {value.microseconds})"
    if kind in (decimal.Decimal, fractions.Fraction):
        return f"{refer(kind)}({str(value)!r})"
    if dataclasses.is_dataclass(value) and all(field.init for field in dataclasses.fields(value)):
        words = [f"{f.name}={inner(getattr(value, f.name))}" for f in dataclasses.fields(value)]
        return f"{refer(kind)}({', '.join(words)})"
    return _refuse(value)


def _container(value: Any, inner: Callable[[Any], str]) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{inner(key)}: {inner(part)}" for key, part in value.items()) + "}"
    if isinstance(value, set | frozenset):
        items = ", ".join(sorted(map(inner, value)))
        braces = f"{{{items}}}" if items else ""
        return f"frozenset({braces})" if isinstance(value, frozenset) else braces or "set()"
    items = ", ".join(map(inner, value))
    if isinstance(value, list):
        return f"[{items}]"
    return f"({items},)" if len(value) == 1 else f"({items})"


def _numpy(value: Any, refer: Refer, inner: Callable[[Any], str]) -> str:
    if isinstance(value, np.dtype):
        return f"{refer(np.dtype)}({value.str!r})" if value.fields is None else _refuse(value)
    plain = type(value) is np.ndarray or isinstance(value, np.generic)
    if not plain or value.dtype.kind not in "biufcSUOMm" or value.dtype.str[1:] in ("f16", "c32"):
        return _refuse(value)
    if value.size > MAX_ELEMENTS:
        raise UnwritableError(f"an array of {value.size} elements, over {MAX_ELEMENTS}")
    dates = value.dtype.kind in "Mm"
    array = np.asarray(value)
    listed = (array.astype("int64") if dates else array).ravel().tolist()
    made = f"{refer(np.array)}({inner(listed)}, dtype={'int64' if dates else value.dtype.str!r})"
    if dates:
        made = f"{made}.view({value.dtype.str!r})"
    if isinstance(value, np.generic):
        return f"{made}[0]"
    return made if value.ndim == 1 else f"{made}.reshape({value.shape})"


def _refuse(value: Any) -> str:
    raise UnwritableError(_named(type(value)))


def _named(kind: type) -> str:
    root = kind.__module__.partition(".")[0]
    word = kind.__name__ if root in ("builtins", "__main__") else f"{root} {kind.__name__}"
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
