"""Tuning to what serving may cost: models are converted, measured, and chosen by their figures."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

import modelyard
from modelyard.conversion import Session, convert
from modelyard.errors import BudgetError, UnknownNameError, UsageError
from modelyard.evaluation.inputs import checked_samples
from modelyard.tuning import Study, tune
from modelyard.tuning.budget import serving_budget
from modelyard.tuning.front import non_dominated
from modelyard.tuning.gauge import Gauge
from modelyard.tuning.serving import Rows, measured, served
from modelyard.units import as_bytes, as_microseconds
from modelyard_widgets.charts import chart

pytestmark = pytest.mark.alone

FOREST = RandomForestClassifier(random_state=0)
SPACE = "n_estimators: int 2..40 log\nmax_depth: int 1..8"
FAST: dict[str, Any] = {"method": "random", "trials": 8, "cv": "stratified:3", "scoring": "accuracy"}
ALL = ["accuracy", "latency", "size"]


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:240, :8], y.iloc[:240]


@pytest.fixture(scope="module")
def study(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of three objectives that several tests look at; it is frozen."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("study")
        (root / ".modelyard").mkdir()
        patch.chdir(root)
        return tune(FOREST, *data, SPACE, "random", trials=10, cv="stratified:3", objectives=ALL)


def onnx_bytes(estimator: Any, X: Any) -> int:
    return len(convert(estimator, X).model)


# Several objectives, and the front


def test_every_trial_has_every_objective_in_named_units(study: Study) -> None:
    assert {"accuracy", "latency_us", "size_bytes"} <= set(study.trials.columns)
    assert (study.trials["state"] == "COMPLETE").all()
    assert study.trials[["accuracy", "latency_us", "size_bytes"]].gt(0).all().all()
    assert (study.trials["value"] == study.trials["accuracy"]).all()


def test_the_front_holds_models_of_which_none_is_better_in_everything(study: Study) -> None:
    front = study.front
    values = front[["accuracy", "latency_us", "size_bytes"]].to_numpy()
    assert non_dominated(values, [True, False, False]).all()
    assert front["accuracy"].is_monotonic_decreasing
    assert (front["form"] == "onnx").all()
    assert front["latency_noise_us"].ge(0).all()
    of_trials = study.trials.set_index("number")["accuracy"]
    assert [of_trials[number] for number in front["trial"]] == front["accuracy"].tolist()
    assert of_trials.max() == front["accuracy"].max()


def test_sizes_are_those_of_the_converted_models(study: Study, data: Any) -> None:
    for size, finalist in zip(study.front["size_bytes"], study.finalists, strict=True):
        assert size == onnx_bytes(finalist.estimator, data[0])


def test_the_best_of_several_objectives_is_best_by_the_first(study: Study) -> None:
    assert study.best_score == study.front["accuracy"].max() == study.trials["accuracy"].max()
    assert study.cost is not None
    assert study.best_estimator.n_estimators == study.best_params["n_estimators"]


def test_pick_takes_the_best_score_within_the_limits(study: Study, data: Any) -> None:
    front = study.front
    limit = float(front["size_bytes"].median())
    wanted = front[front["size_bytes"] <= limit].iloc[0]
    picked = study.pick(size=limit)
    assert picked.n_estimators == wanted["params_n_estimators"]
    assert onnx_bytes(picked, data[0]) <= limit
    assert study.pick(size=f"{limit / 1000}kB") is picked
    assert (picked.predict(data[0]) == data[1]).mean() > 0.9  # fitted


def test_pick_may_be_best_in_another_objective(study: Study) -> None:
    front = study.front
    smallest = front.sort_values("size_bytes").iloc[0]
    assert study.pick("size").n_estimators == smallest["params_n_estimators"]
    score = float(front["accuracy"].median())
    enough = front[front["accuracy"] >= score].sort_values("latency_us").iloc[0]
    assert study.pick("latency", score=score).n_estimators == enough["params_n_estimators"]


def test_pick_says_how_near_the_nearest_comes(study: Study) -> None:
    fastest = study.front.sort_values("latency_us").iloc[0]
    with pytest.raises(
        BudgetError, match=rf"nearest is trial {fastest['trial']} .*its latency is .* x the"
    ) as caught:
        study.pick(latency="0.001us")
    assert "\n" not in str(caught.value)
    with pytest.raises(BudgetError, match=r"no model of .* has accuracy >= 2; the nearest is trial"):
        study.pick(score=2)
    with pytest.raises(UsageError, match=r"'latncy' is no objective .*did you mean 'latency'"):
        study.pick("latncy")
    with pytest.raises(UsageError, match="size has no unit, found '200'; type 200kB"):
        study.pick(size="200")


def test_a_study_of_one_score_has_nothing_to_pick_from(data: Any) -> None:
    found = tune(FOREST, *data, SPACE, "random", trials=2, cv="stratified:3")
    assert found.front.empty
    with pytest.raises(UsageError, match="measured no finalists; search with objectives="):
        found.pick(latency="1ms")


def test_an_error_is_minimized_beside_latency() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = tune(
        DecisionTreeRegressor(random_state=0), X, y, "max_depth: int 1..6", "grid", cv="kfold:3",
        objectives=["mae", "latency"],
    )  # fmt: skip
    assert found.direction == "minimize"
    assert found.front["mae"].is_monotonic_increasing
    assert found.best_score == found.trials["mae"].min()


def test_two_metrics_are_objectives_too(data: Any) -> None:
    found = tune(
        FOREST, *data, SPACE, "random", trials=6, cv="stratified:3", objectives=["recall", "precision"]
    )
    assert non_dominated(found.front[["recall", "precision"]].to_numpy(), [True, True]).all()
    assert found.best_score == found.trials["recall"].max()
    assert found.front["size_bytes"].gt(0).all()


def test_one_objective_is_one_score(data: Any) -> None:
    found = tune(FOREST, *data, SPACE, "random", trials=2, cv="stratified:3", objectives=["f1"])
    assert found.metric == "f1"
    assert found.front.empty


def test_leave_one_out_measures_a_model_of_all_rows() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    found = tune(
        DecisionTreeRegressor(random_state=0), X[:40], y[:40], {"max_depth": [1, 3]}, "grid", cv="loo",
        objectives=["mae", "size"],
    )  # fmt: skip
    assert found.trials["size_bytes"].gt(0).all()
    assert len(found.front) in (1, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prune": True}, "every trial does all its folds"),
        ({"min_gain": 0.01}, "min_gain is of one score"),
        ({"cv": "nested:3x2"}, "nested folds judge a search by one score"),
    ],
)
def test_what_looks_at_one_score_only_is_refused(data: Any, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tune(FOREST, *data, SPACE, budget_size="1MB", **{**FAST, **changed})


def test_resuming_with_other_objectives_says_what_differs(data: Any) -> None:
    few: dict[str, Any] = {"trials": 2, "cv": "stratified:3", "name": "several"}
    tune(FOREST, *data, SPACE, "random", objectives=["accuracy", "size"], **few)
    with pytest.raises(UsageError, match="made with scoring='accuracy, size', found 'accuracy'"):
        tune(FOREST, *data, SPACE, "random", scoring="accuracy", resume=True, **few)
    found = tune(
        FOREST, *data, SPACE, "random", objectives=["accuracy", "size"], resume=True, **{**few, "trials": 4}
    )
    assert (len(found.trials), found.resumed_from) == (4, 2)


def test_workers_measure_too(data: Any) -> None:
    found = tune(
        FOREST, *data, SPACE, "random", trials=4, cv="stratified:3", objectives=["accuracy", "latency"],
        engine="local:2",
    )  # fmt: skip
    assert found.trials["latency_us"].gt(0).all()
    assert found.cost is not None


def test_the_study_shows_units_the_front_and_a_picture(study: Study) -> None:
    assert "a row in ONNX Runtime" in repr(study)
    assert f"{len(study.finalists)} model" in repr(study)
    assert "on the front of accuracy, latency, size" in repr(study)
    table = study.table()
    assert table.columns[:6] == ("trial", "accuracy", "one row", "±", "size", "form")
    assert all("s" in row[2] and row[4].endswith("B") for row in table.rows)
    payload = json.loads(json.dumps(study.payload(), allow_nan=False))
    serving = payload["serving"]
    assert len(serving["finalists"]) == len(study.front)
    assert len(serving["trials"]) + len(serving["finalists"]) == len(study.trials)
    assert serving["best_number"] in study.front["trial"].tolist()
    picture = chart("study", payload)
    assert picture is not None
    assert "against the time for one row" in picture.alt
    for words in ("one row (µs), log scale", "accuracy", "size (kB)"):
        assert words in picture.svg


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"objectives": ["latency", "size"]}, "name a metric too, such as roc_auc"),
        ({"objectives": ["accuracy", "latency", "latency"]}, "objectives name 'latency' twice"),
        (
            {"objectives": ["acuracy", "latency"]},
            r"did you mean 'accuracy'.*beside the metrics: latency, size",
        ),
        ({"objectives": []}, r"type \['roc_auc', 'latency', 'size'\]"),
        ({"objectives": ["accuracy"], "scoring": "f1"}, "give objectives or scoring, not both"),
        ({"budget_latency": "1 parsec"}, "budget_latency has the unit 'parsec'"),
        ({"budget_size": "12"}, "budget_size has no unit, found '12'; type 200kB or 2MB"),
        ({"budget_latency": 0}, "budget_latency must be above 0 microseconds"),
        ({"target": 3}, "target is the name of a deployment target, found int"),
    ],
)
def test_a_bad_request_is_one_line(data: Any, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        tune(FOREST, *data, SPACE, "random", trials=2, **changed)
    assert "\n" not in str(caught.value)


# A budget


def test_the_winner_is_the_best_score_that_keeps_to_the_budget(data: Any) -> None:
    X, y = data
    limit = 12_000
    found = tune(FOREST, X, y, SPACE, budget_size=limit, **FAST)
    assert found.cost is not None
    assert found.cost.size_bytes == onnx_bytes(found.best_estimator, X) <= limit
    complete = found.trials[found.trials["state"] == "COMPLETE"]
    better = complete[complete["value"] > found.best_score]
    for _, row in better.iterrows():
        params = {"n_estimators": row["params_n_estimators"], "max_depth": row["params_max_depth"]}
        refitted = clone(FOREST).set_params(**params).fit(X, y)
        assert onnx_bytes(refitted, X) > limit
    assert "within size <= 12 kB" in repr(found)
    assert found.finalists[-1].cost.form == "onnx"


def test_a_trial_that_is_plainly_too_large_stops_after_one_fold(data: Any) -> None:
    model = clone(FOREST).set_params(n_estimators=60)  # its own parameters are tried first
    found = tune(model, *data, {"n_estimators": [2, 60]}, "grid", cv="stratified:3", budget_size="8kB")
    states = found.trials.set_index("params_n_estimators")
    assert states["state"].to_dict() == {60: "PRUNED", 2: "COMPLETE"}
    assert "after one fold, its size is" in states.loc[60, "reason"]
    assert found.best_params == {"n_estimators": 2}
    assert any(note.startswith("1 of 2 trials ended after one fold") for note in found.notes())
    with pytest.raises(
        BudgetError, match=r"the nearest is trial 0: its size is .*, after one fold; allow more"
    ):
        tune(model, *data, {"n_estimators": [60]}, "grid", cv="stratified:3", budget_size="8kB")


def test_measuring_during_a_search_takes_a_small_part_of_its_time(data: Any) -> None:
    samples = checked_samples(FOREST, *data)
    fitted = clone(FOREST).set_params(n_estimators=60).fit(*data)
    gauge = Gauge(Rows.of(samples), serving_budget(size="1kB"), always=False)
    until, spent, longest, looks = time.perf_counter() + 2, 0.0, 0.0, 0
    began = time.perf_counter()
    while time.perf_counter() < until:
        started = time.perf_counter()
        if gauge.measure(fitted) is not None:
            looks += 1
            taken = time.perf_counter() - started
            spent, longest = spent + taken, max(longest, taken)
        time.sleep(0.002)
    assert looks >= 1
    assert spent <= max(1.0, 0.05 * (time.perf_counter() - began)) + 2 * longest


def test_no_model_within_the_budget_is_one_line_and_a_looser_one_tries_again_what_was_stopped(
    data: Any,
) -> None:
    with pytest.raises(
        BudgetError, match=r"no trial of 'small' keeps to size <= 300 B; the nearest is trial"
    ) as caught:
        tune(FOREST, *data, SPACE, budget_size=300, name="small", **FAST)
    assert "\n" not in str(caught.value)
    assert "its size is" in str(caught.value)
    found = tune(FOREST, *data, SPACE, budget_size="1MB", name="small", resume=True, **FAST)
    assert (found.trials["state"] == "COMPLETE").sum() == 8
    assert found.cost is not None
    assert found.cost.size_bytes <= 1e6
    again = tune(FOREST, *data, SPACE, budget_size="2MB", name="small", resume=True, **FAST)
    assert len(again.trials) == len(found.trials)


def test_several_objectives_and_a_budget_go_together(data: Any) -> None:
    found = tune(
        FOREST,
        *data,
        SPACE,
        "random",
        trials=8,
        cv="stratified:3",
        objectives=["accuracy", "size"],
        budget_size="12kB",
    )
    within = found.front[found.front["size_bytes"] <= 12_000]
    assert found.best_score == within["accuracy"].max()
    assert found.cost is not None
    assert found.cost.size_bytes <= 12_000


class Doubled(TransformerMixin, BaseEstimator):
    """What nobody has a converter for."""

    def fit(self, X: Any, y: Any = None) -> Doubled:
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:
        return X * 2


def test_a_model_without_an_onnx_form_is_measured_in_python_and_says_so(data: Any) -> None:
    model = make_pipeline(Doubled(), StandardScaler(), LogisticRegression())
    found = tune(model, *data, {"C": [0.1, 1.0]}, "grid", cv="stratified:3", budget_latency="1s")
    assert found.cost is not None
    assert found.cost.form == "python"
    assert "Doubled has no ONNX converter" in found.cost.why
    assert any("in Python" in note and "Doubled" in note for note in found.notes())
    started = time.perf_counter()
    for _ in range(20):
        found.best_estimator.predict_proba(data[0].iloc[[0]])
        found.best_estimator.predict(data[0].iloc[[0]])
    alike = (time.perf_counter() - started) / 20 * 1e6
    assert alike / 10 < found.cost.latency_us < alike * 10


def test_arrays_and_sparse_rows_are_measured_too(data: Any) -> None:
    from scipy.sparse import csr_matrix

    X, y = data[0].to_numpy(), data[1].to_numpy()
    dense = tune(
        LogisticRegression(max_iter=2000), X, y, {"C": [0.1]}, "grid", cv="stratified:3", budget_size="1MB"
    )
    sparse = tune(
        LogisticRegression(max_iter=2000),
        csr_matrix(X),
        y,
        {"C": [0.1]},
        "grid",
        cv="stratified:3",
        budget_size="1MB",
    )
    assert dense.cost is not None
    assert sparse.cost is not None
    assert (dense.cost.form, sparse.cost.form) == ("onnx", "python")
    assert "X is no table" in sparse.cost.why


# Measuring


def test_what_is_timed_is_one_row_in_onnx_runtime(data: Any) -> None:
    X, y = data
    rows = Rows.of(checked_samples(FOREST, X, y))
    small, large = (clone(FOREST).set_params(n_estimators=n).fit(X, y) for n in (3, 300))
    costs = measured([served(model, rows, proven=True) for model in (small, large)], 0.2)
    assert [cost.form for cost in costs] == ["onnx", "onnx"]
    assert costs[0].latency_us < costs[1].latency_us
    assert costs[0].size_bytes < costs[1].size_bytes
    answer = Session(convert(large, X)).prepared(X.head(1))
    times = []
    for _ in range(200):
        started = time.perf_counter()
        answer()
        times.append(time.perf_counter() - started)
    alike = float(np.median(times)) * 1e6
    # A batch, or a session made anew, is further away than that; a busy machine is not.
    assert alike / 10 < costs[1].latency_us < alike * 10


def test_a_graph_that_is_slower_by_far_is_measured_as_packaging_would_serve_it() -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame(draw.normal(size=(20_000, 4)), columns=list("abcd"))
    y = (X["a"] > 0).astype(int)
    model = KNeighborsClassifier().fit(X, y)
    found = served(model, Rows.of(checked_samples(model, X, y)), proven=True)
    assert found.form == "python"
    assert "more than twice as slow" in found.why


def test_a_null_that_shows_late_in_a_column_is_in_the_sample() -> None:
    X = pd.DataFrame({"a": np.arange(1000), "b": [1.0] * 990 + [None] * 10, "c": ["x"] * 1000})
    sample = Rows.of(checked_samples(LogisticRegression(), X, np.arange(1000) % 2)).sample()
    assert sample is not None
    assert len(sample) < 300
    assert sample["b"].isna().any()


@given(
    values=arrays(
        float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float)
    ),
    greater=st.booleans(),
)
def test_non_dominated_is_what_its_definition_says(values: Any, greater: bool) -> None:
    directions = [greater, *([False] * (values.shape[1] - 1))]
    losses = [[-v if g else v for v, g in zip(row, directions, strict=True)] for row in values.tolist()]

    def dominated(row: list[float]) -> bool:
        return any(all(a <= b for a, b in zip(other, row, strict=True)) and other != row for other in losses)

    assert non_dominated(values, directions).tolist() == [not dominated(row) for row in losses]


@pytest.mark.parametrize(
    ("typed", "value"), [("1ms", 1000.0), ("250us", 250.0), ("250 µs", 250.0), ("0.5s", 5e5), (80, 80.0)]
)
def test_times_are_read_with_their_unit(typed: Any, value: float) -> None:
    assert as_microseconds(typed, "t") == value


@pytest.mark.parametrize(
    ("typed", "value"),
    [("200kB", 2e5), ("200 kb", 2e5), ("1.5MB", 1.5e6), ("2KiB", 2048.0), ("10B", 10.0), (7, 7.0)],
)
def test_sizes_are_read_with_their_unit(typed: Any, value: float) -> None:
    assert as_bytes(typed, "s") == value


# A target's limits


@pytest.fixture
def outside_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution that is not ours, with two targets: a small place, and one that declares nothing."""
    site = tmp_path / "site"
    info = site / "small_place-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small-place\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[modelyard.targets]\nsmall-place = small_place:SmallPlace\nmute-place = small_place:MutePlace\n"
    )
    (site / "small_place.py").write_text(
        textwrap.dedent(
            """
            from modelyard.limits import Limits

            class SmallPlace:
                limits = Limits("the small place's manual", "2026-11-01", unpacked_bytes=12_000,
                                memory_bytes=2_000_000_000, timeout_s=2.0)

            class MutePlace:
                pass
            """
        )
    )
    monkeypatch.syspath_prepend(str(site))
    yield "small-place"
    sys.modules.pop("small_place", None)


