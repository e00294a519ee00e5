"""The ONNX graph of a model, and a changed graph as a model again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from modelyard.conversion import adopt, convert
from modelyard.errors import ConversionError
from modelyard.evaluation.inputs import Samples, describe_model
from modelyard.tuning.serving import Rows

_OPSET = 21  # brings int4 weights in blocks


def graph_of(model: Any, samples: Samples) -> Any:
    """Return a model as an ``onnx.ModelProto``.

    Raises
    ------
    ConversionError
        It has no ONNX form, or the rows are no table.
    """
    table = Rows.of(samples).table
    if table is None:
        raise ConversionError("X is no table, so that there is no ONNX form")
    return onnx.load_model_from_string(convert(model, table).model)


def as_model(proto: Any, original: Any, samples: Samples) -> Any:
    """Return a changed graph as something with ``predict`` that ``%package`` takes.

    Raises
    ------
    ConversionError
        ONNX Runtime cannot run it, or its answer to a row depends on the rows beside it.
    """
    content = proto.SerializeToString(deterministic=True)
    table = Rows.of(samples).table
    name = f"{getattr(original, 'name', None) or describe_model(original)}, compressed"
    return replace(
        adopt(content, table, samples.y), name=name.replace(", compressed, compressed", ", compressed")
    )


class Edited:
    """A graph whose nodes are replaced; new tensors and constants get names that none has."""

    def __init__(self, proto: Any) -> None:
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(proto)
        self.graph = self.proto.graph
        self.nodes: list[Any] = []
        self._count = 0
        self._added: list[Any] = []
        self.constants = {each.name: each for each in self.graph.initializer}

    def fresh(self, seed: str) -> str:
        self._count += 1
        return f"small {self._count} {seed}"

    def constant(self, values: NDArray[Any]) -> str:
        return self.store(numpy_helper.from_array(np.ascontiguousarray(values)))

    def store(self, tensor: Any) -> str:
        """Add a tensor as a constant, and return the name that it is given."""
        tensor.name = self.fresh("constant")
        self._added.append(tensor)
        return str(tensor.name)

    def array(self, name: str) -> NDArray[Any] | None:
        """Return the values of a constant; ``None`` where that tensor is computed."""
        held = self.constants.get(name)
        return None if held is None else np.asarray(numpy_helper.to_array(held))

    def node(
        self, op: str, inputs: Sequence[str], out: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        output = out or self.fresh(op.lower())
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def cast(self, value: str, kind: int, out: str | None = None) -> str:
        return self.node("Cast", [value], out, to=kind)

    def finished(self) -> Any:
        """Return the model with `nodes` for its nodes, without constants that none of them reads any more."""
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        read = {name for node in self.nodes for name in _read(node)}
        kept = [each for each in (*self.graph.initializer, *self._added) if each.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        versions = {opset.domain: opset.version for opset in self.proto.opset_import}
        versions[""] = max(versions.get("", 0), versions.pop("ai.onnx", 0), _OPSET)
        del self.proto.opset_import[:]
        self.proto.opset_import.extend(
            helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())
        )
        return self.proto


def _read(node: Any) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield from _read(inner)


def types_of(proto: Any) -> dict[str, int]:
    """Return the element type of every tensor that shape inference can tell."""
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    found = {each.name: each.data_type for each in inferred.initializer}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        if value.type.HasField("tensor_type"):
            found[value.name] = value.type.tensor_type.elem_type
    return found


FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
