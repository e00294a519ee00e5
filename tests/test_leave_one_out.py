"""Leave-one-out in closed form: the same answers and figures as real fits, or real fits."""

from __future__ import annotations

import re
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from modelyard.evaluation import cross_validate
from modelyard.evaluation.closed_form import Exact, exact_leave_one_out
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.measuring import Outcome, fold_outcomes
from modelyard.evaluation.metrics import default_metrics, gives_scores
from modelyard.evaluation.splitters import plan_folds

CLASSIFIERS = {
    "ridge": RidgeClassifier(),
    "ridge without intercept": RidgeClassifier(alpha=0.3, fit_intercept=False),
    "neighbors": KNeighborsClassifier(),
    "one neighbor": KNeighborsClassifier(1),
    "weighted neighbors": KNeighborsClassifier(7, weights="distance"),
    "neighbors by blocks": KNeighborsClassifier(4, p=1, algorithm="kd_tree"),
    "linear discriminants": LinearDiscriminantAnalysis(),
    "linear discriminants, least squares": LinearDiscriminantAnalysis(solver="lsqr"),
    "quadratic discriminants": QuadraticDiscriminantAnalysis(reg_param=0.1),
    "quadratic discriminants, plain": QuadraticDiscriminantAnalysis(),
    "naive Bayes": GaussianNB(),
    "nearest centroid": NearestCentroid(),
    "most frequent": DummyClassifier(strategy="most_frequent"),
    "prior": DummyClassifier(),
    "unit rows": make_pipeline(Normalizer(), KNeighborsClassifier()),
    "logarithms": make_pipeline(FunctionTransformer(np.log1p), LinearDiscriminantAnalysis()),
    "a function": make_pipeline(FunctionTransformer(lambda X: X * 2), RidgeClassifier()),
}
REGRESSORS = {
    "least squares": LinearRegression(),
    "least squares without intercept": LinearRegression(fit_intercept=False),
    "ridge": Ridge(0.01),
    "ridge by SVD": Ridge(3.0, solver="svd", fit_intercept=False),
    "kernel ridge": KernelRidge(kernel="rbf", gamma=2.0, alpha=0.1),
    "neighbors": KNeighborsRegressor(),
    "weighted neighbors": KNeighborsRegressor(3, weights="distance"),
    "mean": DummyRegressor(),
    "median": DummyRegressor(strategy="median"),
    "quantile": DummyRegressor(strategy="quantile", quantile=0.3),
}


def _parts(model: Any, X: Any, y: Any) -> Any:
    samples = checked_samples(model, X, y)
    metrics = default_metrics(regression=samples.regression)
    if not samples.regression and not gives_scores(model, samples):
        metrics = tuple(metric for metric in metrics if metric.response != "scores")
    return samples, plan_folds("loo", samples), metrics


def _exact(model: Any, X: Any, y: Any) -> Exact | None:
    samples, folds, metrics = _parts(model, X, y)
    keep = ("labels", "probabilities") if hasattr(model, "predict_proba") else ("labels",)
    return exact_leave_one_out(model, samples, folds, metrics, keep=keep)


def _real(model: Any, X: Any, y: Any) -> list[Outcome]:
    samples, folds, metrics = _parts(model, X, y)
    keep = ("labels", "probabilities") if hasattr(model, "predict_proba") else ("labels",)
    return list(fold_outcomes(model, samples, folds, metrics, keep=keep))


def _assert_same(ours: list[Outcome], real: list[Outcome]) -> None:
    assert len(ours) == len(real)
    for mine, theirs in zip(ours, real, strict=True):
        assert (mine.failure is None) == (theirs.failure is None)
        if theirs.failure is not None:
            continue
        assert list(mine.figures) == list(theirs.figures)
        np.testing.assert_allclose([*mine.figures.values()], [*theirs.figures.values()], rtol=1e-9, atol=1e-9)
        for name in ("labels", "scores", "probabilities"):
            a, b = getattr(mine, name), getattr(theirs, name)
            assert (a is None) == (b is None)
            if a is not None and a.dtype.kind in "iuf":
                assert a.shape == b.shape
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
            elif a is not None:
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_predicted_as_by_real_fits(name: str, classes: int) -> None:
    X, y = load_iris(return_X_y=True)
    rows = np.flatnonzero(y > 2 - classes)[::classes]
    X, y = X[rows], np.array(["setosa", "versicolor", "virginica"])[y[rows]]
    found = _exact(CLASSIFIERS[name], X, y)
    assert found is not None
    assert found.fitted < len(y) / 2
    _assert_same(found.outcomes, _real(CLASSIFIERS[name], X, y))


