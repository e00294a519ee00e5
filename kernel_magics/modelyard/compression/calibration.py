"""Static int8: the range of each layer's inputs is learned from training rows, by ``onnxruntime.quantization``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from modelyard.conversion import Conversion, Session

_ROWS = 500
_AT_ONCE = 50


class _Rows(CalibrationDataReader):  # type: ignore[misc]
    """Hands training rows over, some at a time."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self._left: Iterator[dict[str, Any]] = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def quantized(proto: Any, conversion: Conversion, table: pd.DataFrame) -> Any:
    """Return a graph whose ``MatMul`` nodes in float32 have weights and inputs of eight bits.

    Parameters
    ----------
    proto : onnx.ModelProto
        As `dense_layers.narrowed` writes it with `plain`.
    conversion : Conversion
        That of the same model, whose inputs `proto` has.
    table : DataFrame
        The training rows.
    """
    session = Session(conversion)
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(_ROWS, len(table))).astype(int))]
    feeds = [session.feed(rows.iloc[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    types = {each.name: each.data_type for each in named.graph.initializer}
    layers = []
    for place, node in enumerate(named.graph.node):
        node.name = f"node {place}"
        if node.op_type == "MatMul" and types.get(node.input[1]) == onnx.TensorProto.FLOAT:
            layers.append(node.name)
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder, _quiet():
        path = Path(folder) / "quantized.onnx"
        quantize_static(
            named,
            path,
            _Rows(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=layers,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8,  # signed weights saturate on processors without VNNI
        )
        found = onnx.load(path)
    for node in found.graph.node:
        node.ClearField("name")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's advice about steps that are done here already off the log."""
    logger = logging.getLogger()
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
