"""How a search spends less: trials that stop early, steps that are fitted once, older studies, and an early end."""

from __future__ import annotations

import pickle
import time
from datetime import datetime
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelyard.catalog import open_yard
from modelyard.errors import MissingExtraError, ModelyardError, UnknownNameError, UsageError
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.metrics import objective_metric
from modelyard.evaluation.splitters import plan_folds
from modelyard.tuning import as_space, tune
from modelyard.tuning.ledger import Ledger
from modelyard.tuning.prefixes import prefix_cache
from modelyard.tuning.pruning import CONFIDENCE, Rival, rival_of
from modelyard.tuning.space import is_point, resolve_names
from modelyard.tuning.surrogate import Surrogate
from modelyard.tuning.trial import PointScorer
from modelyard.tuning.warm_start import own_point

TREE = DecisionTreeClassifier(random_state=0)
SPACE = "max_depth: int 1..8\nccp_alpha: float 1e-5..0.2 log"


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:200, :8], y.iloc[:200]


def _optuna_study(name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=open_yard().studies_url)


# Methods


@pytest.mark.parametrize("method", ["random", "sobol", "bayes"])
def test_the_models_own_parameters_are_tried_first(data: Any, method: str) -> None:
    model = DecisionTreeClassifier(max_depth=3, ccp_alpha=0.01, random_state=0)
    first = tune(model, *data, SPACE, method=method, trials=3, cv="kfold:2").trials.iloc[0]
    assert (first["params_max_depth"], first["params_ccp_alpha"]) == (3, 0.01)


def test_own_parameters_outside_of_the_space_are_brought_in_or_left_away() -> None:
    model = DecisionTreeClassifier(max_depth=30, ccp_alpha=0.0)
    assert own_point(model, as_space(SPACE)) == {"max_depth": 8, "ccp_alpha": 1e-5}
    assert own_point(DecisionTreeClassifier(), as_space(SPACE)) is None
    assert own_point(model, as_space("criterion: entropy | log_loss")) is None
    assert own_point(model, as_space("min_samples_split: int 2..20 step 3")) == {"min_samples_split": 2}
    kinds = as_space("criterion: gini | entropy\nmax_features: 1 | 2 if criterion == entropy")
    assert own_point(model, kinds) == {"criterion": "gini"}


def test_sobol_points_fill_the_space_more_evenly_than_random_ones(data: Any) -> None:
    space = "ccp_alpha: float 0..1\nmin_samples_split: float 0.01..1"
    for method, most in (("sobol", 0.13), ("random", 1.0)):
        found = tune(DummyTree(), *data, space, method=method, trials=33, cv="kfold:2", prune=False).trials
        gaps = np.diff(np.sort(np.r_[0.0, found["params_ccp_alpha"].to_numpy()[1:], 1.0]))
        assert gaps.max() < most


def test_a_resumed_sobol_sequence_goes_on(data: Any) -> None:
    space = "ccp_alpha: float 0..1\nmin_samples_split: float 0.01..1"
    whole = tune(DummyTree(), *data, space, method="sobol", trials=12, cv="kfold:2", name="whole").trials
    tune(DummyTree(), *data, space, method="sobol", trials=5, cv="kfold:2", name="parts")
    parts = tune(
        DummyTree(), *data, space, method="sobol", trials=12, cv="kfold:2", name="parts", resume=True
    )
    assert parts.trials["params_ccp_alpha"].tolist() == whole["params_ccp_alpha"].tolist()


