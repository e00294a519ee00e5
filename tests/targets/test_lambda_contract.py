"""aws-lambda keeps what every target promises: its calls go to moto, its zip files run in AWS's own emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import modelyard
from lambda_cloud import LambdaCloud
from modelyard.packaging import Bundle
from modelyard.testing import TargetContract

X, y = load_iris(return_X_y=True, as_frame=True)
MODEL = LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture
def bundle(shared_store: Path) -> Bundle:
    return modelyard.package(MODEL, X, y, name="iris")


class TestLambdaKeepsTheContract(TargetContract):
    name = "aws-lambda"

    @pytest.fixture(autouse=True)
    def account(self, cloud: LambdaCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("modelyard.targets.carrying_out._REACHED_S", 0.0)  # a role is there at once

    def broken_options(self) -> dict[str, Any]:
        return {"role": "arn:aws:iam::123456789012:role/not-one"}

    @pytest.fixture
    def bundle(self, bundle: Bundle) -> Bundle:  # the module's, not the suite's
        return bundle
