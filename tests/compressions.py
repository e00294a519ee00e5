"""A forest, its rows, and what compressing it found: made once for all tests of a process that look at it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from modelyard.compression import Compression, compress


@cache
def breast_cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X, y


@cache
def fitted_forest() -> Any:
    return RandomForestClassifier(40, random_state=0).fit(*breast_cancer())


@cache
def pruned_forest() -> Compression:
    """Return the compression of the forest in a project of its own."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        (Path(folder) / ".modelyard").mkdir()
        patch.chdir(folder)
        return compress(
            fitted_forest(), *breast_cancer(), techniques=["pruning", "quantization"], scoring="accuracy",
            by="mean radius",
        )  # fmt: skip
