"""Tuning through its public door: the space language, the three methods, and being stopped in the middle."""

from __future__ import annotations

import io
import logging
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.errors import (
    InterruptedRunError,
    InvalidInputError,
    InvalidNameError,
    ModelyardError,
    NameTakenError,
    UnknownNameError,
    UsageError,
)
from modelyard.tuning import Parameter, Study, as_space, parse_space, tune
from modelyard.tuning.beliefs import Beliefs
from modelyard.tuning.defaults import COVERED, default_space
from modelyard.tuning.loop import Loop
from modelyard.tuning.samplers import Drawer
from modelyard.tuning.space import active, resolve_names
from modelyard.tuning.takeover import ENDED, OWNER, REASON, Owner, take_over
from modelyard.tuning.trial import with_params

ROOT = Path(__file__).parents[1] / "kernel_magics"
TREE = DecisionTreeClassifier(random_state=0)
SPACE = "max_depth: int 1..4\ncriterion: gini | entropy"


@pytest.fixture(autouse=True)
def yard_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".modelyard").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:150, :6], y.iloc[:150]


# The language of spaces


def test_reads_every_form_of_the_language() -> None:
    space = parse_space(
        """
        # a comment
        max_depth: int 2..20
        learning_rate: float 1e-3..0.3 log   # and another
        n: int 10..500 log
        m: int 10..95 step 10
        f: float 0.5..1.0 step 0.25
        criterion: gini | entropy
        mixed: 7 | 2.5 | None | true | 'a | b # c' | (50, 50) | {"a": 1}
        """
    )
    assert space["max_depth"] == Parameter("int", 2, 20)
    assert space["learning_rate"] == Parameter("float", 0.001, 0.3, log=True)
    assert space["n"] == Parameter("int", 10, 500, log=True)
    assert space["m"] == Parameter("int", 10, 90, step=10)
    assert space["f"].every() == [0.5, 0.75, 1.0]
    assert space["criterion"].choices == ("gini", "entropy")
    assert space["mixed"].choices == (7, 2.5, None, True, "a | b # c", (50, 50), {"a": 1})
    assert len(space) == 7


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_depth int 2..20", "line 2: no 'name: values' in 'max_depth int 2..20'; type"),
        ("2x: int 2..20", "line 2: no 'name: values'"),
        ("n:", "line 2: 'n' has no values; type"),
        ("n: int 20..2", r"line 2: the range 20\.\.2 is empty; type the lower number first"),
        ("n: int 2..2", "is empty"),
        ("n: float 0..1 log", r"line 2: a log range starts above 0, found 0\.0\.\.1\.0"),
        ("n: int 1..9 log step 2", "log and step 2 do not go together"),
        ("n: int 1..9 step 0", "step 0 does not fit"),
        ("n: int 1..9 step 20", "step 20 does not fit"),
        ("n: int 1..9 lgo", "cannot read 'lgo'"),
        ("n: integer 1..9", "unknown kind 'integer'.*type 'n: int 1..9'"),
        ("n: 1..9", "no kind in '1..9'; type 'n: int 1..9'"),
        ("n: int 1.5..9", "'1.5' is no whole number"),
        ("n: int a..9", "'a' is no int"),
        ("n: float 1..inf", "type finite numbers"),
        ("n: int 5", "'int 5' has no range; type 'n: int 1..10'"),
        ("n: a | | b", "nothing between"),
        ("n: a b | c", "'a b'; put strings in quotes"),
        ("n: a | 'b", "a quote ' is not closed"),
        ("n: 1 | true", "1 and True are the same choice"),
        ("first: 2 | 3", "line 2: 'first' is named again"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_its_number(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_space(f"first: int 1..2\n{line}")
    assert "\n" not in str(caught.value)


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
WORDS = st.text(max_size=12)


@given(low=st.integers(-1000, 1000), span=st.integers(1, 1000), step=st.integers(1, 50), log=st.booleans())
def test_whole_ranges_read_back_as_they_are_written(low: int, span: int, step: int, log: bool) -> None:
    log = log and low > 0
    tail = " log" if log else f" step {min(step, span)}"
    (parameter,) = parse_space(f"n: int {low}..{low + span}{tail}").values()
    assert parse_space(f"n: {parameter.spec()}")["n"] == parameter
    distribution = parameter.distribution()
    for value in parameter.grid():
        assert distribution._contains(distribution.to_internal_repr(value))
    assert parameter.grid()[0] == parameter.low
    assert parameter.grid()[-1] == parameter.high
    assert len(parameter.grid()) <= 10


@given(low=NUMBERS, span=st.floats(1e-3, 1e6), log=st.booleans())
def test_continuous_ranges_read_back_as_they_are_written(low: float, span: float, log: bool) -> None:
    low = abs(low) + 1e-9 if log else low
    (parameter,) = parse_space(f"x: float {low!r}..{low + span!r}{' log' if log else ''}").values()
    assert parse_space(f"x: {parameter.spec()}")["x"] == parameter
    assert len(parameter.grid()) == 5
    assert all(parameter.low <= value <= parameter.high for value in parameter.grid() if value is not None)
    assert math.isinf(parameter.size)


@given(st.lists(st.none() | WORDS | st.tuples(st.integers(), WORDS), min_size=1, max_size=6, unique=True))
def test_choices_read_back_as_they_are_written(choices: list[Any]) -> None:
    labels = [choice if choice is None or isinstance(choice, str) else repr(choice) for choice in choices]
    assume(len(set(labels)) == len(labels))
    parameter = as_space({"c": choices})["c"]
    assert parse_space(f"c: {parameter.spec()}")["c"].choices == tuple(choices)
    assert [parameter.value(label) for label in parameter.grid()] == choices


@given(st.text(alphabet="ab1.|:# \n'\"([)]-_eintfloagsp", max_size=40))
@settings(max_examples=300)
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        parse_space(text)
    except UsageError as error:
        said = str(error)
    assert not said or (said.startswith("line ") and "\n" not in said)


def test_a_space_may_be_a_dict_of_many_things() -> None:
    space = as_space(
        {
            "a": "int 1..5",
            "b": IntDistribution(1, 9, step=2),
            "c": FloatDistribution(0.1, 1.0, log=True),
            "d": CategoricalDistribution(["x", None]),
            "e": (1, 5),
            "f": (0.5, 2),
            "g": [StandardScaler(), "passthrough"],
            "h": np.array([1, 2]),
        }
    )
    assert [space[key].spec() for key in "abcdefgh"] == [
        "int 1..5",
        "int 1..9 step 2",
        "float 0.1..1.0 log",
        "'x' | None",
        "int 1..5",
        "float 0.5..2.0",
        "StandardScaler() | 'passthrough'",
        "1 | 2",
    ]
    for bad, said in (
        (3, "found int"),
        ({}, "is empty"),
        ({"a": (1, 2, 3)}, "cannot read"),
        ({1: [2]}, "found 1"),
    ):
        with pytest.raises(UsageError, match=said):
            as_space(bad)


def test_bare_names_find_their_step_and_ambiguous_or_unknown_ones_are_explained() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert list(resolve_names(as_space({"C": [1, 2]}), model)) == ["logisticregression__C"]
    own = VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())])
    assert list(resolve_names(as_space({"n_jobs": [1]}), own)) == ["n_jobs"]
    two = make_pipeline(StandardScaler(), StandardScaler(), GaussianNB())
    with pytest.raises(UsageError, match="'with_mean' means several parameters: standardscaler-1__with_mean"):
        resolve_names(as_space({"with_mean": [True]}), two)
    with pytest.raises(UnknownNameError, match=r"no parameter 'max_dept' \(did you mean 'max_depth'\?\)"):
        resolve_names(as_space({"max_dept": [1]}), TREE)
    with pytest.raises(UsageError, match="two names in the space mean 'logisticregression__C'"):
        resolve_names(as_space({"C": [1], "logisticregression__C": [2]}), model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("library", "name"), COVERED)
