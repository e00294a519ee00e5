"""ONNX Runtime in a service as BentoML's documentation writes one: an array in, an array out."""

from __future__ import annotations

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class OnnxForest:
    def __init__(self) -> None:
        self.session = onnxruntime.InferenceSession(
            os.environ["FOREST_ONNX"], providers=["CPUExecutionProvider"]
        )
        (described,) = self.session.get_inputs()
        self.name = described.name
        self.dtype = np.float64 if described.type == "tensor(double)" else np.float32

    @bentoml.api
    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.name: X.astype(self.dtype)})[0]
