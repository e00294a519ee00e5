"""Quantization: what the smaller graphs answer, held against the models that they were made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import modelyard
from modelyard.compression import Asked
from modelyard.compression.graphs import graph_of
from modelyard.compression.quantization import Quantization
from modelyard.evaluation.inputs import checked_samples

DIGITS = load_digits(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
TREES, LEVELS = "float32 trees, shared leaves", "float32 trees, 256 leaf values"


def made(model: Any, X: Any, y: Any, only: str = "") -> dict[str, Any]:
    samples = checked_samples(model, X, y)
    recipes = Quantization().candidates(Asked(model, samples, 0))
    return {each.settings: each.make(model, samples) for each in recipes if only in each.settings}


def size_before(model: Any, X: Any, y: Any) -> int:
    return int(graph_of(model, checked_samples(model, X, y)).ByteSize())


@pytest.mark.parametrize(
    ("model", "data", "times"),
    [
        (RandomForestClassifier(30, random_state=0), DIGITS, 5.0),
        (ExtraTreesClassifier(30, random_state=0), CANCER, 2.0),
        (RandomForestClassifier(30, max_depth=5, random_state=0), DIGITS, 1.5),
        (RandomForestClassifier(30, max_depth=3, random_state=0), load_iris(return_X_y=True), 1.5),
        (DecisionTreeClassifier(max_depth=1, random_state=0), CANCER, 0.5),
    ],
)
def test_trees_in_float32_say_the_same_and_are_smaller(model: Any, data: Any, times: float) -> None:
    X, y = data
    model.fit(X, y)
    smaller = made(model, X, y, TREES)[TREES]
    np.testing.assert_array_equal(smaller.predict(X), model.predict(X))
    np.testing.assert_allclose(smaller.predict_proba(X), model.predict_proba(X), atol=1e-6)
    assert size_before(model, X, y) > times * smaller.size_bytes


def test_a_single_leaf_and_a_root_beside_a_leaf_are_read_as_they_are_meant() -> None:
    """A root with a leaf and an inner node of the same number, which ONNX Runtime may take for a leaf alone."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (400, 3)).astype(float)
    y = np.where(X[:, 0] > 2, 2, np.where(X[:, 1] > 1, 1, 0))
    for leaves in (2, 3, 4):
        model = RandomForestClassifier(40, max_leaf_nodes=leaves, random_state=0, max_features=None).fit(X, y)
        found = made(model, X, y, TREES)[TREES]
        np.testing.assert_allclose(found.predict_proba(X), model.predict_proba(X), atol=1e-6)


def test_forests_of_numbers_and_boosters_lose_only_digits() -> None:
    X, y = load_diabetes(return_X_y=True)
    for model in (RandomForestRegressor(30, random_state=0), HistGradientBoostingRegressor(random_state=0)):
        model.fit(X, y)
        smaller = made(model, X, y, TREES)[TREES]
        off = np.abs(smaller.predict(X) - model.predict(X)) / np.abs(model.predict(X))
        assert np.quantile(off, 0.99) < 1e-5
        assert size_before(model, X, y) > 1.2 * smaller.size_bytes


def test_leaves_of_few_values_are_smaller_and_nearly_the_same() -> None:
    X, y = CANCER
    model = HistGradientBoostingClassifier(random_state=0).fit(X, y)
    found = made(model, X, y)
    assert found[LEVELS].size_bytes < found[TREES].size_bytes
    assert np.mean(found[LEVELS].predict(X) == model.predict(X)) > 0.995


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_boosters_of_other_libraries(library: str) -> None:
    module = pytest.importorskip(library)
    X, y = CANCER
    model = {
        "lightgbm": lambda: module.LGBMClassifier(n_estimators=20, verbose=-1),
        "xgboost": lambda: module.XGBClassifier(n_estimators=20),
        "catboost": lambda: module.CatBoostClassifier(
            iterations=20, verbose=False, allow_writing_files=False
        ),
    }[library]().fit(X, y)
    smaller = made(model, X, y, TREES)[TREES]
    assert np.mean(smaller.predict(X) == model.predict(X)) > 0.99


def test_a_null_goes_the_way_it_went() -> None:
    X, y = load_iris(return_X_y=True)
    X = X.copy()
    X[::7, 0] = X[1::9, 2] = np.nan
    model = RandomForestClassifier(20, random_state=0).fit(X, y)
    smaller = made(model, X, y, TREES)[TREES]
    np.testing.assert_array_equal(smaller.predict(X), model.predict(X))


@pytest.fixture(scope="module")
def network() -> Any:
    X, y = DIGITS
    return make_pipeline(StandardScaler(), MLPClassifier((64, 32), max_iter=60, random_state=0)).fit(
        X[:1200], y[:1200]
    )


@pytest.fixture(scope="module")
def networks(network: Any) -> dict[str, Any]:
    return made(network, DIGITS[0][:1200], DIGITS[1][:1200])


