"""The portable forms of an estimator: ONNX, or skops with what it reaches of the notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelyard.capture import Captured, capture
from modelyard.conversion import NULL_STRING, convert
from modelyard.errors import ConversionError
from modelyard.packaging.canonical import canonical_skops


@dataclass(frozen=True)
class Form:
    """One portable form: the file, and what the manifest says of it."""

    content: bytes
    described: dict[str, Any]
    trust: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    captured: Captured | None = None


def as_onnx(model: Any, sample: Any) -> Form:
    """Convert to ONNX.

    Raises
    ------
    ConversionError
        There is no faithful converter; the message says for what.
    """
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


def as_python(model: Any, array_dtype: str | None, allow_stale: bool = False) -> Form:
    """Write the estimator itself as skops, with the notebook's own definitions that it reaches as a module.

    Raises
    ------
    CaptureError
        It reaches something of the notebook that cannot travel; the message says what, and what to type.
    StaleCodeError
        A cell that made one of its definitions was changed, or deleted, after it ran.
    ConversionError
        It holds something that only a pickle could hold.
    """
    described = {"array_dtype": array_dtype, "classes": _classes(model), "task": _task(model)}
    captured = capture(model, allow_stale=allow_stale)
    portable = model if captured is None else captured.rebound(model)
    try:
        return _as_skops(portable, described, captured)
    except _SKOPS_ERRORS as error:
        raise ConversionError(
            f"{type(model).__name__} has neither an ONNX form nor one of skops ({str(error).splitlines()[0]}); "
            "a bundle never holds a pickle: leave out the part that is named"
        ) from error


_SKOPS_ERRORS = (TypeError, ValueError, AttributeError, NotImplementedError)


def _as_skops(model: Any, described: dict[str, Any], captured: Captured | None) -> Form:
    import skops.io

    content = canonical_skops(skops.io.dumps(model))
    unknown = sorted(skops.io.get_untrusted_types(data=content))
    skops.io.loads(content, trusted=unknown)
    return Form(
        content,
        described | {"kind": "skops", "file": "model.skops", "trusted_types": unknown},
        trust={
            "decision": "skops-types",
            "granted_by": "modelyard.package: installed distributions and captured/ define these",
            "code": unknown,
        }
        if unknown
        else None,
        captured=captured,
    )


def _classes(model: Any) -> list[Any] | None:
    classes = getattr(model, "classes_", None)
    return None if classes is None else [getattr(c, "item", lambda c=c: c)() for c in classes]


def _task(model: Any) -> str:
    classes = _classes(model)
    return "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
