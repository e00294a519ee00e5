"""The model itself, in whichever form the bundle holds it."""

from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from modelyard_runtime.bundle_format import CAPTURED_FOLDER, TRUST_BY_VALUE, BundleError
from modelyard_runtime.contract import Contract, as_array

Outputs = tuple["np.ndarray", "np.ndarray | None"]

_ROWS_AT_ONCE = 8192  # a forest of T trees takes about rows × T × classes × 8 bytes while it runs


class Model(Protocol):
    """A loaded model: checked columns in, labels or values (rows,) and probabilities (rows, classes) out."""

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs: ...


class OnnxModel:
    """A model in ONNX Runtime, with one thread inside each prediction."""

    def __init__(self, path: Path, described: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = described["inputs"]
        self._null = described["null_string"]
        self._label = described["label_output"]
        self._probability = described["probability_output"]
        self._wanted = [name for name in (self._label, self._probability) if name]

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        feed = {entry["name"]: self._block(entry, table, rows) for entry in self._inputs}
        parts = [
            self._session.run(self._wanted, {k: v[start : start + _ROWS_AT_ONCE] for k, v in feed.items()})
            for start in range(0, rows, _ROWS_AT_ONCE)
        ]
        whole = (
            parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]
        )
        found = dict(zip(self._wanted, whole, strict=True))
        return np.asarray(found[self._label]).reshape(rows), found.get(self._probability)

    def _block(self, entry: dict[str, Any], table: dict[str, list[Any]], rows: int) -> np.ndarray:
        dtype = object if entry["dtype"] == "string" else np.dtype(entry["dtype"])
        block = np.empty((rows, len(entry["columns"])), dtype=dtype)
        for position, name in enumerate(entry["columns"]):
            block[:, position] = as_array(table[name], entry["dtype"], self._null)
        return block


class PythonModel:
    """A scikit-learn estimator, which sees what it was trained on: a frame, or an array of `array_dtype`."""

    def __init__(self, estimator: Any, contract: Contract, array_dtype: str | None) -> None:
        self._estimator = estimator
        self._contract = contract
        self._array_dtype = array_dtype
        self._has_probabilities = hasattr(estimator, "predict_proba")

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        X = self._table(table)
        probabilities = np.asarray(self._estimator.predict_proba(X)) if self._has_probabilities else None
        return np.asarray(self._estimator.predict(X)).reshape(rows), probabilities

    def _table(self, table: dict[str, list[Any]]) -> Any:
        return frame_of(self._contract, table) if self._array_dtype is None else self._array(table)

    def _array(self, table: dict[str, list[Any]]) -> np.ndarray:
        columns = [np.array(table[c.name], dtype=object) for c in self._contract.columns]
        stacked = np.column_stack(columns)
        return np.where(stacked == np.array(None), math.nan, stacked).astype(self._array_dtype)


def frame_of(contract: Contract, table: dict[str, list[Any]]) -> Any:
    """Return checked values as a pandas frame of the dtypes that the model was trained on."""
    import pandas

    columns = {}
    for column in contract.columns:
        values, dtype = table[column.name], column.dtype
        if column.null == "nan" and dtype == "object":
            values = [math.nan if v is None else v for v in values]
        if dtype == "category":
            columns[column.name] = pandas.Series(
                pandas.Categorical(values, categories=list(column.categories or ()))
            )
            continue
        if dtype.startswith(("int", "uint", "bool")) and None in values:
            dtype = "object" if column.type == "boolean" else "float64"
        columns[column.name] = pandas.Series(values, dtype=dtype)
    return pandas.DataFrame(columns)


def load_model(folder: Path, manifest: dict[str, Any], contract: Contract) -> Model:
    """Load the model that a checked manifest describes.

    Raises
    ------
    BundleError
        The manifest names a kind of model that this runtime does not know, or a pickle without the
        trust decision that format 0 asks for. Nothing has been unpickled by then.
    """
    described = manifest["model"]
    path = folder / described["file"]
    if described["kind"] == "onnx":
        return OnnxModel(path, described)
    if described["kind"] == "skops":
        import skops.io

        if manifest.get("captured"):  # named by its digest: no other module is ever called so
            sys.path.insert(0, str(folder / CAPTURED_FOLDER))
        estimator = skops.io.load(path, trusted=described["trusted_types"])
        return PythonModel(estimator, contract, described["array_dtype"])
    if described["kind"] == "pickle":
        trust = manifest.get("trust") or {}
        if trust.get("decision") != TRUST_BY_VALUE or manifest["format"] != 0:
            raise BundleError(f"{path.name} is a pickle and the manifest names no trust decision; not loaded")
        return PythonModel(pickle.loads(path.read_bytes()), contract, described["array_dtype"])
    raise BundleError(f"model of kind {described['kind']!r}; this runtime knows onnx, skops and pickle")
