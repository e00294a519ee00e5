"""What a definition asks of its module: global names, attributes of modules, imports, data files."""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Iterator
from types import CodeType

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_RUN_AT_ONCE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_OPENERS = frozenset(
    {"open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "imread", "load_npz", "load_model"}
    | {"load_svmlight_file", "scan_csv", "scan_parquet"}
    | {f"read_{kind}" for kind in ("csv", "table", "excel", "parquet", "json", "feather", "pickle", "sql")}
    | {f"read_{kind}" for kind in ("hdf", "fwf", "xml", "html", "text", "bytes", "sas", "stata", "orc")}
)
_PATHS = frozenset({"Path", "PurePath", "PosixPath"})
_BLIND = frozenset({"eval", "exec", "globals", "vars", "__file__"})


def global_names(code: CodeType, at_once: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield each global name that `code` reads, and whether it is read when the module is imported."""
    stored: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADS and instruction.argval not in stored:
            yield instruction.argval, at_once
        elif instruction.opname == "STORE_NAME":
            stored.add(instruction.argval)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            is_function = bool(const.co_flags & inspect.CO_NEWLOCALS)
            yield from global_names(const, at_once and (not is_function or const.co_name in _RUN_AT_ONCE))


def blind_name(node: ast.AST) -> str | None:
    """Return a call or name through which a definition reaches globals that no analysis sees."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in _BLIND - {"vars"}:
            return part.id
        called = part.func if isinstance(part, ast.Call) and not part.args else None
        if isinstance(called, ast.Name) and called.id == "vars":
            return "vars"
    return None


def chains(node: ast.AST, name: str) -> set[tuple[str, ...]]:
    """Return the attributes read from the global `name`: ``a.b.c`` gives ``("b", "c")``, a bare use ``()``."""
    found: set[tuple[str, ...]] = set()
    inner: set[int] = set()
    for part in ast.walk(node):
        attributes: list[str] = []
        walked: ast.AST = part
        passed = []
        while isinstance(walked, ast.Attribute):
            attributes.insert(0, walked.attr)
            walked = walked.value
            passed.append(id(walked))
        if isinstance(walked, ast.Name) and walked.id == name and id(part) not in inner:
            found.add(tuple(attributes))
            inner.update(passed)
    return found


def inner_imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a definition imports when it runs; a relative one starts with a dot."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            yield "." * part.level + (part.module or "")


def opened_files(node: ast.AST, constants: dict[str, str]) -> Iterator[str]:
    """Yield each path, literal or in a constant, that a definition opens."""
    for part in ast.walk(node):
        if not isinstance(part, ast.Call):
            continue
        called = part.func
        word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if word in _PATHS or word in _OPENERS:
            asked = [*part.args[:1], *(k.value for k in part.keywords if k.arg in _FILE_ARGUMENTS)]
            yield from (path for argument in asked for path in _paths(argument, constants))
        if word in ("read_text", "read_bytes", "open") and isinstance(called, ast.Attribute):
            yield from _paths(called.value, constants)


_FILE_ARGUMENTS = frozenset({"file", "filename", "filepath_or_buffer", "path", "fname", "io"})


def _paths(argument: ast.AST, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.Name) and argument.id in constants:
        yield constants[argument.id]
    elif isinstance(argument, ast.Call | ast.BinOp | ast.JoinedStr):
        texts = [
            p.value for p in ast.walk(argument) if isinstance(p, ast.Constant) and isinstance(p.value, str)
        ]
        names = [p.id for p in ast.walk(argument) if isinstance(p, ast.Name) and p.id in constants]
        yield from [*(constants[name] for name in names), *texts][-1:]
