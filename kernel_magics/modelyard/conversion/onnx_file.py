"""An ONNX model from elsewhere: what ONNX Runtime answers for it is what its bundle must answer.

Its graph keeps its nodes and gets the inputs and outputs that every bundle has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import pandas as pd
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]

from modelyard.conversion._answers import Array, Reading, as_frame, check_rows_alone, fed_frame
from modelyard.conversion._file_inputs import slots_of
from modelyard.conversion._file_loading import loaded
from modelyard.conversion._file_outputs import chosen_outputs, reading_of, unzipped
from modelyard.conversion._file_rows import TRIED_ROWS, any_number_of_rows
from modelyard.conversion._file_session import opened, outputs_of
from modelyard.conversion._protocol import Conversion
from modelyard.conversion._rewiring import Slot, check_runs, rewired
from modelyard.errors import ConversionError, InvalidInputError

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model that predicts as an estimator does, run by ONNX Runtime on one thread.

    Attributes
    ----------
    name : str
        What messages call it: the name of its file.
    content : bytes
        The model, its weights inside; the number of rows is free.
    columns : tuple of str
        Those of the training table, in its order.
    slots : tuple of Slot
        How the columns of the training table feed it.
    label, answers : str or None
        Its output of labels, if there is one, and that of numbers, if that is read.
    zipped : bool
        Whether `answers` is a ``ZipMap``: a list of dictionaries.
    reading : Reading
        What the outputs mean.
    """

    name: str
    content: bytes
    columns: tuple[str, ...]
    slots: tuple[Slot, ...]
    label: str | None
    answers: str | None
    zipped: bool
    reading: Reading

    portable_only = True
    """Whether there is no estimator in Python behind it."""

    @property
    def feature_names_in_(self) -> Array:
        return np.array(self.columns, dtype=object)

    @property
    def n_features_in_(self) -> int:
        return len(self.columns)

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    @property
    def classes_(self) -> Array:
        """The classes; an attribute only of classifiers."""
        if self.reading.classes is None:
            raise AttributeError(f"{self.name} predicts values, not classes")
        return np.array(self.reading.classes)

    def predict(self, X: Any) -> Array:
        """Return labels or values, shape ``(rows,)``."""
        frame = self._frame(X)
        if self.label is None:
            return self.reading.labels(self._run(frame, self.answers))
        found = self._run(frame, self.label).reshape(len(frame))
        return found if self.reading.label_dtype != "float64" else found.astype(np.float64)

    @property
    def predict_proba(self) -> Callable[[Any], Array]:
        """Probabilities, shape ``(rows, classes)``; an attribute only where the file has them."""
        if not self.reading.has_probabilities:
            raise AttributeError(f"{self.name} has no probabilities")
        return lambda X: self.reading.probabilities(self._run(self._frame(X), self.answers))

    def _frame(self, X: Any) -> pd.DataFrame:
        return fed_frame(X, self.columns)

    def _run(self, frame: pd.DataFrame, output: str | None) -> Array:
        assert output is not None
        parts = [
            outputs_of(
                self.name, self._session, self.slots, frame.iloc[start : start + _ROWS_AT_ONCE], [output]
            )
            for start in range(0, max(len(frame), 1), _ROWS_AT_ONCE)
        ]
        whole = [value for part in parts for value in part[output]] if self.zipped else None
        if whole is not None and output == self.answers:
            return unzipped(whole, self.reading.classes or ())
        return np.concatenate([part[output] for part in parts])

    @cached_property
    def _session(self) -> Any:
        return opened(self.name, self.content)


def adopt(model: Any, X: Any, y: Any) -> OnnxFile:
    """Return an ONNX model as something with ``predict``; see `modelyard.conversion.adopt`."""
    if isinstance(model, OnnxFile):
        return model
    name, proto = loaded(model)
    frame = as_frame(X)
    try:
        content = proto.SerializeToString(deterministic=True)
    except (ValueError, EncodeError) as error:
        raise InvalidInputError(
            f"{name} is above 2 GB with its weights inside, more than ONNX holds"
        ) from error
    session = opened(name, content)
    slots = slots_of(name, session.get_inputs(), frame)
    chosen = chosen_outputs(name, proto, session.get_outputs())
    proto, session = any_number_of_rows(name, proto, session, slots, chosen.names, frame)
    answered = outputs_of(name, session, slots, frame.head(_ROWS_AT_ONCE), chosen.names)
    rows = min(len(frame), _ROWS_AT_ONCE)
    for output, values in answered.items():
        if len(values) != rows:
            raise ConversionError(f"{name} answers {len(values)} rows as {output!r} to {rows} rows")
    reading = reading_of(name, proto, chosen, answered, y)
    whole = reading.kind == "value" and chosen.label is not None
    found = OnnxFile(
        name,
        proto.SerializeToString(deterministic=True),
        tuple(str(column) for column in frame.columns),
        slots,
        None if chosen.label is None else chosen.label.name,
        None if chosen.numbers is None or reading.kind == "label" or whole else chosen.numbers.name,
        chosen.zipped is not None,
        reading,
    )
    check_rows_alone(name, lambda rows: found.predict(rows), frame)
    if reading.has_probabilities:
        check_rows_alone(name, lambda rows: found.predict_proba(rows), frame)
    return found


def convert(model: Any, columns: pd.DataFrame) -> Conversion:
    """Return the graph of an adopted model with a bundle's inputs and outputs."""
    adopted = adopt(model, columns, None)
    fed_frame(columns, adopted.columns)
    proto = onnx.load_model_from_string(adopted.content)
    answers = adopted.answers
    for node in [node for node in proto.graph.node if node.op_type == "ZipMap"]:
        if node.output[0] == answers:
            answers = node.input[0]  # the runtime reads tensors
        if any(node.output[0] == value.name for value in proto.graph.output):
            proto.graph.node.remove(node)
    conversion = rewired(proto, adopted.slots, adopted.reading, adopted.label, answers)
    check_runs(adopted.name, conversion, columns.head(TRIED_ROWS))
    return conversion
