"""Conversions answer as the estimator does, on every row of real tables."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from modelyard.conversion import NULL_STRING, Conversion, ModelInput, Session, convert
from modelyard.errors import ConversionError, InvalidInputError, NotFittedError

LOADERS = {
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": load_digits,
    "diabetes": load_diabetes,
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")  # convergence, unknown categories
        yield


def table(name: str) -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = LOADERS[name](as_frame=True, return_X_y=True)
    return X, y


def with_gaps(X: pd.DataFrame, share: float = 0.1) -> pd.DataFrame:
    return X.mask(np.random.default_rng(0).random(X.shape) < share)


def assert_faithful(estimator: Any, conversion: Conversion, X: pd.DataFrame, given: Any = None) -> None:
    """Labels identical on every row, numbers within 1e-5 (relative for large values)."""
    given = X if given is None else given
    predictions, probabilities = Session(conversion)(X)
    wanted = np.asarray(estimator.predict(given))
    if is_classifier(estimator):
        assert predictions.tolist() == wanted.tolist()
        assert conversion.classes == tuple(estimator.classes_.tolist())
    else:
        np.testing.assert_allclose(predictions, wanted, rtol=1e-5, atol=1e-5)
    assert (probabilities is not None) == hasattr(estimator, "predict_proba")
    if probabilities is not None:
        np.testing.assert_allclose(probabilities, estimator.predict_proba(given), rtol=0, atol=1e-5)


def check(estimator: Any, X: pd.DataFrame, y: Any) -> Conversion:
    fitted = estimator.fit(X, y)
    conversion = convert(fitted, X)
    assert_faithful(fitted, conversion, X)
    return conversion


def scaled(estimator: Any, *before: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), *before, estimator)


def logistic(**options: Any) -> LogisticRegression:
    return LogisticRegression(max_iter=2000, **options)


CLASSIFIERS = {
    "logistic": scaled(logistic()),
    "logistic-unscaled": LogisticRegression(max_iter=20),
    "logistic-cv": scaled(LogisticRegressionCV(Cs=3, cv=3, max_iter=2000)),
    "ridge": RidgeClassifier(),
    "perceptron": Perceptron(),
    "linear-svc": LinearSVC(max_iter=200),
    "linear-svc-scaled": scaled(LinearSVC()),
    "linear-svc-nested": scaled(scaled(LinearSVC())),
    "sgd-hinge": scaled(SGDClassifier(random_state=0)),
    "sgd-log": scaled(SGDClassifier(loss="log_loss", random_state=0)),
    "sgd-huber": scaled(SGDClassifier(loss="modified_huber", random_state=0)),
    "svc": scaled(SVC()),
    "tree": DecisionTreeClassifier(random_state=0),
    "extra-tree": ExtraTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "shallow-forest": RandomForestClassifier(20, max_depth=3, random_state=0),
    "extra-trees": ExtraTreesClassifier(20, random_state=0),
    "gradient-boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "hist-gradient-boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "ada-boost": AdaBoostClassifier(n_estimators=10, random_state=0),
    "ada-boost-logistic": AdaBoostClassifier(LogisticRegression(max_iter=20), n_estimators=3, random_state=0),
    "bagging": BaggingClassifier(n_estimators=5, random_state=0),
    "bagging-features": BaggingClassifier(DecisionTreeClassifier(), n_estimators=5, max_features=0.5),
    "neighbours": KNeighborsClassifier(),
    "naive-bayes": GaussianNB(),
    "bernoulli": scaled(BernoulliNB()),
    "lda": LinearDiscriminantAnalysis(),
    "qda": scaled(QuadraticDiscriminantAnalysis(reg_param=0.1)),
    "perceptron-layers": scaled(MLPClassifier((10,), max_iter=50, random_state=0)),
    "voting-soft": VotingClassifier(
        [("a", scaled(logistic())), ("b", RandomForestClassifier(5, random_state=0))],
        voting="soft",
        weights=[1, 3],
    ),
    "voting-hard": VotingClassifier([("a", scaled(logistic())), ("b", SVC()), ("c", GaussianNB())]),
    "stacking": StackingClassifier(
        [("a", scaled(logistic())), ("b", RandomForestClassifier(5, random_state=0))], cv=3
    ),
    "calibrated": CalibratedClassifierCV(LinearSVC(max_iter=200), cv=3),
    "one-vs-rest": OneVsRestClassifier(logistic()),
    "pca": scaled(logistic(), PCA(4)),
    "best": make_pipeline(SelectKBest(k=4), logistic()),
    "polynomial": scaled(logistic(), SelectKBest(k=4), PolynomialFeatures(3)),
    "power": make_pipeline(PowerTransformer(), logistic()),
    "quantile": make_pipeline(QuantileTransformer(n_quantiles=30), logistic()),
    "bins": make_pipeline(KBinsDiscretizer(4, encode="onehot-dense"), logistic()),
    "sparse-bins": make_pipeline(KBinsDiscretizer(4), logistic()),
    "binarizer": make_pipeline(Binarizer(threshold=15.0), logistic()),
    "scalers": make_pipeline(RobustScaler(), MinMaxScaler(), logistic()),
    "union": make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", PCA(3))]), logistic()),
    "passthrough": Pipeline([("none", "passthrough"), ("model", GaussianNB())]),
    "log1p": make_pipeline(FunctionTransformer(np.log1p), logistic()),
    "search": GridSearchCV(scaled(logistic()), {"logisticregression__C": [0.1, 1.0]}, cv=3),
}

REGRESSORS = {
    "linear": LinearRegression(),
    "ridge": Ridge(),
    "ridge-cv": RidgeCV(),
    "lasso": Lasso(0.1),
    "elastic-net": ElasticNet(0.01),
    "huber": HuberRegressor(),
    "poisson": PoissonRegressor(),
    "svr": scaled(SVR(C=100)),
    "svr-linear": scaled(SVR(kernel="linear")),
    "svr-poly": scaled(SVR(kernel="poly")),
    "svr-sigmoid": scaled(SVR(kernel="sigmoid")),
    "neighbours": KNeighborsRegressor(),
    "tree": DecisionTreeRegressor(random_state=0),
    "forest": RandomForestRegressor(20, random_state=0),
    "extra-trees": ExtraTreesRegressor(20, random_state=0),
    "gradient-boosting": GradientBoostingRegressor(n_estimators=20, loss="huber", random_state=0),
    "hist-gradient-boosting": HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "hist-poisson": HistGradientBoostingRegressor(max_iter=20, loss="poisson", random_state=0),
    "ada-boost": AdaBoostRegressor(n_estimators=5, random_state=0),
    "bagging": BaggingRegressor(n_estimators=5, random_state=0),
    "perceptron-layers": scaled(MLPRegressor(hidden_layer_sizes=(10,), max_iter=50, random_state=0)),
    "voting": VotingRegressor(
        [("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3)), ("c", "drop")], weights=[1, 2, 9]
    ),
    "stacking": StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))], cv=3),
    "log-target": TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("data", ["breast_cancer", "wine"])
def test_a_classifier_answers_as_scikit_learn_does_on_every_row(name: str, data: str) -> None:
    X, y = table(data)
    target = y.map({0: "zero", 1: "one", 2: "two"}) if data == "wine" else y
    estimator = clone(CLASSIFIERS[name])
    conversion = check(estimator, X, target)
    assert conversion.task == ("binary" if data == "breast_cancer" else "multiclass")
    assert conversion.inputs == (ModelInput("X", "float64", tuple(X.columns)),)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_answers_as_scikit_learn_does_on_every_row(name: str) -> None:
    X, y = table("diabetes")
    conversion = check(clone(REGRESSORS[name]), X, y)
    assert (conversion.task, conversion.classes, conversion.probability_output) == ("regression", None, None)


@pytest.mark.parametrize(
    "detector",
    [
        IsolationForest(n_estimators=20, random_state=0),
        IsolationForest(n_estimators=20, max_features=0.5, contamination=0.1, random_state=0),
        OneClassSVM(nu=0.1),
        LocalOutlierFactor(novelty=True),
        KMeans(3, random_state=0),
    ],
    ids=["isolation-forest", "isolation-features", "one-class", "local-outlier", "k-means"],
)
def test_a_detector_or_clustering_gives_the_same_numbers(detector: Any) -> None:
    X, _ = table("breast_cancer")
    fitted = make_pipeline(StandardScaler(), clone(detector)).fit(X)
    conversion = convert(fitted, X)
    assert Session(conversion)(X)[0].tolist() == fitted.predict(X).tolist()
    assert conversion.task == ("clustering" if isinstance(detector, KMeans) else "outliers")


@pytest.mark.parametrize("name", ["forest", "logistic", "hist-gradient-boosting"])
def test_an_estimator_fitted_on_an_array_is_converted_with_the_array_as_a_table(name: str) -> None:
    X, y = load_digits(return_X_y=True)
    estimator = clone(CLASSIFIERS[name]).fit(X, y)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    assert_faithful(estimator, convert(estimator, frame), frame, X)


# ---------------------------------------------------------------------------------------------- mends


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(20, random_state=0),
        ExtraTreesClassifier(20, random_state=0),
        BaggingClassifier(DecisionTreeClassifier(random_state=0), n_estimators=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("data", ["breast_cancer", "wine"])
def test_trees_send_missing_values_where_they_learned_to(estimator: Any, data: str) -> None:
    X, y = table(data)
    check(clone(estimator), with_gaps(X), y)


def test_regression_trees_send_missing_values_where_they_learned_to() -> None:
    X, y = table("diabetes")
    for estimator in (RandomForestRegressor(10, random_state=0), HistGradientBoostingRegressor(max_iter=10)):
        check(estimator, with_gaps(X), y)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_scaler_before_trees_is_not_rounded_to_float32(estimator: Any) -> None:
    X, y = table("breast_cancer")
    pipeline = scaled(clone(estimator)).fit(X, y)
    _, probabilities = Session(convert(pipeline, X))(X)
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), rtol=0, atol=1e-12)


def test_trees_round_features_to_float32_as_scikit_learn_does() -> None:
    X = pd.DataFrame({"a": np.arange(64) / 64})
    tree = DecisionTreeRegressor().fit(X, np.arange(64.0))
    thresholds = tree.tree_.threshold[tree.tree_.feature >= 0]
    near = np.concatenate([thresholds * (1 + step) for step in (-1e-9, 0, 1e-9, 1e-7)])
    assert_faithful(tree, convert(tree, X), pd.DataFrame({"a": near}))


def test_histogram_trees_compare_in_double() -> None:
    values = 1 + np.arange(256) * 1e-9  # all the same in float32
    X, y = pd.DataFrame({"a": values}), np.arange(256) // 64 * 1e6
    check(HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1), X, y)


def test_a_tree_that_is_one_leaf_converts() -> None:
    X = pd.DataFrame({"a": np.arange(10.0)})
    check(RandomForestRegressor(3), X, np.full(10, 2.5))
    check(HistGradientBoostingRegressor(max_iter=2), X, np.arange(10.0))


def test_ties_between_classes_go_as_in_scikit_learn() -> None:
    X = pd.DataFrame({"a": np.repeat([0.0, 1.0], 30)})
    y = np.tile(["a", "b", "c"], 20)
    check(RandomForestClassifier(30, bootstrap=False), X, y)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(
    "inner",
    [
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
        AdaBoostClassifier(n_estimators=5),
        scaled(LogisticRegression()),
        scaled(LinearSVC()),
        scaled(SGDClassifier(loss="log_loss", random_state=0)),
    ],
    ids=["forest", "hist-gradient-boosting", "ada-boost", "logistic", "linear-svc", "sgd"],
)
def test_calibrators_get_the_scores_that_they_were_fitted_on(inner: Any, method: str) -> None:
    for data in ("breast_cancer", "wine"):
        X, y = table(data)
        check(CalibratedClassifierCV(clone(inner), method=method, cv=3), X, y)


def test_a_support_vector_machine_is_calibrated_by_its_margin() -> None:
    X, y = table("breast_cancer")
    check(CalibratedClassifierCV(scaled(SVC()), cv=3), X, y)


def test_a_regression_network_with_a_poisson_loss_is_refused() -> None:
    X, y = table("diabetes")
    estimator = scaled(MLPRegressor(hidden_layer_sizes=(5,), loss="poisson", max_iter=50)).fit(X, y)
    with pytest.raises(ConversionError, match="output activation"):
        convert(estimator, X)


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_support_vectors_vote_in_double(kernel: str) -> None:
    X, y = load_digits(as_frame=True, return_X_y=True)
    check(SVC(kernel=kernel, C=0.1), X * 1e4, y)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_boosting_losses_have_their_own_probabilities(loss: str) -> None:
    X, y = table("breast_cancer")
    check(GradientBoostingClassifier(loss=loss, n_estimators=10, init="zero"), X, y)


def test_binary_discriminant_analysis_is_written_as_logistic_regression() -> None:
    X, y = table("breast_cancer")
    conversion = check(LinearDiscriminantAnalysis(), X, y)
    assert any("logistic regression" in note for note in conversion.notes)


def test_a_decision_threshold_is_kept() -> None:
    X, y = table("breast_cancer")
    for target in (y, y.map({0: "benign", 1: "malignant"})):
        tuned = TunedThresholdClassifierCV(scaled(logistic()), cv=3).fit(X, target)
        tuned.best_threshold_ = 0.9
        assert (tuned.predict(X) != tuned.estimator_.predict(X)).any()
        assert_faithful(tuned, convert(tuned, X), X)


def test_the_notes_say_what_was_mended() -> None:
    X, y = table("wine")
    assert any("Trees" in note for note in check(scaled(RandomForestClassifier(3)), X, y).notes)
    assert check(scaled(logistic()), X, y).notes == ()


# ------------------------------------------------------------------------------- columns and their types


def people(nulls: str = "nan", rows: int = 300) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Return a table of numbers, flags and strings with nulls of one kind, and a target."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age / years": np.where(random.random(rows) < 0.1, np.nan, random.normal(40, 10, rows)),
            "children": random.integers(0, 5, rows),
            "member": random.random(rows) < 0.5,
            "label": random.normal(0, 1e6, rows),  # also the name of an output
            "city": random.choice(["Bern", "Genève", "Zürich"], rows),
            "size": random.choice(["s", "m", "l"], rows),
        }
    )
    X["city"] = X["city"].astype(object)
    empty = random.random(rows) < 0.1
    if nulls == "category":
        X["city"] = X["city"].mask(empty).astype("category")
    elif nulls == "str":
        X["city"] = X["city"].astype("str").mask(empty)
    else:
        X.loc[empty, "city"] = None if nulls == "none" else np.nan
    y = (X["age / years"].fillna(40) + 5 * (X["city"] == "Bern") + X["children"] > 44).rename("y")
    return X, y


NUMBERS = ["age / years", "children", "member", "label"]
ENCODERS = {
    "one-hot": make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
    "null-is-a-category": OneHotEncoder(handle_unknown="ignore"),
    "rare": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.3, drop="if_binary"),
    "drop-first": OneHotEncoder(handle_unknown="ignore", drop="first"),
    "ordinal": make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ),
    "ordinal-null": OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    ),
    "target": TargetEncoder(random_state=0),
}


def mixed(encoder: Any, model: Any) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("words", clone(encoder), ["city", "size"])])
    return Pipeline([("columns", columns), ("model", model)])


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("nulls", ["nan", "none", "str", "category"])
def test_strings_with_nulls_and_unseen_categories_are_encoded_as_scikit_learn_does(
    name: str, nulls: str
) -> None:
    X, y = people(nulls)
    pipeline = mixed(ENCODERS[name], logistic()).fit(X, y)
    conversion = convert(pipeline, X)
    unseen = X.assign(size=X["size"].where(X.index % 7 > 0, "xxl"))
    for rows in (X, unseen):
        assert_faithful(pipeline, conversion, rows)


def test_each_column_gets_an_input_of_its_type() -> None:
    X, y = people()
    conversion = check(mixed(ENCODERS["one-hot"], RandomForestClassifier(10, random_state=0)), X, y)
    assert conversion.inputs == (
        ModelInput("age / years", "float64", ("age / years",)),
        ModelInput("children", "int64", ("children",)),
        ModelInput("member", "bool", ("member",)),
        ModelInput("_label", "float64", ("label",)),
        ModelInput("city", "string", ("city",)),
        ModelInput("size", "string", ("size",)),
    )
    assert conversion.classes == (False, True)


def test_columns_may_be_selected_by_type_slice_mask_and_position() -> None:
    X, y = people()
    for numbers, words in [
        (make_column_selector(dtype_include="number"), make_column_selector(pattern="city|size")),
        (slice("age / years", "children"), [4, 5]),
        ([True, True, False, True, False, False], slice(4, 6)),
    ]:
        columns = ColumnTransformer(
            [("n", SimpleImputer(), numbers), ("w", OneHotEncoder(handle_unknown="ignore"), words)]
        )
        check(make_pipeline(columns, StandardScaler(), logistic()), X, y)


def test_the_rest_of_the_columns_may_pass_through() -> None:
    X, y = people()
    columns = ColumnTransformer(
        [("words", OneHotEncoder(), ["city", "size"])], remainder="passthrough", sparse_threshold=0
    )
    check(make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5)), X, y)


def test_encoders_without_a_column_transformer_take_a_table_of_strings() -> None:
    X, y = people("str")
    check(make_pipeline(OneHotEncoder(handle_unknown="ignore"), logistic()), X[["city", "size"]], y)


def test_numbers_are_encoded_by_value() -> None:
    X, y = people()
    X = X.assign(shoe=np.where(X.index % 9 > 0, X["children"] + 0.5, np.nan))
    columns = ColumnTransformer(
        [("all", OneHotEncoder(handle_unknown="ignore"), ["children", "member", "shoe"])]
    )
    pipeline = make_pipeline(columns, logistic()).fit(X, y)
    conversion = convert(pipeline, X)
    assert_faithful(pipeline, conversion, X)
    assert_faithful(pipeline, conversion, X.assign(children=X["children"] + 3))


def test_nullable_numbers_with_nulls_are_fed_as_float64() -> None:
    X, y = people()
    X["children"] = X["children"].astype("Int64").mask(X.index % 5 == 0)
    conversion = check(mixed(ENCODERS["one-hot"], logistic()), X, y)
    assert {entry.name: entry.dtype for entry in conversion.inputs}["children"] == "float64"


def test_a_null_is_fed_as_the_null_string() -> None:
    X, y = people()
    pipeline = mixed(ENCODERS["null-is-a-category"], logistic()).fit(X, y)
    session, null = Session(convert(pipeline, X)), X.assign(city=np.nan).astype({"city": object})
    np.testing.assert_array_equal(session(null)[1], session(null.assign(city=NULL_STRING))[1])


def test_an_imputer_that_leaves_none_alone_is_noted() -> None:
    X, y = people("none")
    notes = convert(mixed(ENCODERS["one-hot"], logistic()).fit(X, y), X).notes
    assert any("nulls of city are None" in note for note in notes)


def test_text_is_vectorised() -> None:
    X = pd.DataFrame({"text": ["red apple pie", "green pear", "red pear tart", "green apple"] * 10})
    y = ["pie", "fruit", "pie", "fruit"] * 10
    columns = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    check(make_pipeline(columns, logistic()), X, y)


@pytest.mark.parametrize("kind", [bool, float, np.uint8, np.int32, str, "category"])
def test_labels_come_back_in_their_own_type(kind: Any) -> None:
    X, y = table("breast_cancer")
    target = y.astype(kind)
    for estimator in (scaled(logistic()), RandomForestClassifier(5), AdaBoostClassifier(n_estimators=3)):
        conversion = check(estimator, X, target)
        assert conversion.classes is not None
        assert {type(label) for label in conversion.classes} == {type(estimator.classes_.tolist()[0])}


# ------------------------------------------------------------------------------------------- promises


def test_two_conversions_are_the_same_bytes_in_any_process() -> None:
    X, y = people()
    pipeline = mixed(ENCODERS["one-hot"], RandomForestClassifier(5, random_state=0)).fit(X, y)
    assert convert(pipeline, X).model == convert(pipeline, X).model
    script = (
        "import hashlib; from sklearn.datasets import load_wine; from sklearn.pipeline import make_pipeline;"
        "from sklearn.preprocessing import StandardScaler; from sklearn.linear_model import LogisticRegression;"
        "from modelyard.conversion import convert; X, y = load_wine(as_frame=True, return_X_y=True);"
        "model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y);"
        "print(hashlib.sha256(convert(model, X).model).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["lda", "voting-soft", "search", "forest", "passthrough"])
def test_the_estimator_is_not_changed(name: str) -> None:
    X, y = table("breast_cancer")
    estimator = clone(CLASSIFIERS[name]).fit(X, y.astype(bool))
    inside = getattr(estimator, "best_estimator_", estimator)  # joblib cannot hash a search's masked arrays
    before = joblib.hash(inside)
    convert(estimator, X)
    assert joblib.hash(inside) == before


def test_the_model_is_valid_onnx_with_a_fixed_header() -> None:
    X, y = people()
    conversion = check(mixed(ENCODERS["one-hot"], RandomForestClassifier(5)), X, y)
    model = onnx.load_from_string(conversion.model)
    onnx.checker.check_model(model)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 21, "ai.onnx.ml": 5}
    assert [output.name for output in model.graph.output] == ["label", "probabilities"]


def test_one_row_and_no_rows_are_answered() -> None:
    X, y = table("digits")
    for estimator in (RandomForestClassifier(5), scaled(logistic())):
        session = Session(convert(estimator.fit(X, y), X))
        for rows in (1, 0):
            predictions, probabilities = session(X.head(rows))
            assert predictions.shape == (rows,)
            assert probabilities is not None
            assert probabilities.shape == (rows, 10)


def test_importing_modelyard_does_not_import_conversion() -> None:
    script = (
        "import sys, modelyard, modelyard.conversion;"
        "print([name for name in ('skl2onnx', 'onnx', 'onnxruntime', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------- refusals


class Clipper(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer written in a cell."""

    def fit(self, X: Any, y: Any = None) -> Clipper:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return np.clip(X, 0, 10)