def test_default_spaces_name_real_parameters_and_fit_everywhere(library: str, name: str) -> None:
    ours = library == "sklearn"
    cls = dict(all_estimators())[name] if ours else getattr(pytest.importorskip(library), name)
    model = cls(**{"lightgbm": {"verbose": -1}, "catboost": {"verbose": 0}}.get(library, {}))
    space = resolve_names(default_space(model), model)
    X, y = make_classification(60, random_state=0)
    for place in (0, 1, -1):
        labels = active(space, {key: part.grid()[place % len(part.grid())] for key, part in space.items()})
        params = {key: space[key].value(label) for key, label in labels.items()}
        small = {
            key: min(value, 5) if key in ("n_estimators", "max_iter", "iterations") else value
            for key, value in params.items()
        }
        small |= {"max_iter": 5} if name.startswith("MLP") else {}
        with_params(model, small).fit(np.abs(X), y)


def test_a_pipelines_last_step_brings_its_space_and_others_show_an_example() -> None:
    model = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge()))
    assert list(default_space(model)) == ["pipeline__ridge__alpha"]
    with pytest.raises(UsageError, match=r"no default search space for GaussianNB; .*var_smoothing: float"):
        default_space(GaussianNB())


# The three methods


def test_the_score_is_the_mean_over_the_folds_and_the_best_is_refitted(data: Any) -> None:
    X, y = data
    found = tune(TREE, X, y, SPACE, method="grid", cv="stratified:3", seed=2)
    folds = StratifiedKFold(3, shuffle=True, random_state=2)
    for row in found.trials.to_dict("records"):
        model = clone(TREE).set_params(max_depth=row["params_max_depth"], criterion=row["params_criterion"])
        assert row["value"] == pytest.approx(cross_val_score(model, X, y, cv=folds, scoring="roc_auc").mean())
    assert found.best_score == found.trials["value"].max()
    assert found.best_estimator.get_params()["max_depth"] == found.best_params["max_depth"]
    assert found.best_estimator.predict(X).shape == (150,)
    assert not hasattr(TREE, "tree_")
    assert open_yard().records("evaluation") == ()


