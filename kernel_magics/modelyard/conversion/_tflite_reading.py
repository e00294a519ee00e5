"""An ONNX graph read node by node: what each tensor is, and what an operator makes of it in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelyard.conversion._tflite_codes import Codes, CodesError
from modelyard.conversion._tflite_columns import Columns, drawn, plus
from modelyard.conversion._tflite_file import ROWS, Array, Draft, Kind, Tensor
from modelyard.conversion._tflite_trees import Reached, TreesError

ML = "ai.onnx.ml"


class NodeError(ValueError):
    """A node that has no operators of TFLite that do the same; its text says which."""


@dataclass(frozen=True)
class Labels:
    """Class labels by their place: ``index`` has shape (rows,), the labels are of `shape`."""

    index: Tensor
    values: tuple[Any, ...]
    shape: tuple[int, ...] = (ROWS,)


@dataclass(frozen=True)
class Missing:
    """Where columns are NaN."""

    columns: Columns


@dataclass(frozen=True)
class LeafNumbers:
    """The numbers of the leaves that rows reach, as a forest classifier's trees tell them."""

    reached: Reached
    ensemble: Any


@dataclass(frozen=True)
class LeafRows:
    """A row of a table for each tree, not added up yet."""

    reached: Reached
    rows: Array


Value = Columns | Tensor | Codes | Labels | Missing | LeafNumbers | LeafRows


@dataclass
class Reading:
    """A graph on its way into a draft.

    Attributes
    ----------
    constants : dict of str to ndarray
        Also what is computed of constants alone.
    values : dict of str to Value
    readers : dict of str to list
        The nodes that read a tensor.
    """

    draft: Draft
    constants: dict[str, Array]
    values: dict[str, Value]
    readers: dict[str, list[Any]]
    _drawn: dict[str, tuple[Tensor, Array]] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        return self.values[name]

    def constant(self, name: str) -> Array:
        """Return a constant.

        Raises
        ------
        NodeError
            The tensor is computed.
        """
        if name not in self.constants:
            raise NodeError("with a computed operand")
        return self.constants[name]

    def tensor(self, name: str) -> Tensor:
        """Return something as a tensor of the file."""
        value, rest = self.apart(name)
        return plus(self.draft, value, rest) if rest.any() else value

    def apart(self, name: str) -> tuple[Tensor, Array]:
        """Return something as a tensor of the file, and what is to be added to it yet."""
        if name in self.constants:
            return self.draft.constant(_plain(self.constants[name]), _kind(self.constants[name])), np.zeros(1)
        value = self.values[name]
        if isinstance(value, Tensor):
            return value, np.zeros(1)
        if name not in self._drawn:
            self._drawn[name] = self._draw(value)
        return self._drawn[name]

    def _draw(self, value: Value) -> tuple[Tensor, Array]:
        nothing = np.zeros(1)
        if isinstance(value, Columns):
            return drawn(self.draft, value)
        if isinstance(value, Codes):
            return value.drawn(self.draft), nothing
        if isinstance(value, Missing):
            columns, _ = drawn(self.draft, value.columns)
            return self.draft.step("NOT_EQUAL", [columns, columns], columns.shape, "bool"), nothing
        if isinstance(value, Labels):
            held = np.array(value.values)
            if held.dtype.kind not in "biuf":
                raise NodeError("on labels that are text")
            numbers = self.draft.constant(held, _kind(held))
            made = self.draft.step("GATHER", [numbers, value.index], (ROWS,), numbers.kind, axis=0)
            if value.shape != made.shape:
                wanted = self.draft.constant(np.array(value.shape), "int32")
                made = self.draft.step(
                    "RESHAPE", [made, wanted], value.shape, made.kind, newShape=list(value.shape)
                )
            return made, nothing
        raise NodeError("on the numbers of leaves")

    def single_reader(self, name: str) -> Any | None:
        """Return the node that reads a tensor, if there is just one."""
        found = self.readers.get(name, [])
        return found[0] if len(found) == 1 else None


def _kind(array: Array) -> Kind:
    return "bool" if array.dtype.kind == "b" else "int32" if array.dtype.kind in "iu" else "float32"


def _plain(array: Array) -> Array:
    """Return a constant as TFLite is given it: one number as a row of one."""
    if array.dtype.kind not in "biuf":
        raise NodeError("on text")
    return array.reshape(1) if array.ndim == 0 else array


def attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def spread(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that two shapes are broadcast to.

    Raises
    ------
    NodeError
        They are not for each other.
    """
    width = max(len(one), len(other))
    found = []
    for a, b in zip(
        (1,) * (width - len(one)) + tuple(one), (1,) * (width - len(other)) + tuple(other), strict=True
    ):
        if a != b and 1 not in (a, b):
            raise NodeError(f"on the shapes {tuple(one)} and {tuple(other)}")
        found.append(b if a == 1 else a)
    return tuple(found)


Given = dict[str, Any]
"""The attributes of a node."""

Handler = Callable[[Reading, Any, dict[str, Any]], Value]


def read_nodes(reading: Reading, nodes: Sequence[Any], handlers: dict[tuple[str, str], Handler]) -> list[str]:
    """Translate nodes in their order; return, in words, those that cannot be, each kind once."""
    refused: dict[str, None] = {}
    for node in nodes:
        handler = handlers.get(("" if node.domain == "ai.onnx" else node.domain, node.op_type))
        if handler is None:
            refused[node.op_type] = None
        elif all(name in reading.values or name in reading.constants for name in node.input if name):
            try:
                reading.values[node.output[0]] = handler(reading, node, attributes(node))
            except (CodesError, NodeError, TreesError) as error:
                refused[f"{node.op_type} {error}"] = None
    return list(refused)


def width_of(value: Value) -> int:
    """Return how many columns something has."""
    if isinstance(value, Columns | Tensor) and len(value.shape) == 2 and value.shape[0] == ROWS:
        return value.shape[1]
    raise NodeError("on something that is no matrix of rows")
