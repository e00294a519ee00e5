"""An ONNX model from elsewhere: what ONNX Runtime answers for it is what its bundle must answer.

Its graph keeps its nodes and gets the inputs and outputs that every bundle has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from modelyard.conversion._answers import (
    Array,
    Classes,
    Reading,
    as_frame,
    check_rows_alone,
    classes_of,
    fed_frame,
    is_distribution,
    read,
    same,
    within_unit,
)
from modelyard.conversion._inputs import describe, feed
from modelyard.conversion._protocol import Conversion, DType, ModelInput
from modelyard.conversion._rewiring import Slot, check_runs, first_line, rewired, tensors
from modelyard.conversion._session import FAILURES
from modelyard.errors import ConversionError, InvalidInputError, listing

LOAD_FAILURES = (*FAILURES, runtime_errors.InvalidProtobuf, runtime_errors.NotFound)

_ROWS_AT_ONCE = 8192
_TRIED_ROWS = 8

# What ONNX Runtime calls the type of a tensor: its element type, and as what columns are fed to it.
_INPUT_TYPES: dict[str, tuple[int, DType]] = {
    "tensor(float)": (TensorProto.FLOAT, "float32"),
    "tensor(float16)": (TensorProto.FLOAT16, "float32"),
    "tensor(double)": (TensorProto.DOUBLE, "float64"),
    "tensor(int64)": (TensorProto.INT64, "int64"),
    "tensor(int32)": (TensorProto.INT32, "int64"),
    "tensor(bool)": (TensorProto.BOOL, "bool"),
    "tensor(string)": (TensorProto.STRING, "string"),
}
_LABEL_TYPES: dict[str, type] = {
    "tensor(int64)": int,
    "tensor(int32)": int,
    "tensor(bool)": bool,
    "tensor(string)": str,
}
_NUMBER_TYPES = ("tensor(float)", "tensor(double)", "tensor(float16)")
_LABEL_LISTS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


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
            _outputs(
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
        return _opened(self.name, self.content)


def unzipped(rows: Sequence[dict[Any, float]], classes: Classes) -> Array:
    """Return the dictionaries of a ``ZipMap`` as a matrix, shape ``(rows, classes)``."""
    return np.array([[row[label] for label in classes] for row in rows]).reshape(len(rows), len(classes))


# --------------------------------------------------------------------------------------------- reading the file


def loaded(model: Any) -> tuple[str, Any]:
    """Return what to call a model, and the model with its weights inside.

    Raises
    ------
    InvalidInputError
        There is no such file, it is no ONNX model, or its weights are elsewhere.
    """
    if isinstance(model, (str, PurePath)):
        path = Path(model).expanduser()
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "does not exist"
            raise InvalidInputError(
                f"{str(model)!r} {found}; give a fitted estimator, or the path of an ONNX model"
            )
        name, content, folder = path.name, path.read_bytes(), path.parent
    elif isinstance(model, bytes):
        name, content, folder = "the ONNX model", model, None
    elif isinstance(model, onnx.ModelProto):
        name, content, folder = "the ONNX model", model.SerializeToString(deterministic=True), None
    else:
        raise InvalidInputError(f"{type(model).__name__} of onnx is no whole model; give an onnx.ModelProto")
    try:
        proto = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise InvalidInputError(
            f"{name} is not an ONNX model; give a file that an ONNX exporter wrote"
        ) from error
    if not proto.graph.output:
        raise InvalidInputError(f"{name} is not an ONNX model: it has no outputs")
    _fetch_weights(name, proto, folder)
    return name, proto


def _fetch_weights(name: str, proto: Any, folder: Path | None) -> None:
    outside = {
        entry.value
        for tensor in tensors(proto)
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if not outside:
        return
    if folder is None:
        raise InvalidInputError(f"{name} keeps its weights in {listing(outside)}; give the path of the model")
    try:
        load_external_data_for_model(proto, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InvalidInputError(
            f"{name} keeps its weights in {listing(outside)}, which cannot be read; put it beside the model"
        ) from error


def _opened(name: str, content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except LOAD_FAILURES as error:
        raise ConversionError(f"ONNX Runtime cannot load {name} ({first_line(error)})") from error


def _outputs(
    name: str, session: Any, slots: Sequence[Slot], frame: pd.DataFrame, wanted: Sequence[str]
) -> dict[str, Any]:
    """Run rows through a file as the runtime of a bundle feeds them.

    Raises
    ------
    InvalidInputError
        A null in a column of whole numbers, or what ONNX Runtime says.
    """
    tensors_fed = {}
    for slot in slots:
        columns = list(slot.entry.columns)
        if slot.entry.dtype in ("int64", "bool") and frame[columns].isna().to_numpy().any():
            raise InvalidInputError(
                f"{name} takes {slot.entry.dtype} for {columns[0]!r}, which holds no nulls"
            )
        block = feed([slot.entry], frame)[slot.entry.name]
        if slot.entry.dtype != "string":
            block = block.astype(helper.tensor_dtype_to_np_dtype(slot.kind), copy=False)
        tensors_fed[slot.source] = block.reshape(-1) if slot.flat else block
    try:
        return dict(zip(wanted, session.run(list(wanted), tensors_fed), strict=True))
    except LOAD_FAILURES as error:
        raise InvalidInputError(f"{name} cannot predict these rows ({first_line(error)})") from error


# --------------------------------------------------------------------------------------------- inputs


def _slots(name: str, inputs: Sequence[Any], frame: pd.DataFrame) -> tuple[Slot, ...]:
    """Return which columns feed which input."""
    for value in inputs:
        if value.type not in _INPUT_TYPES or len(value.shape) not in (1, 2):
            raise ConversionError(
                f"{name} takes {value.type} of shape {_shape(value)} as {value.name!r}; a bundle feeds columns: "
                "one input (rows, columns), or one (rows, 1) for each column"
            )
    columns = [str(column) for column in frame.columns]
    if len(inputs) == 1:
        taken = {inputs[0].name: tuple(columns)}
        width = inputs[0].shape[1] if len(inputs[0].shape) == 2 else 1
        if isinstance(width, int) and width != len(columns):
            raise InvalidInputError(
                f"{name} takes {width} columns, X has {len(columns)}; give the table it was trained on"
            )
    else:
        taken = _by_name(name, inputs, columns)
    kinds = {entry.name: entry.dtype for entry in describe(frame, by_column=True)}
    slots = []
    for value in inputs:
        kind, dtype = _INPUT_TYPES[value.type]
        for column in taken[value.name]:
            _check_kind(name, column, kinds[column], dtype)
        entry = ModelInput("X" if len(inputs) == 1 else taken[value.name][0], dtype, taken[value.name])
        slots.append(Slot(value.name, kind, len(value.shape) == 1, entry))
    return tuple(slots)


def _shape(value: Any) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in value.shape)})"


def _by_name(name: str, inputs: Sequence[Any], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the column of each input: that of its name, or of its name as exporters write it."""
    found = {value.name: value.name for value in inputs if value.name in columns}
    plain: dict[str, list[str]] = {}
    for column in columns:
        if column not in found.values():
            plain.setdefault(_plain(column), []).append(column)
    for value in inputs:
        if len(value.shape) == 2 and value.shape[1] not in (1, None) and not isinstance(value.shape[1], str):
            raise ConversionError(
                f"{name} has {len(inputs)} inputs, and {value.name!r} takes {value.shape[1]} columns; "
                "export it with one input of all columns, or one for each column"
            )
        if value.name not in found:
            near = plain.get(_plain(value.name), [])
            if len(near) != 1:
                raise InvalidInputError(
                    f"{name} has an input {value.name!r} and X no such column; name columns as the inputs: "
                    f"{', '.join(v.name for v in inputs)}"
                )
            found[value.name] = near.pop()
    strange = [column for column in columns if column not in found.values()]
    if strange:
        raise InvalidInputError(f"{name} has no input for the column {strange[0]!r} of X; leave it out of X")
    return {key: (column,) for key, column in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _check_kind(name: str, column: str, kind: DType, taken: DType) -> None:
    fitting: dict[str, tuple[DType, ...]] = {
        "string": ("string",),
        "int64": ("int64", "bool"),
        "bool": ("bool",),
    }
    if kind in fitting.get(taken, ("float64", "int64", "bool")):
        return
    words = {"string": "text", "float64": "numbers", "int64": "whole numbers", "bool": "true and false"}
    advice = "encode it as it was before training" if kind == "string" else f"X[{column!r}].astype({taken!r})"
    raise InvalidInputError(
        f"{name} takes {taken} for the column {column!r}, which holds {words[kind]}; {advice}"
    )


# --------------------------------------------------------------------------------------------- outputs


@dataclass(frozen=True)
class _Outputs:
    """Which outputs are read: that of labels, that of numbers, and the classes where it is a ``ZipMap``."""

    label: Any | None
    numbers: Any | None
    zipped: Classes | None

    @property
    def names(self) -> list[str]:
        return [value.name for value in (self.label, self.numbers) if value is not None]


def _chosen(name: str, proto: Any, outputs: Sequence[Any]) -> _Outputs:
    labels = [value for value in outputs if value.type in _LABEL_TYPES]
    numbers = [value for value in outputs if value.type in _NUMBER_TYPES or value.type.startswith("seq(map(")]
    strange = [value for value in outputs if value not in labels and value not in numbers]
    if strange:
        raise ConversionError(
            f"{name} answers {strange[0].type} as {strange[0].name!r}, which no bundle holds"
        )
    if len(labels) > 1 or len(numbers) > 1:
        raise ConversionError(
            f"{name} has the outputs {', '.join(value.name for value in outputs)}; a bundle holds a label, "
            "probabilities or a value: leave the others out of the file"
        )
    zipped = None
    if numbers and numbers[0].type.startswith("seq("):
        node = _zipmap(proto, numbers[0].name)
        if node is None:
            raise ConversionError(
                f"{name} answers dictionaries as {numbers[0].name!r}; export it with a tensor"
            )
        zipped = _listed(node)
    return _Outputs(labels[0] if labels else None, numbers[0] if numbers else None, zipped)


def _zipmap(proto: Any, output: str) -> Any | None:
    return next((n for n in proto.graph.node if n.op_type == "ZipMap" and output in n.output), None)


def _listed(node: Any) -> Classes | None:
    """Return the classes that a node of ``ai.onnx.ml`` names."""
    for attribute in node.attribute:
        if attribute.name in _LABEL_LISTS:
            values = helper.get_attribute_value(attribute)
            return (
                tuple(value.decode() if isinstance(value, bytes) else int(value) for value in values) or None
            )
    return None


def _named(proto: Any) -> list[Classes]:
    """Return the classes that the nodes name, the last node's first."""
    found = [_listed(node) for node in proto.graph.node if node.domain == "ai.onnx.ml"]
    return [classes for classes in reversed(found) if classes]


def _reading(name: str, proto: Any, chosen: _Outputs, answered: dict[str, Any], y: Any) -> Reading:
    """Tell what the outputs mean, from what they are on the training table."""
    numbers = None
    if chosen.zipped is not None:
        assert chosen.numbers is not None
        numbers = unzipped(answered[chosen.numbers.name], chosen.zipped)
    elif chosen.numbers is not None:
        numbers = answered[chosen.numbers.name]
    if chosen.label is None:
        assert numbers is not None
        named = [chosen.zipped] if chosen.zipped else _named(proto)
        fitting = [c for c in named if numbers.ndim == 2 and len(c) == numbers.shape[1]]
        if chosen.zipped is not None and is_distribution(numbers):
            return Reading("chances", chosen.zipped)
        return read(name, numbers, y, fitting[0] if fitting else None)
    labels = answered[chosen.label.name]
    if labels.size != len(labels):
        raise ConversionError(f"{name} answers {labels.shape[1]} labels a row; a bundle holds one")
    labels, kind = labels.reshape(-1), _LABEL_TYPES[chosen.label.type]
    if numbers is None and kind is int and y is not None and classes_of(y) is None:
        return Reading("value", None)
    return _labelled(name, proto, chosen, labels.tolist(), numbers, kind, y)


def _labelled(
    name: str, proto: Any, chosen: _Outputs, labels: list[Any], numbers: Array | None, kind: type, y: Any
) -> Reading:
    """Tell what the numbers beside labels are: probabilities, or nothing that a bundle holds."""
    wide = numbers is not None and numbers.ndim == 2 and numbers.shape[1] > 1
    count = numbers.shape[1] if numbers is not None and wide else None
    said = [chosen.zipped] if chosen.zipped else _named(proto)
    told = _as_kind(classes_of(y), kind)
    # where nothing names the classes of whole-number labels, they are their own places
    places = tuple(range(count)) if kind is int and count else None
    for classes in [*said, told, places]:
        fits = classes is not None and {type(label) for label in classes} == {kind}
        if fits and classes is not None and set(labels) <= set(classes) and count in (None, len(classes)):
            break
    else:
        raise ConversionError(
            f"{name} names no classes, and those of y are not its labels ({listing(map(str, set(labels)))}); "
            "give the y that it was trained on"
        )
    if numbers is None:
        return Reading("label", classes)
    output = chosen.numbers.name if chosen.numbers is not None else ""
    unread = Reading("label", classes, (f"{name}'s output {output!r} holds no probabilities: left out.",))
    if not wide:
        return Reading("chance", classes) if len(classes) == 2 and within_unit(numbers) else unread
    if not is_distribution(numbers):
        return unread
    likely = np.array(classes, dtype=object)[numbers.argmax(axis=1)].tolist()
    if classes not in said and sum(a == b for a, b in zip(labels, likely, strict=True)) * 2 < len(labels):
        raise ConversionError(
            f"{name} does not say which class each column of {output!r} is of; export it with a ZipMap"
        )
    return Reading("chances", classes)


def _as_kind(classes: Classes | None, kind: type) -> Classes | None:
    """Return classes as the file has them: whole numbers where its labels are int64."""
    if classes is None or isinstance(classes[0], str) or kind is str:
        return classes
    return tuple(kind(label) for label in classes)


# --------------------------------------------------------------------------------------------- rows


def _freed(proto: Any, size: int) -> Any:
    """Return a copy that takes any number of rows where it took `size`, if nothing in it says otherwise."""
    free = onnx.ModelProto()
    free.CopyFrom(proto)
    del free.graph.value_info[:]
    for value in [*free.graph.input, *free.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value == size:
            dims[0].dim_param = "rows"
    return free


def _padded(
    name: str, session: Any, slots: Sequence[Slot], names: Sequence[str], size: int, frame: pd.DataFrame
) -> list[Any]:
    """Return the answers to rows of a model that takes `size` rows at once, the last of them repeated."""
    found: list[list[Any]] = [[] for _ in names]
    for start in range(0, len(frame), size):
        rows = frame.iloc[start : start + size]
        full = rows.iloc[[min(place, len(rows) - 1) for place in range(size)]]
        for kept, values in zip(found, _outputs(name, session, slots, full, names).values(), strict=True):
            kept.extend(list(values)[: len(rows)])
    return found


def _any_number_of_rows(
    name: str, proto: Any, session: Any, slots: Sequence[Slot], names: Sequence[str], frame: pd.DataFrame
) -> tuple[Any, Any]:
    """Return the model and its session, freed of a fixed number of rows where that changes no answer."""
    sizes = {value.shape[0] for value in session.get_inputs() if isinstance(value.shape[0], int)}
    if not sizes:
        return proto, session
    refused = ConversionError(
        f"{name} takes {listing(map(str, sizes))} rows at once, no more and no less; "
        "export it with a dynamic batch axis"
    )
    if len(sizes) > 1 or 0 in sizes:
        raise refused
    size, rows = sizes.pop(), frame.head(_TRIED_ROWS)
    wanted = _padded(name, session, slots, names, size, rows)
    free = _freed(proto, size)
    try:
        opened = _opened(name, free.SerializeToString(deterministic=True))
        for part in (rows, rows.head(1), rows.head(2)):
            found = list(_outputs(name, opened, slots, part, names).values())
            for ours, theirs in zip(found, wanted, strict=True):
                if not _alike(list(ours), theirs[: len(part)]):
                    raise refused
    except (ConversionError, InvalidInputError) as error:
        raise refused from error
    return free, opened


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Return whether rows are the same: arrays, or the dictionaries of a ``ZipMap``."""
    if one and isinstance(one[0], dict):
        return len(one) == len(other) and all(
            same(np.array(list(a.values())), np.array(list(b.values())))
            for a, b in zip(one, other, strict=True)
        )
    return same(np.array(one), np.array(other))


# --------------------------------------------------------------------------------------------- doors


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
    session = _opened(name, content)
    slots = _slots(name, session.get_inputs(), frame)
    chosen = _chosen(name, proto, session.get_outputs())
    proto, session = _any_number_of_rows(name, proto, session, slots, chosen.names, frame)
    answered = _outputs(name, session, slots, frame.head(_ROWS_AT_ONCE), chosen.names)
    rows = min(len(frame), _ROWS_AT_ONCE)
    for output, values in answered.items():
        if len(values) != rows:
            raise ConversionError(f"{name} answers {len(values)} rows as {output!r} to {rows} rows")
    reading = _reading(name, proto, chosen, answered, y)
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
    check_runs(adopted.name, conversion, columns.head(_TRIED_ROWS))
    return conversion