def test_a_gaussian_process_needs_torch_and_says_so(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(MissingExtraError, match=r"needs torch, .*pip install 'modelyard\[gp\]'"):
        tune(TREE, *data, SPACE, method="gp")
    assert open_yard().records("study") == ()


def test_a_gaussian_process_searches(data: Any) -> None:
    pytest.importorskip("torch")
    found = tune(TREE, *data, SPACE, method="gp", trials=14, cv="kfold:3")
    assert len(found.trials) == 14
    points = found.trials[["params_max_depth", "params_ccp_alpha"]]
    assert len(points.drop_duplicates()) >= 12  # a bound is proposed more than once, with another depth
    assert points["params_max_depth"].between(1, 8).all()
    assert points["params_ccp_alpha"].between(1e-5, 0.2).all()


class DummyTree(ClassifierMixin, BaseEstimator):
    """Learns nothing, at once."""

    def __init__(self, ccp_alpha: float = 0.5, min_samples_split: float = 0.5) -> None:
        self.ccp_alpha = ccp_alpha
        self.min_samples_split = min_samples_split

    def fit(self, X: Any, y: Any) -> DummyTree:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_trial_costs_little_beside_its_fits(data: Any) -> None:
    began = time.process_time()
    found = tune(DummyTree(), *data, "ccp_alpha: float 0..1", trials=60, cv="kfold:2", scoring="accuracy")
    each = (time.process_time() - began) / len(found.trials)
    assert each < 0.05, "a database of many transactions for each trial, or a sampler that reads it all again"


# Pruning


def test_a_beaten_trial_stops_after_a_fold_and_is_kept_with_its_folds_and_reason(data: Any) -> None:
    found = tune(TREE, *data, SPACE, method="random", trials=40, seed=1)
    pruned = found.trials[found.trials["state"] == "PRUNED"]
    assert len(pruned) >= 5
    assert pruned["value"].isna().all()
    assert pruned["folds"].between(1, 4).all()
    assert pruned["reason"].str.match(r"it cannot win any more after [1-4] of 5 folds").all()
    assert any(
        "were stopped before their last fold" in note and "--no-prune" in note for note in found.notes()
    )
    kept = _optuna_study(found.name).trials
    assert sum(trial.state == optuna.trial.TrialState.PRUNED for trial in kept) == len(pruned)


def test_the_best_score_is_always_a_whole_cross_validation(data: Any) -> None:
    found = tune(TREE, *data, SPACE, trials=30, seed=2)
    model = clone(TREE).set_params(**found.best_params)
    folds = StratifiedKFold(5, shuffle=True, random_state=2)
    assert found.best_score == pytest.approx(
        cross_val_score(model, *data, cv=folds, scoring="roc_auc").mean()
    )
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    assert (complete["folds"] == 5).all()


@pytest.mark.thorough
def test_what_is_stopped_would_hardly_ever_have_won(data: Any) -> None:
    lost, stopped = 0, 0
    for seed in range(3):
        found = tune(TREE, *data, SPACE, method="random", trials=40, seed=seed)
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        for row in found.trials[found.trials["state"] == "PRUNED"].to_dict("records"):
            params = {"max_depth": row["params_max_depth"], "ccp_alpha": row["params_ccp_alpha"]}
            whole = cross_val_score(
                clone(TREE).set_params(**params), *data, cv=folds, scoring="roc_auc"
            ).mean()
            lost += whole > found.best_score
            stopped += 1
    assert stopped > 20
    assert lost <= (1 - CONFIDENCE) * stopped + 1


def test_no_trial_stops_where_pruning_is_off_or_every_point_of_a_grid_is_asked_for(data: Any) -> None:
    assert set(tune(TREE, *data, SPACE, trials=15, prune=False).trials["state"]) == {"COMPLETE"}
    grid = "max_depth: 1 | 2 | 4\nccp_alpha: 0.0 | 0.2"
    assert set(tune(TREE, *data, grid, method="grid").trials["state"]) == {"COMPLETE"}


def test_smaller_errors_win_too() -> None:
    X, y = load_diabetes(return_X_y=True)
    found = tune(Ridge(), X, y, "alpha: float 1e-3..1e4 log", method="random", trials=30, scoring="mae")
    assert "PRUNED" in set(found.trials["state"])
    assert found.best_score == found.trials["value"].min()


def test_a_rival_is_the_best_and_needs_another_to_compare_with() -> None:
    assert rival_of([], True) is None
    assert rival_of([[0.8, 0.9]], True) is None
    assert rival_of([[0.8, 0.9], [0.8, 0.9]], True) is None
    rival = rival_of([[0.7, 0.8, 0.9], [0.71, 0.79, 0.9], [0.1, 0.9, 0.2]], True)
    assert rival is not None
    assert rival.folds in ((0.7, 0.8, 0.9), (0.71, 0.79, 0.9))
    assert rival.spread < 0.02, "the trial that is far behind does not count"
    worst = rival_of([[0.7, 0.8, 0.9], [0.71, 0.79, 0.9], [0.1, 0.9, 0.2]], False)
    assert worst is not None
    assert worst.folds == (0.1, 0.9, 0.2)


def test_a_trial_that_is_a_little_behind_goes_on_and_one_far_behind_does_not() -> None:
    rival = Rival((0.8, 0.8, 0.8, 0.8, 0.8), 0.01, 8, True)
    assert not rival.beats([0.79], 5)
    assert rival.beats([0.7], 5)
    assert rival.beats([0.79, 0.79, 0.79, 0.79], 5)
    assert not rival.beats([float("nan")], 5)
    assert rival.value_of([0.7, 0.8]) == pytest.approx(0.75)
    less = Rival((3.0, 3.0, 3.0), 0.1, 4, False)
    assert less.beats([4.0], 3)
    assert not less.beats([2.9], 3)
    assert less.value_of([4.0]) == pytest.approx(4.0)


# Steps that are fitted once


class Counting(TransformerMixin, BaseEstimator):
    """Counts how often it is fitted, in all clones."""

    fits = 0

    def __init__(self, power: int = 1) -> None:
        self.power = power

    def fit(self, X: Any, y: Any = None) -> Counting:
        type(self).fits += 1
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X, dtype=float) ** self.power


