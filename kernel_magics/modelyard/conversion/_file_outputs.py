"""Which outputs of an ONNX model from elsewhere are read, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from modelyard.conversion._answers import (
    Array,
    Classes,
    Reading,
    classes_of,
    is_distribution,
    read,
    within_unit,
)
from modelyard.errors import ConversionError, listing

_LABEL_TYPES: dict[str, type] = {
    "tensor(int64)": int,
    "tensor(int32)": int,
    "tensor(bool)": bool,
    "tensor(string)": str,
}
_NUMBER_TYPES = ("tensor(float)", "tensor(double)", "tensor(float16)")
_LABEL_LISTS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


@dataclass(frozen=True)
class ChosenOutputs:
    """Which outputs are read: that of labels, that of numbers, and the classes where it is a ``ZipMap``."""

    label: Any | None
    numbers: Any | None
    zipped: Classes | None

    @property
    def names(self) -> list[str]:
        return [value.name for value in (self.label, self.numbers) if value is not None]


def chosen_outputs(name: str, proto: Any, outputs: Sequence[Any]) -> ChosenOutputs:
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
    return ChosenOutputs(labels[0] if labels else None, numbers[0] if numbers else None, zipped)


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


def reading_of(name: str, proto: Any, chosen: ChosenOutputs, answered: dict[str, Any], y: Any) -> Reading:
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
    name: str, proto: Any, chosen: ChosenOutputs, labels: list[Any], numbers: Array | None, kind: type, y: Any
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


def unzipped(rows: Sequence[dict[Any, float]], classes: Classes) -> Array:
    """Return the dictionaries of a ``ZipMap`` as a matrix, shape ``(rows, classes)``."""
    return np.array([[row[label] for label in classes] for row in rows]).reshape(len(rows), len(classes))
