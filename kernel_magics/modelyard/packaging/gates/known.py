"""The secrets of this project: the values of its .env files and of the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modelyard.packaging.gates.names import is_telling, says_secret

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*?)\s*")


def known_secrets(folders: Iterable[Path], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of this project by where they stand: ``{".env: API_TOKEN": "…"}``.

    They are the values of ``.env`` and ``.env.*`` in `folders`, and of the environment's variables whose names
    say that they are secret; without those that a harmless text may hold as well: short ones, words, paths, numbers.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        for path in sorted([*folder.glob(".env"), *folder.glob(".env.*")]):
            if not path.is_file() or path.name.endswith((".example", ".sample", ".template", ".dist")):
                continue
            for name, value in _entries(path.read_text(encoding="utf-8", errors="replace")):
                if is_telling(value, says_secret(name)):
                    found.setdefault(f"{path.name}: {name}", value)
    for name, value in sorted(environment.items()):
        if says_secret(name) and is_telling(value, True) and value not in found.values():
            found[f"the environment: {name}"] = value
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    quoted = re.compile(
        r"""^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(["'])(.*?)(?<!\\)\2""", re.DOTALL | re.MULTILINE
    )
    for match in quoted.finditer(text):
        yield match[1], match[3].replace("\\n", "\n")
    for line in quoted.sub("", text).splitlines():
        entry = _LINE.fullmatch(line)
        if entry is not None:
            yield entry[1], re.sub(r"\s+#.*", "", entry[2])