class Noisy(Counting):
    """Gives something else every time."""

    def transform(self, X: Any) -> Any:
        return np.asarray(X) + np.random.default_rng().normal(size=X.shape)


def test_the_first_steps_are_fitted_once_for_each_fold(data: Any) -> None:
    Counting.fits = 0
    model = make_pipeline(Counting(), StandardScaler(), LogisticRegression())
    found = tune(model, *data, "C: float 1e-2..1e2 log", trials=12, cv="stratified:4", prune=False)
    assert (
        Counting.fits == 4 + 2 + 1
    )  # each fold, twice more to see that it repeats itself, and all rows at the end
    again = tune(model, *data, "C: float 1e-2..1e2 log", trials=12, cv="stratified:4", prune=False)
    pd.testing.assert_frame_equal(found.trials.drop(columns="seconds"), again.trials.drop(columns="seconds"))


def _table(kind: str, data: Any) -> Any:
    X = data[0].copy()
    if kind == "frame":
        X.iloc[::7, 2] = np.nan
        return X
    if kind == "sparse":
        from scipy.sparse import csr_matrix

        return csr_matrix(X.to_numpy())
    return X.to_numpy()


@pytest.mark.parametrize("kind", ["frame", "array", "sparse"])
def test_scores_are_the_same_with_and_without_shared_steps(data: Any, kind: str) -> None:
    steps: list[Any] = [
        ("impute", SimpleImputer()),
        ("scale", StandardScaler(with_mean=kind != "sparse", copy=False)),
        ("select", SelectKBest(k=4)),
        ("clf", LogisticRegression()),
    ]
    model = Pipeline(steps)
    if kind == "frame":
        model.set_output(transform="pandas")
    text = "select__k: 2 | 4 | 6\nimpute__strategy: mean | median\nC: 0.1 | 1.0 | 10.0"
    space = resolve_names(as_space(text), model)
    X, y = _table(kind, data), data[1]
    samples = checked_samples(model, X, y)
    folds, metric = plan_folds("stratified:3", samples), objective_metric(None, model, samples)
    cache = prefix_cache(model, space, metric, 3)
    assert cache is not None
    plain = PointScorer(model, samples, folds, (metric,))
    shared = PointScorer(model, samples, folds, (metric,), cache)
    before = pickle.dumps(samples.X)
    for k in (2, 6, 2):
        for C in (0.1, 10.0):
            params = {"select__k": k, "impute__strategy": "median", "clf__C": C}
            assert shared(params) == plain(params)
    assert cache.hits >= 9
    assert pickle.dumps(samples.X) == before


