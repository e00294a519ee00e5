"""An ONNX file that answers classes and no probabilities: it is served, and `%explain` says why it does no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelyard
from modelyard.errors import InvalidInputError, UnknownNameError
from modelyard.packaging import Bundle
from modelyard.targets import Deployment


def wine() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_wine(as_frame=True, return_X_y=True)
    return X.iloc[:, :5], y


@pytest.fixture(scope="module")
def content() -> bytes:
    """An ONNX model with labels and raw scores, which are not taken for probabilities."""
    X, y = wine()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.to_numpy(), y)
    options = {id(model[-1]): {"raw_scores": True, "zipmap": False}}
    written = to_onnx(
        model, X.to_numpy(dtype=np.float32)[:1], options=options, target_opset={"": 21, "ai.onnx.ml": 3}
    )
    return bytes(written.SerializeToString())


@pytest.fixture
def bundle(content: bytes, tmp_path: Path) -> Bundle:
    path = tmp_path / "labels.onnx"
    path.write_bytes(content)
    return modelyard.package(str(path), *wine(), name="labels")


@pytest.mark.parametrize("method", ["shap", "lime", "pdp", "counterfactual", "permutation"])
def test_a_bundle_that_gives_classes_only_is_refused_by_every_method(bundle: Bundle, method: str) -> None:
    X, y = wine()
    with pytest.raises(
        InvalidInputError,
        match=r"^the model in labels:1 gives classes only, and no figure to explain; explain its estimator, or",
    ) as caught:
        modelyard.explain(bundle, X, y, method=method)
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_gives_classes_only_is_refused(bundle: Bundle) -> None:
    X, _ = wine()
    deployment = modelyard.deploy(bundle, to="local")
    assert isinstance(deployment, Deployment)
    try:
        assert len(deployment.predict(X.head(3))) == 3
        with pytest.raises(InvalidInputError, match="the model behind 'labels' gives no probabilities"):
            modelyard.explain(deployment, X)
    finally:
        deployment.remove()


def test_no_explainer_travels_with_a_file_that_gives_classes_only(content: bytes) -> None:
    with pytest.raises(
        InvalidInputError, match="gives classes only, and no figure to explain; leave --explain out"
    ) as caught:
        modelyard.package(content, *wine(), name="labels", explain=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(UnknownNameError):
        modelyard.bundle("labels")


def test_a_file_itself_answers_nothing_until_it_is_packaged(content: bytes) -> None:
    with pytest.raises(
        InvalidInputError, match=r"answers nothing, found bytes; give .* modelyard.bundle\(NAME\)"
    ):
        modelyard.explain(content, wine()[0])