def test_a_grid_tries_every_point_once_and_ends(data: Any) -> None:
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2")
    points = found.trials[["params_max_depth", "params_criterion"]]
    assert len(points) == len(points.drop_duplicates()) == 8
    part = tune(
        TREE, *data, "max_depth: int 1..100\nmin_samples_leaf: 1 | 2", method="grid", trials=7, cv="kfold:2"
    )
    assert len(part.trials) == 7


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_finite_space_is_never_tried_twice(data: Any, method: str) -> None:
    found = tune(TREE, *data, SPACE, method=method, cv="kfold:2")
    assert (
        len(found.trials[["params_max_depth", "params_criterion"]].drop_duplicates())
        == len(found.trials)
        == 8
    )
    assert "the space holds only 8 points" in found.notes()[0]


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_same_seed_finds_the_same(data: Any, method: str) -> None:
    space = {"ccp_alpha": "float 1e-5..0.1 log", "max_depth": (1, 9)}
    first, again, other = (
        tune(TREE, *data, space, method=method, trials=12, cv="kfold:2", seed=seed).trials
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), again.drop(columns="seconds"))
    assert first["params_ccp_alpha"].tolist() != other["params_ccp_alpha"].tolist()


def test_the_first_metric_decides_and_errors_are_minimized() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = tune(
        DecisionTreeRegressor(random_state=0), X, y, {"max_depth": (1, 5)}, "grid", scoring=["mse", "r2"]
    )
    assert (found.metric, found.direction) == ("mse", "minimize")
    assert found.best_score == found.trials["value"].min() > 0
    assert tune(Ridge(), X, y, {"alpha": [1, 2]}, "grid").metric == "r2"
    X, y = load_iris(return_X_y=True)
    assert tune(TREE, X, y, {"max_depth": [1, 2]}, "grid").metric == "accuracy"


def test_a_timeout_begins_no_further_trial(data: Any) -> None:
    began = time.perf_counter()
    found = tune(TREE, *data, {"ccp_alpha": (0.0, 1.0)}, timeout=1.0, cv="kfold:2")
    assert time.perf_counter() - began < 8
    assert len(found.trials) >= 1
    assert open_yard().get("study", found.name).payload["state"] == "finished"


