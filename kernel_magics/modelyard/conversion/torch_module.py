"""A torch module over a table's columns: a tensor ``(rows, columns)`` in, a number or one for each class out.

torch itself is imported only where a module is met, so that this file needs none.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from onnx import TensorProto

from modelyard.conversion._answers import Array, Reading, as_frame, check_rows_alone, fed_frame, read
from modelyard.conversion._inputs import describe, feed
from modelyard.conversion._protocol import Conversion, DType, ModelInput
from modelyard.conversion._rewiring import Slot, check_runs, first_line, rewired
from modelyard.errors import ConversionError, InvalidInputError, MissingExtraError

_ROWS_AT_ONCE = 8192
_TRIED_ROWS = 8

# What the code of a module raises on a tensor that it does not take, and torch on a module that it cannot copy
# or export; there is no base class.
_FAILURES = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)


@dataclass(frozen=True)
class TorchModule:
    """A torch module that predicts as an estimator does, in evaluation mode, on the CPU.

    Attributes
    ----------
    module : torch.nn.Module
        A copy of the user's.
    exported : torch.export.ExportedProgram or None
        The program that the module comes from, where one was given.
    name : str
        What messages call it: the name of its class.
    columns : tuple of str
        Those of the training table, stacked in this order.
    dtype : str
        ``float32``, or ``float64`` where the module's own parameters are.
    reading : Reading
        What the output means.
    size_bytes : int or None
        Of the file that a bundle holds, where that was measured.
    """

    module: Any
    exported: Any
    name: str
    columns: tuple[str, ...]
    dtype: DType
    reading: Reading
    size_bytes: int | None = None

    portable_only = True
    """Whether there is no form in Python that a bundle may hold."""

    @property
    def _estimator_type(self) -> str:
        """What scikit-learn calls what it predicts."""
        return "regressor" if self.reading.classes is None else "classifier"

    @property
    def feature_names_in_(self) -> Array:
        return np.array(self.columns, dtype=object)

    @property
    def n_features_in_(self) -> int:
        return len(self.columns)

    @property
    def classes_(self) -> Array:
        """The classes; an attribute only of classifiers."""
        if self.reading.classes is None:
            raise AttributeError(f"{self.name} predicts values, not classes")
        return np.array(self.reading.classes)

    def predict(self, X: Any) -> Array:
        """Return labels or values, shape ``(rows,)``."""
        return self.reading.labels(self._run(X))

    @property
    def predict_proba(self) -> Callable[[Any], Array]:
        """Probabilities, shape ``(rows, classes)``; an attribute only of classifiers."""
        if not self.reading.has_probabilities:
            raise AttributeError(f"{self.name} has no probabilities")
        return lambda X: self.reading.probabilities(self._run(X))

    def fed(self, X: Any) -> Array:
        """Return rows as the module takes them, ``(rows, columns)`` of `dtype`."""
        return np.ascontiguousarray(feed([self._entry], fed_frame(X, self.columns))[self._entry.name])

    def _run(self, X: Any) -> Array:
        return _answers(self.name, self.module, self._entry, fed_frame(X, self.columns))

    @property
    def _entry(self) -> ModelInput:
        return ModelInput("X", self.dtype, self.columns)


def _answers(name: str, module: Any, entry: ModelInput, frame: pd.DataFrame) -> Array:
    """Run rows through a module as the runtime of a bundle feeds them.

    Raises
    ------
    InvalidInputError
        What the module raises.
    ConversionError
        It returns something else than one tensor with a row for each row.
    """
    torch = import_module("torch")
    parts = []
    for start in range(0, max(len(frame), 1), _ROWS_AT_ONCE):
        block = feed([entry], frame.iloc[start : start + _ROWS_AT_ONCE])[entry.name]
        try:
            with torch.no_grad():
                found = module(torch.from_numpy(np.ascontiguousarray(block)))
        except _FAILURES as error:
            raise InvalidInputError(
                f"{name} cannot predict a {entry.dtype} tensor of shape {block.shape} ({first_line(error)})"
            ) from error
        if not isinstance(found, torch.Tensor):
            raise ConversionError(
                f"{name} returns a {type(found).__name__}; return one tensor from its forward"
            )
        if found.ndim not in (1, 2) or len(found) != len(block):
            raise ConversionError(
                f"{name} returns the shape {tuple(found.shape)} for {len(block)} rows; "
                "return (rows,), (rows, 1) or (rows, classes)"
            )
        if not found.is_floating_point():
            raise ConversionError(f"{name} returns {found.dtype}; return what it computes, not a label")
        parts.append(found.detach().cpu().to(torch.float64).numpy())
    return np.concatenate(parts)


def adopt(model: Any, X: Any, y: Any) -> TorchModule:
    """Return a module as something with ``predict``; see `modelyard.conversion.adopt`."""
    if isinstance(model, TorchModule):
        return model
    torch = import_module("torch")
    frame = as_frame(X)
    for column, kind in ((entry.name, entry.dtype) for entry in describe(frame, by_column=True)):
        if kind == "string":
            raise InvalidInputError(
                f"a torch module takes numbers, the column {column!r} holds text; encode it before training"
            )
    if isinstance(model, torch.export.ExportedProgram):
        name, module, exported = "the exported program", model.module(), model
    elif isinstance(model, torch.nn.Module):
        name, module, exported = type(model).__name__, _for_inference(model), None
    else:
        raise InvalidInputError(f"a {type(model).__name__} of torch is no model; give a torch.nn.Module")
    own = {value.dtype for value in module.parameters() if value.is_floating_point()}
    columns = tuple(str(column) for column in frame.columns)
    dtype: DType = "float64" if own == {torch.float64} else "float32"
    entry = ModelInput("X", dtype, columns)
    reading = read(name, _answers(name, module, entry, frame.head(_ROWS_AT_ONCE)), y)
    found = TorchModule(module, exported, name, columns, dtype, reading)
    check_rows_alone(name, found._run, frame)
    return found


def _for_inference(model: Any) -> Any:
    try:
        return copy.deepcopy(model).cpu().eval()
    except _FAILURES as error:
        raise ConversionError(f"{type(model).__name__} cannot be copied ({first_line(error)})") from error


def convert(model: Any, columns: pd.DataFrame) -> Conversion:
    """Return the graph that torch exports, with a bundle's inputs and outputs."""
    adopted = adopt(model, columns, None)
    frame = fed_frame(columns, adopted.columns)
    proto = _copied(adopted, frame)
    kind = TensorProto.DOUBLE if adopted.dtype == "float64" else TensorProto.FLOAT
    if len(proto.graph.input) != 1 or len(proto.graph.output) != 1:
        raise ConversionError(
            f"{adopted.name} takes or returns several tensors; one each is what a bundle holds"
        )
    slot = Slot(proto.graph.input[0].name, kind, False, adopted._entry)
    conversion = rewired(proto, [slot], adopted.reading, None, proto.graph.output[0].name)
    check_runs(adopted.name, conversion, frame.head(_TRIED_ROWS))
    return conversion


