"""Metrics through cross-validation: the values of scikit-learn, of every kind of target, with honest intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn import metrics as sk
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_linnerud,
    make_classification,
    make_multilabel_classification,
)
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.model_selection import cross_validate as their_cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.evaluation import cross_validate
from modelyard.evaluation.intervals import corrected_error
from modelyard.evaluation.metrics import metric_names
from modelyard.magics.cv import METRICS

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def cancer() -> Any:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:250], y.iloc[:250]


@pytest.fixture(scope="module")
def labels() -> Any:
    return make_multilabel_classification(200, n_features=8, n_classes=4, random_state=1)


def theirs(model: Any, X: Any, y: Any, scoring: Any, folds: Any) -> dict[str, Any]:
    return dict(their_cross_validate(model, X, y, cv=folds, scoring=scoring))


def test_metrics_of_two_classes_equal_scikit_learns(cancer: Any) -> None:
    X, y = cancer
    names = {
        "log_loss": ("neg_log_loss", -1), "brier": ("neg_brier_score", -1), "pr_auc": ("average_precision", 1),
        "balanced_accuracy": ("balanced_accuracy", 1), "f1": ("f1", 1), "precision": ("precision", 1),
        "recall": ("recall", 1),
    }  # fmt: skip
    for model in (LOGISTIC, RandomForestClassifier(20, random_state=0)):
        found = cross_validate(model, X, y.map({0: "bad", 1: "good"}), scoring=list(names)).scores
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        expected = theirs(model, X, y, [each for each, _ in names.values()], folds)
        for ours, (name, sign) in names.items():
            np.testing.assert_allclose(found[ours], sign * expected[f"test_{name}"], rtol=1e-9, err_msg=ours)


def test_metrics_of_three_classes_equal_scikit_learns() -> None:
    X, y = load_iris(return_X_y=True)
    found = cross_validate(
        LOGISTIC,
        X,
        y,
        scoring=["log_loss", "brier", "pr_auc", "balanced_accuracy", "f1", "precision", "recall"],
    )
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    for place, (train, test) in enumerate(folds, start=1):
        fitted = LOGISTIC.fit(X[train], y[train])
        said, chances, truth = fitted.predict(X[test]), fitted.predict_proba(X[test]), y[test]
        row = found.scores.loc[place]
        assert row["log_loss"] == pytest.approx(sk.log_loss(truth, chances))
        assert row["brier"] == pytest.approx(sk.brier_score_loss(truth, chances, labels=[0, 1, 2]))
        assert row["pr_auc"] == pytest.approx(sk.average_precision_score(np.eye(3)[truth], chances))
        assert row["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, said))
        assert row["f1"] == pytest.approx(sk.f1_score(truth, said, average="macro"))
        assert row["precision"] == pytest.approx(sk.precision_score(truth, said, average="macro"))
        assert row["recall"] == pytest.approx(sk.recall_score(truth, said, average="macro"))


def test_counted_metrics_equal_scikit_learns_on_any_labels() -> None:
    from modelyard.evaluation import figures

    rng = np.random.default_rng(3)
    pairs = (
        (figures.precision, sk.precision_score),
        (figures.recall, sk.recall_score),
        (figures.f1, sk.f1_score),
    )
    for classes, averaging in (
        (np.array(["a", "b", "c", "d"], dtype=object), {"average": "macro"}),
        (np.array([3, 5, 9, 11]), {"average": "macro"}),
        (np.array(["no", "yes"]), {"average": "binary", "pos_label": "yes"}),
    ):
        for size in (1, 2, 7, 40):
            truth, said = rng.choice(classes, size), rng.choice(classes, size)
            truth[0] = classes[1]  # scikit-learn refuses a positive class that is nowhere
            for ours, their in pairs:
                assert ours(truth, said, classes) == pytest.approx(
                    their(truth, said, zero_division=0.0, **averaging)
                )


def test_metrics_of_numbers_equal_scikit_learns() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = cross_validate(
        Ridge(), X, y.astype(np.uint16), scoring=["mape", "median_ae", "quantile:0.9", "mse"]
    ).scores
    folds = KFold(5, shuffle=True, random_state=0)
    pinball = sk.make_scorer(sk.mean_pinball_loss, alpha=0.9)
    for ours, scorer, sign in (
        ("mape", "neg_mean_absolute_percentage_error", -1),
        ("median_ae", "neg_median_absolute_error", -1),
        ("mse", "neg_mean_squared_error", -1),
        ("quantile:0.9", pinball, 1),
    ):
        np.testing.assert_allclose(
            found[ours], sign * cross_val_score(Ridge(), X, y, cv=folds, scoring=scorer)
        )


def test_the_quantile_loss_is_smallest_for_a_model_of_that_quantile() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 1))
    y = X[:, 0] + rng.exponential(size=300)
    losses = {
        level: cross_validate(
            QuantileRegressor(quantile=level, alpha=0), X, y, scoring="quantile:0.9"
        ).summary["mean"]["quantile:0.9"]
        for level in (0.5, 0.9)
    }
    assert losses[0.9] < losses[0.5]


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(10, random_state=0),
        KNeighborsClassifier(),
        OneVsRestClassifier(LogisticRegression()),
        MultiOutputClassifier(GaussianNB()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_labels_equal_scikit_learns(labels: Any, model: Any) -> None:
    X, y = labels
    found = cross_validate(model, X, pd.DataFrame(y, columns=list("wxyz")))
    folds = KFold(5, shuffle=True, random_state=0)
    expected = theirs(model, X, y, ["f1_macro", "precision_macro", "recall_macro", "accuracy"], folds)
    assert list(found.scores.columns) == ["f1", "precision", "recall", "accuracy", "hamming", "roc_auc"]
    for ours in ("f1", "precision", "recall"):
        np.testing.assert_allclose(found.scores[ours], expected[f"test_{ours}_macro"])
    np.testing.assert_allclose(found.scores["accuracy"], expected["test_accuracy"])
    assert found.scores["roc_auc"].between(0.5, 1).all()
    assert found.cv == "kfold:5"
    assert {"target_w", "prediction_z"} <= set(found.predictions.columns)


def test_areas_of_labels_equal_scikit_learns(labels: Any) -> None:
    X, y = labels
    model = OneVsRestClassifier(LogisticRegression())
    folds = KFold(5, shuffle=True, random_state=0)
    np.testing.assert_allclose(
        cross_validate(model, X, y, scoring=["roc_auc"]).scores["roc_auc"],
        cross_val_score(model, X, y, cv=folds, scoring="roc_auc"),
    )


def test_several_numbers_are_averaged_as_scikit_learn_does() -> None:
    X, y = load_linnerud(return_X_y=True, as_frame=True)
    found = cross_validate(Ridge(), X, y, cv="kfold:4")
    folds = KFold(4, shuffle=True, random_state=0)
    for ours, name, sign in (("mae", "neg_mean_absolute_error", -1), ("r2", "r2", 1)):
        np.testing.assert_allclose(
            found.scores[ours], sign * cross_val_score(Ridge(), X, y, cv=folds, scoring=name)
        )
    assert "prediction_Weight" in found.predictions


def test_less_is_shown_as_better_where_it_is() -> None:
    X, y = load_iris(return_X_y=True)
    found = cross_validate(LOGISTIC, X, y, scoring=["log_loss", "accuracy"])
    assert found.smaller_is_better == ("log_loss",)
    names = [row[0] for row in found.table().rows]
    assert names == ["log_loss (less is better)", "accuracy"]
    assert found.payload()["smaller_is_better"] == ["log_loss"]


def test_the_interval_covers_as_often_as_it_says() -> None:
    """The share of data sets whose corrected interval holds the true accuracy; the plain one misses far more often."""
    covered = plain = 0
    for seed in range(40):
        X, y = make_classification(
            2100, n_features=10, n_informative=3, flip_y=0.2, class_sep=0.7, random_state=seed
        )
        found = cross_validate(
            GaussianNB(), X[:100], y[:100], cv="kfold:5", repeats=4, scoring="accuracy", seed=seed
        )
        truth = GaussianNB().fit(X[:100], y[:100]).score(X[100:], y[100:])
        low, high = found.summary.loc["accuracy", ["ci_low", "ci_high"]]
        values = found.scores["accuracy"]
        half = t.ppf(0.975, 19) * values.std(ddof=1) / np.sqrt(20)
        covered += low <= truth <= high
        plain += abs(values.mean() - truth) <= half
    assert covered >= 34
    assert plain <= covered - 6


def test_an_interval_ends_where_its_metric_does() -> None:
    X = np.linspace(0, 1, 60)[:, None]
    y = np.where(X[:, 0] > 0.5, "yes", "no")
    y[29] = "yes"  # one fold is not perfect: Student's interval would go beyond 1
    found = cross_validate(GaussianNB(), X, y, cv="stratified:3", scoring=["accuracy", "f1", "log_loss"])
    assert (found.scores["accuracy"] < 1).any()
    assert found.summary.loc[["accuracy", "f1"], "ci_high"].tolist() == [1.0, 1.0]
    assert (found.summary["ci_low"] >= 0).all()


def test_the_error_is_that_of_nadeau_and_bengio() -> None:
    values = np.array([0.8, 0.9, 0.7, 0.85])
    expected = np.sqrt((1 / 4 + 30 / 90) * values.var(ddof=1))
    assert corrected_error(values, 30 / 90) == pytest.approx(expected)


def test_leave_one_out_of_chances_has_students_interval(cancer: Any) -> None:
    X, y = cancer[0].iloc[:50], cancer[1].iloc[:50]
    found = cross_validate(
        GaussianNB(), X, y, cv="loo", scoring=["accuracy", "brier", "pr_auc", "balanced_accuracy"]
    )
    values = found.scores["brier"]
    low, high = t.interval(0.95, 49, values.mean(), values.std(ddof=1) / np.sqrt(50))
    low = max(low, 0.0)
    assert found.summary.loc["brier", ["ci_low", "ci_high"]].tolist() == pytest.approx([low, high])
    assert found.scores["pr_auc"].isna().all()
    truth, said = found.predictions["target"], found.predictions["prediction"]
    assert found.summary["mean"]["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(truth, said)
    )


def test_predictions_are_kept_row_by_row_with_probabilities(cancer: Any) -> None:
    X, y = cancer
    found = cross_validate(LOGISTIC, X, y.map({0: "bad", 1: "good"}), cv="kfold:4", seed=2)
    frame = found.predictions
    assert list(frame.columns) == ["row", "fold", "target", "prediction", "p_bad", "p_good"]
    assert sorted(frame["row"]) == list(range(250))
    train, test = list(KFold(4, shuffle=True, random_state=2).split(X))[1]
    second = frame[frame["fold"] == 2].sort_values("row")
    assert second["row"].tolist() == test.tolist()
    chances = LOGISTIC.fit(X.iloc[train], y.iloc[train]).predict_proba(X.iloc[test])[:, 1]
    np.testing.assert_allclose(second["p_good"], chances)
    assert (frame["prediction"] == np.where(frame["p_good"] > 0.5, "good", "bad")).all()


def test_predictions_stay_out_of_the_yard_and_of_the_payload(cancer: Any) -> None:
    from modelyard.catalog import open_yard

    found = cross_validate(LOGISTIC, *cancer)
    record = open_yard().get("evaluation", found.name).payload
    assert "predictions" not in record
    assert "pictures" not in record
    assert "predictions" not in found.payload()
    assert record["summary"]["accuracy"]["mean"] == found.summary["mean"]["accuracy"]


def test_probabilities_of_a_thousand_classes_are_not_kept() -> None:
    X = np.random.default_rng(0).normal(size=(12_000, 2))
    y = np.arange(12_000) % 1000
    found = cross_validate(DecisionTreeClassifier(max_depth=2), X, y, cv="kfold:2", scoring="accuracy")
    assert list(found.predictions.columns) == ["row", "fold", "target", "prediction"]


def test_a_lazy_model_is_asked_once() -> None:
    class Counting(KNeighborsClassifier):  # type: ignore[misc]
        asked = 0

        def kneighbors(self, *args: Any, **kwargs: Any) -> Any:
            type(self).asked += 1
            return super().kneighbors(*args, **kwargs)

    Counting.__module__ = KNeighborsClassifier.__module__
    X, y = load_iris(return_X_y=True)
    cross_validate(Counting(weights="distance"), X, y, scoring="accuracy", cv="kfold:3")
    assert Counting.asked == 3


def test_the_magic_names_the_metrics_that_there_are() -> None:
    assert metric_names() == METRICS


def test_repr_of_a_boosted_model_gives_all_metrics(cancer: Any) -> None:
    X, y = cancer
    names = [
        name
        for name in METRICS
        if name not in ("hamming", "mae", "mse", "r2", "mape", "median_ae", "quantile:0.9")
    ]
    found = cross_validate(HistGradientBoostingClassifier(max_iter=5), X, y, scoring=names, cv="stratified:3")
    assert found.summary["mean"].notna().all()


IRIS = load_iris(return_X_y=True)
BAD: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({"scoring": "quantile:0.9"}, UsageError, "'quantile:0.9' does not fit a target of classes"),
    ({"scoring": "hamming"}, UsageError, "'hamming' does not fit a target of classes"),
    (
        {"scoring": "brier", "model": LinearSVC()},
        UsageError,
        "brier needs predict_proba, LinearSVC has none",
    ),
    ({"scoring": "log-loss"}, UsageError, "no metric named 'log-loss'.*did you mean 'log_loss'"),
    ({"scoring": "quantile", "model": Ridge()}, UsageError, "a level between 0 and 1, found 'quantile'"),
    ({"scoring": "quantile:2", "model": Ridge()}, UsageError, "a level between 0 and 1, found 'quantile:2'"),
    (
        {"y": np.eye(3)[IRIS[1]]},
        InvalidInputError,
        r"one column, found shape \(150, 3\); type MultiOutputClassifier\(",
    ),
    ({"y": np.eye(3)[IRIS[1]], "model": SVR()}, InvalidInputError, r"type MultiOutputRegressor\(SVR\(\)\)"),
    (
        {"y": np.eye(3)[IRIS[1]] * 2, "model": KNeighborsClassifier()},
        InvalidInputError,
        "more than 0 and 1, found 2.0",
    ),
    (
        {"y": np.c_[IRIS[1] > 0, IRIS[1] > 5], "model": KNeighborsClassifier()},
        InvalidInputError,
        "column '1' of y holds one class",
    ),
]


@pytest.mark.parametrize(("changed", "kind", "said"), BAD, ids=[said[:40] for _, _, said in BAD])
def test_what_cannot_be_measured_is_one_line(changed: Any, kind: Any, said: str) -> None:
    given = {"model": LOGISTIC.steps[-1][1], "X": IRIS[0], "y": IRIS[1], **changed}
    with pytest.raises(kind, match=said) as caught:
        cross_validate(**given)
    assert "\n" not in str(caught.value)
