"""A conversion, run by ONNX Runtime to see whether it answers as the estimator does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from modelyard.conversion._inputs import feed
from modelyard.conversion._protocol import Conversion

#: What ONNX Runtime raises on a graph that it cannot load or run.
FAILURES = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)


class Session:
    """Runs a conversion on one thread.

    Calling it with a table returns the predictions, shape ``(rows,)``, and the probabilities, shape
    ``(rows, classes)``, or ``None`` where the model has none.
    """

    def __init__(self, conversion: Conversion) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong arrives as an exception
        self._conversion = conversion
        self._session = onnxruntime.InferenceSession(
            conversion.model, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, X: pd.DataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
        outputs = self.prepared(X)()
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def feed(self, X: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
        """Return the tensors that the graph is fed for a table."""
        return feed(self._conversion.inputs, X)

    def prepared(self, X: pd.DataFrame) -> Callable[[], list[np.ndarray[Any, Any]]]:
        """Return a call that answers a table, whose tensors are made now: what is timed is the graph alone."""
        names = [
            name for name in (self._conversion.label_output, self._conversion.probability_output) if name
        ]
        return partial(self._session.run, names, self.feed(X))
