"""Cross-validation through its public door: figures, folds, warnings, and what it says to bad input."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, SGDClassifier
from sklearn.metrics import f1_score, make_scorer, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.errors import InterruptedRunError, InvalidInputError, ModelyardError, UsageError
from modelyard.evaluation import Evaluation, cross_validate
from modelyard.evaluation.checks import findings
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.splitters import plan_folds


@pytest.fixture(autouse=True)
def yard_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".modelyard").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def iris() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X, y


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:200], y.iloc[:200]


@pytest.fixture(scope="module")
def diabetes() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X, y


MODEL = make_pipeline(StandardScaler(), LogisticRegression())


def test_scores_of_two_classes_equal_scikit_learns(cancer: Any) -> None:
    X, y = cancer
    found = cross_validate(MODEL, X, y, seed=3)
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    assert list(found.scores.columns) == ["accuracy", "precision", "recall", "f1", "roc_auc"]
    for name in found.scores.columns:
        np.testing.assert_allclose(found.scores[name], cross_val_score(MODEL, X, y, cv=folds, scoring=name))


def test_scores_of_three_classes_equal_scikit_learns_macro_and_one_vs_rest_ones(iris: Any) -> None:
    X, y = iris
    found = cross_validate(MODEL, X, y, cv="stratified:4")
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    same = {
        "precision": "precision_macro",
        "recall": "recall_macro",
        "f1": "f1_macro",
        "roc_auc": "roc_auc_ovr",
    }
    for ours, theirs in {"accuracy": "accuracy", **same}.items():
        np.testing.assert_allclose(found.scores[ours], cross_val_score(MODEL, X, y, cv=folds, scoring=theirs))


def test_scores_of_numbers_equal_scikit_learns_and_errors_are_positive(diabetes: Any) -> None:
    X, y = diabetes
    found = cross_validate(Ridge(), X, y, cv="kfold:3")
    folds = KFold(3, shuffle=True, random_state=0)
    for name, theirs, sign in (
        ("mae", "neg_mean_absolute_error", -1),
        ("mse", "neg_mean_squared_error", -1),
        ("r2", "r2", 1),
    ):
        np.testing.assert_allclose(
            found.scores[name], sign * cross_val_score(Ridge(), X, y, cv=folds, scoring=theirs)
        )
    assert (found.scores["mae"] > 0).all()


def test_stratified_folds_of_a_regression_target_are_plain_ones_and_say_so(diabetes: Any) -> None:
    assert cross_validate(Ridge(), *diabetes, scoring="r2").cv == "kfold:5"
    assert cross_validate(Ridge(), *diabetes, scoring="r2", cv=3).cv == "kfold:3"
    assert cross_validate(Ridge(), *diabetes, scoring="r2", cv="3").cv == "kfold:3"


def test_leave_one_out_measures_the_pooled_predictions(cancer: Any) -> None:
    X, y = cancer[0].iloc[:60], cancer[1].iloc[:60]
    found = cross_validate(GaussianNB(), X, y, cv="loo")
    predicted = cross_val_predict(GaussianNB(), X, y, cv=LeaveOneOut())
    scores = cross_val_predict(GaussianNB(), X, y, cv=LeaveOneOut(), method="predict_proba")[:, 1]
    means = found.summary["mean"]
    assert found.cv == "loo"
    assert len(found.scores) == 60
    assert means["f1"] == pytest.approx(f1_score(y, predicted))
    assert means["roc_auc"] == pytest.approx(roc_auc_score(y, scores))
    assert means["accuracy"] == pytest.approx((predicted == y).mean())
    assert found.scores["f1"].isna().all()
    assert np.isnan(found.summary.loc["f1", ["std", "ci_low", "ci_high"]].astype(float)).all()
    assert found.summary.loc["accuracy"].notna().all()
    assert not found.warnings


def test_leave_one_out_of_numbers_pools_r2_only(diabetes: Any) -> None:
    X, y = diabetes[0].iloc[:40], diabetes[1].iloc[:40]
    for cv in ("loo", LeaveOneOut(), "kfold:40"):
        found = cross_validate(Ridge(), X, y, cv=cv)
        predicted = cross_val_predict(Ridge(), X, y, cv=LeaveOneOut())
        assert found.summary["mean"]["r2"] == pytest.approx(r2_score(y, predicted))
        assert found.summary["mean"]["mae"] == pytest.approx(mean_absolute_error(y, predicted))
        assert found.scores["mae"].notna().all()


@pytest.mark.parametrize("model", [MODEL, SVC(), LinearSVC(), DecisionTreeClassifier(random_state=0)])
def test_labels_may_be_strings_or_booleans_and_the_second_in_order_is_positive(
    cancer: Any, model: Any
) -> None:
    X, y = cancer
    numbers = cross_validate(model, X, y, cv="stratified:3").scores
    words = cross_validate(model, X, y.map({0: "bad", 1: "good"}), cv="stratified:3").scores
    truths = cross_validate(model, X, y == 1, cv="stratified:3").scores
    pd.testing.assert_frame_equal(numbers, words)
    pd.testing.assert_frame_equal(numbers, truths)


def test_data_of_every_form_give_the_same_scores(iris: Any) -> None:
    X, y = iris
    model = DecisionTreeClassifier(random_state=0)
    expected = cross_validate(model, X, y, scoring="accuracy").scores
    for rows, targets in (
        (X.to_numpy(), y.to_numpy()),
        (X.to_numpy().tolist(), y.tolist()),
        (X, y.to_frame()),
        (X.to_numpy(), y.to_numpy().reshape(-1, 1)),
        (X, y.astype("Int64")),
        (X, y.astype("category")),
    ):
        pd.testing.assert_frame_equal(
            cross_validate(model, rows, targets, scoring="accuracy").scores, expected
        )


class SeesFrames(ClassifierMixin, BaseEstimator):
    """Predicts the first class, and remembers in its fitted clone what it was given."""

    def fit(self, X: Any, y: Any) -> SeesFrames:
        if not isinstance(X, pd.DataFrame):
            raise TypeError("not a frame")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_frame_stays_a_frame(iris: Any) -> None:
    assert len(cross_validate(SeesFrames(), *iris).scores) == 5


def test_the_model_is_never_changed(iris: Any) -> None:
    model = LogisticRegression(max_iter=200)
    cross_validate(model, *iris)
    assert not hasattr(model, "coef_")


def test_repeats_shuffle_anew_with_the_next_seed(iris: Any) -> None:
    twice = cross_validate(MODEL, *iris, scoring="accuracy", repeats=2, seed=7).scores["accuracy"].tolist()
    first = cross_validate(MODEL, *iris, scoring="accuracy", seed=7).scores["accuracy"].tolist()
    second = cross_validate(MODEL, *iris, scoring="accuracy", seed=8).scores["accuracy"].tolist()
    assert twice == first + second


def test_processes_give_the_same_scores_and_progress(iris: Any) -> None:
    tracker = CountingTracker()
    progress.install(lambda title, total, unit: tracker.opened(title, total, unit))
    try:
        parallel = cross_validate(MODEL, *iris, n_jobs=2)
    finally:
        progress.install(None)
    pd.testing.assert_frame_equal(parallel.scores, cross_validate(MODEL, *iris).scores)
    assert tracker.told == ("cross-validation", 5, "fold")
    assert (tracker.steps, tracker.closed) == (5, 1)


class CountingTracker:
    def __init__(self) -> None:
        self.steps = self.closed = 0

    def opened(self, *told: Any) -> CountingTracker:
        self.told = told
        return self

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps

    def close(self) -> None:
        self.closed += 1


def test_groups_never_straddle_folds(iris: Any) -> None:
    X, y = iris
    groups = np.arange(150) % 10
    found = cross_validate(MODEL, X, y, cv=GroupKFold(5), groups=groups, scoring="accuracy")
    np.testing.assert_allclose(
        found.scores["accuracy"], cross_val_score(MODEL, X, y, cv=GroupKFold(5), groups=groups)
    )
    assert found.cv.startswith("GroupKFold(n_splits=5")


def test_splitters_and_listed_splits_are_used_as_they_are(iris: Any) -> None:
    X, y = iris
    splitter = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=1)
    expected = cross_val_score(MODEL, X, y, cv=splitter)
    np.testing.assert_allclose(cross_validate(MODEL, X, y, cv=splitter).scores["accuracy"], expected)
    listed = list(splitter.split(X, y))
    np.testing.assert_allclose(cross_validate(MODEL, X, y, cv=listed).scores["accuracy"], expected)


def test_any_scorer_of_scikit_learn_can_be_asked_for(iris: Any) -> None:
    asked = ["balanced_accuracy", make_scorer(f1_score, average="weighted")]
    found = cross_validate(MODEL, *iris, scoring=asked).scores
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert list(found.columns) == ["balanced_accuracy", "f1_score"]
    for ours, theirs in zip(found.columns, ["balanced_accuracy", "f1_weighted"], strict=True):
        np.testing.assert_allclose(found[ours], cross_val_score(MODEL, *iris, cv=folds, scoring=theirs))


def test_a_model_without_scores_leaves_roc_auc_out_and_says_so(cancer: Any) -> None:
    found = cross_validate(KNeighborsWithoutScores(), *cancer)
    assert "roc_auc" not in found.scores
    assert found.warnings == (
        "roc_auc is left out: KNeighborsWithoutScores has neither predict_proba nor decision_function",
    )


class KNeighborsWithoutScores(ClassifierMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> KNeighborsWithoutScores:
        self.inner_ = KNeighborsClassifier().fit(X, y)
        return self

    def predict(self, X: Any) -> Any:
        return self.inner_.predict(X)


def test_three_classes_are_ranked_by_decision_function_too(iris: Any) -> None:
    found = cross_validate(LinearSVC(), *iris, scoring="roc_auc")
    assert found.scores["roc_auc"].between(0.9, 1).all()
    with pytest.raises(UsageError, match="one score per class"):
        cross_validate(SVC(decision_function_shape="ovo"), *iris, scoring="roc_auc")


def test_the_interval_is_that_of_nadeau_and_bengio(iris: Any) -> None:
    from scipy.stats import t

    found = cross_validate(MODEL, *iris, scoring="accuracy")
    values = found.scores["accuracy"]
    error = values.std(ddof=1) * np.sqrt(1 / 5 + 30 / 120)  # five scores, each of 30 rows learned from 120
    low, high = t.interval(0.95, 4, values.mean(), error)
    assert found.summary.loc["accuracy"].tolist() == pytest.approx(
        [values.mean(), values.std(ddof=1), low, high]
    )


def test_the_result_shows_itself_and_is_kept_in_the_yard(iris: Any) -> None:
    tree = DecisionTreeClassifier(max_depth=2)
    first, second = cross_validate(MODEL, *iris), cross_validate(tree, *iris, cv="loo")
    assert first.name == "logistic-regression-1"
    assert second.name == "decision-tree-classifier-1"
    assert cross_validate(tree, *iris).name == "decision-tree-classifier-2"
    assert repr(first).startswith("Pipeline of StandardScaler, LogisticRegression in 5 folds (stratified:5)")
    bundle = second._repr_mimebundle_()
    payload = bundle["application/vnd.modelyard.evaluation+json"]
    assert payload["scores"]["f1"] == [None] * 150
    assert payload["summary"]["f1"]["std"] is None
    assert payload["rows"] == 150
    assert "95 % interval" in bundle["text/plain"]
    assert open_yard().get("evaluation", second.name).payload["cv"] == "loo"


def test_interrupting_leaves_nothing_in_the_yard(iris: Any) -> None:
    with pytest.raises(InterruptedRunError, match="nothing was recorded"):
        cross_validate(Interrupting(), *iris)
    assert open_yard().records("evaluation") == ()


class Interrupting(SeesFrames):
    def fit(self, X: Any, y: Any) -> Interrupting:
        raise KeyboardInterrupt


def test_plain_folds_of_rare_classes_are_reported(iris: Any) -> None:
    X, y = iris[0].iloc[:108], iris[1].iloc[:108].map({0: "a", 1: "b", 2: "c"})
    found = cross_validate(MODEL, X, y, cv="kfold:5", scoring="accuracy")
    assert any("'c' (8 of 108 rows)" in line and "type cv='stratified:5'" in line for line in found.warnings)
    assert not cross_validate(MODEL, X, y, cv="stratified:5", scoring="accuracy").warnings[1:]


def test_copies_across_folds_are_counted(cancer: Any) -> None:
    X, y = cancer
    doubled, targets = pd.concat([X, X.iloc[:3]]), pd.concat([y, y.iloc[:3]])
    (line,) = cross_validate(KNeighborsClassifier(), doubled, targets, cv="loo", scoring="accuracy").warnings
    assert line.startswith("6 of 203 rows have an exact copy")
    assert "duplicated()" in line
    assert not cross_validate(MODEL, X, y, scoring="accuracy").warnings


@pytest.mark.parametrize("spell", [{0: "no", 1: "yes"}, {0: 7.5, 1: -2.0}, {0: None, 1: "x"}])
def test_a_column_that_gives_the_classes_away_is_named(cancer: Any, spell: Any) -> None:
    X, y = cancer
    leaky = X.assign(verdict=y.map(spell))
    lines = findings(
        checked_samples(SeesFrames(), leaky, y), plan_folds("kfold:3", checked_samples(MODEL, X, y))
    )
    assert any("'verdict'" in line and "X.drop(columns=['verdict'])" in line for line in lines)


def test_a_column_that_equals_a_numeric_target_is_named(diabetes: Any) -> None:
    X, y = diabetes
    found = cross_validate(Ridge(), np.column_stack([X, y]), y, scoring="r2")
    assert any("column 10 alone gives the target away" in line for line in found.warnings)
    assert any("np.delete(X, [10], axis=1)" in line for line in found.warnings)


@pytest.mark.alone
def test_checks_of_ten_thousand_rows_take_less_than_fifty_milliseconds() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(10_000, 25)))
    for place in range(25, 30):
        X[place] = rng.choice(list("abcdef"), 10_000)
    y = rng.choice(["a", "b", "c"], 10_000)
    samples = checked_samples(SeesFrames(), X, y)
    folds = plan_folds("kfold:5", samples)
    spans = []
    for _ in range(5):
        started = time.perf_counter()
        findings(samples, folds)
        spans.append(time.perf_counter() - started)
    assert min(spans) < 0.05


def test_a_fold_that_cannot_be_fitted_is_named_with_the_models_own_reason(iris: Any) -> None:
    X = iris[0].copy()
    X.iloc[3, 2] = np.nan
    with pytest.raises(
        InvalidInputError, match=r"LogisticRegression failed in fold 1 of 5: Input X contains NaN;"
    ) as e:
        cross_validate(LogisticRegression(), X, iris[1], cv=KFold(5))
    assert isinstance(e.value.__cause__, ValueError)
    with pytest.raises(InvalidInputError, match=r"failed in fold 1 of 5: Input X contains NaN;"):
        cross_validate(LogisticRegression(), X, iris[1], n_jobs=2, cv=KFold(5))


def test_folds_without_all_classes_are_undefined_not_wrong() -> None:
    X = np.random.default_rng(0).normal(size=(20, 2))
    y = np.repeat([0, 1], 10)
    found = cross_validate(LogisticRegression(), X, y, cv=KFold(4), scoring=["accuracy", "roc_auc"])
    assert found.scores["roc_auc"].isna().all()
    assert found.scores["accuracy"].notna().all()
    assert any("roc_auc is undefined in 4 of 4 folds" in line for line in found.warnings)


BAD_INPUT: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    (
        {"cv": "stratifed:5"},
        UsageError,
        "found 'stratifed:5'; type 'stratified:5'.*did you mean 'stratified'",
    ),
    ({"cv": "kfold:x"}, UsageError, "found 'kfold:x'"),
    ({"cv": "kfold:1"}, UsageError, "two folds or more, found 1"),
    ({"cv": 0}, UsageError, "two folds or more, found 0"),
    ({"cv": "loo:3"}, UsageError, "no number of folds"),
    ({"cv": None}, UsageError, "found None; type"),
    ({"cv": True}, UsageError, "found True; type"),
    ({"cv": "kfold:151"}, UsageError, "151 folds are more than the 150 rows"),
    (
        {"cv": "stratified:60"},
        UsageError,
        "60 stratified folds are more than the 50 rows of class 0; type cv=",
    ),
    ({"cv": GroupKFold(3)}, UsageError, "'groups' parameter should not be None"),
    ({"cv": "loo", "repeats": 2}, UsageError, "leave-one-out is the same every time"),
    ({"cv": GroupKFold(3), "groups": [1] * 150, "repeats": 2}, UsageError, "the same every time"),
    ({"groups": [1] * 150}, UsageError, "groups need a group splitter"),
    ({"groups": [1, 2], "cv": GroupKFold(2)}, InvalidInputError, "groups and X differ in length: 2 and 150"),
    ({"repeats": 0}, UsageError, "repeats must be"),
    ({"seed": -1}, UsageError, "seed must be"),
    ({"n_jobs": 0}, UsageError, "n_jobs must be"),
    ({"scoring": "acuracy"}, UsageError, "no metric named 'acuracy'.*did you mean 'accuracy'"),
    ({"scoring": "mae"}, UsageError, "does not fit a target of classes; type one of accuracy"),
    ({"scoring": []}, UsageError, "empty list"),
    ({"scoring": ["f1", "f1"]}, UsageError, "names 'f1' 2 times"),
    ({"scoring": 3}, UsageError, "a name or a scorer, found 3"),
    ({"scoring": f1_score}, UsageError, r"type make_scorer\(f1_score\)"),
    ({"model": KNeighborsWithoutScores(), "scoring": "roc_auc"}, UsageError, "needs predict_proba"),
    ({"model": "forest"}, InvalidInputError, "model is no estimator, found str without fit"),
    ({"model": StandardScaler()}, InvalidInputError, "found StandardScaler without predict"),
    ({"model": Ridge}, InvalidInputError, r"found Ridge; give an estimator, type Ridge\(\)"),
    ({"X": []}, InvalidInputError, "there are no rows"),
    ({"X": np.empty((150, 0))}, InvalidInputError, "X has no columns"),
    ({"X": np.zeros(150)}, InvalidInputError, r"must have rows and columns, found shape \(150,\)"),
    ({"X": [[1, 2], [3]]}, InvalidInputError, "of uneven rows"),
    ({"X": "table"}, InvalidInputError, "X is no table, found str"),
    ({"X": np.zeros((3, 2))}, InvalidInputError, "X has 3 rows, y has 150"),
    ({"y": [0, 1]}, InvalidInputError, "X has 150 rows, y has 2"),
    ({"y": None}, InvalidInputError, "y is no column, found NoneType"),
    ({"y": [None, *[0, 1] * 74, 1]}, InvalidInputError, "y holds 1 null in 150 rows"),
    ({"y": ["a", 1] * 75}, InvalidInputError, "y mixes types, found int, str; make it one type"),
    ({"y": pd.Series(["a", 1] * 75)}, InvalidInputError, "y mixes types, found int, str"),
    ({"y": ["a"] * 147 + ["b"] * 3}, UsageError, "the 3 rows of class 'b'; type cv='stratified:3' or fewer"),
    ({"y": ["a"] * 149 + ["b"]}, UsageError, "more than the 1 row of class 'b'; type cv='kfold:5'"),
    ({"y": ["a"] * 150}, InvalidInputError, "one class only, found 'a' in 150 rows"),
    ({"cv": [(range(200), range(3))]}, UsageError, "split 1 in cv is empty or points past the 150 rows"),
    ({"y": np.zeros((150, 2))}, InvalidInputError, "one column, found shape"),
    ({"y": np.zeros(150)}, InvalidInputError, "one class only, found"),
    ({"y": np.linspace(0, 1, 150)}, InvalidInputError, "predicts classes, y holds continuous numbers"),
    ({"model": Ridge(), "y": ["a", "b"] * 75}, InvalidInputError, "predicts numbers, y holds"),
]


@pytest.mark.parametrize(("changed", "kind", "said"), BAD_INPUT, ids=[said[:40] for _, _, said in BAD_INPUT])
def test_bad_input_is_one_line_and_records_nothing(iris: Any, changed: Any, kind: Any, said: str) -> None:
    given = {"model": MODEL, "X": iris[0], "y": iris[1], **changed}
    with pytest.raises(kind, match=said) as caught:
        cross_validate(**given)
    assert "\n" not in str(caught.value)
    assert open_yard().records("evaluation") == ()


def test_a_linear_model_trained_by_gradient_ranks_by_decision_function(cancer: Any) -> None:
    for model in (SGDClassifier(random_state=0), Perceptron(random_state=0)):
        assert "roc_auc" in cross_validate(model, *cancer).scores


def test_texts_and_sparse_rows_are_fine() -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    texts = ["good fine", "bad awful", "good nice", "bad poor"] * 5
    labels = ["+", "-"] * 10
    model = make_pipeline(CountVectorizer(), LogisticRegression())
    assert cross_validate(model, texts, labels, scoring="accuracy").summary["mean"]["accuracy"] == 1
    sparse = CountVectorizer().fit_transform(texts)
    found: Evaluation = cross_validate(LogisticRegression(), sparse, labels, scoring="accuracy")
    assert found.features == 6


@pytest.fixture(autouse=True)
def no_tracker_stays_installed() -> Iterator[None]:
    yield
    progress.install(None)