def test_the_limits_of_any_installed_target_hold(outside_target: str, data: Any) -> None:
    found = tune(FOREST, *data, SPACE, target=outside_target, **FAST)
    assert found.cost is not None
    assert found.cost.size_bytes <= 12_000
    assert found.cost.latency_us <= 2e6
    assert 10e6 < found.cost.peak_bytes < 2e9  # measured in a process of its own
    assert "size <= 12 kB, memory <= 2 GB, latency <= 2 s" in found.budget


def test_a_budget_that_is_tighter_than_the_target_holds_beside_it(outside_target: str, data: Any) -> None:
    with pytest.raises(BudgetError, match=r"size <= 300 B, size <= 12 kB"):
        tune(FOREST, *data, SPACE, target=outside_target, budget_size=300, **FAST)


def test_an_unknown_target_lists_those_there_are(outside_target: str, data: Any) -> None:
    with pytest.raises(
        UnknownNameError, match=r"no deployment target named 'mars'; installed: .*local.*small-place"
    ):
        tune(FOREST, *data, SPACE, target="mars", **FAST)
    with pytest.raises(UsageError, match="target 'mute-place' declares no limits to tune for"):
        tune(FOREST, *data, SPACE, target="mute-place", **FAST)


def test_a_target_that_sets_no_limits_is_said(data: Any) -> None:
    found = tune(FOREST, *data, SPACE, target="local", **FAST)
    assert any("target 'local' sets no limits" in note for note in found.notes())
    assert found.cost is None