def test_times_are_those_of_this_place_as_optuna_writes_them(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data
    try:
        with monkeypatch.context() as there:
            there.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            began = datetime.now()
            found = tune(DecisionTreeClassifier(), X, y, "max_depth: int 2..5", trials=3)
            ended = datetime.now()
    finally:
        time.tzset()
    kept = optuna.load_study(study_name=found.name, storage=open_yard().studies_url).trials
    assert len(kept) == 3
    for trial in kept:
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert began <= trial.datetime_start <= trial.datetime_complete <= ended


def test_choices_of_any_type_come_back_as_they_were(data: Any) -> None:
    model = make_pipeline(StandardScaler(), TREE)
    scaler = FunctionTransformer()
    found = tune(
        model,
        *data,
        {"standardscaler": [scaler, "passthrough"], "max_features": [None, 1, 0.5]},
        "grid",
        cv="kfold:2",
    )
    kinds = {type(value) for value in found.trials["params_decisiontreeclassifier__max_features"]}
    assert kinds == {type(None), int, float}
    assert {type(value) for value in found.trials["params_standardscaler"]} == {FunctionTransformer, str}
    assert found.payload()["best_params"]["standardscaler"] in ("FunctionTransformer()", "passthrough")


def test_a_trial_that_cannot_be_fitted_fails_with_its_reason_and_the_search_goes_on(data: Any) -> None:
    found = tune(TREE, *data, "max_depth: 2 | -3\ncriterion: gini | entropy", method="grid", cv="kfold:2")
    failed = found.trials[found.trials["state"] == "FAIL"]
    assert failed["params_max_depth"].tolist() == [-3, -3]
    assert failed["reason"].str.contains("max_depth").all()
    assert "2 of 4 trials failed" in found.notes()[0]
    assert (
        len(
            tune(
                TREE,
                *data,
                "max_depth: 2 | -3\ncriterion: gini | entropy",
                method="grid",
                cv="kfold:2",
                name=found.name,
                resume=True,
            ).trials
        )
        == 4
    )


def test_a_search_of_which_every_trial_fails_says_why(data: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"all 2 trials failed, the first because .*max_depth"):
        tune(TREE, *data, {"max_depth": [-1, -2]}, "grid")
    assert open_yard().records("study")[0].payload["state"] == "finished"


def test_the_result_shows_itself_and_is_kept_in_the_yard(data: Any) -> None:
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", scoring="f1")
    assert isinstance(found, Study)
    assert found.name == "decision-tree-classifier-1"
    assert "best f1" in repr(found)
    table = found.table()
    assert table is not None
    assert len(table.rows) == 5
    assert [float(row[1]) for row in table.rows] == sorted(
        (float(row[1]) for row in table.rows), reverse=True
    )
    payload = found._repr_mimebundle_()["application/vnd.modelyard.study+json"]
    assert [step["number"] for step in payload["history"]] == list(range(8))
    kept = open_yard().get("study", found.name).payload
    assert (kept["state"], kept["finished"], kept["metric"], kept["cv"]) == ("finished", 8, "f1", "kfold:2")
    assert kept["space"] == {"max_depth": "int 1..4", "criterion": "'gini' | 'entropy'"}
    assert kept["best_score"] == found.best_score
    assert (
        tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=1).name == "decision-tree-classifier-2"
    )


def test_progress_counts_trials_with_the_best_so_far_and_folds_stay_silent(data: Any) -> None:
    told: list[Any] = []

    class Telling:
        def advance(self, steps: int = 1, note: str = "") -> None:
            told.append((steps, note))

        def close(self) -> None:
            told.append("closed")

    progress.install(lambda *opened: (told.append(opened), Telling())[1])
    try:
        tune(TREE, *data, SPACE, method="grid", trials=3, cv="kfold:2", name="a")
        tune(TREE, *data, SPACE, method="grid", trials=4, cv="kfold:2", name="a", resume=True)
    finally:
        progress.install(None)
    assert told[0] == ("tuning", 3, "trial")
    assert [step[0] for step in told[1:4]] == [1, 1, 1]
    assert all(step[1].startswith("best roc_auc 0.") for step in told[1:4])
    assert told[4:6] == ["closed", ("tuning", 4, "trial")]
    assert [step[0] for step in told[6:8]] == [3, 1]