def test_steps_that_are_not_the_same_every_time_are_not_shared(data: Any) -> None:
    def hits(step: Any) -> int:
        model = make_pipeline(step, LogisticRegression())
        samples = checked_samples(model, *data)
        metric = objective_metric(None, model, samples)
        space = resolve_names(as_space("C: 0.1 | 1.0"), model)
        cache = prefix_cache(model, space, metric, 2)
        assert cache is not None
        scorer = PointScorer(model, samples, plan_folds("stratified:2", samples), (metric,), cache)
        for C in (0.1, 1.0):
            scorer({"logisticregression__C": C})
        return cache.hits

    assert hits(PCA(2, svd_solver="randomized")) == 0
    assert hits(Noisy()) == 0
    assert hits(PCA(2, svd_solver="randomized", random_state=0)) == 2
    assert hits(PCA(2, svd_solver="full")) == 2
    assert hits(FunctionTransformer(np.log1p)) == 2
    assert hits(Counting()) == 2


def test_a_model_with_a_memory_of_its_own_or_a_scorer_of_the_users_shares_nothing(
    data: Any, tmp_path: Any
) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    space = resolve_names(as_space("C: 1 | 2"), model)
    samples = checked_samples(model, *data)
    metric = objective_metric(None, model, samples)
    assert prefix_cache(model, space, metric, 5) is not None
    assert prefix_cache(clone(model).set_params(memory=str(tmp_path)), space, metric, 5) is None
    own = objective_metric(lambda model, X, y: float(X.shape[1]), model, samples)
    assert prefix_cache(model, space, own, 5) is None
    assert prefix_cache(TREE, as_space("max_depth: 1 | 2"), metric, 5) is None


def test_what_is_held_stays_within_its_memory(data: Any) -> None:
    model = make_pipeline(Counting(), LogisticRegression())
    space = resolve_names(as_space("counting__power: 1 | 2 | 3\nC: 0.1 | 1.0"), model)
    samples = checked_samples(model, *data)
    metric = objective_metric(None, model, samples)
    room = 2 * 200 * 8 * 8 + 1000  # two results of one fold
    cache = prefix_cache(model, space, metric, 1, most_bytes=room)
    assert cache is not None
    scorer = PointScorer(model, samples, plan_folds("stratified:2", samples), (metric,), cache)
    for power in (1, 2, 3):
        scorer({"counting__power": power, "logisticregression__C": 0.1})
    held = cache._held[0]
    assert len(held) == 2
    assert sum(each.X.nbytes for each in held.values()) <= room
    scorer({"counting__power": 1, "logisticregression__C": 1.0})
    assert cache.hits == 0
    scorer({"counting__power": 3, "logisticregression__C": 1.0})
    assert cache.hits == 2


# Warm start


def test_the_best_points_of_an_older_study_are_tried_first(data: Any) -> None:
    old = tune(TREE, *data, SPACE, trials=15, name="old", prune=False)
    best = old.trials.sort_values("value", ascending=False, kind="stable")
    found = tune(TREE, *data, SPACE, trials=4, warm_start="old", name="new", prune=False)
    tried = found.trials[["params_max_depth", "params_ccp_alpha"]].to_numpy().tolist()
    assert tried[0] == best[["params_max_depth", "params_ccp_alpha"]].iloc[0].tolist()
    assert found.best_score >= old.best_score
    assert any("the best of 'old' were tried first, and its 15 trials" in note for note in found.notes())


def test_an_older_study_gives_only_what_lies_in_the_new_space(data: Any) -> None:
    tune(TREE, *data, SPACE, trials=15, name="old", prune=False)
    narrow = tune(TREE, *data, "max_depth: int 1..3", trials=3, warm_start="old", name="narrow")
    assert narrow.trials["params_max_depth"].between(1, 3).all()
    none = tune(TREE, *data, "max_depth: int 20..30", trials=2, warm_start="old", name="none")
    assert any("none of the 15 complete trials of 'old' lies in this space" in note for note in none.notes())
    wide = tune(
        DecisionTreeClassifier(min_samples_leaf=3, random_state=0), *data, SPACE + "\nmin_samples_leaf: int 1..9",
        trials=3, warm_start="old", name="wide",
    )  # fmt: skip
    assert wide.trials["params_min_samples_leaf"].iloc[0] == 3


