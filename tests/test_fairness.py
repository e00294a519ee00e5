"""Fairness: figures by group that can be counted by hand, disparities with intervals, groups that are too small."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from people import FRAME, MODEL, TARGET

pytest.importorskip("fairlearn")

from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.explanation import explain
from modelyard.explanation.fairness import Fairness


def compared(model: Any, X: Any, y: Any, **options: Any) -> Fairness:
    found = explain(model, X, y, method="fairness", **options)
    assert isinstance(found, Fairness)
    return found


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


def test_figures_by_group_are_those_that_are_counted_by_hand() -> None:
    found = compared(MODEL, FRAME, TARGET, by="member")
    said = MODEL.predict(FRAME)
    lines = found.groups.set_index(["group", "metric"])["value"]
    for value in (True, False):
        held = (FRAME["member"] == value).to_numpy()
        true, guess = (TARGET[held] == "yes").to_numpy(), said[held] == "yes"
        group = f"member={value}"
        assert lines[group, "accuracy"] == pytest.approx((true == guess).mean())
        assert lines[group, "selection rate"] == pytest.approx(guess.mean())
        assert lines[group, "true positive rate"] == pytest.approx(guess[true].mean())
        assert lines[group, "false positive rate"] == pytest.approx(guess[~true].mean())
    apart = found.disparities.set_index("metric")
    rates = [lines[f"member={value}", "selection rate"] for value in (True, False)]
    assert apart["difference"]["selection rate"] == pytest.approx(max(rates) - min(rates))
    assert apart["ratio"]["selection rate"] == pytest.approx(min(rates) / max(rates))
    assert found.positive == "yes"
    json.dumps(found.payload(), allow_nan=False)


def test_a_group_that_is_selected_less_is_told_and_its_interval_leaves_zero_out() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"sex": rng.choice(["f", "m"], 800), "skill": rng.normal(size=800)})
    y = (X["skill"] + 1.5 * (X["sex"] == "m") + 0.3 * rng.normal(size=800) > 0.7).astype(int)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X[["sex"]], y)
    found = compared(model, X[["sex"]], y, by="sex")
    line = found.disparities.set_index("metric").loc["selection rate"]
    assert line["lowest"] == "sex=f"
    assert line["difference"] == pytest.approx(1.0)
    fair = compared(MODEL, FRAME, TARGET, by="member").disparities.set_index("metric").loc["accuracy"]
    assert 0 <= fair["difference_low"] <= fair["difference"] <= fair["difference_high"] < 0.2
    assert fair["ratio_low"] <= fair["ratio"] <= fair["ratio_high"] <= 1
    again = compared(MODEL, FRAME, TARGET, by="member").disparities
    pd.testing.assert_frame_equal(again, compared(MODEL, FRAME, TARGET, by="member").disparities)


def test_a_share_of_all_rows_keeps_a_width_and_figures_are_fairlearns() -> None:
    found = compared(MODEL, FRAME, TARGET, by="age")
    rates = found.groups[found.groups["metric"] == "selection rate"].set_index("group")
    assert rates["value"].iloc[-1] == 1
    assert rates["ci_low"].iloc[-1] == pytest.approx(0.93, abs=0.02)
    said, true = MODEL.predict(FRAME) == "yes", TARGET == "yes"
    theirs = MetricFrame(
        metrics={"selection rate": selection_rate, "true positive rate": true_positive_rate},
        y_true=true, y_pred=said, sensitive_features=FRAME["member"],
    )  # fmt: skip
    ours = compared(MODEL, FRAME, TARGET, by="member").disparities.set_index("metric")
    for name in theirs.difference().index:
        assert ours["difference"][name] == pytest.approx(theirs.difference()[name])
        assert ours["ratio"][name] == pytest.approx(theirs.ratio()[name])


def test_an_area_by_group_is_measured_on_probabilities() -> None:
    found = compared(MODEL, FRAME, TARGET, by="town", scoring="roc_auc")
    held = (FRAME["town"] == "Bern").to_numpy()
    expected = sk.roc_auc_score(TARGET[held] == "yes", MODEL.predict_proba(FRAME[held])[:, 1])
    lines = found.groups.set_index(["group", "metric"])["value"]
    assert lines["town=Bern", "roc_auc"] == pytest.approx(expected)
    assert "town is null" in set(found.groups["group"])


def test_numbers_are_cut_and_several_columns_stand_by_themselves() -> None:
    region = pd.Series(np.where(np.arange(200) % 2, "north", "south"), name="region")
    found = compared(MODEL, FRAME, TARGET, by="age,member")
    assert found.disparities["by"].unique().tolist() == ["age", "member"]
    assert (found.groups["by"] == "age").sum() == 16
    outside = compared(MODEL, FRAME, TARGET, by=region)
    assert set(outside.groups["group"]) == {"region=north", "region=south"}


def test_groups_that_are_too_small_are_shown_and_not_compared() -> None:
    frame = FRAME.copy()
    frame["town"] = np.where(np.arange(200) < 5, "Uri", np.where(np.arange(200) % 2, "Bern", "Basel"))
    found = compared(MODEL, frame, TARGET, by="town")
    assert any(note == "too few rows to compare, fewer than 30: town=Uri (5)" for note in found.notes())
    few = found.groups[found.groups["group"] == "town=Uri"]
    assert few["value"].notna().any()
    assert few["ci_low"].isna().all()
    assert "town=Uri" not in set(found.disparities["lowest"]) | set(found.disparities["highest"])
    alone = compared(MODEL, frame.iloc[:40], TARGET.iloc[:40], by="town")
    assert "nothing can be compared" in alone.sentence()


def test_errors_of_numbers_and_three_classes() -> None:
    X = FRAME[["age"]].assign(member=FRAME["member"])
    found = compared(LinearRegression().fit(X, X["age"] * 2.0), X, X["age"] * 2.0 + X["member"], by="member")
    lines = found.groups.set_index(["group", "metric"])["value"]
    assert lines["member=True", "mae"] == pytest.approx(1.0)
    assert lines["member=False", "mae"] == pytest.approx(0.0, abs=1e-9)
    assert "mean prediction" in set(found.groups["metric"])
    data, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(data, y)
    part = np.where(np.arange(150) % 2, "a", "b")
    assert set(compared(model, data, y, by=part).groups["metric"]) == {"accuracy"}
    rates = compared(model, data, y, by=part, positive=2)
    assert "true positive rate" in set(rates.groups["metric"])


BAD: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({}, UsageError, "fairness compares groups; name the columns that hold them, type by='sex'"),
    ({"by": "membr"}, UsageError, "no column 'membr'.*did you mean 'member'"),
    (
        {"by": "member", "positive": "perhaps"},
        UsageError,
        "positive is a class of the model, found 'perhaps'",
    ),
    ({"by": "member", "scoring": "jaccard"}, UsageError, "jaccard takes the whole model, and no groups"),
    ({"by": np.zeros(200)}, InvalidInputError, "has one group only"),
    ({"by": np.zeros(7)}, InvalidInputError, "the groups are 7 values, X has 200 rows; give one for each"),
    ({"by": 7}, UsageError, "by is a column or one value per row, found 7; type by='sex'"),
    ({"by": "member", "y": None}, UsageError, "fairness needs the targets"),
]


@pytest.mark.parametrize(("options", "kind", "said"), BAD, ids=[said[:30] for *_, said in BAD])
def test_bad_questions_are_one_line(options: dict[str, Any], kind: Any, said: str) -> None:
    given = {"y": TARGET, **options}
    with pytest.raises(kind, match=said):
        compared(MODEL, FRAME, **given)
