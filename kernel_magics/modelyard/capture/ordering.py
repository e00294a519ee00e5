"""The text of the captured module: what is needed at once stands before what needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelyard.capture.entries import Entry

_RANK = {"constant": 0, "definition": 1, "generated": 2, "alias": 3, "module": 4}
_HEAD = '"""Definitions of a notebook that a fitted model needs, captured by modelyard."""'


def written(entries: Mapping[str, Entry], imports: Iterable[str]) -> str:
    """Return the module's source."""
    future = any(e.source is not None and e.source.flags for e in entries.values())
    head = [_HEAD, *(["from __future__ import annotations"] if future else [])]
    plain = sorted(imports, key=lambda line: (line.startswith("from "), line))
    blocks = ["\n\n".join([*head, *(["\n".join(plain)] if plain else [])])]
    small: list[str] = []
    for entry in _ordered(entries):
        if entry.kind == "constant":
            small.append(entry.text)
            continue
        if small:
            blocks.append("\n".join(small))
            small = []
        blocks.append(entry.text)
    return "\n\n\n".join([*blocks, *(["\n".join(small)] if small else [])]) + "\n"


def _ordered(entries: Mapping[str, Entry]) -> list[Entry]:
    start = sorted(entries, key=lambda name: (_RANK[entries[name].kind], name))
    hard = {name: entries[name].eager & set(entries) - {name} for name in start}
    every = {name: hard[name] | (entries[name].lazy & set(entries)) for name in start}
    soft = {
        name: {
            far
            for near in hard[name]
            for far in _closure(near, every)
            if far != name and name not in _closure(far, hard)
        }
        for name in start
    }
    done: dict[str, Entry] = {}
    for name in start:
        _place(name, entries, hard, soft, done, set())
    return list(done.values())


def _place(
    name: str,
    entries: Mapping[str, Entry],
    hard: Mapping[str, set[str]],
    soft: Mapping[str, set[str]],
    done: dict[str, Entry],
    under_way: set[str],
) -> None:
    if name in done or name in under_way:
        return
    under_way.add(name)
    for needed in [*sorted(hard[name]), *sorted(soft[name])]:
        _place(needed, entries, hard, soft, done, under_way)
    if name not in done:
        done[name] = entries[name]


def _closure(name: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting.extend(graph[here])
    return found
