"""An ONNX model from elsewhere in ONNX Runtime, fed as the runtime of a bundle feeds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime
import pandas as pd
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from modelyard.conversion._inputs import feed
from modelyard.conversion._rewiring import Slot, first_line
from modelyard.conversion._session import FAILURES
from modelyard.errors import ConversionError, InvalidInputError

LOAD_FAILURES = (*FAILURES, runtime_errors.InvalidProtobuf, runtime_errors.NotFound)


def opened(name: str, content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except LOAD_FAILURES as error:
        raise ConversionError(f"ONNX Runtime cannot load {name} ({first_line(error)})") from error


def outputs_of(
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
