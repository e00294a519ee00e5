"""A graph from elsewhere, given the inputs and outputs of a conversion; what it says of its origin is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import pandas as pd
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]
from onnx import helper

from modelyard.conversion._answers import Reading, reshaped
from modelyard.conversion._finish import IR_VERSION, KINDS, LABEL, PROBABILITIES, _rename, free_names
from modelyard.conversion._graph import TARGET_OPSET, Graph
from modelyard.conversion._protocol import Conversion, ModelInput
from modelyard.conversion._session import FAILURES, Session
from modelyard.errors import ConversionError


@dataclass(frozen=True)
class Slot:
    """An input of the graph, and what the columns of a table become for it.

    Attributes
    ----------
    source : str
        Its name in the graph.
    kind : int
        Its element type, of ``onnx.TensorProto``.
    flat : bool
        Whether its shape is ``(rows,)`` and not ``(rows, columns)``.
    entry : ModelInput
        What the conversion declares.
    """

    source: str
    kind: int
    flat: bool
    entry: ModelInput


class _Added:
    """What a `Graph` writes into: nodes and constants under names that no column and no tensor has."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def get_unique_variable_name(self, seed: str) -> str:
        self._count += 1
        return f"inner {self._count} {seed}"

    get_unique_operator_name = get_unique_variable_name

    def add_initializer(self, name: str, kind: int, shape: Sequence[int], content: Any) -> None:
        self.constants.append(helper.make_tensor(name, kind, shape, content))

    def add_node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        op_domain: str,
        op_version: int,
        name: str,
        **attributes: Any,
    ) -> None:
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=op_domain, **attributes))


def rewired(
    model: Any, slots: Sequence[Slot], reading: Reading, label: str | None, answers: str | None
) -> Conversion:
    """Return the conversion of a model; the model is not changed.

    Parameters
    ----------
    model : onnx.ModelProto
    slots : sequence of Slot
        Its inputs.
    reading : Reading
        What its answers mean.
    label, answers : str or None
        Its tensor of labels, if it has one, and the one that `reading` reads, if it reads any.

    Raises
    ------
    ConversionError
        The result is no valid graph.
    """
    entries = free_names([slot.entry for slot in slots])
    written = onnx.ModelProto()
    written.CopyFrom(model)
    graph = written.graph
    for held in _graphs(graph):
        del held.value_info[:], held.quantization_annotation[:]  # they hold the shapes of before
    names: dict[str, str] = {}
    _rename(graph, names)
    added = _Added()
    builder = Graph(added, added)
    for slot, entry in zip(slots, entries, strict=True):
        value = reshaped(builder, entry.name, -1) if slot.flat else entry.name
        if slot.kind == KINDS[entry.dtype]:
            builder.node("Identity", [value], names[slot.source])
        else:
            builder.node("Cast", [value], names[slot.source], to=slot.kind)
    first, added.nodes = added.nodes, []
    if label is not None:
        labels = reshaped(builder, names[label], -1)
        if reading.label_dtype == "string":
            builder.node("Identity", [labels], LABEL)
        else:
            builder.node("Cast", [labels], LABEL, to=KINDS[reading.label_dtype])
    if answers is not None:
        reading.write(builder, names[answers], LABEL if label is None else None, PROBABILITIES)
    finished = helper.make_model(
        helper.make_graph(
            [*first, *graph.node, *added.nodes],
            "modelyard",
            [
                helper.make_tensor_value_info(entry.name, KINDS[entry.dtype], [None, len(entry.columns)])
                for entry in entries
            ],
            _declared(reading),
            [*graph.initializer, *added.constants],
            sparse_initializer=list(graph.sparse_initializer),
        ),
        ir_version=max(model.ir_version, IR_VERSION),
        producer_name="modelyard",
        opset_imports=_opsets(model),
        functions=list(written.functions),
    )
    _forget(finished)
    return Conversion(
        _checked(finished),
        entries,
        LABEL,
        PROBABILITIES if reading.has_probabilities else None,
        reading.task,
        reading.classes,
        reading.notes,
    )


def _declared(reading: Reading) -> list[Any]:
    declared = [helper.make_tensor_value_info(LABEL, KINDS[reading.label_dtype], [None])]
    if reading.classes is not None and reading.has_probabilities:
        shape = [None, len(reading.classes)]
        declared.append(helper.make_tensor_value_info(PROBABILITIES, KINDS["float64"], shape))
    return declared


def _opsets(model: Any) -> list[Any]:
    """Return the operator sets of a model, and one of ONNX's own for what is added."""
    versions = {"": TARGET_OPSET[""]}
    for opset in model.opset_import:
        versions["" if opset.domain == "ai.onnx" else opset.domain] = opset.version
    return [helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())]


def _checked(model: Any) -> bytes:
    try:
        content: bytes = model.SerializeToString(deterministic=True)
        onnx.checker.check_model(content)
    except (onnx.checker.ValidationError, ValueError, EncodeError) as error:  # ValueError: above 2 GB
        raise ConversionError(f"the graph is not valid ONNX ({first_line(error)})") from error
    return content


def check_runs(name: str, conversion: Conversion, rows: pd.DataFrame) -> None:
    """Run the first rows through a conversion.

    Raises
    ------
    ConversionError
        It does not run, or answers several values a row.
    """
    try:
        labels, _ = Session(conversion)(rows)
    except FAILURES as error:
        raise ConversionError(f"{name} converts, but the model does not run ({first_line(error)})") from error
    if len(labels) != len(rows):
        raise ConversionError(f"{name} answers several values per row")


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _graphs(inner)


def tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor that a model holds."""
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for holder in [*_graphs(model.graph), *model.functions]:
        for node in holder.node:
            for attribute in node.attribute:
                yield from [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]


def _forget(model: Any) -> None:
    """Remove what exporters write beside the graph: torch writes the source lines, and their paths, of a module."""
    for holder in [*_graphs(model.graph), *model.functions]:
        _clear(holder, "doc_string", "metadata_props")
        if isinstance(holder, onnx.FunctionProto):
            del holder.value_info[:]
        else:
            for value in [*holder.input, *holder.output]:
                _clear(value, "doc_string", "metadata_props")
        for node in holder.node:
            _clear(node, "name", "doc_string", "metadata_props", "device_configurations")
            for attribute in node.attribute:
                _clear(attribute, "doc_string")
    for tensor in tensors(model):
        _clear(tensor, "doc_string", "metadata_props", "data_location")  # the data is inside by now


def _clear(message: Any, *fields: str) -> None:
    for field in fields:
        message.ClearField(field)


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(". ") if lines else type(error).__name__