def test_optunas_log_stays_silent_and_its_level_is_put_back(data: Any, capfd: Any) -> None:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logging.getLogger("optuna").addHandler(handler)
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=2)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
        logging.getLogger("optuna").removeHandler(handler)
    assert heard.getvalue() == ""
    assert capfd.readouterr().err == ""


def test_another_storage_can_be_given_and_is_remembered(data: Any, yard_folder: Path) -> None:
    tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=2, storage="sqlite:///mine.db", name="far")
    assert optuna.get_all_study_names("sqlite:///mine.db") == ["far"]
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=3, name="far", resume=True)
    assert (found.resumed_from, len(found.trials), found.storage) == (2, 3, "sqlite:///mine.db")


BAD_REQUESTS: list[tuple[dict[str, Any], type[ModelyardError], str]] = [
    ({"method": "bays"}, UsageError, "no search method 'bays'; type one of bayes, gp, grid, random, sobol"),
    ({"trials": 0}, UsageError, "trials must be"),
    ({"timeout": -1}, UsageError, "timeout is in seconds"),
    ({"storage": "nowhere"}, UsageError, "no database URL; type 'sqlite:///"),
    ({"storage": "sqlite:////no/such/place.db"}, UsageError, "cannot be opened"),
    ({"name": "My Study"}, InvalidNameError, "cannot name a study.*type 'my-study'"),
    ({"space": "max_dept: 1 | 2"}, UnknownNameError, "did you mean 'max_depth'"),
    ({"space": "max_depth: int 9..1"}, UsageError, "line 1"),
    ({"cv": "fold"}, UsageError, "cv cannot be read"),
    ({"scoring": "acuracy"}, UsageError, "did you mean 'accuracy'"),
    ({"resume": True}, UnknownNameError, "no study of DecisionTreeClassifier to resume; there: none"),
    ({"resume": True, "name": "x"}, UnknownNameError, "no study named 'x' to resume"),
    ({"y": [1, 2]}, InvalidInputError, "y has 2"),
    ({"seed": -1}, UsageError, "seed must be"),
    (
        {
            "space": {
                n: "int 1..1000"
                for n in (
                    "max_depth",
                    "max_leaf_nodes",
                    "min_samples_leaf",
                    "min_samples_split",
                    "random_state",
                    "max_features",
                )
            },
            "method": "grid",
        },
        UsageError,
        "the grid has 1000000 points",
    ),
]


@pytest.mark.parametrize(
    ("changed", "kind", "said"), BAD_REQUESTS, ids=[said[:40] for _, _, said in BAD_REQUESTS]
)
def test_a_bad_request_is_one_line_and_leaves_no_study(data: Any, changed: Any, kind: Any, said: str) -> None:
    request = {"model": TREE, "X": data[0], "y": data[1], "space": SPACE, **changed}
    with pytest.raises(kind, match=said) as caught:
        tune(**request)
    assert "\n" not in str(caught.value)
    assert open_yard().records("study") == ()


# Resuming


def test_a_taken_name_says_how_to_resume(data: Any) -> None:
    tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=1, name="mine")
    with pytest.raises(NameTakenError, match=r"'mine' exists already; type resume=True \(--resume\).*--name"):
        tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=1, name="mine")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cv": "kfold:3"}, "made with cv='kfold:2', found 'kfold:3'"),
        ({"method": "random"}, "made with method='grid', found 'random'"),
        ({"scoring": "f1"}, "made with scoring='roc_auc', found 'f1'"),
        (
            {"space": "max_depth: int 1..5\ncriterion: gini | entropy"},
            r"max_depth = int 1\.\.4 in the space, found int 1",
        ),
        ({"space": "max_depth: int 1..4"}, "criterion = 'gini' | 'entropy' in the space, found nothing"),
        ({"model": DecisionTreeClassifier(random_state=1)}, "random_state = 0 in the model, found 1"),
        ({"X": 2.0}, "other data: X had 150 rows x 6 columns"),
        ({"y": 1}, "other data: y had 150 rows"),
    ],
)
def test_resuming_with_something_else_says_what_differs(data: Any, changed: Any, said: str) -> None:
    X, y = data
    request: dict[str, Any] = {
        "model": TREE,
        "X": X,
        "y": y,
        "space": SPACE,
        "method": "grid",
        "cv": "kfold:2",
    }
    request |= {"trials": 1, "name": "mine"}
    tune(**request)
    changed = {k: X * v if k == "X" else v - y if k == "y" else v for k, v in changed.items()}
    with pytest.raises(UsageError, match=said):
        tune(**request | changed, resume=True)
    assert open_yard().get("study", "mine").payload["finished"] == 1


