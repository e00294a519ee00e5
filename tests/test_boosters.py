"""Boosters of other libraries become ONNX and answer as the library does, on every row."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import BaggingRegressor, StackingClassifier, VotingClassifier, VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from modelyard.conversion import Conversion, Session, convert
from modelyard.errors import ConversionError, NotFittedError
from modelyard.golden import Outputs, compare, expected


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names, of rounds without a split
        yield


def lgbm(kind: Any = LGBMClassifier, **options: Any) -> Any:
    return kind(**{"n_estimators": 20, "num_leaves": 7, "verbose": -1, "n_jobs": 1} | options)


def xgb(kind: Any = XGBClassifier, **options: Any) -> Any:
    return kind(**{"n_estimators": 20, "max_depth": 4, "n_jobs": 1} | options)


def cat(kind: Any = CatBoostClassifier, **options: Any) -> Any:
    return kind(
        **{"iterations": 20, "depth": 4, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
        | options
    )


CLASSIFIERS = {
    "lightgbm": lgbm(),
    "lightgbm-dart": lgbm(boosting_type="dart"),
    "lightgbm-forest": lgbm(boosting_type="rf", subsample=0.7, subsample_freq=1),
    "lightgbm-balanced": lgbm(class_weight="balanced"),
    "lightgbm-stump": lgbm(n_estimators=1, min_child_samples=10_000),
    "xgboost": xgb(),
    "xgboost-dart": xgb(booster="dart", rate_drop=0.5),
    "xgboost-base": xgb(base_score=0.3),
    "xgboost-lossguide": xgb(grow_policy="lossguide", max_leaves=7),
    "xgboost-forest": xgb(XGBRFClassifier),
    "xgboost-parallel": xgb(n_estimators=5, num_parallel_tree=3, subsample=0.5),
    "catboost": cat(),
    "catboost-balanced": cat(auto_class_weights="Balanced"),
    "catboost-depthwise": cat(grow_policy="Depthwise"),
    "catboost-lossguide": cat(grow_policy="Lossguide", max_leaves=7),
}

REGRESSORS = {
    "lightgbm": lgbm(LGBMRegressor),
    "lightgbm-l1": lgbm(LGBMRegressor, objective="regression_l1"),
    "lightgbm-sqrt": lgbm(LGBMRegressor, reg_sqrt=True),
    "lightgbm-quantile": lgbm(LGBMRegressor, objective="quantile", alpha=0.9),
    "lightgbm-poisson": lgbm(LGBMRegressor, objective="poisson"),
    "lightgbm-tweedie": lgbm(LGBMRegressor, objective="tweedie"),
    "lightgbm-forest": lgbm(LGBMRegressor, boosting_type="rf", subsample=0.7, subsample_freq=1),
    "xgboost": xgb(XGBRegressor),
    "xgboost-base": xgb(XGBRegressor, base_score=7.5),
    "xgboost-dart": xgb(XGBRegressor, booster="dart", rate_drop=0.5),
    "xgboost-absolute": xgb(XGBRegressor, objective="reg:absoluteerror"),
    "xgboost-quantile": xgb(XGBRegressor, objective="reg:quantileerror", quantile_alpha=0.9),
    "xgboost-poisson": xgb(XGBRegressor, objective="count:poisson"),
    "xgboost-gamma": xgb(XGBRegressor, objective="reg:gamma", base_score=90.0),
    "xgboost-tweedie": xgb(XGBRegressor, objective="reg:tweedie"),
    "xgboost-forest": xgb(XGBRFRegressor),
    "catboost": cat(CatBoostRegressor),
    "catboost-mae": cat(CatBoostRegressor, loss_function="MAE"),
    "catboost-poisson": cat(CatBoostRegressor, loss_function="Poisson"),
    "catboost-tweedie": cat(CatBoostRegressor, loss_function="Tweedie:variance_power=1.5"),
    "catboost-log-linear": cat(CatBoostRegressor, loss_function="LogLinQuantile"),
    "catboost-depthwise": cat(CatBoostRegressor, grow_policy="Depthwise"),
}


def binary() -> tuple[pd.DataFrame, Any]:
    X, y = load_breast_cancer(as_frame=True, return_X_y=True)
    return X, y


def three() -> tuple[pd.DataFrame, Any]:
    X, y = load_wine(as_frame=True, return_X_y=True)
    return X, y


def values() -> tuple[pd.DataFrame, Any]:
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    return X, y


def with_gaps(X: pd.DataFrame) -> pd.DataFrame:
    return X.mask(np.random.default_rng(0).random(X.shape) < 0.2)


def assert_faithful(estimator: Any, conversion: Conversion, X: pd.DataFrame, given: Any = None) -> None:
    wanted = expected(estimator, X if given is None else given)
    parity = compare(wanted, Outputs(*Session(conversion)(X)))
    assert parity.ok, parity.first


def check(estimator: Any, X: pd.DataFrame, y: Any) -> Conversion:
    fitted = estimator.fit(X, y)
    conversion = convert(fitted, X)
    assert_faithful(fitted, conversion, X)
    return conversion


@pytest.mark.parametrize("gaps", [False, True], ids=["full", "gaps"])
@pytest.mark.parametrize("data", [binary, three], ids=["binary", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_answers_as_its_library_does(name: str, data: Any, gaps: bool) -> None:
    X, y = data()
    X = with_gaps(X) if gaps else X
    estimator = clone(CLASSIFIERS[name])
    conversion = check(estimator, X, y)
    assert conversion.classes == tuple(range(2 if data is binary else 3))
    for other in (with_gaps(X), X * 1.01, X * 0):  # missing values that were not there when it was fitted
        assert_faithful(estimator, conversion, other)


@pytest.mark.parametrize("gaps", [False, True], ids=["full", "gaps"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_answers_as_its_library_does(name: str, gaps: bool) -> None:
    X, y = values()
    X = with_gaps(X) if gaps else X
    estimator = clone(REGRESSORS[name])
    conversion = check(estimator, X, y)
    for other in (with_gaps(X), X * 1.01, X * 0):
        assert_faithful(estimator, conversion, other)


@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_a_scaler_before_a_booster_is_not_rounded(make: Any) -> None:
    X, y = binary()
    check(make_pipeline(StandardScaler(), make()), X, y)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_scaler_before_a_regressor_is_not_rounded(name: str) -> None:
    X, y = values()
    check(make_pipeline(StandardScaler(), clone(REGRESSORS[name])), X, y * 1000)


def people() -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": np.where(random.random(300) < 0.1, np.nan, random.normal(40, 10, 300)),
            "children": random.integers(0, 5, 300),
            "member": random.random(300) < 0.5,
            "city": random.choice(["Bern", "Genève", "Zürich"], 300),
        }
    )
    return X, X["age"].fillna(40) + 5 * (X["city"] == "Bern") + X["children"] > 43


@pytest.mark.parametrize("sparse_threshold", [0, 1], ids=["dense", "sparse"])
@pytest.mark.parametrize("around", [lambda model: model, lambda model: CalibratedClassifierCV(model, cv=2)])
@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_columns_are_encoded_before_a_booster(make: Any, around: Any, sparse_threshold: float) -> None:
    X, y = people()
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(add_indicator=True), ["age", "children", "member"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ],
        sparse_threshold=sparse_threshold,  # XGBoost takes the zeros of a sparse matrix for missing
    )
    check(make_pipeline(columns, around(make())), X, y.astype(int))
    check(around(make_pipeline(columns, make())), X, y.astype(int))


@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_integers_and_flags_need_no_encoder(make: Any) -> None:
    X, y = people()
    estimator = make()
    check(estimator, X[["age", "children", "member"]], y.astype(int))


@pytest.mark.parametrize("make", [lgbm, cat])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", [str, float, np.int32, bool])
def test_labels_come_back_in_their_own_type(make: Any, kind: Any, count: int) -> None:
    X, y = three()
    target = y.map({0: "a", 1: "b", 2: "c"}) if kind is str else y.astype(kind)
    keep = slice(None) if count == 3 else y < 2
    conversion = check(make(), X[keep], target[keep])
    assert conversion.classes is not None
    assert {type(label) for label in conversion.classes} == {type(np.zeros(1, kind).tolist()[0])}


@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_an_estimator_fitted_on_an_array_is_converted_with_the_array_as_a_table(make: Any) -> None:
    X, y = load_wine(return_X_y=True)
    estimator = make().fit(X, y)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    assert_faithful(estimator, convert(estimator, frame), frame, X)


# ------------------------------------------------------------------------------------------- early stopping


def early_stopped(name: str) -> Any:
    X, y = binary()
    random = np.random.default_rng(0)
    y = np.where(random.random(len(y)) < 0.3, 1 - y, y)  # noise, so that more trees make it worse
    half = len(X) // 2
    fit = {"eval_set": [(X[half:], y[half:])]}
    if name == "lightgbm":
        stop = [lightgbm.early_stopping(5, verbose=False)]
        model = lgbm(n_estimators=200).fit(X[:half], y[:half], callbacks=stop, **fit)
        assert 0 < model.best_iteration_ < 200
    elif name == "xgboost":
        model = xgb(n_estimators=200, early_stopping_rounds=5).fit(X[:half], y[:half], verbose=False, **fit)
        assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    else:
        model = cat(iterations=200, early_stopping_rounds=5).fit(X[:half], y[:half], **fit)
        assert model.tree_count_ < 200
    return model


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_only_the_rounds_up_to_the_best_are_written(name: str) -> None:
    X, _ = binary()
    model = early_stopped(name)
    assert_faithful(model, convert(model, X), X)
    before = make_pipeline(StandardScaler().fit(np.vstack([np.zeros(30), np.ones(30)])), model)
    before.steps[0] = ("none", "passthrough")
    assert_faithful(before, convert(before, X), X)


def test_an_initial_score_is_no_part_of_the_predictions() -> None:
    X, y = binary()
    model = lgbm().fit(X, y, init_score=np.full(len(y), 0.7))
    assert_faithful(model, convert(model, X), X)


# ------------------------------------------------------------------------------------------- what they compare


def test_lightgbm_compares_in_double() -> None:
    X = pd.DataFrame({"a": 1 + np.arange(256) * 1e-9})  # all the same in float32
    model = lgbm(LGBMRegressor, min_child_samples=1)
    conversion = check(model, X, np.arange(256) // 64 * 1e6)
    assert len(set(Session(conversion)(X)[0].tolist())) > 1


@pytest.mark.parametrize("make", [xgb, cat])
def test_thresholds_are_compared_in_float32(make: Any) -> None:
    X, y = pd.DataFrame({"a": np.arange(64) / 7}), np.arange(64.0)
    model = make(XGBRegressor if make is xgb else CatBoostRegressor).fit(X, y)
    if make is xgb:
        found = model.get_booster().trees_to_dataframe()["Split"].dropna().to_numpy()
    else:
        found = np.array(model.get_borders()[0])
    near = pd.DataFrame({"a": np.concatenate([found * (1 + step) for step in (-1e-7, -1e-9, 0, 1e-9, 1e-7)])})
    assert_faithful(model, convert(model, X), near)


@pytest.mark.parametrize("mode", ["Min", "Max"])
def test_catboost_sends_missing_values_where_it_was_told_to(mode: str) -> None:
    X, y = values()
    check(cat(CatBoostRegressor, nan_mode=mode), with_gaps(X), y)


def test_xgboost_may_have_another_missing_value() -> None:
    X, y = values()
    model = xgb(XGBRegressor, missing=-99.9)
    conversion = check(model, with_gaps(X).fillna(-99.9), y)
    assert_faithful(model, conversion, with_gaps(X))


def test_catboost_has_a_threshold_of_its_own() -> None:
    X, y = binary()
    model = cat(iterations=5).fit(X, y)
    before = model.predict(X)
    model.set_probability_threshold(0.8)
    assert (model.predict(X) != before).any()
    assert_faithful(model, convert(model, X), X)


@pytest.mark.parametrize(
    "model",
    [
        lgbm(objective="multiclassova"),
        xgb(objective="multi:softmax"),
        cat(loss_function="MultiClassOneVsAll"),
    ],
    ids=["lightgbm", "xgboost", "catboost"],
)
def test_several_classes_may_have_another_objective(model: Any) -> None:
    X, y = three()
    check(clone(model), X, y)


# ------------------------------------------------------------------------------------------- inside of others

AROUND = {
    "calibrated": lambda model: CalibratedClassifierCV(model, cv=3),
    "voting": lambda model: VotingClassifier([("a", model), ("b", LogisticRegression())], voting="soft"),
    "stacking": lambda model: StackingClassifier([("a", model)], LogisticRegression(), cv=2),
    "one-vs-rest": OneVsRestClassifier,
    "search": lambda model: GridSearchCV(model, {"learning_rate": [0.1, 0.3]}, cv=2),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_a_booster_may_be_inside_of_another_estimator(make: Any, around: str) -> None:
    X, y = three()
    check(AROUND[around](make()), X, y)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_regressor_may_be_inside_of_another_estimator(name: str) -> None:
    X, y = values()
    model = REGRESSORS[name]
    check(VotingRegressor([("a", clone(model)), ("b", Ridge())]), X, y)
    check(BaggingRegressor(clone(model), n_estimators=2), X, y)
    check(TransformedTargetRegressor(clone(model), func=np.log1p, inverse_func=np.expm1), X, y)


# ------------------------------------------------------------------------------------------- promises


def test_the_libraries_are_not_imported_until_their_estimator_is_met() -> None:
    script = (
        "import sys, modelyard.conversion.scikit_learn;"
        "print([name for name in ('lightgbm', 'xgboost', 'catboost', 'onnxmltools') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_the_model_is_the_same_bytes_twice_and_says_what_was_mended(make: Any) -> None:
    X, y = three()
    model = make().fit(X, y)
    conversion = convert(model, X)
    assert convert(model, X).model == conversion.model
    assert any("trees are written" in note for note in conversion.notes)


@pytest.mark.parametrize("make", [lgbm, xgb, cat])
def test_an_unfitted_booster_is_named(make: Any) -> None:
    with pytest.raises(NotFittedError, match="is not fitted"):
        convert(make(), three()[0])


# ------------------------------------------------------------------------------------------- refusals


def loss(wanted: Any, found: Any) -> Any:
    return found - wanted, np.ones_like(found)


class Halves:
    """A loss of one's own, as CatBoost takes it."""

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        # CatBoost compiles this with numba where that is installed, and numba's zip knows no keyword
        return [(wanted - found, -1.0) for found, wanted in zip(approxes, targets)]  # noqa: B905