def test_scores_on_other_data_inform_nothing(data: Any) -> None:
    X, y = data
    tune(TREE, X, y, SPACE, trials=6, name="old")
    found = tune(TREE, X.iloc[:150], y.iloc[:150], SPACE, trials=3, warm_start="old")
    assert any("its data or folds are others" in note for note in found.notes())


def test_an_older_study_that_is_unknown_or_of_another_metric_is_explained(data: Any) -> None:
    tune(TREE, *data, SPACE, trials=2, name="mine")
    with pytest.raises(
        UnknownNameError, match=r"no study named 'min' to start from; there: mine \(did you mean"
    ):
        tune(TREE, *data, SPACE, warm_start="min")
    with pytest.raises(UsageError, match="'mine' was searched by roc_auc, found f1; give"):
        tune(TREE, *data, SPACE, warm_start="mine", scoring="f1")
    assert [record.name for record in open_yard().records("study")] == ["mine"]


# The early end


def test_a_search_ends_when_little_gain_is_to_be_expected(data: Any) -> None:
    found = tune(
        TREE, *data, "max_depth: int 1..8\nccp_alpha: float 1e-9..1e-6 log", trials=200, min_gain=0.01
    )
    assert 20 <= len(found.trials) < 200
    assert any("the search ended early: ten more trials" in note for note in found.notes())
    more = tune(
        TREE, *data, "max_depth: int 1..8\nccp_alpha: float 1e-9..1e-6 log", trials=200, min_gain=0.01,
        name=found.name, resume=True,
    )  # fmt: skip
    assert len(more.trials) == len(found.trials)


def test_a_search_that_may_still_gain_goes_on(data: Any) -> None:
    assert len(tune(TREE, *data, SPACE, trials=30, min_gain=1e-9, cv="kfold:3").trials) == 30


# Nested


def test_nested_folds_judge_the_search_itself(data: Any) -> None:
    found = tune(TREE, *data, SPACE, trials=8, cv="nested:3x2", scoring="f1")
    assert found.outer is not None
    assert len(found.outer.scores) == 3
    assert list(found.outer.summary.index) == ["f1"]
    assert found.cv == "stratified:2"
    assert any(note.startswith("the search itself: ") for note in found.notes())
    assert found.payload()["outer"]["cv"] == "stratified:3"
    assert tune(TREE, *data, SPACE, trials=2).outer is None


def test_the_outer_rows_are_not_seen_by_the_search() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 40)), rng.integers(0, 2, 60)
    columns = Pipeline([("pick", PickColumn()), ("clf", LogisticRegression())])
    found = tune(
        columns,
        X,
        y,
        "pick__column: int 0..39",
        method="random",
        trials=40,
        cv="nested:5x3",
        scoring="accuracy",
    )
    assert found.best_score > 0.62, (
        "the best of forty columns of noise looks good to the search that chose it"
    )
    assert found.outer is not None
    assert float(found.outer.summary["mean"].loc["accuracy"]) < found.best_score - 0.05


class PickColumn(TransformerMixin, BaseEstimator):
    """One column of many."""

    def __init__(self, column: int = 0) -> None:
        self.column = column

    def fit(self, X: Any, y: Any = None) -> PickColumn:
        return self

    def transform(self, X: Any) -> Any:
        return X[:, [self.column]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cv": "nested:5"}, "nested folds cannot be read, found 'nested:5'; type cv='nested:5x3'"),
        ({"prune": "yes"}, "prune is yes or no, found 'yes'"),
        ({"min_gain": -1}, "min_gain is above 0, in units of the metric"),
        ({"space": ""}, "the space is empty"),
        ({"space": "# nothing"}, "the space is empty"),
        ({"space": "max_depth: int 9..1"}, "line 1: the range 9..1 is empty; type the lower number first"),
    ],
)
def test_a_bad_wish_is_one_line(data: Any, changed: Any, said: str) -> None:
    with pytest.raises(ModelyardError, match=said) as caught:
        tune(**{"model": TREE, "X": data[0], "y": data[1], "space": SPACE, **changed})
    assert "\n" not in str(caught.value)


