"""From the definitions that an object holds to all that they reach by name."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

from modelyard.capture import generated
from modelyard.capture.belonging import attribute, importable, is_definition, is_local, module_of
from modelyard.capture.cells import binds, executed, statements
from modelyard.capture.entries import Entry, Names, used_chains
from modelyard.capture.errors import CaptureError
from modelyard.capture.names import blind_name, global_names, inner_imports, opened_files
from modelyard.capture.origins import (
    found_at,
    import_statements,
    is_decorated,
    is_made_by,
    no_source,
    owner_of,
)
from modelyard.capture.sources import (
    Source,
    class_source,
    compiled,
    function_source,
    named_source,
)
from modelyard.capture.values import UnwritableError, expression

Space = Mapping[str, Any]


class Closure(Names):
    """The definitions reached so far; `bindings` says what each object is called in the captured module."""

    def __init__(self) -> None:
        super().__init__()
        self.bindings: dict[int, tuple[Any, str]] = {}
        self._spaces: dict[str, dict[tuple[str, ...], str]] = {}

    def reach(self, value: Any) -> str:
        """Capture a class or a function, and what it reaches; return its path in the captured module."""
        known = self.bindings.get(id(value))
        if known is not None:
            return known[1]
        module, name = str(module_of(value)), str(value.__qualname__)
        space = vars(sys.modules[module]) if module in sys.modules else {}
        if isinstance(value, type):
            return self._reach_class(value, space)
        if space.get(name) is value:
            source = named_source(name, value, space)
            if source is not None and is_made_by(value, source):
                return self._define(name, value, source, space)
        if isinstance(value, FunctionType) and is_local(value.__globals__.get("__name__")):
            return self._reach_function(value, value.__globals__)
        if space.get(name) is value and self._copied(name, space):
            return self._bind(value, name)
        raise CaptureError(
            f"{name} was made of a notebook's function by {type(value).__name__} of a library, and has no "
            "definition of its own; define it with def in a cell, decorated"
        )

    def _reach_function(self, function: FunctionType, space: Space) -> str:
        owner = owner_of(function, space)
        if owner is not None:
            return self._bind(function, f"{self.reach(owner)}.{function.__name__}")
        source = function_source(function.__code__, space)
        if source is None:
            raise no_source(function, space)
        if source.is_top and space.get(function.__name__) is function and not is_decorated(source):
            return self._define(function.__name__, function, source, space)
        return generated.function(self, function, source, space)

    def _reach_class(self, cls: type, space: Space) -> str:
        source = class_source(cls, space)
        path = cls.__qualname__.rpartition(".")
        if source is None and space.get(cls.__name__) is cls and self._copied(cls.__name__, space):
            return self._bind(cls, cls.__name__)
        if source is None:
            raise no_source(cls, space)
        if path[0] and "<locals>" not in path[0]:
            owner = found_at(space, path[0])
            if isinstance(owner, type) and vars(owner).get(cls.__name__) is cls:
                return self._bind(cls, f"{self.reach(owner)}.{cls.__name__}")
        name = (
            self._define(cls.__name__, cls, source, space)
            if source.is_top
            else generated.nested_class(self, cls, source, space)
        )
        for base in cls.__bases__:
            if is_definition(base):
                self.entries[name].eager.add(self.reach(base).partition(".")[0])
        return name

    def _bind(self, value: Any, path: str) -> str:
        self.bindings[id(value)] = (value, path)
        return path

    def _define(self, name: str, value: Any, source: Source, space: Space) -> str:
        origin = str(space["__name__"])
        if self.claim(name, ast.dump(source.node), origin):
            entry = self.entries[name] = Entry(name, source.text, origin, "definition", source)
            self._bind(value, name)
            code = compiled(source.statement, source.flags)
            self.add_names(entry, () if code is None else global_names(code), space)
        return self._bind(value, name)

    def add_names(self, entry: Entry, used: Any, space: Space) -> None:
        """Resolve the global names that an entry uses, and refuse what cannot travel."""
        node = entry.source.node if entry.source is not None else ast.Pass()
        blind = blind_name(node)
        if blind is not None and (blind == "__file__" or blind not in space):
            raise CaptureError(
                f"{entry.name} uses {blind}, which hides what it needs; use the names themselves"
            )
        self._check_files(entry, node, space)
        for module in inner_imports(node):
            if module.startswith(".") or is_local(module):
                raise CaptureError(
                    f"{entry.name} imports {module}, a file beside the notebook, when it runs; "
                    "import it at the top of a cell"
                )
        for name, at_once in sorted(set(used)):
            found = self.resolve(name, space, entry)
            if found is not None:
                (entry.eager if at_once else entry.lazy).add(found)
        if entry.source is not None and entry.source.flags:
            self._import_hints(node, space)

    def _check_files(self, entry: Entry, node: ast.AST, space: Space) -> None:
        texts = {
            n: str(v) for n, v in space.items() if isinstance(v, str | PurePath) and not n.startswith("_")
        }
        for path in opened_files(node, texts):
            raise CaptureError(
                f"{entry.name} opens the file {path!r}, which a bundle does not hold; read it in fit and keep "
                "what it says as an attribute"
            )

    def _import_hints(self, node: ast.AST, space: Space) -> None:
        """Import what unevaluated annotations name: dataclasses look ClassVar up in the module."""
        for part in ast.walk(node):
            hint = getattr(part, "annotation", None)
            for name in (n.id for n in ast.walk(hint) if isinstance(n, ast.Name)) if hint is not None else ():
                found = importable(space.get(name))
                if found is not None and found[0] != "builtins":
                    self.import_from(*found, name, str(space["__name__"]))

    def resolve(self, name: str, space: Space, user: Entry) -> str | None:
        """Make the global `name` of a module available in the captured one; return the name it has there."""
        if name not in space or (name.startswith("__") and name.endswith("__")):
            return None
        value, origin = space[name], str(space["__name__"])
        if isinstance(value, ModuleType):
            return self._resolve_module(name, value, origin, user)
        for module, attr in import_statements(name, space):
            if is_local(module) and attr in vars(sys.modules[module]):
                found = self.resolve(attr, vars(sys.modules[module]), user)
                return self._alias(name, found, origin) if found is not None else None
            if attribute(module, attr) is value:
                self.import_from(module, attr, name, origin)
                return name
        if is_definition(value):
            return self._alias(name, self.reach(value), origin)
        address = importable(value) if isinstance(value, type) or callable(value) else None
        if address is not None and address[0] == "builtins" and getattr(builtins, name, None) is value:
            return None
        if address is not None:
            self.import_from(*address, name, origin)
            return name
        return self._constant(name, value, space, user)

    def _resolve_module(self, name: str, module: ModuleType, origin: str, user: Entry) -> str:
        used = used_chains(user, name)
        if not is_local(module.__name__):
            self.import_module(name, module, origin, used)
            return name
        self.claim(name, f"module {module.__name__}", origin)
        members = self._spaces.setdefault(name, {})
        entry = self.entries.setdefault(name, Entry(name, "", origin, "module"))
        for chain in sorted(used):
            inside, depth = module, 0
            while depth < len(chain) and isinstance(below := getattr(inside, chain[depth], None), ModuleType):
                if not is_local(below.__name__):
                    break
                inside, depth = below, depth + 1
            if depth == len(chain):
                raise CaptureError(
                    f"{user.name} uses the module {inside.__name__} as a value; name what it needs of it"
                )
            found = self.resolve(chain[depth], vars(inside), user)
            if found is not None:
                members[chain[: depth + 1]] = found
                entry.eager.add(found)
        self.imports.add("from types import SimpleNamespace as _Namespace")
        entry.text = f"{name} = {generated.namespace(members)}"
        return name

    def _alias(self, name: str, path: str, origin: str) -> str:
        if name != path and self.claim(name, f"alias of {path}", origin):
            root = path.partition(".")[0]
            self.entries[name] = Entry(name, f"{name} = {path}", origin, "alias", eager={root})
        return name

    def _constant(self, name: str, value: Any, space: Space, user: Entry) -> str:
        origin = str(space["__name__"])
        entry = Entry(name, "", origin, "constant", value=value)
        try:
            entry.text = f"{name} = {expression(value, self.refer_for(entry))}"
        except UnwritableError as error:
            if self._copied(name, space):
                return name
            raise CaptureError(
                f"{user.name} uses the global {name}, {error}; a bundle takes definitions and constants: put it into "
                f"the transformer in fit (self.{name.lower()}_ = {name}) and use that"
            ) from None
        if self.claim(name, entry.text, origin):
            self.entries[name] = entry
        return name

    def refer_for(self, entry: Entry) -> Any:
        """Return how an expression in `entry` refers to a class or a function, noted as needed at once."""

        def refer(value: Any) -> str:
            path = self.reach(value) if is_definition(value) else self.import_value(value)
            if path is None:
                raise UnwritableError(
                    f"{getattr(value, '__qualname__', value)!s}, which has no importable name"
                )
            entry.eager.add(path.partition(".")[0])
            return path

        return refer

    def _copied(self, name: str, space: Space) -> bool:
        """Take the assignment of a named tuple, a type alias or the like as it was written."""
        value = space[name]
        root = str(getattr(type(value), "__module__", "")).partition(".")[0]
        if not isinstance(value, type) and root not in ("typing", "types", "typing_extensions"):
            return False
        for text in executed(space):
            for statement in reversed(statements(text)):
                node = statement.node
                if isinstance(node, ast.Assign | ast.AnnAssign) and binds(node, name):
                    source = Source(statement, node, 0)  # type: ignore[arg-type]
                    if self.claim(name, ast.dump(node), str(space["__name__"])):
                        entry = Entry(name, source.text, str(space["__name__"]), "constant", source, value)
                        self.entries[name] = entry
                        code = compiled(statement, 0)
                        self.add_names(entry, () if code is None else global_names(code), space)
                    return True
        return False