class LouderScaler(StandardScaler):  # type: ignore[misc]
    """A subclass of a known class, which may do anything."""

    def transform(self, X: Any, copy: Any = None) -> Any:
        return super().transform(X, copy=copy) * 2


UNCONVERTIBLE = {
    "Clipper has no ONNX converter": make_pipeline(Clipper(), LogisticRegression()),
    "LouderScaler has no ONNX converter": make_pipeline(LouderScaler(), LogisticRegression()),
    "SplineTransformer has no ONNX converter": make_pipeline(SplineTransformer(), LogisticRegression()),
    "FunctionTransformer(<lambda>)": make_pipeline(
        FunctionTransformer(lambda X: X + 1), LogisticRegression(max_iter=10)
    ),
    "TemperatureScaling": CalibratedClassifierCV(GaussianNB(), method="temperature"),
    "Stacking": StackingClassifier([("a", LinearSVC(max_iter=50)), ("b", GaussianNB())], cv=2),
    "Bagging": BaggingClassifier(LinearSVC(max_iter=50), n_estimators=2),
    "init=GaussianNB": GradientBoostingClassifier(init=GaussianNB(), n_estimators=2),
    "by distance": KNeighborsClassifier(weights="distance"),
    "without probabilities": OneVsRestClassifier(SVC()),
}


