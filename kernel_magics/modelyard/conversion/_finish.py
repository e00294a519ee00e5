"""The finished graph: its inputs and outputs under their own names and types, its header always the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from modelyard.conversion._graph import TARGET_OPSET
from modelyard.conversion._protocol import NONE_STRING, NULL_STRING, DType, ModelInput

LABEL = "label"
PROBABILITIES = "probabilities"
_TAKEN = re.compile(rf"({LABEL}|{PROBABILITIES})( shape| shaped)?|inner \d+.*", re.DOTALL)

IR_VERSION = 10
KINDS = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}


def _none_for_null(graph: Any, name: str, out: str) -> list[Any]:
    null, none, found = f"{out} null", f"{out} None", f"{out} is null"
    for constant, text in ((null, NULL_STRING), (none, NONE_STRING)):
        graph.initializer.append(numpy_helper.from_array(np.array(text, dtype=object), constant))
    return [
        helper.make_node("Equal", [name, null], [found]),
        helper.make_node("Where", [found, none, name], [out]),
    ]


@dataclass(frozen=True)
class Output:
    """An output to keep: what skl2onnx called it, its name, its type, its shape after the rows."""

    written: str
    name: str
    dtype: DType
    width: tuple[int, ...]


def free_names(inputs: Sequence[ModelInput]) -> tuple[ModelInput, ...]:
    """Name inputs after their column, with underscores where the graph has that name already."""
    taken: set[str] = set()
    free = []
    for entry in inputs:
        name = entry.name or "column"
        while name in taken or _TAKEN.fullmatch(name):
            name = f"_{name}"
        taken.add(name)
        free.append(replace(entry, name=name))
    return tuple(free)


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Give every tensor, also those of subgraphs, a name of our own: ``inner 0``, ``inner 1``, …."""

    def new(name: str) -> str:
        return names.setdefault(name, f"inner {len(names)}") if name else name

    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = new(value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = new(sparse.values.name)
    for node in graph.node:
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)


def finish(
    model: Any, inputs: Sequence[ModelInput], outputs: Sequence[Output], none_columns: Collection[str] = ()
) -> bytes:
    """Return the serialised model.

    Parameters
    ----------
    model : onnx.ModelProto
        What skl2onnx made, with one input per entry of `inputs`, all double or string.
    inputs : sequence of ModelInput
        The inputs to declare; those of another type are cast to double first.
    outputs : sequence of Output
        The outputs to keep.
    none_columns : collection of str
        The string columns whose nulls are ``None``.
    """
    graph = model.graph
    names: dict[str, str] = {}
    _rename(graph, names)
    first, last, declared, kept = [], [], [], []
    for old, entry in zip(graph.input, inputs, strict=True):
        declared.append(
            helper.make_tensor_value_info(entry.name, KINDS[entry.dtype], [None, len(entry.columns)])
        )
        if entry.dtype == "string" and none_columns and set(entry.columns) <= set(none_columns):
            first += _none_for_null(graph, entry.name, old.name)
        elif entry.dtype == "string":
            first.append(helper.make_node("Identity", [entry.name], [old.name]))
        else:
            first.append(helper.make_node("Cast", [entry.name], [old.name], to=TensorProto.DOUBLE))
    for output in outputs:
        shape = numpy_helper.from_array(np.array([-1, *output.width], dtype=np.int64), f"{output.name} shape")
        graph.initializer.append(shape)
        shaped = output.name if output.dtype == "string" else f"{output.name} shaped"
        last.append(helper.make_node("Reshape", [names[output.written], shape.name], [shaped]))
        if output.dtype != "string":
            last.append(helper.make_node("Cast", [shaped], [output.name], to=KINDS[output.dtype]))
        kept.append(helper.make_tensor_value_info(output.name, KINDS[output.dtype], [None, *output.width]))
    nodes = [*first, *graph.node, *last]
    finished = helper.make_model(
        helper.make_graph(
            nodes,
            "modelyard",
            declared,
            kept,
            list(graph.initializer),
            sparse_initializer=list(graph.sparse_initializer),
        ),
        ir_version=IR_VERSION,
        producer_name="modelyard",
        opset_imports=[
            helper.make_opsetid(domain, TARGET_OPSET.get(domain, 1))
            for domain in sorted({"", *(node.domain for node in nodes)})
        ],
        functions=list(model.functions),
    )
    serialised: bytes = finished.SerializeToString(deterministic=True)
    return serialised