# What torch's exporter, which takes seconds, wrote of a module; an adopted module is a copy that nobody changes.
_written: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _copied(adopted: TorchModule, frame: pd.DataFrame) -> Any:
    if adopted.module not in _written:
        _written[adopted.module] = _exported(adopted, frame)
    proto = type(_written[adopted.module])()
    proto.CopyFrom(_written[adopted.module])
    return proto


def _exported(adopted: TorchModule, frame: pd.DataFrame) -> Any:
    """Return what torch's exporter writes, with any number of rows.

    Raises
    ------
    ConversionError
        The module cannot be traced, or an operation has no ONNX form.
    MissingExtraError
        The exporter needs a library that is not installed.
    """
    torch = import_module("torch")
    block = feed([adopted._entry], frame.iloc[[0, -1]])["X"]  # with one row, the number would be fixed
    given: dict[str, Any] = {"dynamo": True, "verbose": False}
    try:
        with _quiet():
            if adopted.exported is not None:
                program = torch.onnx.export(adopted.exported, **given)
            else:
                rows = torch.export.Dim("rows")
                example = (torch.from_numpy(np.ascontiguousarray(block)),)
                program = torch.onnx.export(adopted.module, example, dynamic_shapes=({0: rows},), **given)
    except ImportError as error:
        raise MissingExtraError(
            f"torch's ONNX exporter lacks a library ({first_line(error)}); pip install 'modelyard[torch]'"
        ) from error
    except (torch.onnx.OnnxExporterError, *_FAILURES) as error:
        raise ConversionError(f"torch cannot export {adopted.name} ({_root(error)})") from error
    return program.model_proto


def _root(error: BaseException) -> str:
    """Return the first line of the first cause, since torch wraps it into pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    assert isinstance(error, Exception)
    return first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of operations of libraries that are not there, and of its own future."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
