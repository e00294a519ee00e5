"""Spaces whose parameters depend on each other, and pipelines whose steps are swapped."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from modelyard.catalog import open_yard
from modelyard.errors import UnknownNameError, UsageError
from modelyard.tuning import as_space, parse_space, tune
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.space import active, is_point, points, resolve_names, size_of

KERNELS = "kernel: rbf | poly | linear\ndegree: int 2..5 if kernel == poly\ngamma: 0.1 | 1.0 if kernel in (rbf, poly)"
SWAPS = """
scaler: StandardScaler() | MinMaxScaler() | passthrough
clf: LogisticRegression() | RandomForestClassifier(n_estimators=5, random_state=0)
clf__C: float 1e-2..1e2 log if clf == LogisticRegression
clf__min_samples_leaf: int 1..9 if clf == RandomForestClassifier
"""
PIPELINE = Pipeline([("scaler", StandardScaler()), ("clf", LogisticRegression())])


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:150, :6], y.iloc[:150]


def test_a_condition_is_read_in_every_form() -> None:
    for test in ("== poly", "in (poly)", "!= rbf", "not in (rbf, linear)"):
        lines = "kernel: rbf | poly" + (" | linear" if "linear" in test else "")
        space = parse_space(f"{lines}\ndegree: int 2..5 if kernel {test}")
        assert space["degree"].condition is not None
        assert space["degree"].condition.labels == ("poly",)
    space = parse_space("n: int 1..3\na: x | y if n in (1, 3)\nb: 'if' | no")
    assert space["a"].condition is not None
    assert space["a"].condition.labels == (1, 3)
    assert space["b"].choices == ("if", "no")


def test_a_space_with_conditions_reads_back_as_it_is_written() -> None:
    space = parse_space(KERNELS)
    again = parse_space("\n".join(f"{name}: {part.spec()}" for name, part in space.items()))
    assert again == space
    assert as_space({name: part.spec() for name, part in space.items()}) == space


def test_a_parameter_may_be_named_before_the_one_it_depends_on() -> None:
    assert list(parse_space("degree: int 2..5 if kernel == poly\nkernel: rbf | poly")) == ["kernel", "degree"]


def test_a_comment_may_hold_an_apostrophe() -> None:
    assert parse_space("depth: int 2..5  # don't go deeper")["depth"].high == 5


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("degree: int 2..5 if kernl == poly", "line 2: 'degree' depends on 'kernl', .*did you mean 'kernel'"),
        ("degree: int 2..5 if kernel == polly", "line 2: 'kernel' is never 'polly' .*did you mean 'poly'"),
        ("degree: int 2..5 if", "line 2: cannot read the condition"),
        ("degree: int 2..5 if kernel = poly", "line 2: cannot read the condition 'kernel = poly'"),
        ("degree: int 2..5 if kernel in poly", "line 2: 'poly' is no list; type 'if kernel in "),
        ("degree: int 2..5 if kernel not in (rbf, poly)", "line 2: the condition of 'degree' is never true"),
        ("degree: int 2..5 if degree == 2", "line 2: 'degree' depends on 'degree', which has no line"),
        ("a: 1 | 2 if b == 1\nb: 1 | 2 if a == 1", "line 2: 'a' depends on itself through a, b"),
        ("x: float 0..1\na: 1 | 2 if x == 0", "line 3: 'a' depends on 'x', a range of floats"),
        (
            "scaler: StandardSkaler() | passthrough",
            r"line 2: no class 'StandardSkaler'.*mean 'StandardScaler'",
        ),
        ("scaler: StandardScaler(with_men=True)", "line 2: StandardScaler.* cannot be made: .*with_men"),
        ("scaler: Standard Scaler()", "line 2: 'scaler' has a choice that cannot be read"),
    ],
)
def test_a_condition_or_a_step_that_cannot_be_read_names_its_line(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_space(f"kernel: rbf | poly\n{line}")
    assert "\n" not in str(caught.value)


def test_points_are_counted_and_listed_without_what_does_not_exist() -> None:
    space = parse_space(KERNELS)
    listed = list(points(space, Parameter.every))
    assert len(listed) == size_of(space) == 2 + 4 * 2 + 1
    assert {"kernel": "linear"} in listed
    assert all(is_point(space, point) for point in listed)
    assert active(space, {"kernel": "rbf", "degree": 3, "gamma": 1.0}) == {"kernel": "rbf", "gamma": 1.0}
    assert not is_point(space, {"kernel": "poly", "gamma": 1.0})


@pytest.mark.parametrize("method", ["grid", "random", "sobol", "bayes"])
def test_every_method_draws_only_points_that_exist_and_all_of_them(data: Any, method: str) -> None:
    model = Pipeline([("scaler", StandardScaler()), ("svc", SVC())])
    found = tune(model, *data, KERNELS, method=method, cv="kfold:2")
    assert len(found.trials) == 11
    poly = found.trials["params_svc__kernel"] == "poly"
    assert found.trials["params_svc__degree"].notna().tolist() == poly.tolist()
    params = found.trials[[name for name in found.trials if name.startswith("params_")]]
    assert len(params.astype(str).drop_duplicates()) == 11


def test_steps_are_swapped_with_their_own_parameters(data: Any) -> None:
    found = tune(PIPELINE, *data, SWAPS, trials=16, cv="stratified:3", prune=False)
    assert set(found.trials["state"]) == {"COMPLETE"}
    for row in found.trials.to_dict("records"):
        logistic = isinstance(row["params_clf"], LogisticRegression)
        assert logistic == (row["params_clf__C"] == row["params_clf__C"])
        assert logistic != (row["params_clf__min_samples_leaf"] == row["params_clf__min_samples_leaf"])
    kinds = {type(value) for value in found.trials["params_scaler"]}
    assert kinds <= {StandardScaler, MinMaxScaler, str}
    assert len(kinds) > 1
    clf = found.best_estimator.named_steps["clf"]
    assert type(clf) is type(found.best_params["clf"])
    assert not hasattr(found.best_params["clf"], "classes_")
    assert type(PIPELINE.named_steps["clf"]) is LogisticRegression
    labels = open_yard().get("study", found.name).payload["best_params"]
    assert labels["clf"] in ("LogisticRegression()", "RandomForestClassifier(n_estimators=5, random_state=0)")


def test_a_study_with_swapped_steps_is_resumed(data: Any) -> None:
    tune(PIPELINE, *data, SWAPS, trials=4, cv="stratified:3", name="swaps")
    found = tune(PIPELINE, *data, SWAPS, trials=9, cv="stratified:3", name="swaps", resume=True)
    assert (found.resumed_from, len(found.trials)) == (4, 9)
    with pytest.raises(UsageError, match=r"made with clf = .* in the space, found"):
        tune(
            PIPELINE, *data, SWAPS.replace("n_estimators=5", "n_estimators=6"),
            trials=9, cv="stratified:3", name="swaps", resume=True,
        )  # fmt: skip


def test_a_parameter_that_only_one_of_the_steps_has_needs_its_condition() -> None:
    with pytest.raises(
        UsageError, match=r"'clf__C' is no parameter of RandomForestClassifier.*if clf == Logistic"
    ):
        resolve_names(
            as_space("clf: LogisticRegression() | RandomForestClassifier()\nclf__C: 1 | 2"), PIPELINE
        )
    with pytest.raises(UnknownNameError, match=r"no parameter 'clf__CC' \(did you mean"):
        resolve_names(
            as_space("clf: LogisticRegression() | RandomForestClassifier()\nclf__CC: 1 | 2"), PIPELINE
        )


class Doubling(TransformerMixin, BaseEstimator):
    """A transformer of this module, unknown to scikit-learn."""

    def __init__(self, times: int = 2) -> None:
        self.times = times

    def fit(self, X: Any, y: Any = None) -> Doubling:
        return self

    def transform(self, X: Any) -> Any:
        return X * self.times


def test_names_come_from_the_caller_before_scikit_learn(data: Any) -> None:
    space = as_space("scaler: Doubling(times=3) | StandardScaler()", {"Doubling": Doubling})
    assert isinstance(space["scaler"].choices[0], Doubling)
    with pytest.raises(UsageError, match="no class 'Doubling' here or in scikit-learn"):
        as_space("scaler: Doubling() | StandardScaler()")
    mine = as_space("scaler: StandardScaler()", {"StandardScaler": Doubling})
    assert isinstance(mine["scaler"].choices[0], Doubling)
    found = tune(
        PIPELINE, *data, "scaler: Doubling() | passthrough", names={"Doubling": Doubling}, cv="kfold:2"
    )
    assert len(found.trials) == 2


def test_the_magic_finds_a_class_of_the_notebook(shell: InteractiveShell, data: Any) -> None:
    shell.user_ns.update(model=PIPELINE, X=data[0], y=data[1], Doubling=Doubling)
    line = "model X y --cv kfold:2 -o study --quiet"
    shell.run_cell_magic("tune", line, "scaler: Doubling(times=3) | passthrough")
    assert {type(value) for value in shell.user_ns["study"].trials["params_scaler"]} == {Doubling, str}
    shown = shell.run_cell_magic("tune", line + " --show-code", "scaler: Doubling() | passthrough")
    assert "names=globals()" in str(shown)
    assert "names" not in str(shell.run_cell_magic("tune", line + " --show-code", "C: 1 | 2"))


def test_the_forest_is_really_a_forest(data: Any) -> None:
    found = tune(
        PIPELINE, *data, "clf: RandomForestClassifier(n_estimators=3) | LogisticRegression()", cv="kfold:2"
    )
    forests = [value for value in found.trials["params_clf"] if isinstance(value, RandomForestClassifier)]
    assert [forest.n_estimators for forest in forests] == [3]