def test_the_newest_study_of_the_class_is_resumed_without_a_name(data: Any) -> None:
    for name in ("old", "new"):
        tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=2, name=name)
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", resume=True, trials=8, seed=5)
    assert (found.name, found.resumed_from, len(found.trials)) == ("new", 2, 8)
    again = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", resume=True)
    assert (again.resumed_from, len(again.trials)) == (8, 8)


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_resumed_sampler_draws_no_finished_point_again(data: Any, method: str) -> None:
    space = {"ccp_alpha": "float 1e-5..0.1 log"}
    tune(TREE, *data, space, method=method, cv="kfold:2", trials=6)
    found = tune(TREE, *data, space, method=method, cv="kfold:2", trials=12, resume=True)
    assert found.trials["params_ccp_alpha"].nunique() == 12
    assert found.trials["number"].tolist() == list(range(12))


SLOW = textwrap.dedent(
    """
    import sys, time
    from sklearn.datasets import load_breast_cancer
    from sklearn.tree import DecisionTreeClassifier

    class Slow(DecisionTreeClassifier):
        def fit(self, X, y, **more):
            time.sleep(0.1 if len(X) < 150 else 0)
            return super().fit(X, y, **more)

    def data():
        X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        return X.iloc[:150, :6], y.iloc[:150]

    MODEL = Slow(random_state=0)
    SPACES = {"grid": "max_depth: int 1..5\\ncriterion: gini | entropy", "bayes": {"ccp_alpha": "float 1e-5..0.1 log"}}

    def run(method, **more):
        from modelyard.tuning import tune
        return tune(
            MODEL, *data(), SPACES[method], method=method, cv="kfold:2", trials=10, name="slow", prune=False, **more
        )

    if __name__ == "__main__":
        run(sys.argv[1], resume="resume" in sys.argv)
    """
)