@pytest.mark.parametrize("name", REGRESSORS)
def test_numbers_are_predicted_as_by_real_fits(name: str) -> None:
    X, y = (part[:90] for part in load_diabetes(return_X_y=True))
    found = _exact(REGRESSORS[name], X, y)
    assert found is not None
    assert found.fitted <= 3
    _assert_same(found.outcomes, _real(REGRESSORS[name], X, y))


def test_more_columns_than_rows_are_no_hindrance_to_ridge() -> None:
    X, y = load_digits(return_X_y=True)
    for model, targets in ((RidgeClassifier(), y[:40] % 2), (Ridge(0.5), y[:40].astype(float))):
        found = _exact(model, X[:40], targets)
        assert found is not None
        _assert_same(found.outcomes, _real(model, X[:40], targets))


def test_leave_one_out_of_a_frame_gives_scikit_learns_figures() -> None:
    X, y = load_wine(return_X_y=True, as_frame=True)
    found = cross_validate(KNeighborsClassifier(), X, y, cv="loo", scoring=["accuracy", "f1"])
    predicted = cross_val_predict(KNeighborsClassifier(), X, y, cv=LeaveOneOut())
    assert found.summary["mean"]["accuracy"] == pytest.approx(accuracy_score(y, predicted), abs=1e-9)
    np.testing.assert_array_equal(found.scores["accuracy"], (predicted == y).astype(float))
    X, y = (part.iloc[:80] for part in load_diabetes(return_X_y=True, as_frame=True))
    numbers = cross_validate(Ridge(), X, y, cv="loo").summary["mean"]
    predicted = cross_val_predict(Ridge(), X, y, cv=LeaveOneOut())
    assert numbers["mae"] == pytest.approx(mean_absolute_error(y, predicted), abs=1e-9)
    assert numbers["r2"] == pytest.approx(r2_score(y, predicted), abs=1e-9)


def test_copies_and_ties_among_neighbors_are_answered_as_by_real_fits() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(60, 2)).astype(float)  # 16 places for 60 rows
    y = rng.integers(0, 3, size=60)
    for model in (
        KNeighborsClassifier(3),
        KNeighborsClassifier(4, weights="distance"),
        KNeighborsRegressor(2),
    ):
        found = _exact(model, X, y)
        if found is not None:
            _assert_same(found.outcomes, _real(model, X, y))
    X, y = np.repeat(rng.normal(size=(40, 3)), 2, axis=0), np.repeat(rng.integers(0, 2, 40), 2)
    found = _exact(KNeighborsClassifier(3), X, y)
    assert found is not None
    _assert_same(found.outcomes, _real(KNeighborsClassifier(3), X, y))


def test_the_only_row_of_a_class_is_really_fitted() -> None:
    X, y = load_iris(return_X_y=True)
    y = y.copy()
    y[140] = 7
    for model in (GaussianNB(), KNeighborsClassifier(), LinearDiscriminantAnalysis(), RidgeClassifier()):
        found = _exact(model, X, y)
        assert found is not None
        samples, folds, metrics = _parts(model, X, y)
        assert found.fitted >= 1
        rows = [*range(0, 150, 29), 140]
        real = list(fold_outcomes(model, samples, folds, metrics))
        for row in rows:
            np.testing.assert_allclose([*found.outcomes[row].figures.values()], [*real[row].figures.values()])