def test_the_magic_has_a_flag_for_each(shell: InteractiveShell, data: Any) -> None:
    shell.user_ns.update(model=TREE, X=data[0], y=data[1])
    shown = shell.run_cell_magic(
        "tune",
        "model X y --no-prune --warm-start old --min-gain 0.001 --method sobol --cv nested:4x2 --show-code",
        SPACE,
    )
    for word in ("prune=False", "warm_start='old'", "min_gain=0.001", "method='sobol'", "cv='nested:4x2'"):
        assert word in str(shown)


def test_tab_offers_the_studies_to_start_from(shell: InteractiveShell, data: Any) -> None:
    tune(TREE, *data, SPACE, trials=2, cv="kfold:2", name="earlier")
    line = "%tune model X y --warm-start ea"
    assert "earlier" in shell.complete("ea", line, len(line))[1]


def test_a_model_that_cannot_learn_anything_is_searched_all_the_same(data: Any) -> None:
    X, y = make_classification(60, random_state=0)
    found = tune(DummyClassifier(), X, y, "strategy: prior | most_frequent", cv="kfold:2", scoring="accuracy")
    assert len(found.trials) == 2


# What draws and writes


def test_the_surrogate_finds_the_top_of_a_smooth_hill_in_few_trials() -> None:
    space = as_space("x: float 1e-3..1e3 log\nn: int 1..50\nkind: a | b")

    def height(point: Any) -> float:
        hill = -((np.log10(point["x"]) - 1.0) ** 2) - ((point["n"] - 20) / 25) ** 2
        return float(hill - (0.5 if point["kind"] == "a" else 0.0))

    for seed in range(3):
        rng = np.random.default_rng(seed)
        points = [
            {
                "x": float(10 ** rng.uniform(-3, 3)),
                "n": int(rng.integers(1, 51)),
                "kind": "ab"[rng.integers(2)],
            }
            for _ in range(5)
        ]
        surrogate = Surrogate(space, greater_is_better=False, seed=seed)
        while len(points) < 25:
            points.append(surrogate.propose(points, [-height(point) for point in points]))
        assert max(map(height, points)) > -0.02
        assert all(is_point(space, point) for point in points)


def test_the_surrogate_keeps_away_from_points_that_run() -> None:
    space = as_space("x: float 0..1")
    points = [{"x": x} for x in (0.1, 0.3, 0.8, 0.95)]
    values = [-((point["x"] - 0.5) ** 2) for point in points]
    first = Surrogate(space, True, 0).propose(points, values)
    second = Surrogate(space, True, 0).propose(points, values, [first])
    assert abs(first["x"] - second["x"]) > 0.01


def test_what_is_written_in_one_transaction_reads_as_optuna_would_have_written_it(data: Any) -> None:
    found = tune(TREE, *data, SPACE + "\ncriterion: gini | entropy", trials=5, cv="kfold:3", name="mine")
    ours = _optuna_study("mine").trials
    study = optuna.create_study(study_name="theirs", storage=open_yard().studies_url, direction="maximize")
    for trial in ours:
        study.add_trial(trial)
    for one, other in zip(ours, _optuna_study("theirs").trials, strict=True):
        assert (one.number, one.state, one.values) == (other.number, other.state, other.values)
        assert (one.params, one.distributions, one.user_attrs) == (
            other.params,
            other.distributions,
            other.user_attrs,
        )
        assert one.datetime_start == other.datetime_start
        assert one.datetime_complete is not None
        assert abs((datetime.now() - one.datetime_complete).total_seconds()) < 3600
    assert found.trials["seconds"].between(0, 600).all()


def test_trials_of_another_process_are_seen(data: Any) -> None:
    tune(TREE, *data, SPACE, trials=2, cv="kfold:2", name="shared")
    ledger = Ledger(_optuna_study("shared"))
    assert len(ledger.trials()) == 2
    other = _optuna_study("shared")
    trial = other.ask()
    assert [each.state.name for each in ledger.trials()] == ["COMPLETE", "COMPLETE", "RUNNING"]
    other.tell(trial, 0.5)
    assert ledger.trials()[2].value == 0.5
