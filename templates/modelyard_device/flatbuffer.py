"""A model as a ``.tflite`` file, run by tflite-runtime or by its successor ai-edge-litert, whichever is there."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from modelyard_runtime.bundle_format import BundleError

#: Distribution: its module. The first that is there is taken, the small one before the large one.
_RUNTIMES = {"tflite-runtime": "tflite_runtime", "ai-edge-litert": "ai_edge_litert"}
_ROWS_AT_ONCE = 1024  # a forest of T trees takes about rows × T × classes × 4 bytes while it runs


class FlatbufferModel:
    """A ``.tflite`` file as a model, with one thread inside each prediction.

    Parameters
    ----------
    folder : Path
        Where the file is.
    described : dict
        The manifest's ``model`` entry: ``file``, and what `modelyard.conversion.tflite` says of it: ``inputs``, the
        columns in their order, ``has_rest``, and ``outputs``.

    Raises
    ------
    BundleError
        Neither runtime is installed, or the one that is cannot read the file.
    """

    def __init__(self, folder: Path, described: dict[str, Any]) -> None:
        self._columns: list[str] = described["inputs"]
        self._has_rest: bool = described["has_rest"]
        self._label: dict[str, Any] = described["outputs"]["label"]
        self._probabilities: dict[str, Any] | None = described["outputs"].get("probabilities")
        self._classes = _classes(self._label["labels"]) if "labels" in self._label else None
        path, make = folder / described["file"], _interpreter()
        content = path.read_bytes()
        self._one = _Runner(make, content, path.name)
        self._many = _Runner(make, content, path.name)  # apart, so that one row never waits for a new size
        self._lock = Lock()

    def __call__(self, table: dict[str, list[Any]], rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Answer checked columns: labels or values (rows,), and probabilities (rows, classes) if there are any."""
        values = np.empty((rows, len(self._columns)))
        for place, name in enumerate(self._columns):
            values[:, place] = [math.nan if value is None else value for value in table[name]]
        found = self._answered(self._fed(values))
        label = found[self._label["position"]].reshape(rows)
        labels = label.astype(self._label["dtype"]) if self._classes is None else self._classes[label]
        if self._probabilities is None:
            return labels, None
        return labels, found[self._probabilities["position"]].astype(np.float64)

    def _fed(self, values: np.ndarray) -> list[np.ndarray]:
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # beyond float32 is infinite, on the right side of every split
            single = values.astype(np.float32)
            if not self._has_rest:
                return [single]
            rest = np.where(np.isinf(single), 0, values - single)
        return [single, rest.astype(np.float32)]

    def _answered(self, fed: list[np.ndarray]) -> list[np.ndarray]:
        rows = len(fed[0])
        with self._lock:  # a runtime holds the rows of one prediction
            if rows == 1:
                return self._one(fed)
            parts = [
                self._many([each[start : start + _ROWS_AT_ONCE] for each in fed])
                for start in range(0, rows, _ROWS_AT_ONCE)
            ]
            if not parts:
                return [
                    each[:0] for each in self._one([np.zeros((1, each.shape[1]), each.dtype) for each in fed])
                ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]


class _Runner:
    """A file in a runtime, for as many rows as it was asked about last."""

    def __init__(self, make: Callable[..., Any], content: bytes, name: str) -> None:
        try:
            self._runtime = make(model_content=content, num_threads=1)
            self._runtime.allocate_tensors()
        except (ValueError, RuntimeError) as error:  # of an operator that a runtime is too old for, too
            told = " ".join(str(error).split())[:120]
            raise BundleError(
                f"bundle file {name!r} is none that this runtime reads ({told}); deploy it again"
            ) from None
        self._inputs = [each["index"] for each in self._runtime.get_input_details()]
        self._outputs = [each["index"] for each in self._runtime.get_output_details()]
        self._rows = 1

    def __call__(self, fed: list[np.ndarray]) -> list[np.ndarray]:
        runtime, rows = self._runtime, len(fed[0])
        if rows != self._rows:
            for index, values in zip(self._inputs, fed, strict=True):
                runtime.resize_tensor_input(index, values.shape)
            runtime.allocate_tensors()
            self._rows = rows
        for index, values in zip(self._inputs, fed, strict=True):
            runtime.set_tensor(index, values)
        runtime.invoke()
        return [runtime.get_tensor(index) for index in self._outputs]


def _interpreter() -> Callable[..., Any]:
    is_new = int(np.__version__.partition(".")[0]) >= 2
    there = [name for name, module in _RUNTIMES.items() if find_spec(module) is not None]
    for name in there:
        if not (name == "tflite-runtime" and is_new):  # it is imported, and ends the process at its first use
            found: Callable[..., Any] = import_module(f"{_RUNTIMES[name]}.interpreter").Interpreter
            return found
    if there:
        raise BundleError(
            f"tflite-runtime needs numpy below 2, found {np.__version__}; type: pip install 'numpy<2'"
        )
    raise BundleError(
        "a .tflite file needs tflite-runtime or ai-edge-litert, found neither; type: pip install ai-edge-litert"
    )


def _classes(labels: list[Any]) -> np.ndarray:
    found = np.empty(len(labels), dtype=object)
    found[:] = labels
    return found if isinstance(labels[0], str) else np.array(labels)