@pytest.mark.parametrize(
    "model",
    [
        Ridge(solver="sag"),
        Ridge(positive=True),
        LinearRegression(positive=True),
        KNeighborsRegressor(weights=lambda distances: 1 / (1 + distances)),
        KNeighborsRegressor(metric="seuclidean", metric_params={"V": np.ones(10)}),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(FunctionTransformer(lambda X: X - X.mean(axis=0)), Ridge()),
        DummyRegressor(strategy="quantile", quantile=None),
    ],
    ids=lambda model: re.sub(" at 0x[0-9a-f]+", "", str(model)),  # the same in every process
)
def test_what_has_no_exact_form_is_fitted(model: Any) -> None:
    X, y = (part[:30] for part in load_diabetes(return_X_y=True))
    assert _exact(model, X, y) is None


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        RidgeClassifier(class_weight="balanced"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
        LinearDiscriminantAnalysis(solver="lsqr", priors=[0.2, 0.3, 0.5]),
        DummyClassifier(strategy="stratified", random_state=0),
        NearestCentroid(shrink_threshold=0.1),
    ],
    ids=str,
)
def test_classifiers_without_an_exact_form_are_fitted(model: Any) -> None:
    assert _exact(model, *load_iris(return_X_y=True)) is None


class Moody(Ridge):
    """A subclass may do anything."""


def test_a_subclass_and_data_of_other_kinds_are_fitted() -> None:
    X, y = (part[:30] for part in load_diabetes(return_X_y=True))
    assert _exact(Moody(), X, y) is None
    assert _exact(Ridge(), X.astype(np.float32), y) is None
    assert _exact(Ridge(), pd.DataFrame(X).assign(sex="m"), y) is None


def test_a_form_that_is_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelyard.evaluation.closed_form import leave_one_out, linear

    def off(model: Any, X: Any, y: Any, classes: Any) -> Any:
        found = linear.ridge(model, X, y, classes)
        assert found is not None
        return type(found)(found.labels * (1 + 1e-6), found.unsure)

    monkeypatch.setitem(leave_one_out._FORMS, "Ridge", off)
    assert _exact(Ridge(), *load_diabetes(return_X_y=True)) is None


def test_columns_that_are_constant_or_repeated_change_nothing() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = np.column_stack([X[:80, :4], np.ones(80), X[:80, 0]]), y[:80]
    for model in (Ridge(), LinearRegression(), RidgeClassifier(), GaussianNB(), KNeighborsClassifier()):
        found = _exact(model, X, y)
        if found is not None:
            _assert_same(found.outcomes, _real(model, X, y))


SMALL = arrays(
    np.float64,
    st.tuples(st.integers(7, 14), st.integers(1, 3)),
    elements=st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 10.0]),
)


@settings(max_examples=120, deadline=None)
@given(SMALL, st.randoms(use_true_random=False), st.integers(2, 3), st.sampled_from(sorted(CLASSIFIERS)))
def test_small_tables_full_of_ties_are_answered_as_by_real_fits(
    X: Any, random: Any, classes: int, name: str
) -> None:
    y = np.array([*range(classes), *(random.randrange(classes) for _ in range(len(X) - classes))])
    _compare_if_exact(CLASSIFIERS[name], X + 3 if name == "logarithms" else X, y)


@settings(max_examples=80, deadline=None)
@given(SMALL, st.randoms(use_true_random=False), st.sampled_from(sorted(REGRESSORS)))
def test_small_tables_of_numbers_are_answered_as_by_real_fits(X: Any, random: Any, name: str) -> None:
    y = np.array([random.choice([0.0, 1.0, 1.5, 4.0]) for _ in range(len(X))])
    _compare_if_exact(REGRESSORS[name], X, y)


def _compare_if_exact(model: Any, X: Any, y: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = _exact(model, X, y)
            real = [] if found is None else _real(model, X, y)
        except IndexError:  # scikit-learn's own, of one class or of no rank
            return
        if found is not None:
            _assert_same(found.outcomes, real)


def test_it_takes_a_small_part_of_the_time_of_real_fits() -> None:
    X, y = (part[:200] for part in load_digits(return_X_y=True))
    for model in (KNeighborsClassifier(), RidgeClassifier()):
        began = time.perf_counter()
        _real(model, X, y)
        real = time.perf_counter() - began
        began = time.perf_counter()
        assert _exact(model, X, y) is not None
        assert time.perf_counter() - began < real / 5
