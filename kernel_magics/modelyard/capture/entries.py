"""The captured module while it is collected: its entries, its imports, and whose each name is."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from modelyard.capture.belonging import importable
from modelyard.capture.errors import CaptureError
from modelyard.capture.names import chains
from modelyard.capture.sources import Source


@dataclass
class Entry:
    """One statement of the captured module; `eager` and `lazy` are the names it needs, when and if."""

    name: str
    text: str
    origin: str
    kind: str  # "constant", "definition", "generated", "alias" or "module"
    source: Source | None = None
    value: Any = None
    eager: set[str] = field(default_factory=set)
    lazy: set[str] = field(default_factory=set)


class Names:
    """What each name of the captured module stands for; one name cannot stand for two things."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.imports: set[str] = set()
        self._claims: dict[str, tuple[str, str]] = {}

    def claim(self, name: str, meaning: str, origin: str) -> bool:
        """Take a name; return whether it was free. The same meaning may be claimed again."""
        if name not in self._claims:
            self._claims[name] = (meaning, origin)
            return True
        known, other = self._claims[name]
        if known != meaning:
            raise CaptureError(_clash(name, origin, other))
        return False

    def free(self, stem: str) -> str:
        """Return the first of ``_stem_1``, ``_stem_2``, … that is not taken, and take it."""
        number = 1
        while f"_{stem}_{number}" in self._claims:
            number += 1
        self._claims[f"_{stem}_{number}"] = ("generated", "")
        return f"_{stem}_{number}"

    def import_module(self, name: str, module: ModuleType, origin: str, used: set[tuple[str, ...]]) -> None:
        """Import a module under `name`, and the submodules that attribute chains reach through it."""
        self.claim(name, f"module {module.__name__}", origin)
        root = module.__name__
        self.imports.add(f"import {root}" if name == root else f"import {root} as {name}")
        for chain in used:
            reached: Any = module
            for position, part in enumerate(chain, start=1):
                reached = getattr(reached, part, None)
                path = ".".join((root, *chain[:position]))
                if not isinstance(reached, ModuleType) or reached.__name__ != path:
                    break
                self.imports.add(f"import {path}")

    def import_from(self, module: str, attribute: str, name: str, origin: str) -> None:
        """Import one attribute of an installed module under `name`."""
        self.claim(name, f"{module}.{attribute}", origin)
        root, _, rest = attribute.partition(".")
        if rest:
            hidden = f"_{module.replace('.', '_')}_{root}"
            self.imports.add(f"from {module} import {root} as {hidden}")
            if name not in self.entries:
                self.entries[name] = Entry(name, f"{name} = {hidden}.{rest}", origin, "alias")
        else:
            self.imports.add(f"from {module} import {root}" + (f" as {name}" if name != root else ""))

    def import_value(self, value: Any) -> str | None:
        """Import an installed class or function under a name of our own; ``None`` if it has no address."""
        if isinstance(value, ModuleType):
            name = "_" + value.__name__.replace(".", "_")
            self.import_module(name, value, "", set())
            return name
        found = importable(value)
        if found is None:
            return None
        name = "_" + ".".join(found).replace(".", "_")
        self.import_from(*found, name, "")
        return name


def used_chains(entry: Entry, name: str) -> set[tuple[str, ...]]:
    """Return how an entry's own text uses the module that `name` stands for."""
    return chains(entry.source.node, name) if entry.source is not None else {()}


def _clash(name: str, origin: str, other: str) -> str:
    if origin == other:
        return (
            f"two different definitions of {name!r} are reached from this object, an older and a newer one; "
            "run the notebook's cells again from the top and fit again"
        )
    return (
        f"{name!r} means one thing in {other or 'the captured module'} and another in {origin}; a captured module "
        "holds both: rename one of them and fit again"
    )
