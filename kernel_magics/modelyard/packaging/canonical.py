"""Files of skops in canonical form: the same object gives the same bytes, and nothing else of the process."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from modelyard_runtime.bundle_format import digest


def canonical_skops(content: bytes) -> bytes:
    """Rewrite a skops file so that the same object gives the same bytes in every process.

    skops names arrays and nodes by their address, dates its entries, writes sets in the order of their hashes,
    and the arrays as they lie in memory. Here they are numbered as they appear and sorted, the dates are fixed,
    and the padding of records (trees have seven such bytes a node, which hold what lay there before) is zero.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    _sort_sets(schema, members)
    numbers: dict[Any, int] = {}
    renamed: dict[str, str] = {}

    def number(node: Any) -> None:
        if isinstance(node, list):
            for entry in node:
                number(entry)
        if not isinstance(node, dict):
            return
        if isinstance(address := node.get("_stop_words_id"), dict):
            # scikit-learn keeps id(stop_words), to check each list once in a process
            address["content"] = "0"
        if isinstance(node.get("__id__"), int):
            # equal plain values share a number: whether they were one object differs between processes
            plain = node["__loader__"] == "JsonNode"
            key = (node["__class__"], node["content"]) if plain else node["__id__"]
            node["__id__"] = numbers.setdefault(key, len(numbers) + 1)
        if isinstance(file := node.get("file"), str) and file in members:
            node["file"] = renamed.setdefault(file, f"{len(renamed) + 1}{Path(file).suffix}")
        for entry in node.values():
            number(entry)

    number(schema)
    files = {new: _canonical_member(old, members[old]) for old, new in renamed.items()}
    return _zipped(files | {"schema.json": json.dumps(schema, separators=(",", ":")).encode()})


def _sort_sets(node: Any, members: dict[str, bytes]) -> str:
    """Sort the elements of every set at or below `node`; return what the node says, without addresses."""
    if isinstance(node, list):
        return f"[{','.join(_sort_sets(entry, members) for entry in node)}]"
    if not isinstance(node, dict):
        return digest(members[node]) if isinstance(node, str) and node in members else json.dumps(node)
    loader = node.get("__loader__")
    made_of_list = loader == "ConstructorFromReduceNode" and node["__class__"] == "frozenset"
    if loader == "SetNode" or made_of_list:
        held = node["content"]["content"][0]["content"] if made_of_list else node["content"]
        held.sort(key=lambda entry: _sort_sets(entry, members))
    told = (f"{key}:{_sort_sets(value, members)}" for key, value in node.items() if key != "__id__")
    return f"{{{','.join(told)}}}"


def _canonical_member(name: str, content: bytes) -> bytes:
    if name.endswith(".npz"):  # a sparse matrix: a dated archive of arrays
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _zipped({n: _canonical_member(n, archive.read(n)) for n in archive.namelist()})
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    # zeros_like would leave the padding as it is
    clean = np.zeros(array.shape, array.dtype, "F" if np.isfortran(array) else "C")
    _copy_fields(array, clean)
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def _copy_fields(array: np.ndarray, clean: np.ndarray) -> None:
    for name in array.dtype.names or ():
        if array[name].dtype.names:
            _copy_fields(array[name], clean[name])
        else:
            clean[name][...] = array[name]


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()
