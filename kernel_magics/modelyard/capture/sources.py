"""From a function or a class to the statement that made it: the compiled forms must be equal."""

from __future__ import annotations
import __future__

import ast
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, partialmethod
from types import CodeType, FunctionType
from typing import Any

from modelyard.capture.cells import Statement, executed, statements

_FUTURE = __future__.annotations.compiler_flag
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


@dataclass(frozen=True)
class Source:
    """The statement that made an object, the node in it that is the object, and how it was compiled."""

    statement: Statement
    node: Definition
    flags: int

    @property
    def is_top(self) -> bool:
        return self.node is self.statement.node

    @property
    def text(self) -> str:
        return self.statement.lines(self.node)


@lru_cache(maxsize=8192)
def form(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does, apart from where it stands."""
    consts = tuple(form(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (code.co_name, counts, code.co_code, names, consts)


def _constant(value: Any) -> Any:
    text = ",".join(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
    return (type(value).__name__, text)


@lru_cache(maxsize=8192)
def compiled(statement: Statement, flags: int, alone: bool = True) -> CodeType | None:
    """Return the module code of one statement, or ``None`` if it does not compile.

    IPython compiles statement by statement. A file is compiled as a whole, and there CPython calls the
    attributes of names that the file imports in another way.
    """
    imports = [] if alone else [node for node in statement.imports if node is not statement.node]
    try:
        tree = ast.Module([*imports, statement.node], [])
        code: CodeType = compile(tree, "<capture>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return code


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yield all code objects inside `code`, itself not included."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from codes(const)


def _candidates(namespace: Mapping[str, Any], flags: int) -> Iterator[tuple[Statement, CodeType]]:
    for text in executed(namespace):
        for statement in reversed(statements(text)):
            for alone in (True, False) if statement.imports else (True,):
                code = compiled(statement, flags, alone)
                if code is not None:
                    yield statement, code


def function_source(code: CodeType, namespace: Mapping[str, Any]) -> Source | None:
    """Find the definition whose compiled form is `code` among the texts that ran."""
    wanted, flags = form(code), code.co_flags & _FUTURE
    for statement, whole in _candidates(namespace, flags):
        for found in codes(whole):
            if found.co_name == code.co_name and form(found) == wanted:
                node = _node_of(found, statement.node)
                if node is not None:
                    return Source(statement, node, flags)
    return None


def _node_of(code: CodeType, inside: ast.stmt) -> Definition | None:
    if code.co_name == "<lambda>":
        return _lambda_of(code, inside)
    for node in ast.walk(inside):
        if isinstance(node, Definition) and not isinstance(node, ast.Lambda) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def _lambda_of(code: CodeType, inside: ast.stmt) -> ast.Lambda | None:
    spots = [
        (line, column) for line, end, column, last in code.co_positions() if line and column and last and end
    ]
    around = []
    for node in ast.walk(inside):
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
            start, stop = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
            if all(start <= spot < stop for spot in spots):
                around.append((start, node))
    return max(around, key=lambda found: found[0])[1] if around else None  # the innermost starts last


def is_form_of(code: CodeType, source: Source) -> bool:
    """Whether a top-level definition's own compiled form is `code`."""
    wanted = form(code)
    wholes = (compiled(source.statement, source.flags, alone) for alone in (True, False))
    return any(
        isinstance(c, CodeType) and form(c) == wanted for w in wholes if w is not None for c in w.co_consts
    )


def named_source(name: str, value: Any, namespace: Mapping[str, Any]) -> Source | None:
    """Find the top-level ``def name`` or ``class name`` that made `value`, decorated or not."""
    if isinstance(value, type):
        return class_source(value, namespace)
    reachable = list(_reachable_codes(value))
    inside = {form(code) for code in reachable}
    flags = max((code.co_flags & _FUTURE for code in reachable), default=0)
    last: Source | None = None
    for statement, whole in _candidates(namespace, flags):
        node = statement.node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name != name:
            continue
        source = Source(statement, node, flags)
        last = last or source
        if any(form(found) in inside for found in codes(whole) if found.co_name == name):
            return source
    return None if inside else last


def _reachable_codes(value: Any, depth: int = 6) -> Iterator[CodeType]:
    """Yield the code of a function and of what it wraps."""
    if depth == 0:
        return
    if isinstance(value, FunctionType):
        yield value.__code__
        for cell in value.__closure__ or ():
            yield from _reachable_codes(_content(cell), depth - 1)
    for name in ("__wrapped__", "__func__", "fget", "fset", "func", "py_func", "pyfunc"):
        inner = getattr(value, name, None) if isinstance(value, _WRAPPERS) else _held(value, name)
        if inner is not None and inner is not value:
            yield from _reachable_codes(inner, depth - 1)


_WRAPPERS = (FunctionType, staticmethod, classmethod, property, partial, partialmethod, cached_property)


def _held(value: Any, name: str) -> Any:
    return getattr(value, "__dict__", {}).get(name)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def class_source(cls: type, namespace: Mapping[str, Any]) -> Source | None:
    """Find the last executed ``class`` statement that made `cls`; one with the same plain attributes if any."""
    changed: Source | None = None
    hints = list(vars(cls).get("__annotations__", {}).values())
    unevaluated = bool(hints) and all(isinstance(hint, str) for hint in hints)
    methods = [code for value in vars(cls).values() for code in _reachable_codes(value)]
    own = [code.co_flags & _FUTURE for code in methods if code.co_qualname.startswith(f"{cls.__qualname__}.")]
    flags = max([_FUTURE if unevaluated else 0, *own])
    for statement, whole in _candidates(namespace, flags):
        for found in codes(whole):
            if found.co_name != cls.__name__:
                continue
            node = _node_of(found, statement.node)
            if not isinstance(node, ast.ClassDef) or not _made(cls, node, found):
                continue
            if all(_same_literal(vars(cls), target, value) for target, value in _assigned(node)):
                return Source(statement, node, flags)
            changed = changed or Source(statement, node, flags)
    return changed


def _made(cls: type, node: ast.ClassDef, body: CodeType) -> bool:
    """Whether a class body, compiled, accounts for the functions and the annotations of `cls`."""
    inside = {form(code) for code in codes(body)}
    written = set(body.co_names)
    for name, value in vars(cls).items():
        found = list(_reachable_codes(value))
        from_text = [code for code in found if not code.co_filename.startswith("<string>")]
        if from_text and name in written and not any(form(code) in inside for code in from_text):
            return False
        if (
            isinstance(value, FunctionType)
            and from_text
            and name not in written
            and _is_of_notebook(value, cls)
        ):
            return False  # assigned from outside after the class was made
    made = {_mangled(n.name, cls) for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    hinted = (n.target for n in node.body if isinstance(n, ast.AnnAssign))
    hints = {_mangled(target.id, cls) for target in hinted if isinstance(target, ast.Name)}
    return made <= set(vars(cls)) and hints == set(vars(cls).get("__annotations__", {}))


def _mangled(name: str, cls: type) -> str:
    private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.__name__.lstrip('_')}{name}" if private else name


def _is_of_notebook(function: FunctionType, cls: type) -> bool:
    written = function.__code__.co_filename != "<string>"  # as dataclasses writes its methods
    return written and function.__globals__.get("__name__") == cls.__module__


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for part in node.body:
        if isinstance(part, ast.Assign):
            yield from ((t.id, part.value) for t in part.targets if isinstance(t, ast.Name))
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.value is not None:
            yield part.target.id, part.value


def _same_literal(space: Mapping[str, Any], name: str, expression: ast.expr) -> bool:
    try:
        wanted = ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError):
        return True
    found = space.get(name, wanted)
    found = found.value if isinstance(found, enum.Enum) else found
    return type(found) is not type(wanted) or bool(found == wanted)