# The magic, and the bundle


def test_every_flag_is_a_keyword_of_the_call(shell: Any) -> None:
    line = (
        "model X y --objective roc_auc --objective latency --budget-latency 1ms --budget-size 200kB --for local"
        " --show-code"
    )
    shown = str(shell.run_line_magic("tune", line))
    for keyword in (
        "objectives=['roc_auc', 'latency']", "budget_latency='1ms'", "budget_size='200kB'", "target='local'",
    ):  # fmt: skip
        assert keyword in shown
    told = str(shell.run_line_magic("tune", "-h"))
    for flag in ("--objective", "--budget-latency", "--budget-size", "--for"):
        assert flag in told


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%tune model X y --budget-l", "--budget-latency"),
        ("%tune model X y --objective la", "latency"),
        ("%tune model X y --for lo", "local"),
    ],
)
def test_tab_completes_what_serving_may_cost(shell: Any, line: str, offered: str) -> None:
    _, found = shell.complete(line.split()[-1], line, len(line))
    assert any(word.endswith(offered) for word in found)


def test_a_magic_finds_the_model_that_the_budget_allows(shell: Any, data: Any) -> None:
    shell.user_ns |= {"model": FOREST, "X": data[0], "y": data[1]}
    line = "model X y --method random --budget 6trials --cv stratified:3 --budget-size 12kB --quiet -o found"
    shell.run_cell_magic("tune", line, SPACE)
    assert shell.user_ns["found"].cost.size_bytes <= 12_000


def test_the_bundle_holds_the_file_that_was_measured(study: Study, data: Any) -> None:
    picked = study.pick(latency="20ms", size="1MB")
    [promised] = [finalist.cost for finalist in study.finalists if finalist.estimator is picked]
    bundle = modelyard.package(picked, *data, name="picked")
    [held] = list(bundle.path.glob("**/model.onnx"))
    assert held.stat().st_size == promised.size_bytes
    answer = Session(convert(picked, data[0])).prepared(data[0].head(1))
    times = []
    for _ in range(300):
        started = time.perf_counter()
        answer()
        times.append(time.perf_counter() - started)
    assert float(np.median(times)) * 1e6 < 3 * promised.latency_us
