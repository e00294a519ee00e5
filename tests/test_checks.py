"""What `%cv` finds in the data: planted leaks of each kind, and nothing in clean data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
    make_classification,
    make_friedman1,
    make_regression,
)
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from modelyard.evaluation import cross_validate
from modelyard.evaluation.checks import findings
from modelyard.evaluation.inputs import checked_samples
from modelyard.evaluation.splitters import plan_folds

SETS = range(20)
Data = tuple[Any, Any]


def _found(X: Any, y: Any, cv: Any = None, fitted: Any = None, groups: Any = None) -> tuple[str, ...]:
    numbers = np.asarray(y).dtype.kind == "f"
    samples = checked_samples(Ridge() if numbers else LogisticRegression(), X, y)
    cv = cv or ("kfold:5" if numbers else "stratified:5")
    return findings(samples, plan_folds(cv, samples, groups=groups), fitted)


def _table(seed: int, rows: int = 400) -> Data:
    """Numbers, whole numbers, texts, truths and nulls, with classes that depend on some of them."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    X["count"] = rng.poisson(6, rows)
    X["age"] = rng.integers(18, 80, rows)
    X["city"] = rng.choice(["Bern", "Basel", "Genf", "Zug", "Chur"], rows)
    X["member"] = rng.random(rows) < 0.4
    X.loc[rng.random(rows) < 0.1, "b"] = np.nan
    y = (X["a"] + 0.04 * X["age"] + rng.normal(size=rows) > 2).astype(int)
    return X, y.to_numpy()


def _numbers(seed: int, rows: int = 400, columns: int = 8) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) * rng.uniform(0.5, 50, columns)
    X += rng.uniform(-20, 20, columns)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, scaled[:, 0] - scaled[:, 1] + rng.normal(size=rows)


def _classes(seed: int, rows: int = 400) -> Data:
    X, y = _numbers(seed, rows)
    return X, (y > np.median(y)).astype(int)


def integers(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, int(rng.integers(3, 9)), size=(300, int(rng.integers(2, 9))))
    return X, ((X[:, 0] + X[:, 1] + rng.normal(size=300)) > X[:, :2].sum(axis=1).mean()).astype(int)


def small_integers(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 12, size=(250, 4)).astype(float), rng.integers(0, 2, 250)


def answers_to_questions(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    mood = rng.normal(size=(300, 1))
    X = np.clip(np.round(3 + mood + rng.normal(size=(300, 12))), 1, 5)
    return pd.DataFrame(X).astype(int), (mood[:, 0] + rng.normal(size=300) > 0).astype(int)


def one_hot(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(list("abcdef"), 300) for name in ("p", "q", "r")})
    return pd.get_dummies(frame).astype(float), rng.integers(0, 2, 300)


def texts(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"c{i}": rng.choice(list("abcdefgh")[: i + 3], 400) for i in range(5)})
    return frame, (frame["c0"].isin(["a", "b"]) ^ (rng.random(400) < 0.2)).to_numpy().astype(int)


def ids_without_effect(seed: int) -> Data:
    X, y = _table(seed)
    rng = np.random.default_rng(seed + 100)
    return X.assign(
        customer=rng.integers(0, 80, len(X)), shop=rng.choice([f"s{i}" for i in range(40)], len(X))
    ), y


def ages_with_effect(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, 600)
    frame = pd.DataFrame(
        {
            "age": age,
            "pressure": age * 0.8 + rng.normal(size=600) * 4,
            "pulse": 120 - age * 0.5 + rng.normal(size=600) * 3,
        }
    )
    return frame, (age + rng.normal(size=600) * 3 > 54).astype(int)


