"""Estimators written in a space: ``StandardScaler()``, ``RandomForestClassifier(n_estimators=50)``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import sklearn
from sklearn.base import BaseEstimator

from modelyard.errors import UsageError, did_you_mean
from modelyard.evaluation.splitters import first_line


def instance_of(text: str, names: Mapping[str, Any], where: str) -> Any:
    """Make the object that a call in a space stands for.

    Parameters
    ----------
    text : str
        One call; its arguments are literals, names, or such calls themselves.
    names : dict
        What names stand for. A class that is not among them is looked for in scikit-learn.
    where : str
        Begins the message of an error.

    Raises
    ------
    UsageError
        It is no call, names something that is not there, or cannot be made.
    """
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where}: {text!r} cannot be read; type a call such as StandardScaler()") from error
    try:
        return _made(call, names, where)
    except UsageError:
        raise
    except Exception as error:  # whatever the class itself says to its arguments, in one line
        raise UsageError(f"{where}: {text} cannot be made: {first_line(error)}") from error


def _made(node: ast.expr, names: Mapping[str, Any], where: str) -> Any:
    if isinstance(node, ast.Call):
        made = _found(node.func, names, where)
        positional = [_made(argument, names, where) for argument in node.args]
        named = {word.arg: _made(word.value, names, where) for word in node.keywords if word.arg}
        return made(*positional, **named)
    if isinstance(node, ast.Name | ast.Attribute):
        return _found(node, names, where)
    if isinstance(node, ast.List | ast.Tuple):
        parts = [_made(part, names, where) for part in node.elts]
        return parts if isinstance(node, ast.List) else tuple(parts)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise UsageError(f"{where}: {ast.unparse(node)!r} is no value; type a literal or a call") from error


def _found(node: ast.expr, names: Mapping[str, Any], where: str) -> Any:
    if isinstance(node, ast.Attribute):
        return getattr(_found(node.value, names, where), node.attr)
    if not isinstance(node, ast.Name):
        raise UsageError(
            f"{where}: {ast.unparse(node)!r} cannot be called; type a class such as StandardScaler()"
        )
    if node.id in names:
        return names[node.id]
    for cls in _estimators(node.id) if node.id[:1].isupper() else ():
        return cls
    known = [*(name for name, value in names.items() if isinstance(value, type)), *_public()]
    near = did_you_mean(node.id, known) if node.id[:1].isupper() else ""
    raise UsageError(
        f"{where}: no class {node.id!r} here or in scikit-learn{near}; import it, or run the cell that makes it"
    )


def _estimators(name: str) -> Iterator[type]:
    for module in _modules():
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, BaseEstimator):
            yield found


def _public() -> list[str]:
    return [name for module in _modules() for name in getattr(module, "__all__", ()) if name[:1].isupper()]


def _modules() -> Iterator[Any]:
    for name in sklearn.__all__:
        try:
            yield import_module(f"sklearn.{name}")
        except ImportError:  # a function such as clone
            continue