@pytest.fixture
def slow(yard_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (yard_folder / "slow_tuning.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(yard_folder))
    sys.modules.pop("slow_tuning", None)
    import slow_tuning

    yield slow_tuning
    sys.modules.pop("slow_tuning", None)


def _started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "slow_tuning.py", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )


def _states() -> list[str]:
    try:
        with closing(sqlite3.connect(".modelyard/yard.sqlite", timeout=10)) as connection:
            return [state for (state,) in connection.execute("SELECT state FROM trials ORDER BY number")]
    except sqlite3.OperationalError:  # the tables are not there yet
        return []


def _wait_until_trial_runs_after(finished: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        states = _states()
        if states.count("COMPLETE") >= finished and states[-1:] == ["RUNNING"]:
            time.sleep(0.08)
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    raise AssertionError(f"only {_states()}")


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_a_killed_run_is_resumed_without_loss_or_repeats(slow: Any, method: str) -> None:
    process = _started(method)
    _wait_until_trial_runs_after(3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = optuna.load_study(study_name="slow", storage=open_yard().studies_url).trials
    assert before[-1].state == TrialState.RUNNING
    assert open_yard().get("study", "slow").payload["state"] == "running"
    with pytest.raises(NameTakenError):
        slow.run(method)
    found = slow.run(method, resume=True)
    after = optuna.load_study(study_name="slow", storage=open_yard().studies_url).trials
    complete = [trial for trial in after if trial.state == TrialState.COMPLETE]
    assert len(complete) == 10
    assert len({tuple(sorted(trial.params.items())) for trial in complete}) == 10
    kept = [trial for trial in before if trial.state == TrialState.COMPLETE]
    assert after[: len(kept)] == kept
    killed = after[len(kept)]
    assert killed.state == TrialState.FAIL
    assert (killed.user_attrs[ENDED], killed.user_attrs[REASON]) == ("killed", "its process was killed")
    if killed.params:
        assert after[len(kept) + 1].params == killed.params
    assert found.resumed_from == len(kept)
    assert open_yard().get("study", "slow").payload["state"] == "finished"
    assert slow.run(method, resume=True).trials["state"].tolist().count("COMPLETE") == 10


def _ask_in_a_process_that_died(name: str) -> int:
    """Leave a trial RUNNING as a killed process does, and return its number."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = {"host": socket.gethostname(), "pid": process.pid, "run": "gone"}
    owner["began"] = psutil.Process(process.pid).create_time()
    process.communicate(b"")
    study = optuna.load_study(study_name=name, storage=open_yard().studies_url)
    space = as_space(SPACE)
    drawer = Drawer("grid", space, 0, Beliefs(space, ["maximize"]))
    asked = Loop(study, nullcontext(), space, drawer, None, math.inf, False, True).ask(Owner(**owner))
    assert asked is not None
    return asked.number


def test_a_point_that_kills_its_process_twice_is_given_up(data: Any) -> None:
    tune(TREE, *data, SPACE, method="grid", cv="kfold:2", trials=2, name="deadly")
    first = _ask_in_a_process_that_died("deadly")
    study = optuna.load_study(study_name="deadly", storage=open_yard().studies_url)
    assert take_over(study, as_space(SPACE), shared=False) == 1
    assert take_over(study, as_space(SPACE), shared=False) == 0
    second = _ask_in_a_process_that_died("deadly")
    found = tune(TREE, *data, SPACE, method="grid", cv="kfold:2", name="deadly", resume=True, trials=8)
    reasons = found.trials.set_index("number")["reason"]
    assert (first, second) == (2, 3)
    assert reasons[2] == "its process was killed"
    assert reasons[3] == "its process was killed twice"
    assert found.trials["state"].tolist().count("COMPLETE") == 7
    assert len(found.trials) == 9


def test_trials_of_a_process_that_lives_are_left_alone(slow: Any) -> None:
    process = _started("grid")
    try:
        _wait_until_trial_runs_after(1, process)
        found = slow.run("grid", resume=True)
    finally:
        assert process.wait(timeout=60) == 0, process.communicate()[1]
    trials = optuna.load_study(study_name="slow", storage=open_yard().studies_url).trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len(trials) == len({tuple(trial.params.items()) for trial in trials}) == 10
    assert len({trial.user_attrs[OWNER]["pid"] for trial in trials}) == 2
    assert found.name == "slow"


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(slow: Any) -> None:
    method = "bayes"
    process = _started(method)
    _wait_until_trial_runs_after(2, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    record = open_yard().get("study", "slow").payload
    done = record["finished"]
    assert (
        f"tuning stopped: {done} of 10 trials finished and kept; to go on, type resume=True (--resume)"
        in said
    )
    assert record["state"] == "interrupted"
    states = _states()
    assert states == ["COMPLETE"] * done + ["FAIL"]
    found = slow.run(method, resume=True)
    assert found.resumed_from == done
    assert found.trials["state"].tolist().count("COMPLETE") == 10
    assert found.trials[found.trials["state"] == "FAIL"]["reason"].tolist() == ["the run was stopped"]


class Stops(ClassifierMixin, BaseEstimator):
    """Raises what it is told to in `fit`."""

    def __init__(self, depth: int = 1, error: Any = KeyboardInterrupt) -> None:
        self.depth = depth
        self.error = error

    def fit(self, X: Any, y: Any) -> Stops:
        raise self.error

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


@pytest.mark.parametrize(
    ("error", "seen"), [(KeyboardInterrupt, InterruptedRunError), (MemoryError, MemoryError)]
)
def test_no_trial_stays_running_whatever_ends_the_run(data: Any, error: Any, seen: Any) -> None:
    with pytest.raises(seen):
        tune(Stops(error=error), *data, {"depth": [1, 2]}, "grid")
    assert _states() == ["FAIL"]
    assert open_yard().records("study")[0].payload["state"] == "interrupted"