def prices(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    X = np.exp(rng.normal(size=(400, 5)) * 1.5).round(2) + 0.01
    return X, np.log(X).sum(axis=1) + rng.normal(size=400)


def houses(seed: int) -> Data:
    """Places, ages, rooms and incomes, as the Californian census has them."""
    rng = np.random.default_rng(seed)
    centre = np.array([[37.8, -122.3], [34.0, -118.2], [32.7, -117.1]])[rng.integers(0, 3, 1500)]
    place = (centre + rng.normal(size=(1500, 2)) * 0.4).round(2)
    income, age = np.exp(rng.normal(1.2, 0.5, 1500)).round(4), np.minimum(rng.integers(1, 60, 1500), 52)
    people = np.round(np.exp(rng.normal(7, 0.7, 1500)))
    rooms = rng.gamma(25, 0.2, 1500)
    frame = pd.DataFrame(
        {
            "income": income,
            "age": age.astype(float),
            "rooms": rooms,
            "people": people,
            "lat": place[:, 0],
            "lon": place[:, 1],
        }
    )
    return frame, (0.4 * income + rng.normal(size=1500) * 0.5).clip(0.15, 5.0)


def smooth_series(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(size=(500, 4)), axis=0)
    when = pd.date_range("2024-01-01", periods=500, freq="h")
    return pd.DataFrame(steps, columns=list("abcd")).assign(when=when), np.cumsum(rng.normal(size=500))


def shares(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.dirichlet(np.ones(6), 400)
    return X, (X[:, 0] + 0.1 * rng.normal(size=400) > 0.15).astype(int)


def uniform(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return rng.random((500, 4)), rng.integers(0, 3, 500)


def tight_clusters(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 4))[rng.integers(0, 20, 600)] * 10 + 0.05 * rng.normal(size=(600, 4))
    return X, rng.integers(0, 3, 600)


def heavy_tails(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return rng.standard_cauchy(size=(1000, 4)), rng.standard_cauchy(size=1000)


def stores_by_week(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"store": np.repeat(np.arange(20), 30), "week": np.tile(np.arange(30), 20)})
    return frame.assign(sales=rng.normal(size=600)), rng.normal(size=600)


def sensors(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    waves = [np.sin(np.arange(1000) / 20 + lag) + 0.01 * rng.normal(size=1000) for lag in range(4)]
    return np.column_stack(waves), rng.integers(0, 2, 1000)


def mostly_zeros(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((800, 8)) < 0.7, 0, rng.gamma(2, size=(800, 8))), rng.integers(0, 2, 800)


def rounded(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2000, 3)).round(int(rng.integers(1, 4))), rng.normal(size=2000)


CLEAN: dict[str, Callable[[int], Data]] = {
    "a mixed table": _table,
    "correlated numbers": _numbers,
    "two classes": _classes,
    "whole numbers": integers,
    "small whole numbers": small_integers,
    "answers to questions": answers_to_questions,
    "one-hot columns": one_hot,
    "texts": texts,
    "repeated ids without effect": ids_without_effect,
    "ages with effect": ages_with_effect,
    "prices": prices,
    "houses": houses,
    "shares": shares,
    "uniform numbers": uniform,
    "tight clusters": tight_clusters,
    "heavy tails": heavy_tails,
    "stores by week": stores_by_week,
    "sensors": sensors,
    "mostly zeros": mostly_zeros,
    "rounded numbers": rounded,
    "blobs": lambda seed: make_blobs(300, 5, centers=4, cluster_std=4.0, random_state=seed),
    "made classes": lambda seed: make_classification(500, 20, n_informative=5, n_redundant=4, random_state=seed),
    "a made regression": lambda seed: make_regression(300, 10, n_informative=4, noise=5.0, random_state=seed),
    "Friedman's": lambda seed: make_friedman1(400, noise=1.0, random_state=seed),
    "few rows": lambda seed: (
        np.random.default_rng(seed).normal(size=(24, 30)), np.random.default_rng(seed).permutation([0, 1] * 12)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_data_raises_none(kind: str) -> None:
    raised = {seed: found for seed in SETS if (found := _found(*CLEAN[kind](seed)))}
    assert not raised


@pytest.mark.parametrize("seed", SETS)
def test_time_stamped_rows_in_order_raise_none_under_time(seed: int) -> None:
    assert not _found(*smooth_series(seed), cv="time")


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits, load_diabetes])
def test_toy_sets_raise_none(load: Any) -> None:
    X, y = load(return_X_y=True)
    assert not _found(X, y)
    assert not _found(pd.DataFrame(X), y)
    if load is load_diabetes:
        assert not _found(*load(return_X_y=True, scaled=False))


def test_penguins_raise_none() -> None:
    table = load_penguins().dropna()
    assert not _found(table.drop(columns="species"), table["species"].to_numpy())
    assert not _found(table.drop(columns="body_mass_g"), table["body_mass_g"].to_numpy(dtype=float))


@pytest.mark.parametrize("cv", ["kfold:5", "loo", "stratified:3", KFold(4)])
@pytest.mark.parametrize("seed", SETS)
def test_exact_copies_are_found(seed: int, cv: Any) -> None:
    X, y = _table(seed)
    rows = np.random.default_rng(seed).choice(400, 12, replace=False)
    (line,) = _found(pd.concat([X, X.iloc[rows]]), np.concatenate([y, y[rows]]), cv)
    assert "rows have an exact copy in the part that the model learned from" in line
    assert "duplicated()" in line


@pytest.mark.parametrize("noise", [1e-7, 1e-4, 3e-3])
@pytest.mark.parametrize("seed", SETS)
def test_near_copies_are_found(seed: int, noise: float) -> None:
    X, y = _numbers(seed) if seed % 2 else _classes(seed)
    rng = np.random.default_rng(seed)
    rows = rng.choice(400, 15, replace=False)
    near = X[rows] + rng.normal(size=(15, X.shape[1])) * noise * X.std(axis=0)
    (line,) = _found(np.vstack([X, near]), np.concatenate([y, y[rows]]))
    assert "rows have a near copy" in line
    assert "such as rows" in line


def test_near_copies_in_a_frame_agree_in_texts_too() -> None:
    X, y = _table(3)
    rows = np.arange(0, 400, 25)
    near = X.iloc[rows].copy()
    near[list("acde")] += 1e-5
    assert any("near copy" in line for line in _found(pd.concat([X, near]), np.concatenate([y, y[rows]])))
    near["city"] = "Thun"
    assert not _found(pd.concat([X, near]), np.concatenate([y, y[rows]]))


def test_near_copies_that_stay_together_are_no_finding() -> None:
    X, y = _classes(5)
    doubled, targets = np.vstack([X, X + 1e-6]), np.concatenate([y, y])
    groups = np.tile(np.arange(400), 2)
    assert any("near copy" in line for line in _found(doubled, targets))
    assert not _found(doubled, targets, GroupKFold(5), groups=groups)


def test_near_copies_among_a_hundred_thousand_rows_take_two_seconds() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 50))
    X[::1000] = X[1::1000] + 1e-4 * rng.normal(size=(100, 50))
    y = rng.integers(0, 2, 100_000)
    samples = checked_samples(LogisticRegression(), X, y)
    folds = plan_folds("stratified:5", samples)
    began = time.perf_counter()
    (line,) = findings(samples, folds)
    assert time.perf_counter() - began < 2
    assert "near copy" in line


