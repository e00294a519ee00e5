"""A few words to write ONNX nodes with, inside a skl2onnx converter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType

ML = "ai.onnx.ml"
TARGET_OPSET = {"": 21, ML: 5}
"""The operator sets of every conversion; ``ai.onnx.ml`` 5 brings ``TreeEnsemble``."""

WRITTEN_OPSET = {**TARGET_OPSET, ML: 3}
"""What skl2onnx is told, since it refuses ``ai.onnx.ml`` after 3; the finished model declares `TARGET_OPSET`."""


class Graph:
    """Writes nodes into a skl2onnx container; every value is known by the name of its tensor."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def constant(self, values: Any) -> str:
        """Store an array (float64, int64, bool or strings) and return its name."""
        array = np.asarray(values)
        if array.dtype.kind in "OUS":
            content: Any = [str(value).encode() for value in array.ravel()]
            kind = TensorProto.STRING
        else:
            content = array.ravel()
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, array.shape, content)
        return name

    def node(
        self, op: str, inputs: Sequence[str], out: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output, called `out` where that is given, and return the output's name."""
        output: str = out or self._scope.get_unique_variable_name(op.lower())
        name = self._scope.get_unique_operator_name(op)
        version = WRITTEN_OPSET[domain]
        self._container.add_node(
            op, list(inputs), [output], op_domain=domain, op_version=version, name=name, **attributes
        )
        return output

    def double(self, value: str, out: str | None = None) -> str:
        return self.node("Cast", [value], out, to=TensorProto.DOUBLE)

    def matrix(self, variables: Sequence[Any]) -> str:
        """Return numeric variables, each ``(n, k)``, as one double matrix."""
        columns = [
            v.full_name if isinstance(v.type, DoubleTensorType) else self.double(v.full_name)
            for v in variables
        ]
        return columns[0] if len(columns) == 1 else self.node("Concat", columns, axis=1)

    def columns(self, variables: Sequence[Any]) -> list[tuple[str, bool]]:
        """Return the single columns of variables as ``(name, holds strings)``, each ``(n, 1)``.

        A numeric column is turned into doubles.
        """
        found = []
        for variable in variables:
            text = isinstance(variable.type, StringTensorType)
            name = variable.full_name if text else self.matrix([variable])
            width = variable.get_second_dimension()
            if width is None:
                raise NotImplementedError("the number of columns is not known")
            for i in range(width):
                one = (
                    name if width == 1 else self.node("Gather", [name, self.constant(np.array([i]))], axis=1)
                )
                found.append((one, text))
        return found

    def labels(self, index: str, classes: Sequence[Any], out: str) -> str:
        """Look class indices, shape ``(n,)``, up in `classes`."""
        return self.node("Gather", [self.constant(label_array(classes)), index], out, axis=0)


def wants_scores(container: Any, model: Any) -> bool:
    """Return whether a classifier around `model` asks for its decision function, not its probabilities."""
    options = container.get_options(model, {"raw_scores": False}, fail=False)
    return bool(options and options.get("raw_scores"))


def write_scores(graph: Graph, raw: str, classes: int, out: str) -> None:
    """Write the decision function; for two classes, one column, beside its negative."""
    if classes == 2:
        graph.node("Concat", [graph.node("Neg", [raw]), raw], out, axis=1)
    else:
        graph.node("Identity", [raw], out)


def label_array(classes: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return class labels as the strings or the int64 that ONNX labels are."""
    labels = np.asarray(classes)
    return labels if labels.dtype.kind in "OUS" else labels.astype(np.int64)


def tensor(values: Any) -> TensorProto:
    """Return an array as an attribute."""
    return numpy_helper.from_array(np.asarray(values))


def classifier_shapes(operator: Any) -> None:
    """Declare labels ``(n,)`` and double probabilities ``(n, classes)``."""
    classes = operator.raw_operator.classes_
    text = label_array(classes).dtype.kind in "OUS"
    operator.outputs[0].type = (StringTensorType if text else Int64TensorType)([None])
    operator.outputs[1].type = DoubleTensorType([None, len(classes)])


def regressor_shapes(operator: Any) -> None:
    """Declare values ``(n, 1)`` in double, the shape that skl2onnx's own regressors have."""
    operator.outputs[0].type = DoubleTensorType([None, 1])
