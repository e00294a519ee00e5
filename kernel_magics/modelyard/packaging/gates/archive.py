"""The secrets in a saved model: a zip of arrays and of the schema that skops writes."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelyard.packaging.gates.finding import ELSEWHERE, OF_DATA, Finding
from modelyard.packaging.gates.names import is_credential
from modelyard.packaging.gates.shapes import redacted
from modelyard.packaging.gates.texts import ACCOUNT_FIELDS, in_mapping, in_text, in_value, may_hold, readable


def findings_in_archive(name: str, content: bytes, known: Mapping[str, str]) -> Iterator[Finding]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            inside = archive.read(member)
            if member == "schema.json":
                yield from _of_schema(name, inside.decode("utf-8"), known)
                continue
            text = _text_of_array(inside) if member.endswith(".npy") else readable(inside)
            for what in in_text(text, known):
                yield Finding(name, f"{name}: {member}", what, OF_DATA)


def _text_of_array(content: bytes) -> str:
    """Return the texts of a saved array; numbers hold none."""
    if re.search(rb"'descr': '[<>|=][US]", content[:200]) is None:
        return ""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    return "\n".join(array.astype(str).ravel().tolist())


def _of_schema(name: str, text: str, known: Mapping[str, str]) -> Iterator[Finding]:
    """Look through skops' schema: texts stand in it as JSON in JSON, under the attribute that holds them."""
    waiting: list[tuple[Any, str, bool]] = [(json.loads(text), "", False)]
    worth = may_hold(text, known)
    while waiting:
        node, attribute, is_attribute = waiting.pop()
        if isinstance(node, list):
            waiting.extend((entry, attribute, False) for entry in node)
        if not isinstance(node, dict):
            continue
        content = node.get("content")
        if isinstance(content, str):
            where = f"{name}: {f'attribute {attribute!r}' if attribute else 'the model'}"
            try:
                value = json.loads(content)
            except ValueError:
                value = content
            if isinstance(value, str):
                found = in_value(value, known) if worth else ()
                yield from (Finding(name, where, what, ELSEWHERE) for what in found)
                if is_credential(attribute, value, is_attribute):
                    yield Finding(name, where, f"is a literal secret{redacted(value)}", ELSEWHERE)
        elif isinstance(content, dict) and node.get("__loader__") == "DictNode":
            fields = ("type", *ACCOUNT_FIELDS)
            for what in in_mapping({key: _plain(content[key]) for key in fields if key in content}):
                yield Finding(name, f"{name}: attribute {attribute!r}", what, ELSEWHERE)
            for key in content if worth else ():
                yield from (
                    Finding(name, f"{name}: a key of {attribute!r}", what, OF_DATA)
                    for what in in_text(key, known)
                )
            waiting.extend((entry, key, is_attribute) for key, entry in content.items())
        elif isinstance(content, dict):
            waiting.append((content, attribute, node.get("__loader__") == "ObjectNode"))
        elif isinstance(content, list):
            waiting.extend((entry, attribute, False) for entry in content)
        waiting.extend((v, attribute, False) for k, v in node.items() if k not in ("content", "key_types"))


def _plain(node: Any) -> Any:
    content = node.get("content") if isinstance(node, dict) and node.get("__loader__") == "JsonNode" else None
    return json.loads(content) if isinstance(content, str) else None
