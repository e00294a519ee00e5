"""Counterfactuals: each one is answered as wanted by the model itself, and changes only what may change."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import modelyard
from modelyard.errors import ModelyardError, UsageError
from modelyard.explanation import explain, explanations
from modelyard.explanation.counterfactuals import Counterfactuals
from modelyard.magics.explain import METHODS, OPTIONS
from people import FRAME, MODEL, TARGET


def asked(model: Any, X: Any, **options: Any) -> Counterfactuals:
    found = explain(model, X, method="counterfactual", **options)
    assert isinstance(found, Counterfactuals)
    return found


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


@pytest.fixture(scope="module")
def cancer() -> Any:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return RandomForestClassifier(50, random_state=0).fit(X, y), X


def test_every_change_flips_the_forest_and_leaves_fixed_columns_alone(cancer: Any) -> None:
    model, X = cancer
    fixed = ["mean radius", "worst area"]
    found = asked(model, X, rows="0:200", fix=fixed)
    assert found.missing.empty
    rows = found.frame.index.get_level_values("row")
    assert sorted(rows) == list(range(200))
    was = X.iloc[rows]
    assert (model.predict(found.frame) != model.predict(was)).all()
    assert (found.frame[fixed].to_numpy() == was[fixed].to_numpy()).all()
    assert (found.frame >= X.min()).all().all()
    assert (found.frame <= X.max()).all().all()
    assert list(found.frame.dtypes) == list(X.dtypes)
    assert found.found["changed"].mean() < 8


def test_every_change_flips_a_table_of_texts_gaps_and_truths() -> None:
    found = asked(MODEL, FRAME, rows="0:200", fix="member,town")
    assert found.missing.empty
    rows = found.frame.index.get_level_values("row")
    assert len(rows) == 200
    was = FRAME.iloc[rows]
    assert (MODEL.predict(found.frame) != MODEL.predict(was)).all()
    for name in ("member", "town"):
        pd.testing.assert_series_equal(
            found.frame[name].reset_index(drop=True), was[name].reset_index(drop=True)
        )
    assert list(found.frame.dtypes) == list(FRAME.dtypes)
    assert found.frame["age"].between(FRAME["age"].min(), FRAME["age"].max()).all()
    assert found.frame["income"].isna().to_numpy()[was["income"].notna().to_numpy()].sum() == 0


def test_changes_are_told_column_by_column() -> None:
    found = asked(MODEL, FRAME, rows=[1, 2, 3])
    for line in found.changes.itertuples(index=False):
        row, number, column, before, after = line[:5]
        assert FRAME[column].iloc[row] == before
        assert found.frame[column].loc[(row, number)] == after
        assert line.after > 0.5 > line.before
    told = asked(MODEL, FRAME, rows=[1, 2, 3]).changes
    pd.testing.assert_frame_equal(found.changes, told)
    names = list(FRAME.columns)
    for line in found.found.itertuples(index=False):
        one, other = FRAME.iloc[line.row], found.frame.loc[(line.row, line.number)]
        moved = [name for name in names if one[name] != other[name] and not pd.isna(one[name])]
        assert line.changed >= len(moved)
    json.dumps(found.payload(), allow_nan=False)


def test_one_column_decides_so_one_column_changes_to_the_edge_of_the_decision() -> None:
    X = pd.DataFrame({"age": np.arange(100), "noise": np.random.default_rng(0).normal(size=100)})
    model = DecisionTreeClassifier(random_state=0).fit(X, X["age"] >= 60)
    found = asked(model, X, rows=[10, 90])
    assert found.changes["column"].tolist() == ["age", "age"]
    assert found.changes["to"].tolist() == [60, 59]
    assert found.frame["age"].dtype == X["age"].dtype


def test_a_wanted_class_of_three_and_rows_that_have_it_already() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y.map({0: "a", 1: "b", 2: "c"}))
    found = asked(model, X, rows=[0, 60, 120], want="c", number=2)
    assert set(model.predict(found.frame)) == {"c"}
    assert set(found.frame.index.get_level_values("row")) == {0, 60}
    assert "1 row is answered c already: 120" in found.notes()
    assert found.found["number"].max() <= 2
    columns = found.changes.groupby(["row", "number"])["column"].agg(frozenset)
    assert columns.groupby("row").nunique().max() == 2


def test_a_range_of_predictions_is_reached() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = RandomForestRegressor(20, random_state=0).fit(X, y)
    rows = np.flatnonzero(model.predict(X) > 200)[:20]
    for want in ((100, 150), "100..150"):
        found = asked(model, X, rows=rows, want=want, fix=["sex"])
        assert found.missing.empty
        assert ((model.predict(found.frame) >= 100) & (model.predict(found.frame) <= 150)).all()
        assert (found.frame["sex"].to_numpy() == X["sex"].iloc[rows].to_numpy()).all()


def test_given_ranges_are_kept() -> None:
    found = asked(MODEL, FRAME, ranges={"age": (40, 50), "town": ["Bern"]}, rows="0:50")
    moved = found.changes[found.changes["column"] == "age"]
    assert len(moved)
    assert moved["to"].between(40, 50).all()
    assert (found.changes[found.changes["column"] == "town"]["to"] == "Bern").all()


def test_what_cannot_be_reached_is_said_with_what_came_nearest() -> None:
    found = asked(
        MODEL, FRAME, rows=[0, 1], fix=["age"], want="yes" if MODEL.predict(FRAME)[0] == "no" else "no"
    )
    assert 0 in found.missing["row"].tolist()
    note = next(note for note in found.notes() if note.startswith("row 0"))
    assert "nothing found; the nearest, with" in note
    assert "came to probability 0." in note
    near = found.missing.set_index("row")["near"].loc[0]
    assert MODEL.predict_proba(FRAME.iloc[:1]).min() <= near < 0.5


def test_a_decision_that_is_no_largest_probability_is_the_one_that_counts() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC()).fit(X, y)
    found = asked(model, X, rows="0:10")
    assert (model.predict(found.frame.to_numpy()) != model.predict(X[:10])).all()

    class Careful(RandomForestClassifier):
        def predict(self, X: Any) -> Any:
            return (self.predict_proba(X)[:, 1] > 0.9).astype(int)

    careful = Careful(20, random_state=0).fit(X, y)
    found = asked(careful, X, rows="0:10", want=1)
    said = careful.predict(found.frame.to_numpy())
    assert (said == 1).all()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"fix": "agee"}, "no column 'agee' for fix; there are .*did you mean 'age'"),
    ({"fix": "age,income,town,member"}, "fix names every column"),
    ({"want": "perhaps"}, "want is a class of the model, found 'perhaps'; there are no, yes"),
    ({"ranges": {"age": 3}}, r"ranges of 'age' must be \(low, high\), found 3"),
    ({"ranges": {"age": (9, 3)}}, r"ranges of 'age' must be \(low, high\)"),
    ({"ranges": {"town": ["Brn"]}}, "ranges of 'town' name 'Brn', which no row holds .did you mean 'Bern'"),
    ({"number": 0}, "number is how many for each row, at least 1, found 0"),
    ({"fixed": "age"}, "no option 'fixed'"),
]


@pytest.mark.parametrize(("options", "said"), BAD, ids=[said[:30] for _, said in BAD])
def test_bad_options_are_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(MODEL, FRAME, rows=[0], **options)


def test_a_regression_must_be_told_what_to_reach() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(5).fit(X, y)
    with pytest.raises(ModelyardError, match=r"predicts numbers; say which to reach, type want=\(100, 200\)"):
        asked(model, X, rows=[0])


def test_rows_of_texts_only_and_rows_out_of_range() -> None:
    texts = pd.DataFrame({"a": ["x", "y"] * 50, "b": ["u", "v", "w", "u"] * 25})
    from sklearn.preprocessing import OneHotEncoder

    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(texts, (texts["a"] == "x").astype(int))
    found = asked(model, texts, rows=[0, 1])
    assert found.changes["column"].tolist() == ["a", "a"]
    assert TARGET is not None
    far = FRAME.copy()
    far.loc[0, "age"] = 200
    found = asked(MODEL, far, rows=[0], ranges={"age": (18, 79)})
    assert found.frame["age"].between(18, 79).all()


def test_the_magic_is_the_same_call(shell: InteractiveShell) -> None:
    shell.user_ns.update(X=FRAME, model=MODEL, limits={"age": (18, 60)})
    line = (
        "model X --method counterfactual --rows 0:5 --fix member,town --want yes --ranges limits --number 2"
    )
    found = shell.run_line_magic("explain", line)
    options = {"fix": "member,town", "want": "yes", "ranges": {"age": (18, 60)}, "number": 2}
    pd.testing.assert_frame_equal(found.changes, asked(MODEL, FRAME, rows="0:5", **options).changes)


def test_every_option_of_every_method_has_its_flag() -> None:
    known = {name for method in METHODS for name in explanations[method].options}
    assert known == set(OPTIONS)
    assert set(METHODS) == set(explanations)


def test_a_bundle_is_changed_as_its_model_is(tmp_path: Any) -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="people")
    found = asked(bundle, FRAME, rows="0:10", fix="member")
    assert found.missing.empty
    was = FRAME.iloc[found.frame.index.get_level_values("row")]
    assert (MODEL.predict(found.frame) != MODEL.predict(was)).all()
