"""The portable forms of an estimator: ONNX where it is faithful, else skops, else pickled by value."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from modelyard.packaging.canonical import canonical_skops
from modelyard_runtime.bundle_format import TRUST_BY_VALUE


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

    content = canonical_skops(skops.io.dumps(model))
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