REFUSED = {
    "LightGBM with a custom objective": lgbm(LGBMRegressor, objective=loss),
    "LightGBM's linear_tree": lgbm(LGBMRegressor, linear_tree=True),
    "LightGBM's zero_as_missing": lgbm(LGBMRegressor, zero_as_missing=True),
    "LightGBM's pred_early_stop": lgbm(LGBMRegressor, pred_early_stop=True),
    "XGBoost with a custom objective": xgb(XGBRegressor, objective=loss),
    "XGBoost's booster gblinear": xgb(XGBRegressor, booster="gblinear"),
    "CatBoost with a custom objective": cat(
        CatBoostRegressor, loss_function=Halves(), eval_metric="RMSE", leaf_estimation_iterations=1
    ),
    "several outputs": cat(CatBoostRegressor, loss_function="MultiQuantile:alpha=0.1,0.9"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_faithful_form_is_refused_in_one_line(reason: str) -> None:
    X, y = values()
    with pytest.raises(ConversionError) as refusal:
        convert(REFUSED[reason].fit(X, y), X)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_objective_without_probabilities_is_refused() -> None:
    X, y = binary()
    with pytest.raises(ConversionError, match="objective binary:hinge is not supported"):
        convert(xgb(objective="binary:hinge").fit(X, y), X)


@pytest.mark.parametrize(
    "several", [xgb(XGBRegressor), xgb(XGBRegressor, multi_strategy="multi_output_tree")]
)
def test_several_outputs_are_refused(several: Any) -> None:
    X, y = values()
    with pytest.raises(ConversionError, match="several outputs"):
        convert(several.fit(X, np.column_stack([y, -y])), X)


@pytest.mark.parametrize(
    "model",
    [lgbm(min_child_samples=1), xgb(enable_categorical=True), cat(cat_features=["city"])],
    ids=["lightgbm", "xgboost", "catboost"],
)
def test_categorical_features_are_refused(model: Any) -> None:
    X, y = people()
    X = X[["age", "city"]].astype({"city": "category"})
    with pytest.raises(ConversionError, match="categorical features"):
        convert(model.fit(X, y.astype(int)), X)


def test_rankers_are_refused() -> None:
    X, y = three()
    ranker = lgbm(LGBMRanker).fit(X, y, group=[100, 78])
    with pytest.raises(ConversionError, match="LGBMRanker has no ONNX converter"):
        convert(ranker, X)


def test_a_subclass_which_may_do_anything_is_refused() -> None:
    class Louder(LGBMRegressor):  # type: ignore[misc]
        def predict(self, *args: Any, **options: Any) -> Any:
            return super().predict(*args, **options) * 2

    X, y = values()
    with pytest.raises(ConversionError, match="Louder has no ONNX converter"):
        convert(lgbm(Louder).fit(X, y), X)
