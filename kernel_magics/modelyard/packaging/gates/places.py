"""Where a text stands in captured code: in which definition or constant, and bound to which name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A node of captured code, and how a message calls where it stands."""

    described: str
    node: ast.AST


def places(tree: ast.Module) -> Iterator[Place]:
    """Yield the statements of a captured module, each named as its reader knows it."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inside = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            for method in inside:
                yield Place(f"{node.name + '.' + method.name!r} (line {method.lineno})", method)
            rest = [n for n in [*node.body, *node.decorator_list, *node.bases] if n not in inside]
            yield Place(f"class {node.name!r} (line {node.lineno})", ast.Module(rest, []))  # type: ignore[arg-type]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Place(f"{node.name!r} (line {node.lineno})", node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield Place(f"constant {', '.join(ast.unparse(t) for t in targets)!r}", node)
        else:
            yield Place(f"line {node.lineno}", node)


def text_of(node: ast.AST | None) -> str | None:
    """Return the text that a literal is, pieces added with ``+`` put together."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return node.value.decode("latin-1")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None or right is None else left + right
    return None


def bindings(node: ast.AST) -> Iterator[tuple[str, ast.AST | None, bool]]:
    """Yield names and what they are bound to, and whether by an assignment rather than as a key of a mapping."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name | ast.Attribute):
                yield (target.id if isinstance(target, ast.Name) else target.attr), node.value, True
            elif isinstance(target, ast.Subscript):
                yield text_of(target.slice) or "", node.value, True
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=False):
                    yield getattr(one, "id", ""), value, True
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield text_of(key) or "", value, False
    elif isinstance(node, ast.Call):
        yield from ((k.arg, k.value, True) for k in node.keywords if k.arg)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("get", "getenv", "setdefault") and len(node.args) == 2:
            yield text_of(node.args[0]) or "", node.args[1], True
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        defaults = [None] * (len(positional) - len(node.defaults)) + node.defaults
        pairs = [
            *zip(positional, defaults, strict=True),
            *zip(node.kwonlyargs, node.kw_defaults, strict=True),
        ]
        yield from ((argument.arg, default, True) for argument, default in pairs)
    elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
        for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            if isinstance(one, ast.Name | ast.Attribute):
                yield (one.id if isinstance(one, ast.Name) else one.attr), other, False