@pytest.mark.parametrize(
    ("settings", "times", "lost"),
    [
        ("float32 layers", 1.7, 0.0),
        ("float16 weights", 3.0, 0.002),
        ("int8 layers, dynamic", 4.0, 0.01),
        ("int8 layers, static", 4.0, 0.02),
        ("int4 weights", 5.0, 0.02),
    ],
)
def test_a_network_of_small_numbers_answers_nearly_the_same(
    network: Any, networks: dict[str, Any], settings: str, times: float, lost: float
) -> None:
    X, y = DIGITS
    smaller = networks[settings]
    assert size_before(network, X, y) > times * smaller.size_bytes
    assert np.mean(smaller.predict(X[1200:]) == y[1200:]) >= network.score(X[1200:], y[1200:]) - lost
    assert smaller.predict_proba(X[1200:]).sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_a_row_is_answered_alike_alone_and_among_others(networks: dict[str, Any]) -> None:
    X = DIGITS[0][1200:1240]
    for settings, smaller in networks.items():
        alone = np.vstack([smaller.predict_proba(X[place : place + 1]) for place in range(len(X))])
        np.testing.assert_allclose(smaller.predict_proba(X), alone, atol=1e-5, err_msg=settings)


def test_the_scaler_stays_outside_of_what_is_quantized(networks: dict[str, Any]) -> None:
    proto = onnx.load_model_from_string(networks["int8 layers, static"].content)
    made_by = {output: node for node in proto.graph.node for output in node.output}
    constants = {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}
    first = next(node for node in proto.graph.node if node.op_type == "QuantizeLinear")
    cast = made_by[first.input[0]]
    assert cast.op_type == "Cast"
    while made_by[cast.input[0]].op_type == "Cast":
        cast = made_by[cast.input[0]]
    assert made_by[cast.input[0]].op_type in ("Div", "Mul", "Sub")
    assert any(values.dtype == np.float64 and values.size == 64 for values in constants.values())


def test_int4_and_int8_weights_are_held_in_so_many_bits(networks: dict[str, Any]) -> None:
    kinds = {
        settings: {
            each.data_type
            for each in onnx.load_model_from_string(model.content).graph.initializer
            if each.dims
        }
        for settings, model in networks.items()
    }
    assert onnx.TensorProto.INT4 in kinds["int4 weights"]
    assert onnx.TensorProto.FLOAT16 in kinds["float16 weights"]
    for settings in ("int8 layers, static", "int8 layers, dynamic"):
        assert onnx.TensorProto.UINT8 in kinds[settings]


def test_a_network_of_numbers_and_one_of_two_classes() -> None:
    X, y = load_diabetes(return_X_y=True)
    network = MLPRegressor(hidden_layer_sizes=(32,), max_iter=300, random_state=0)
    model = make_pipeline(StandardScaler(), network).fit(X, y)
    for settings, smaller in made(model, X, y).items():
        apart = np.abs(smaller.predict(X) - model.predict(X)).mean()
        assert apart < 0.05 * np.std(y), settings
    X, y = CANCER
    model = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=200, random_state=0)).fit(X, y)
    for settings, smaller in made(model, X, y).items():
        assert np.mean(smaller.predict(X) == model.predict(X)) > 0.98, settings


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=500), Ridge()])
def test_linear_models_are_quantized(model: Any) -> None:
    X, y = CANCER if isinstance(model, LogisticRegression) else load_diabetes(return_X_y=True)
    whole = make_pipeline(StandardScaler(), model).fit(X, y)
    for settings, smaller in made(whole, X, y).items():
        if isinstance(model, Ridge):
            assert np.corrcoef(smaller.predict(X), whole.predict(X))[0, 1] > 0.99, settings
        else:
            assert np.mean(smaller.predict(X) == whole.predict(X)) > 0.98, settings


def test_columns_of_text_and_labels_of_text_go_through() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 70, 300), "city": rng.choice(["Ulm", "Bonn", "Kiel"], 300)})
    y = np.where((frame["age"] > 45) ^ (frame["city"] == "Ulm"), "yes", "no")
    prepared = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"]))
    for last in (
        RandomForestClassifier(20, random_state=0),
        MLPClassifier((16,), max_iter=400, random_state=0),
    ):
        model = make_pipeline(prepared, last).fit(frame, y)
        for settings, smaller in made(model, frame, y).items():
            assert np.mean(smaller.predict(frame) == model.predict(frame)) > 0.97, settings
            assert set(smaller.classes_) == {"no", "yes"}


def test_a_quantized_model_becomes_a_bundle_with_golden_rows_of_its_own(networks: dict[str, Any]) -> None:
    X, y = DIGITS[0][:1200], DIGITS[1][:1200]
    smaller = networks["int8 layers, dynamic"]
    bundle = modelyard.package(smaller, X, y, name="digits")
    assert bundle.verify().tag == bundle.tag
    assert bundle.manifest["model"]["kind"] == "onnx"
    assert "compressed" in bundle.manifest["estimator"]


def test_other_models_are_left_alone() -> None:
    assert not Quantization().fits(KNeighborsClassifier().fit(*CANCER))
