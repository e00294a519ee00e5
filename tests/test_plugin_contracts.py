"""Every technique of `%compress` and every method of `%explain` by the suite that a stranger's plug-in runs too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelyard.testing import MethodContract, TechniqueContract


def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:120, :6], y.iloc[:120]


def diabetes() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    X, y = load_diabetes(return_X_y=True)
    return X[:120, :5], y[:120]


def network(neurons: int) -> Any:
    layer = MLPClassifier((neurons,), max_iter=30, random_state=0)
    return make_pipeline(StandardScaler(), layer).fit(*cancer())


class _OfCancer(TechniqueContract):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> tuple[Any, Any]:
        return cancer()

    def misfit(self) -> Any:
        return DummyClassifier().fit(*cancer())


class TestPruningOfForests(_OfCancer):
    name = "pruning"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return RandomForestClassifier(12, random_state=0).fit(*cancer())


class TestPruningOfNetworks(_OfCancer):
    name = "pruning"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return network(8)


class TestPruningOfBoosters(TechniqueContract):
    name = "pruning"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> tuple[Any, Any]:
        return diabetes()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(*diabetes())


class TestQuantizationOfTrees(_OfCancer):
    name = "quantization"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return RandomForestClassifier(12, random_state=0).fit(*cancer())


class TestQuantizationOfLayers(_OfCancer):
    name = "quantization"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return network(64)


class TestFeatureDropping(_OfCancer):
    name = "features"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return network(32)


class TestDistillation(TechniqueContract):
    name = "distillation"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> tuple[Any, Any]:
        X, y = cancer()
        return X.iloc[:50, :3], y.iloc[:50]

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, data: Any) -> Any:
        return RandomForestClassifier(100, random_state=0).fit(*data)


# A technique and a method of another distribution


OUTSIDE = """
from modelyard.compression import Recipe, look_at_clock
from modelyard.errors import UsageError
from modelyard.presentation import Result
from modelyard.progress import track


def a_stump(model, samples):
    look_at_clock()
    return type(model)(max_depth=1, random_state=0).fit(samples.X, samples.y)


class Stumps:
    order, combines, options = 0, False, ()

    def fits(self, model):
        return hasattr(model, "tree_")

    def candidates(self, asked):
        yield Recipe("stumps", "one split", a_stump)


class Spread(Result):
    kind = "spread"

    def __init__(self, model, widest, remarks):
        self.model, self.widest, self.remarks = model, widest, remarks

    def sentence(self):
        return f"answers of {self.model} are {self.widest:.3g} apart at most"

    def notes(self):
        return self.remarks

    def payload(self):
        return {"model": self.model, "widest": self.widest}


class SpreadMethod:
    options = {"digits": "to how many digits (3)"}

    def explain(self, question):
        digits = question.options.get("digits", 3)
        if not isinstance(digits, int):
            raise UsageError(f"digits is a whole number, found {digits!r}; type digits=3")
        answers = []
        with track("spread", len(question.places), "row") as tracker:
            for place in range(len(question.places)):
                answers.append(question.explained.answer(question.chosen.iloc[[place]])[0])
                tracker.advance()
        widest = max(float(max(each) - min(each)) for each in zip(*answers))
        return Spread(question.explained.name, round(widest, digits), question.notes)
"""


@pytest.fixture(scope="class")
def outside_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A distribution that is not ours, with a technique and a method."""
    site = tmp_path_factory.mktemp("site")
    facts = site / "outside_plugins-0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-plugins\nVersion: 0\n")
    (facts / "entry_points.txt").write_text(
        "[modelyard.compressions]\nstumps = outside_plugins:Stumps\n"
        "[modelyard.explanations]\nspread = outside_plugins:SpreadMethod\n"
    )
    (site / "outside_plugins.py").write_text(OUTSIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield
    sys.modules.pop("outside_plugins", None)


@pytest.mark.usefixtures("outside_plugins")
class TestATechniqueOfAStranger(_OfCancer):
    name = "stumps"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        return DecisionTreeClassifier(max_depth=5, random_state=0).fit(*cancer())


class _OfThirty(MethodContract):
    @pytest.fixture
    def data(self) -> tuple[Any, Any]:
        X, y = cancer()
        return X.iloc[:30, :3], y.iloc[:30]

    @pytest.fixture
    def model(self, data: Any) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(*data)


class TestShapley(_OfThirty):
    name = "shap"


class TestLime(_OfThirty):
    name = "lime"


class TestPartialDependence(_OfThirty):
    name = "pdp"


class TestPermutation(_OfThirty):
    name = "permutation"


class TestInteractions(_OfThirty):
    name = "interactions"


class TestCounterfactuals(_OfThirty):
    name = "counterfactual"


class TestFairness(_OfThirty):
    name = "fairness"
    options: ClassVar[Mapping[str, Any]] = {"by": "mean radius"}
    many = 4_000


@pytest.mark.usefixtures("outside_plugins")
class TestAMethodOfAStranger(_OfThirty):
    name = "spread"