@pytest.mark.parametrize("reason", UNCONVERTIBLE)
def test_what_has_no_faithful_form_is_refused_in_one_line(reason: str) -> None:
    X, y = table("breast_cancer")
    estimator = clone(UNCONVERTIBLE[reason]).fit(X, y)
    with pytest.raises(ConversionError) as refusal:
        convert(estimator, X)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_histogram_trees_over_categories_are_refused() -> None:
    X, y = people("category")
    X = X.astype({"size": "category"})
    estimator = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=3).fit(X, y)
    with pytest.raises(ConversionError, match="categorical features"):
        convert(estimator, X)


def test_labels_that_float32_would_round_are_kept_or_refused() -> None:
    X, y = table("wine")
    large = y + 10**10
    check(scaled(logistic()), X, large)
    check(RandomForestClassifier(3), X, large)
    with pytest.raises(ConversionError, match="GaussianNB would become ONNX with rounded labels"):
        convert(GaussianNB().fit(X, large), X)


def test_several_outputs_are_refused() -> None:
    X, y = table("diabetes")
    two = np.column_stack([y, -y])
    for estimator in (LinearRegression(), RandomForestRegressor(3), KNeighborsRegressor()):
        with pytest.raises(ConversionError, match="several"):
            convert(estimator.fit(X, two), X)
    labels = two > 100
    for classifier in (RandomForestClassifier(3), OneVsRestClassifier(LogisticRegression())):
        with pytest.raises(ConversionError, match="several"):
            convert(classifier.fit(X, labels), X)


