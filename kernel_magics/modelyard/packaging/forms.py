"""The portable forms of an estimator: ONNX where it is faithful, else skops, else pickled by value."""

from __future__ import annotations

import io
import json
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np

from modelyard_runtime.bundle_format import TRUST_BY_VALUE, digest


@dataclass(frozen=True)
class Form:
    """One portable form: the file, and what the manifest says of it."""

    content: bytes
    described: dict[str, Any]
    trust: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def as_onnx(model: Any, sample: Any) -> Form:
    """Convert to ONNX.

    Raises
    ------
    ConversionError
        There is no faithful converter; the message says for what.
    """
    from modelyard.conversion import NULL_STRING, convert

    found = convert(model, sample)
    described = {
        "kind": "onnx",
        "file": "model.onnx",
        "task": found.task,
        "classes": None if found.classes is None else list(found.classes),
        "inputs": [{"name": i.name, "dtype": i.dtype, "columns": list(i.columns)} for i in found.inputs],
        "label_output": found.label_output,
        "probability_output": found.probability_output,
        "null_string": NULL_STRING,
    }
    return Form(found.model, described, notes=tuple(found.notes))


def as_python(model: Any, array_dtype: str | None) -> Form:
    """Write the estimator itself: as skops where all its code is installed, else by value with a trust decision."""
    described = {"array_dtype": array_dtype, "classes": _classes(model), "task": _task(model)}
    notebook_code = sorted(_types_outside_distributions(model))
    if not notebook_code:
        try:
            return _as_skops(model, described)
        except _SKOPS_ERRORS:
            pass  # something in it that skops cannot write: by value, and said so
    with _project_modules_by_value():
        content = cloudpickle.dumps(model)
    return Form(
        content,
        described | {"kind": "pickle", "file": "model.pkl"},
        trust={
            "decision": TRUST_BY_VALUE,
            "granted_by": "modelyard.package, called on this object in the session that made it",
            "code": notebook_code,
        },
    )


_SKOPS_ERRORS = (TypeError, ValueError, AttributeError, NotImplementedError)


def _as_skops(model: Any, described: dict[str, Any]) -> Form:
    import skops.io

    content = _canonical_skops(skops.io.dumps(model))
    unknown = sorted(skops.io.get_untrusted_types(data=content))
    skops.io.loads(content, trusted=unknown)
    return Form(
        content,
        described | {"kind": "skops", "file": "model.skops", "trusted_types": unknown},
        trust={
            "decision": "skops-types",
            "granted_by": "modelyard.package: these classes belong to installed distributions",
            "code": unknown,
        }
        if unknown
        else None,
    )


def _canonical_skops(content: bytes) -> bytes:
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
            address["content"] = (
                "0"  # scikit-learn keeps id(stop_words), to check each list once in a process
            )
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
    clean = np.zeros(
        array.shape, array.dtype, "F" if np.isfortran(array) else "C"
    )  # zeros_like skips padding
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


def _classes(model: Any) -> list[Any] | None:
    classes = getattr(model, "classes_", None)
    return None if classes is None else [getattr(c, "item", lambda c=c: c)() for c in classes]


def _task(model: Any) -> str:
    classes = _classes(model)
    return "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"


def _parts(model: Any) -> Iterator[Any]:
    """Yield the estimator and everything that its parameters and fitted attributes hold."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif hasattr(part, "get_params") or hasattr(part, "transform") or hasattr(part, "predict"):
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())
        elif callable(part) and hasattr(part, "__module__"):
            yield part


def _types_outside_distributions(model: Any) -> set[str]:
    """Return the classes and functions in `model` that no installed distribution brings."""
    outside = set()
    for part in _parts(model):
        kind = part if isinstance(part, type) or hasattr(part, "__qualname__") else type(part)
        module = sys.modules.get(str(getattr(kind, "__module__", None)))
        if module is not None and (module.__name__ == "__main__" or _is_local(module)):
            outside.add(f"{kind.__module__}.{kind.__qualname__}")
    return outside


def _is_local(module: ModuleType) -> bool:
    """Whether a module is a file of the user's: in no installed distribution and not Python's own."""
    source = getattr(module, "__file__", None)
    if source is None:
        return False
    path = Path(source).resolve()
    paths = sysconfig.get_paths()
    installed = [Path(paths[key]).resolve() for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    return not any(path.is_relative_to(folder) for folder in installed)


@contextmanager
def _project_modules_by_value() -> Iterator[None]:
    """Let cloudpickle write modules beside the notebook by value, as it does with the notebook's own cells."""
    here = Path.cwd().resolve()
    registered = []
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if source is None or module.__name__ == "__main__" or not _is_local(module):
            continue
        if Path(source).resolve().is_relative_to(here):
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
