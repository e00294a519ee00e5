"""What one text holds: a secret by its shape, a known one, or settings and JSON with a secret in them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelyard.packaging.gates.names import is_credential
from modelyard.packaging.gates.places import text_of
from modelyard.packaging.gates.shapes import is_real, redacted, shapes


def in_text(text: str, known: Mapping[str, str]) -> Iterator[str]:
    """Yield what a text holds, worded, without saying it."""
    for shape in shapes():
        for anchor in shape.anchors:
            position = text.find(anchor)
            while position >= 0:
                around = text[max(0, position - 200) : position + 3000]
                secret = next(filter(is_real, (m for p in shape.patterns for m in p.finditer(around))), None)
                if secret is not None:
                    yield f"holds {shape.what}{redacted(secret[0])}"
                    break
                position = text.find(anchor, position + len(anchor))
    for where, value in known.items():
        if _holds(text, value):
            file, _, name = where.partition(": ")
            yield f"holds the value of {name} of {file}" if name else f"holds the value of {where}"


def may_hold(text: str, known: Mapping[str, str]) -> bool:
    """Whether it is worth to look at the texts in a JSON text one by one."""
    plain = all(value.isascii() and not {'"', "\\", "\n"} & set(value) for value in known.values())
    anchors = (anchor for shape in shapes() for anchor in shape.anchors)
    return not plain or any(a in text for a in (*anchors, "service_account", *known.values()))


def _holds(text: str, value: str) -> bool:
    written = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    for form in written:
        if form in text and (
            len(value) >= 16 or re.search(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", text)
        ):
            return True
    return False


_ASSIGNED = re.compile(r"""(?:^|[;\n&?])\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*["']?([^\s;&"']+)""")


def in_assigned_text(text: str) -> Iterator[str]:
    """Find ``NAME=value`` as in a ``.env``, an ini file or a connection string."""
    for name, value in _ASSIGNED.findall(text) if "=" in text else ():
        if is_credential(name, value, False):
            yield f"holds a text that sets {name!r} to a literal secret{redacted(value)}"


def in_json_text(text: str) -> Iterator[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return
    for mapping in _mappings(found):
        yield from in_mapping(mapping)
        for name, value in mapping.items():
            if isinstance(value, str) and is_credential(name, value, False):
                yield f"holds JSON that sets {name!r} to a literal secret{redacted(value)}"


def in_value(value: str, known: Mapping[str, str]) -> Iterator[str]:
    yield from in_text(value, known)
    if value.lstrip()[:1] == "{" and ("private_key" in value or "service_account" in value):
        yield from (what for what in in_json_text(value) if "service account" in what)


def _mappings(found: Any) -> Iterator[dict[str, Any]]:
    waiting = [found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


ACCOUNT_FIELDS = ("private_key", "client_email", "private_key_id", "project_id")


def in_mapping(mapping: Mapping[str, Any]) -> Iterator[str]:
    """Find the key of a service account (Google's): by its type, or by the two fields that it alone has."""

    def is_text(name: str) -> bool:
        value = mapping.get(name)
        return bool(text_of(value) if isinstance(value, ast.AST) else isinstance(value, str) and value)

    kind = mapping.get("type")
    typed = (text_of(kind) if isinstance(kind, ast.AST) else kind) == "service_account"
    fields = [name for name in ACCOUNT_FIELDS if is_text(name)]
    if (typed and fields) or {"private_key", "client_email"} <= set(fields):
        yield "holds the key of a service account (private_key, client_email, …; redacted)"


_IS_PRINTED = bytes(b in b"\t\n\r" or 32 <= b < 127 for b in range(256))


def readable(content: bytes) -> str:
    """Return the texts in any content; of binary content, the printable runs of seven characters or more."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        padded = content + bytes(-len(content) % 4)
    words = np.frombuffer(padded.translate(_IS_PRINTED), "uint32") == 0x01010101
    near = words.copy()  # each run with what ends it, so that no two grow together
    near[1:] |= words[:-1]
    near[:-1] |= words[1:]
    kept: bytes = np.frombuffer(padded, "uint32")[near].tobytes()
    return kept.decode("latin-1")
