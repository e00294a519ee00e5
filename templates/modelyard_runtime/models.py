"""The model itself, in whichever form the bundle holds it."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from modelyard_runtime.bundle_format import CAPTURED_FOLDER, TRUST_BY_VALUE, BundleError
from modelyard_runtime.contract import Contract, as_array

Outputs = tuple["np.ndarray", "np.ndarray | None"]

_ROWS_AT_ONCE = 8192  # a forest of T trees takes about rows × T × classes × 8 bytes while it runs


class Model(Protocol):
    """A loaded model: checked columns in, labels or values (rows,) and probabilities (rows, classes) out."""

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs: ...


class Graph:
    """A graph in ONNX Runtime, with one thread inside each prediction."""

    def __init__(self, path: Path, described: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs: list[dict[str, Any]] = described["inputs"]
        self._probability = described["probability_output"]
        self._wanted = [name for name in (described["label_output"], self._probability) if name]

    def __call__(self, block: Callable[[dict[str, Any]], np.ndarray], rows: int) -> Outputs:
        """Answer `rows` rows; `block` returns what an input is fed, of shape (rows, its columns)."""
        return self.run({entry["name"]: block(entry) for entry in self._inputs}, rows)

    def run(self, feed: dict[str, np.ndarray], rows: int) -> Outputs:
        """Answer `rows` rows; `feed` holds an array of shape (rows, its columns) for each input."""
        if rows <= _ROWS_AT_ONCE:
            whole = self._session.run(self._wanted, feed)
        else:
            parts = [
                self._session.run(
                    self._wanted, {k: v[start : start + _ROWS_AT_ONCE] for k, v in feed.items()}
                )
                for start in range(0, rows, _ROWS_AT_ONCE)
            ]
            whole = [np.concatenate(column) for column in zip(*parts, strict=True)]
        labels = whole[0] if whole[0].ndim == 1 else whole[0].reshape(rows)
        return labels, whole[1] if self._probability else None


class OnnxModel:
    """A model that is one graph, fed with the columns themselves."""

    def __init__(self, graph: Graph, null: str) -> None:
        self.run = graph.run
        self._graph = graph
        self._null = null

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        def block(entry: dict[str, Any]) -> np.ndarray:
            dtype = object if entry["dtype"] == "string" else np.dtype(entry["dtype"])
            block = np.empty((rows, len(entry["columns"])), dtype=dtype)
            for position, name in enumerate(entry["columns"]):
                block[:, position] = as_array(table[name], entry["dtype"], self._null)
            return block

        return self._graph(block, rows)


class HybridModel:
    """Steps that run in Python, and a graph that is fed with what they make.

    Parameters
    ----------
    steps : transformer
        Fitted; it sees what it was trained on: a frame, or an array of `array_dtype`.
    columns : list of str
        The names, in order, of the columns that it makes.
    null : str
        What the graph is fed for a missing text.
    """

    def __init__(
        self,
        steps: Any,
        graph: Graph,
        contract: Contract,
        array_dtype: str | None,
        columns: list[str],
        null: str,
    ) -> None:
        self._steps = steps
        self._graph = graph
        self._contract = contract
        self._array_dtype = array_dtype
        self._columns = columns
        self._positions = {name: position for position, name in enumerate(columns)}
        self._null = null

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        made = self._checked(self._steps.transform(as_trained_on(self._contract, table, self._array_dtype)))

        def block(entry: dict[str, Any]) -> np.ndarray:
            if entry["dtype"] == "string":
                columns = [_texts(_column(made, self._positions[n]), self._null) for n in entry["columns"]]
                return np.column_stack(columns)
            if entry["columns"] == self._columns:
                return _numbers(made, entry["dtype"])
            columns = [_column(made, self._positions[name]) for name in entry["columns"]]
            return np.column_stack([_numbers(column, entry["dtype"]) for column in columns])

        return self._graph(block, rows)

    def _checked(self, made: Any) -> Any:
        """Return what the steps made as a frame or an array of shape (rows, columns)."""
        if hasattr(made, "toarray"):  # a sparse matrix
            made = made.toarray()
        if not hasattr(made, "iloc") or made.ndim == 1:
            made = np.asarray(made)
            made = made.reshape(-1, 1) if made.ndim == 1 else made
            found = made.shape[1] == len(self._columns)
        else:
            found = [str(name) for name in made.columns] == self._columns
        if not found:
            raise ValueError("the steps in Python made other columns than in training")
        return made


def _column(made: Any, position: int) -> Any:
    return made.iloc[:, position] if hasattr(made, "iloc") else made[:, position]


def _numbers(made: Any, dtype: str) -> np.ndarray:
    if hasattr(made, "iloc") and dtype == "float64":  # a frame may hold nulls that numpy does not know
        return np.asarray(made.to_numpy(dtype=dtype, na_value=math.nan))
    return np.asarray(made, dtype=dtype)


def _texts(column: Any, null: str) -> np.ndarray:
    if hasattr(column, "iloc"):
        return np.asarray(column.to_numpy(dtype=object, na_value=null))
    return np.array([null if v is None or v != v else v for v in column.tolist()], dtype=object)


class PythonModel:
    """A scikit-learn estimator, which sees what it was trained on: a frame, or an array of `array_dtype`."""

    def __init__(self, estimator: Any, contract: Contract, array_dtype: str | None) -> None:
        self._estimator = estimator
        self._contract = contract
        self._array_dtype = array_dtype
        self._has_probabilities = hasattr(estimator, "predict_proba")

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        X = as_trained_on(self._contract, table, self._array_dtype)
        probabilities = np.asarray(self._estimator.predict_proba(X)) if self._has_probabilities else None
        return np.asarray(self._estimator.predict(X)).reshape(rows), probabilities


def as_trained_on(contract: Contract, table: dict[str, list[Any]], array_dtype: str | None) -> Any:
    """Return checked values as an array of `array_dtype`, or without one as `frame_of` does."""
    if array_dtype is None:
        return frame_of(contract, table)
    stacked = np.column_stack([np.array(table[c.name], dtype=object) for c in contract.columns])
    return np.where(stacked == np.array(None), math.nan, stacked).astype(array_dtype)


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
        return OnnxModel(Graph(path, described), described["null_string"])
    if described["kind"] == "hybrid":
        made = described["steps"]
        steps = loaded(folder, made, manifest)
        graph = Graph(path, described)
        array_dtype, null = described["array_dtype"], described["null_string"]
        return HybridModel(steps, graph, contract, array_dtype, made["columns"], null)
    if described["kind"] == "skops":
        return PythonModel(loaded(folder, described, manifest), contract, described["array_dtype"])
    if described["kind"] == "pickle":
        trust = manifest.get("trust") or {}
        if trust.get("decision") != TRUST_BY_VALUE or manifest["format"] != 0:
            raise BundleError(f"{path.name} is a pickle and the manifest names no trust decision; not loaded")
        return PythonModel(pickle.loads(path.read_bytes()), contract, described["array_dtype"])
    raise BundleError(
        f"model of kind {described['kind']!r}; this runtime knows onnx, hybrid, skops and pickle"
    )


def loaded(folder: Path, described: dict[str, Any], manifest: dict[str, Any]) -> Any:
    """Load a file of skops, what it needs of the notebook coming from the bundle's own module.

    Raises
    ------
    BundleError
        The file is not one of skops, or holds a type that the manifest does not name.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    if manifest.get("captured"):
        _import_captured(folder, manifest["captured"]["module"])
    path = folder / described["file"]
    try:
        return skops.io.load(path, trusted=described["trusted_types"])
    except (UntrustedTypesFoundException, BadZipFile) as error:
        raise BundleError(f"bundle file {path.name!r} is not loaded: {str(error).splitlines()[0]}") from None


def _import_captured(folder: Path, name: str) -> None:
    """Run the captured module from the source that was checked: Python would prefer a compiled file beside it."""
    if name in sys.modules:  # named by its digest: no other module is ever called so
        return
    path = folder / CAPTURED_FOLDER / f"{name}.py"
    code = compile(path.read_bytes(), str(path), "exec")
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
