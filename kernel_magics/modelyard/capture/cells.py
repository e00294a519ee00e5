"""The texts that ran and the texts that are saved, as top-level statements."""

from __future__ import annotations

import ast
import json
import linecache
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from modelyard.capture.errors import CaptureError

Cells = Sequence[tuple[int, str]]

MAIN = "__main__"
_BODY_RUNS = frozenset({"time", "timeit", "capture", "prun"})
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Statement:
    """A statement outside any function or class, the text it was parsed from, and the imports in that text."""

    def __init__(self, node: ast.stmt, text: str, imports: list[ast.stmt]) -> None:
        self.node = node
        self.text = text
        self.imports = imports

    def lines(self, node: ast.AST | None = None) -> str:
        """Return the source of a node with its decorators, dedented; regenerated where lines do not do."""
        wanted: Any = self.node if node is None else node
        first = min([wanted.lineno, *(d.lineno for d in getattr(wanted, "decorator_list", ()))])
        lines = self.text.splitlines()[first - 1 : wanted.end_lineno]
        indent = len(lines[0]) - len(lines[0].lstrip())
        text = "\n".join(line[indent:].rstrip() if not line[:indent].strip() else line for line in lines)
        try:
            parsed = ast.parse(text).body
        except SyntaxError:
            parsed = []
        same = len(parsed) == 1 and ast.dump(parsed[0]) == ast.dump(wanted)
        return text if same else ast.unparse(wanted)


@lru_cache(maxsize=4096)
def statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text in order, those inside ``if``, ``for``, ``with``, ``try`` included."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    imports: list[ast.stmt] = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return tuple(_flat(tree.body, text, imports))


def _flat(nodes: list[ast.stmt], text: str, imports: list[ast.stmt]) -> Iterator[Statement]:
    for node in nodes:
        run = _run_by_magic(node)
        if run is not None:
            yield from statements(run)
            continue
        yield Statement(node, text, imports)
        if isinstance(node, _DEFINITIONS):
            continue
        for block in _BLOCKS:
            for inner in getattr(node, block, ()):
                is_clause = block in ("handlers", "cases")  # not a statement, but holding some
                yield from _flat(inner.body if is_clause else [inner], text, imports)


def _run_by_magic(node: ast.stmt) -> str | None:
    """Return the Python text that a transformed magic runs in the namespace, if `node` is one."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return None
    words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    magic = call.func.attr
    if magic not in ("run_cell_magic", "run_line_magic") or len(words) < 2 or words[0] not in _BODY_RUNS:
        return None
    return words[-1]


def executed(namespace: Mapping[str, Any]) -> list[str]:
    """Return the texts that ran in a module's namespace, the latest first."""
    module = sys.modules.get(str(namespace.get("__name__")))
    if namespace.get("__name__") != MAIN:
        return file_texts(module)
    cells = list(linecache.cache.items())
    known = [*("".join(entry[2]) for name, entry in cells if _is_cell(name) and len(entry) > 2)]
    history = [text for text in namespace.get("_ih") or namespace.get("In") or () if isinstance(text, str)]
    script = file_texts(module)  # a script run as __main__
    return list(dict.fromkeys(text.rstrip("\n") for text in [*reversed(history), *reversed(known), *script]))


def file_texts(module: ModuleType | None) -> list[str]:
    """Return the text of a module's file as it is now, and as linecache still knows it."""
    name = getattr(module, "__file__", None)
    if name is None:
        return []
    path = Path(name)
    now = [path.read_text(encoding="utf-8")] if path.is_file() else []
    return [*now, "".join(linecache.getlines(name))]


def _is_cell(filename: str) -> bool:
    return filename.startswith("<ipython-input-") or "ipykernel_" in filename


def binds(node: ast.stmt, name: str) -> bool:
    """Whether a statement itself gives `name` a value."""
    if isinstance(node, _DEFINITIONS):
        return node.name == name
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.For):
        targets = [node.target]
    elif isinstance(node, ast.With):
        targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
    else:
        return False
    found = (part for target in targets for part in ast.walk(target))
    return any(
        isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store) for part in found
    )


def as_run(text: str) -> str:
    """Return a saved cell as IPython runs it, its magics and shell lines being calls."""
    transformer = sys.modules.get("IPython.core.inputtransformer2")  # loaded wherever there are cells
    if transformer is None:
        return text
    try:
        return str(transformer.TransformerManager().transform_cell(text))
    except SyntaxError:
        return text


def notebook_cells() -> list[tuple[int, str]] | None:
    """Return the code cells of the saved notebook that this kernel belongs to, numbered from 1.

    The notebook is the ``.ipynb`` that ``JPY_SESSION_NAME`` names: absolute, or relative to the working
    directory or a folder above it. ``None`` where there is no such file.

    Raises
    ------
    CaptureError
        The file is not a notebook.
    """
    path = _notebook_path(os.environ.get("JPY_SESSION_NAME", ""))
    if path is None:
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sources = [cell["source"] for cell in document["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise CaptureError(f"{path} is not a notebook ({error}); save the notebook again") from None
    texts = [source if isinstance(source, str) else "".join(source) for source in sources]
    return list(enumerate(texts, start=1))


def notebook_saved_at() -> float | None:
    """Return when the notebook of `notebook_cells` was last saved, in seconds since the epoch."""
    path = _notebook_path(os.environ.get("JPY_SESSION_NAME", ""))
    return None if path is None else path.stat().st_mtime


def _notebook_path(session: str) -> Path | None:
    if not session.endswith(".ipynb"):
        return None
    here = Path.cwd()
    tried = [folder / session for folder in (here, *here.parents)] + [here / Path(session).name]
    return next((path for path in tried if path.is_file()), None)