@pytest.mark.parametrize("seed", SETS)
def test_an_entity_whose_target_is_constant_is_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 60, 400)
    sick = rng.integers(0, 2, 60)
    X = pd.DataFrame(rng.normal(size=(400, 4)), columns=list("abcd"))
    X["patient"] = patient if seed % 2 else [f"p{i:03}" for i in patient]
    (line,) = _found(X, sick[patient])
    assert "column 'patient' looks like the name of an entity" in line
    assert "type cv='group:patient'" in line
    assert not _found(X, sick[patient], "group:patient")


@pytest.mark.parametrize("seed", SETS)
def test_an_entity_whose_rows_are_alike_is_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    device = rng.permutation(np.repeat(np.arange(50), 8))
    X = np.column_stack([rng.normal(size=(50, 6))[device] + 0.3 * rng.normal(size=(400, 6)), device])
    y = X[:, 0] + rng.normal(size=400)
    (line,) = _found(X, y)
    assert "column 6 looks like the name of an entity" in line
    assert "groups=X[:, 6]" in line


@pytest.mark.parametrize("seed", SETS)
def test_groups_that_the_splitter_ignores_are_reported(seed: int) -> None:
    X, y = _table(seed)
    groups = np.random.default_rng(seed).integers(0, 40, 400)
    (line,) = _found(X, y, StratifiedKFold(5), groups=groups)
    assert "groups are on both sides of a fold" in line
    assert "type cv='group:5'" in line
    assert not _found(X, y, GroupKFold(5), groups=groups)


NOISY_TARGETS: dict[str, Callable[[Any, Any], Any]] = {
    "the classes with noise": lambda y, rng: y + 0.05 * rng.normal(size=len(y)),
    "the classes the other way": lambda y, rng: 3.0 - 7 * y + 0.1 * rng.normal(size=len(y)),
    "parts of classes": lambda y, rng: np.array([["a1", "a2"], ["b1", "b2"]])[y, rng.integers(0, 2, len(y))],
    "a score": lambda y, rng: rng.random(len(y)) + np.where(y == 1, 1.2, 0),
}


