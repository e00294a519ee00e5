"""Lambdas, nested functions and nested classes as definitions of a module, their free variables bound."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Mapping
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from modelyard.capture.entries import Entry
from modelyard.capture.errors import CaptureError
from modelyard.capture.names import global_names
from modelyard.capture.sources import Source, codes, compiled
from modelyard.capture.values import UnwritableError, expression

if TYPE_CHECKING:
    from modelyard.capture.closure import Closure


def function(closure: Closure, made: FunctionType, source: Source, space: Mapping[str, Any]) -> str:
    """Write a function that is not a plain top-level ``def`` under a generated name; return that name."""
    code = made.__code__
    stem = "lambda" if code.co_name == "<lambda>" else code.co_name.strip("_") or "function"
    name = closure.free(stem)
    closure.bindings[id(made)] = (made, name)
    entry = closure.entries[name] = Entry(name, "", str(space["__name__"]), "generated", source)
    node = _rewritten(source.node, name)
    node.args.defaults = [_parsed(closure, entry, v, "a default argument") for v in made.__defaults__ or ()]
    given = made.__kwdefaults__ or {}
    node.args.kw_defaults = [
        _parsed(closure, entry, given[a.arg], a.arg) if a.arg in given else None for a in node.args.kwonlyargs
    ]
    closure.add_names(entry, global_names(code, at_once=False), space)
    cells = dict(zip(code.co_freevars, made.__closure__ or (), strict=True))
    bound, itself = [], []
    for variable, cell in cells.items():
        content = _content(cell, variable, made)
        if content is made:
            itself.append(f"{variable} = {name}")
        else:
            bound.append(f"{variable} = {ast.unparse(_parsed(closure, entry, content, variable))}")
    entry.text = _in_factory(name, bound, node, itself)
    return name


def nested_class(closure: Closure, cls: type, source: Source, space: Mapping[str, Any]) -> str:
    """Write a class that a function made under a generated name; return that name."""
    name = closure.free(cls.__name__.strip("_") or "class")
    closure.bindings[id(cls)] = (cls, name)
    entry = closure.entries[name] = Entry(name, "", str(space["__name__"]), "generated", source)
    alone = compile(ast.Module([_statement(source.node)], []), "<capture>", "exec", source.flags, True)
    around = _names_around(source)
    used = list(global_names(alone))
    held = _held(cls, source.node)
    bound = []
    for variable in sorted({n for n, _ in used if n in around}):
        if variable == cls.__name__:
            continue
        if variable not in held:
            raise CaptureError(
                f"class {cls.__name__} uses {variable} of the function around it when it is made, and that value "
                "is gone; define the class at the top of a cell"
            )
        bound.append(f"{variable} = {ast.unparse(_parsed(closure, entry, held[variable], variable))}")
    closure.add_names(entry, [(n, at_once) for n, at_once in used if n not in around], space)
    renamed = [f"{cls.__name__}.__name__ = {cls.__name__}.__qualname__ = {name!r}"]
    entry.text = _in_factory(name, bound, _statement(source.node), renamed, returned=cls.__name__)
    return name


def namespace(members: Mapping[tuple[str, ...], str], depth: int = 0) -> str:
    """Return the expression of a namespace whose members are names of the captured module."""
    words = []
    for first in sorted({path[depth] for path in members}):
        inner = {path: name for path, name in members.items() if path[depth] == first}
        leaf = next((name for path, name in inner.items() if len(path) == depth + 1), None)
        words.append(f"{first}={leaf or namespace(inner, depth + 1)}")
    return f"_Namespace({', '.join(words)})"


def _rewritten(node: Any, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """Return the node as a ``def`` of that name, without decorators, annotations and defaults."""
    made: Any
    if isinstance(node, ast.Lambda):
        body: list[ast.stmt] = [ast.Return(copy.deepcopy(node.body))]
        made = ast.FunctionDef(name, copy.deepcopy(node.args), body, [], None)
        made.type_params = []
    else:
        made = copy.deepcopy(node)
        made.name, made.decorator_list, made.returns = name, [], None
    arguments = made.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        argument.annotation = None
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None
    result: ast.FunctionDef | ast.AsyncFunctionDef = made
    return result


def _parsed(closure: Closure, entry: Entry, value: Any, what: str) -> ast.expr:
    try:
        refer = closure.refer_for(entry)
        text = refer(value) if isinstance(value, ModuleType) else expression(value, refer)
    except UnwritableError as error:
        where = entry.source.node.lineno if entry.source is not None else 0
        raise CaptureError(
            f"{entry.name[1:].rpartition('_')[0]} (line {where} of its cell) keeps {what}, {error}; "
            "a bundle takes definitions and constants: put it into a transformer's attribute in fit"
        ) from None
    return ast.parse(text, mode="eval").body


def _content(cell: Any, variable: str, made: FunctionType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        raise CaptureError(
            f"{made.__qualname__} uses {variable} before it has a value; define it first"
        ) from None


def _in_factory(name: str, before: list[str], body: ast.stmt, after: list[str], returned: str = "") -> str:
    if not before and not after:
        return ast.unparse(ast.fix_missing_locations(body))
    lines = ast.parse("\n".join([*before, *after, f"{returned or name}"])).body
    last = ast.Return(ast.Name(returned or name, ast.Load()))
    maker: Any = ast.parse(f"def _make{name}():\n    pass").body[0]
    maker.body = [*lines[: len(before)], body, *lines[len(before) : -1], last]
    made = f"{ast.unparse(ast.fix_missing_locations(maker))}\n\n\n{name} = _make{name}()"
    return made if returned else f"{made}\n{name}.__qualname__ = {name!r}"


def _statement(node: Any) -> ast.stmt:
    found: ast.stmt = node
    return found


def _names_around(source: Source) -> set[str]:
    """Return the local names of the functions in which a class stands."""
    whole = compiled(source.statement, source.flags)
    node = source.node
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])

    def holds(code: CodeType) -> bool:
        return any(c.co_firstlineno == first and c.co_name == getattr(node, "name", "") for c in codes(code))

    found: set[str] = set()
    for code in codes(whole) if whole is not None else ():
        if code.co_flags & inspect.CO_NEWLOCALS and holds(code):
            found.update(code.co_varnames, code.co_cellvars, code.co_freevars)
    return found


def _held(cls: type, node: Any) -> dict[str, Any]:
    """Return the values of the variables around a class that its methods and bases still hold."""
    held: dict[str, Any] = {}
    for value in vars(cls).values():
        inner = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", None) or value))
        if isinstance(inner, FunctionType):
            for variable, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
                held[variable] = _content(cell, variable, inner)
    for expr, base in zip(node.bases, cls.__bases__, strict=False):
        if isinstance(expr, ast.Name):
            held[expr.id] = base
    return held
