"""A scikit-learn model in a service as BentoML's tutorial writes one: an array in, ``model.predict``, an array out."""

from __future__ import annotations

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Forest:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["FOREST_JOBLIB"])

    @bentoml.api
    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict(X)