@pytest.mark.parametrize("kind", NOISY_TARGETS)
@pytest.mark.parametrize("seed", SETS)
def test_a_column_that_nearly_gives_the_classes_away_is_named(seed: int, kind: str) -> None:
    X, y = _table(seed)
    leaky = X.assign(later=NOISY_TARGETS[kind](y, np.random.default_rng(seed)))
    (line,) = _found(leaky, y)
    assert "column 'later' alone predicts the target nearly perfectly" in line
    assert "X.drop(columns=['later'])" in line


NOISY_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "other units": lambda y, rng: 32 + 1.8 * y,
    "a monotone curve": lambda y, rng: np.exp(y / y.std()),
    "a little noise": lambda y, rng: y + 0.01 * y.std() * rng.normal(size=len(y)),
    "an order": lambda y, rng: np.argsort(np.argsort(-y)),
}


@pytest.mark.parametrize("kind", NOISY_NUMBERS)
@pytest.mark.parametrize("seed", SETS)
def test_a_column_that_nearly_gives_numbers_away_is_named(seed: int, kind: str) -> None:
    X, y = _numbers(seed)
    (line,) = _found(np.column_stack([X, NOISY_NUMBERS[kind](y, np.random.default_rng(seed))]), y)
    assert "column 8 alone predicts the target nearly perfectly" in line
    assert "np.delete(X, [8], axis=1)" in line


TIMES: dict[str, Callable[[int], Any]] = {
    "datetimes": lambda rows: pd.date_range("2023-03-01", periods=rows, freq="D"),
    "texts": lambda rows: pd.date_range("2023-03-01", periods=rows, freq="D").strftime("%Y-%m-%d"),
    "Unix time": lambda rows: 1_690_000_000 + 3600 * np.arange(rows),
    "days": lambda rows: pd.date_range("2023-03-01", periods=rows, freq="D").strftime("%Y%m%d").astype(int),
}


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("seed", range(5))
def test_time_that_runs_backwards_is_found(seed: int, kind: str) -> None:
    X, y = _table(seed)
    dated = X.assign(date=TIMES[kind](len(X)))
    (line,) = _found(dated, y)
    assert "every fold learns from rows that are later, by column 'date'" in line
    assert line.endswith("type cv='time'")
    assert not _found(dated, y, "time")
    order = np.random.default_rng(seed).permutation(len(X))
    (line,) = _found(dated.iloc[order], y[order], "time")
    assert "np.argsort(X['date'], kind='stable')" in line


def test_dates_of_birth_are_no_time() -> None:
    X, y = _table(0)
    assert not _found(X.assign(date_of_birth=pd.date_range("1960-01-01", periods=400, freq="7D")), y)


SCALERS = {
    "a mean of 0 and a standard deviation of 1": StandardScaler(),
    "from exactly 0 to exactly 1": MinMaxScaler(),
    "a greatest absolute value of exactly 1": MaxAbsScaler(),
    "a median of 0 and quartiles 1 apart": RobustScaler(),
    "no correlation at all and falling variances": PCA(4),
    "no correlation at all": PCA(whiten=True),
    "quantiles at equal steps": QuantileTransformer(n_quantiles=400),
    "where a normal distribution is cut off": QuantileTransformer(
        n_quantiles=400, output_distribution="normal"
    ),
}


@pytest.mark.parametrize("words", SCALERS)
@pytest.mark.parametrize("seed", SETS)
def test_columns_scaled_on_all_rows_are_found(seed: int, words: str) -> None:
    X, y = _numbers(seed) if seed % 2 else _classes(seed)
    (line,) = _found(SCALERS[words].fit_transform(X), y)
    assert words in line
    assert "type make_pipeline(" in line


@pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), PCA(4)], ids=str)
@pytest.mark.parametrize("seed", SETS)
def test_columns_scaled_on_other_rows_raise_none(seed: int, scaler: Any) -> None:
    X, y = _classes(seed)
    assert not _found(scaler.fit(X[:200]).transform(X), y)