def test_a_transformer_is_refused_since_it_predicts_nothing() -> None:
    X, _ = table("wine")
    with pytest.raises(ConversionError, match="StandardScaler has no predict"):
        convert(StandardScaler().fit(X), X)


def test_what_is_no_estimator_is_refused() -> None:
    with pytest.raises(ConversionError, match="int is no scikit-learn estimator"):
        convert(3, table("wine")[0])


def test_dates_and_mixed_objects_are_refused_by_column() -> None:
    X, y = table("wine")
    columns = ColumnTransformer([("numbers", StandardScaler(), ["alcohol"])])
    for extra in (pd.date_range("2026-01-01", periods=len(X)), [1, "one"] * (len(X) // 2)):
        wide = X.assign(extra=extra)
        estimator = make_pipeline(columns, GaussianNB()).fit(wide, y)
        with pytest.raises(ConversionError, match="column 'extra' holds"):
            convert(estimator, wide)


def test_none_and_nan_in_one_column_are_refused() -> None:
    X, y = people("nan")
    X.loc[0, "city"] = None
    with pytest.raises(ConversionError, match="column 'city' has both None and NaN"):
        convert(mixed(ENCODERS["null-is-a-category"], logistic()).fit(X, y), X)


def test_an_unfitted_estimator_is_named() -> None:
    with pytest.raises(NotFittedError, match="GaussianNB is not fitted"):
        convert(GaussianNB(), table("wine")[0])


def test_other_columns_than_in_fitting_are_named() -> None:
    X, y = table("wine")
    estimator = GaussianNB().fit(X, y)
    with pytest.raises(InvalidInputError, match="without alcohol"):
        convert(estimator, X.drop(columns="alcohol"))
    with pytest.raises(InvalidInputError, match="another order"):
        convert(estimator, X[X.columns[::-1]])
