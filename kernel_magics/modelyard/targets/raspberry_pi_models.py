"""In which form a model goes to a device, what runs it there, and what that imports."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from modelyard.conversion import tflite
from modelyard.errors import DeploymentError
from modelyard.golden.parity import Outputs, Tolerance, compare
from modelyard.packaging import Bundle
from modelyard.packaging.locking import completed, installed, pinned, required
from modelyard.targets.converted import converted
from modelyard_device.flatbuffer import FlatbufferModel
from modelyard_runtime.bundle_format import GOLDEN, canonical, read_golden

#: What the runtime imports where no graph of ONNX is.
_BESIDE_TFLITE = ("numpy", "msgspec", "prometheus-client")
#: By so much a conversion in float32 may differ.
_LEAST = 1e-5


class DeviceModel(Protocol):
    """A form of a model."""

    #: What a plan says of it, and what runs it.
    says: ClassVar[str]
    runs: ClassVar[str]

    def size_of(self, bundle: Bundle) -> int:
        """Return the bytes that its file will have, without writing it."""
        ...

    def write(self, bundle: Bundle, to: Path) -> None:
        """Write a ``model/`` with the model in that form into the folder `to`, which is not there yet."""
        ...

    def locks(self, bundle: Bundle) -> tuple[list[str], list[str]]:
        """Return what must be installed, and what must be where the device has no other that does the same."""
        ...


class AsPackaged:
    """The bundle's own model: ONNX, or Python where it has no converter."""

    says: ClassVar[str] = "take the model as it was packaged"
    runs: ClassVar[str] = "ONNX Runtime, or by scikit-learn where it was packaged so"

    def __init__(self, quantized: bool) -> None:
        pass

    def size_of(self, bundle: Bundle) -> int:
        return int((bundle.model_folder / bundle.manifest["model"]["file"]).stat().st_size)

    def write(self, bundle: Bundle, to: Path) -> None:
        shutil.copytree(bundle.model_folder, to, ignore=shutil.ignore_patterns("__pycache__"))

    def locks(self, bundle: Bundle) -> tuple[list[str], list[str]]:
        return [*bundle.lock, *bundle.door_lock("asgi")], []


class AsTflite:
    """A flatbuffer for LiteRT, in float32 or, as a model of its own, with layers in whole numbers of 8 bits."""

    says: ClassVar[str] = "write the model as .tflite, and let it answer the golden rows here"
    runs: ClassVar[str] = "tflite-runtime or ai-edge-litert, whichever the device has"

    def __init__(self, quantized: bool) -> None:
        self._quantized = quantized

    def size_of(self, bundle: Bundle) -> int:
        described = bundle.manifest["model"]
        return tflite.size_of(_graph(bundle), described, name=_called(bundle), quantized=self._quantized)

    def write(self, bundle: Bundle, to: Path) -> None:
        sample = _sample(bundle) if self._quantized else None
        made = tflite.written(
            _graph(bundle), bundle.manifest["model"], name=_called(bundle), quantized=self._quantized,
            sample=sample, cap=sys.maxsize,
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            answers = _answers(bundle, made, Path(folder))
        wanted = [(line["prediction"], line["probabilities"]) for line in read_golden(bundle.model_folder)]
        known = bundle.manifest["parity"]["tolerance"]
        parity = compare(_outputs(wanted), _outputs(answers), tolerance=Tolerance(_LEAST, known["relative"]))
        if not parity.ok and not self._quantized:
            raise DeploymentError(
                f"as .tflite the model answers otherwise than in the notebook: {parity.first}; type: --runtime onnx"
            )
        agreement = {"rows": parity.rows, "same_labels": parity.rows - parity.label_mismatches}
        described = {**made.described, "agreement": {**agreement, "max_absolute": parity.max_absolute}}
        golden = {GOLDEN: _golden(bundle, answers)} if self._quantized else {}
        converted(bundle, to, "model.tflite", made.content, described, golden)

    def locks(self, bundle: Bundle) -> tuple[list[str], list[str]]:
        needed = set(required(_BESIDE_TFLITE))
        own = [line for line in bundle.lock if pinned([line]).keys() <= needed]
        either = completed([], [f"ai-edge-litert=={installed('ai-edge-litert')}"])
        return (
            [*own, *bundle.door_lock("asgi")],
            [line for line in either if not pinned([line]).keys() <= needed],
        )


def _graph(bundle: Bundle) -> bytes:
    return bytes((bundle.model_folder / bundle.manifest["model"]["file"]).read_bytes())


def _called(bundle: Bundle) -> str:
    return f"{bundle.tag} ({bundle.manifest['estimator']})"


def _sample(bundle: Bundle) -> np.ndarray[Any, Any]:
    """Return the golden rows as numbers, without those that miss one: what of the training table is in a bundle."""
    columns = [name for entry in bundle.manifest["model"]["inputs"] for name in entry["columns"]]
    rows = [[line["row"][name] for name in columns] for line in read_golden(bundle.model_folder)]
    return np.array([row for row in rows if None not in row], dtype=float)


def _answers(bundle: Bundle, made: tflite.Written, folder: Path) -> list[tuple[Any, Any]]:
    """Return what the written file answers to the golden rows, by the runtime that is installed here."""
    (folder / "model.tflite").write_bytes(made.content)
    model = FlatbufferModel(folder, {**bundle.manifest["model"], **made.described, "file": "model.tflite"})
    lines = read_golden(bundle.model_folder)
    table = {name: [line["row"][name] for line in lines] for name in bundle.contract.names}
    checked, _ = bundle.contract.check(table, len(lines))
    labels, probabilities = model(checked, len(lines))
    rows = [None] * len(lines) if probabilities is None else probabilities.tolist()
    return list(zip(labels.tolist(), rows, strict=True))


def _outputs(answers: list[tuple[Any, Any]]) -> Outputs:
    labels, rows = zip(*answers, strict=True)
    return Outputs(np.asarray(labels), None if rows[0] is None else np.asarray(rows, dtype=float))


def _golden(bundle: Bundle, answers: list[tuple[Any, Any]]) -> bytes:
    """Return the golden rows with these answers."""
    lines = (bundle.model_folder / GOLDEN).read_text(encoding="utf-8").splitlines()
    written = [
        {**json.loads(line), "prediction": label, "probabilities": row}
        for line, (label, row) in zip(lines, answers, strict=True)
    ]
    return b"".join(canonical(line) + b"\n" for line in written)


#: By the name that people type.
RUNTIMES: dict[str, Callable[[bool], DeviceModel]] = {"onnx": AsPackaged, "tflite": AsTflite}