@pytest.mark.parametrize("ddof", [0, 1])
def test_scaled_columns_beside_texts_are_found(ddof: int) -> None:
    X, y = _table(1)
    numbers = X[["a", "c", "d", "e"]]
    scaled = X[["city", "member"]].join((numbers - numbers.mean()) / numbers.std(ddof=ddof))
    assert any("standard deviation of 1" in line for line in _found(scaled, y))


@pytest.mark.parametrize("seed", SETS)
def test_targets_encoded_on_all_rows_are_found(seed: int) -> None:
    X, y = _table(seed)
    shop = pd.Series(np.random.default_rng(seed).choice([f"s{i}" for i in range(25)], len(X)))
    plain = X.assign(shop=pd.Series(y).groupby(shop).transform("mean"))
    (line,) = _found(plain, y)
    assert "column 'shop' holds the target's mean for each level" in line
    drawn = TargetEncoder(smooth=10.0).fit(shop.to_frame(), y).transform(shop.to_frame())[:, 0]
    (line,) = _found(X.assign(shop=drawn), y)
    assert "column 'shop' holds the target's mean for each level" in line
    crossed = TargetEncoder(smooth=10.0, random_state=0).fit_transform(shop.to_frame(), y)[:, 0]
    assert not _found(X.assign(shop=crossed), y)


@pytest.mark.parametrize("seed", SETS)
def test_a_transformer_fitted_on_all_rows_is_named(seed: int) -> None:
    X, y = _classes(seed)
    wide = np.column_stack([X, np.random.default_rng(seed).normal(size=(400, 40))])
    chosen = SelectKBest(k=5).fit(wide, y)
    around = {"chosen": chosen, "wide": wide, "other": X, "log": FunctionTransformer(np.log1p).fit(wide)}
    (line,) = _found(chosen.transform(wide), y, fitted=around)
    assert "X is what chosen (SelectKBest) makes of wide" in line
    assert "with their targets" in line
    first = SelectKBest(k=5).fit(wide[:200], y[:200])
    same = np.array_equal(first.get_support(), chosen.get_support())
    assert same or not _found(first.transform(wide), y, fitted={"first": first, "wide": wide})
    assert not _found(wide, y, fitted=around)


def test_the_magic_looks_at_the_transformers_of_the_notebook(shell: Any) -> None:
    X, y = _classes(0)
    wide = np.column_stack([X, np.random.default_rng(0).normal(size=(400, 40))])
    shell.user_ns.update(
        wide=wide, y=y, model=LogisticRegression(max_iter=500), select=SelectKBest(k=5).fit(wide, y)
    )
    shell.run_cell("X = select.transform(wide)")
    found = shell.run_line_magic("cv", "model X y --score accuracy")
    assert any("X is what select (SelectKBest) makes of wide" in line for line in found.warnings)
    assert not shell.run_line_magic("cv", "model wide y --score accuracy").warnings


@pytest.mark.parametrize("seed", SETS)
def test_rare_classes_under_plain_folds_are_found(seed: int) -> None:
    X, y = _table(seed)
    rare = np.where(np.arange(400) < 9, 2, y)
    (line,) = _found(X, rare, "kfold:5")
    assert "class is rare under kfold:5: 2 (9 of 400 rows)" in line
    assert not _found(X, rare, "stratified:5")


def test_findings_reach_the_evaluation() -> None:
    X, y = _classes(0)
    found = cross_validate(LogisticRegression(), StandardScaler().fit_transform(X), y, scoring="accuracy")
    assert any("StandardScaler()" in line for line in found.warnings)


def test_what_cannot_be_looked_into_is_left_alone() -> None:
    from scipy.sparse import csr_matrix

    X, y = _classes(0)
    assert not _found(csr_matrix(X), y)
    lists = pd.DataFrame({"a": [[1]] * 400, "b": X[:, 0]})
    assert not _found(lists, y)
    words = pd.Series(np.random.default_rng(0).choice(["a b", "b c", "c d"], 400))
    assert not _found(words, y)


def test_findings_cost_little_beside_a_forest() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 30))
    y = (X[:, 0] + rng.normal(size=20_000) > 0).astype(int)
    samples = checked_samples(LogisticRegression(), X, y)
    folds = plan_folds("stratified:5", samples)
    spans = []
    for _ in range(5):
        began = time.process_time()
        assert not findings(samples, folds)
        spans.append(time.process_time() - began)
    assert min(spans) < 0.1
