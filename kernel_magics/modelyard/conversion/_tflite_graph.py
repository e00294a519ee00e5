"""A whole graph: its inputs as the columns of one, its nodes, and what its outputs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelyard.conversion import _tflite_arithmetic, _tflite_classic, _tflite_layers, _tflite_shapes
from modelyard.conversion._tflite_columns import Columns
from modelyard.conversion._tflite_file import ROWS, Array, Draft, Tensor
from modelyard.conversion._tflite_reading import Labels, NodeError, Reading, Value, read_nodes
from modelyard.conversion._tflite_trimming import trimmed

_HANDLERS = (
    _tflite_arithmetic.HANDLERS | _tflite_shapes.HANDLERS | _tflite_layers.HANDLERS | _tflite_classic.HANDLERS
)


def translated(
    source: bytes, described: Mapping[str, Any], *, is_exact: bool
) -> tuple[Draft, dict[str, Any], list[str]]:
    """Return the draft of a file, what its outputs are, and what of the graph cannot go, in words."""
    import onnx

    model = onnx.load_model_from_string(source)
    inputs = described["inputs"]
    draft = Draft(sum(len(entry["columns"]) for entry in inputs), is_exact=is_exact)
    constants, nodes = _folded(model)
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for read in node.input:
            readers.setdefault(read, []).append(node)
    reading = Reading(draft, constants, _fed(inputs), readers)
    refused = read_nodes(reading, nodes, _HANDLERS)
    outputs: dict[str, Any] = {}
    if not refused:
        try:
            outputs = _outputs(reading, described)
        except NodeError as error:
            refused = [f"its outputs, {error}"]
    return trimmed(draft), outputs, refused


def _fed(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Return each input of the graph as columns of the one input of the file."""
    found: dict[str, Value] = {}
    start = 0
    for entry in inputs:
        width = len(entry["columns"])
        chain = (("single", 0.0),) if entry["dtype"] == "float32" else ()
        found[entry["name"]] = Columns(tuple(range(start, start + width)), (chain,) * width)
        start += width
    return found


def _folded(model: Any) -> tuple[dict[str, Array], list[Any]]:
    """Return the constants of a graph, what is computed of constants alone among them, and the other nodes."""
    from onnx import numpy_helper

    constants = {each.name: np.asarray(numpy_helper.to_array(each)) for each in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if all(name in constants for name in node.input if name) and (
            node.input or node.op_type == "Constant"
        ):
            constants.update(zip(node.output, _computed(model, node, constants), strict=True))
        else:
            nodes.append(node)
    return constants, nodes


def _computed(model: Any, node: Any, constants: Mapping[str, Array]) -> list[Array]:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    held = [name for name in dict.fromkeys(node.input) if name]
    graph = helper.make_graph(
        [node],
        "constants",
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in held],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output],
    )
    alone = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    found = ReferenceEvaluator(alone).run(None, {name: constants[name] for name in held})
    return [np.asarray(each) for each in found]


def _outputs(reading: Reading, described: Mapping[str, Any]) -> dict[str, Any]:
    """Make the draft's outputs, and say what they are."""
    said: dict[str, Any] = {}
    draft, label, chances = reading.draft, described["label_output"], described["probability_output"]
    if not label:
        raise NodeError("of which none is a label or a value")
    value = reading.value(label)
    if isinstance(value, Labels):
        said["label"] = {"position": 0, "labels": list(value.values)}
        draft.output("label", value.index)
    else:
        tensor = reading.tensor(label)
        if tensor.shape != (ROWS,):
            raise NodeError(f"of shape {tensor.shape}")
        said["label"] = {"position": 0, "dtype": "int64" if tensor.kind == "int32" else "float64"}
        draft.output("label", _current(draft, tensor))
    if chances:
        said["probabilities"] = {"position": len(draft.outputs)}
        draft.output("probabilities", _current(draft, reading.tensor(chances)))
    return said


def _current(draft: Draft, tensor: Tensor) -> Tensor:
    return draft.tensors[tensor.number]
