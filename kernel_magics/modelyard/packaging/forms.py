"""The portable forms of an estimator: ONNX, skops with what it reaches of the notebook, or one before the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.capture import Captured, capture
from modelyard.conversion import NULL_STRING, convert
from modelyard.errors import ConversionError
from modelyard.packaging.canonical import canonical_skops
from modelyard.packaging.splitting import Split
from modelyard_runtime.bundle_format import CAPTURED_FOLDER


@dataclass(frozen=True)
class Form:
    """One portable form: its files, and what the manifest says of it.

    Attributes
    ----------
    content : bytes
        The file that `described` names.
    described : dict
        The manifest's ``model``.
    beside : mapping of str to bytes
        Files that go with it, by name.
    remarks : tuple of str
        What was measured when it was chosen, and does not belong into the manifest.
    """

    content: bytes
    described: dict[str, Any]
    trust: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    captured: Captured | None = None
    beside: Mapping[str, bytes] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """All its files but the captured module, by name."""
        return {self.described["file"]: self.content, **self.beside}


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


def as_hybrid(split: Split, array_dtype: str | None, allow_stale: bool = False) -> Form:
    """Convert the rest of a pipeline to ONNX, and write the steps before it as `as_python` does.

    Raises
    ------
    ConversionError
        There is no faithful converter for the rest, or skops cannot hold the steps.
    CaptureError, StaleCodeError
        A step reaches something of the notebook that cannot travel, or was changed after it ran.
    """
    sample = split.sample()
    rest = as_onnx(split.rest, sample)
    steps, trusted, captured = as_skops(split.steps, allow_stale)
    made = {"file": "steps.skops", "trusted_types": trusted, "columns": list(sample.columns)}
    described = rest.described | {"kind": "hybrid", "array_dtype": array_dtype, "steps": made}
    return Form(
        rest.content, described, trust_in(trusted), rest.notes, captured, beside={"steps.skops": steps}
    )


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
    content, trusted, captured = as_skops(model, allow_stale)
    described = {
        "array_dtype": array_dtype,
        "classes": _classes(model),
        "task": _task(model),
        "kind": "skops",
        "file": "model.skops",
        "trusted_types": trusted,
    }
    return Form(content, described, trust_in(trusted), captured=captured)


_SKOPS_ERRORS = (TypeError, ValueError, AttributeError, NotImplementedError)


def as_skops(model: Any, allow_stale: bool) -> tuple[bytes, list[str], Captured | None]:
    """Return a file of skops, the types in it that a reader must trust, and what it needs of the notebook.

    Raises
    ------
    ConversionError, CaptureError, StaleCodeError
        As `as_python`.
    """
    import skops.io

    captured = capture(model, allow_stale=allow_stale)
    portable = model if captured is None else captured.rebound(model)
    try:
        content = canonical_skops(skops.io.dumps(portable))
        unknown = sorted(skops.io.get_untrusted_types(data=content))
        skops.io.loads(content, trusted=unknown)
    except _SKOPS_ERRORS as error:
        raise ConversionError(
            f"{type(model).__name__} has neither an ONNX form nor one of skops ({str(error).splitlines()[0]}); "
            "a bundle never holds a pickle: leave out the part that is named"
        ) from error
    return content, unknown, captured


def captured_file(captured: Captured) -> str:
    """Return where a captured module stands in a bundle."""
    return f"{CAPTURED_FOLDER}/{captured.module}.py"


def trust_in(trusted: Sequence[str]) -> dict[str, Any] | None:
    """Return the manifest's trust decision over types in files of skops; ``None`` where there are none."""
    if not trusted:
        return None
    return {
        "decision": "skops-types",
        "granted_by": "modelyard.package: installed distributions and captured/ define these",
        "code": list(trusted),
    }


def _classes(model: Any) -> list[Any] | None:
    classes = getattr(model, "classes_", None)
    return None if classes is None else [getattr(c, "item", lambda c=c: c)() for c in classes]


def _task(model: Any) -> str:
    classes = _classes(model)
    return "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
