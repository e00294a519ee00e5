"""Slices of an evaluation: their figures, the worst one, and silence where it is only chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell
from sklearn import metrics as sk
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelyard.errors import InvalidInputError, ModelyardError, UsageError
from modelyard.evaluation import Evaluation, cross_validate
from modelyard.magics._completion import make_matcher

MODEL = LogisticRegression()
People = tuple[pd.DataFrame, "pd.Series[Any]", "pd.Series[Any]"]


def people(seed: int = 0, *, noisy: str | None = "south", rows: int = 600) -> People:
    """Rows of three regions; in the noisy one the target is half chance."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "age"])
    X["age"] = (40 + 12 * X["age"]).round()
    region = pd.Series(rng.choice(["north", "south", "west"], rows), name="region")
    y = X["a"] + 0.3 * rng.normal(size=rows) > 0
    flipped = (region == noisy) & (rng.uniform(size=rows) < 0.4)
    return X, (y ^ flipped).astype(int), region


@pytest.fixture(scope="module")
def sliced() -> Evaluation:
    X, y, region = people()
    return cross_validate(
        make_pipeline(StandardScaler(), MODEL),
        X,
        y,
        by=region,
        scoring=["accuracy", "f1", "roc_auc", "brier"],
    )


@pytest.fixture(autouse=True)
def in_a_project(project: Any) -> None:
    """Each test has a yard of its own."""


def test_each_slice_is_measured_on_its_out_of_fold_predictions(sliced: Evaluation) -> None:
    _, _, region = people()
    frame = sliced.predictions
    assert frame is not None
    table = sliced.slices
    assert table is not None
    assert list(table.columns) == ["slice", "rows", "metric", "value", "ci_low", "ci_high", "difference", "p"]
    for name in ("north", "south", "west"):
        part = frame[(region[frame["row"]] == name).to_numpy()]
        rows = table[table["slice"] == f"region={name}"].set_index("metric")
        assert rows["rows"].unique().tolist() == [len(part)]
        truth, said, chance = part["target"], part["prediction"], part["p_1"]
        assert rows["value"]["accuracy"] == pytest.approx((truth == said).mean())
        assert rows["value"]["f1"] == pytest.approx(sk.f1_score(truth, said))
        assert rows["value"]["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, chance))
        assert rows["value"]["brier"] == pytest.approx(sk.brier_score_loss(truth, chance))
    assert ((table["ci_low"] < table["value"]) & (table["value"] < table["ci_high"])).all()


def test_the_worst_slice_is_named(sliced: Evaluation) -> None:
    assert sliced.notes()[0].startswith("the worst slice is region=south: accuracy 0.")
    assert "below the whole, beyond chance" in sliced.notes()[0]
    assert any("accuracy where region=south" in row[0] for row in sliced.table().rows)
    assert {part["slice"] for part in sliced.payload()["slices"]} == {
        "region=north",
        "region=south",
        "region=west",
    }


def test_slices_that_differ_by_chance_are_rarely_named() -> None:
    named = 0
    for seed in range(15):
        X, y, region = people(seed, noisy=None, rows=300)
        notes = cross_validate(MODEL, X, y, by=region, scoring="accuracy", cv="kfold:2").slice_notes
        named += notes[0].startswith("the worst slice")
    assert named <= 2


def test_columns_of_x_and_quarters_of_numbers(sliced: Evaluation) -> None:
    X, y, region = people()
    wide = X.assign(region=region.map({"north": 0, "south": 1, "west": 2}))
    found = cross_validate(MODEL, wide, y, by=["age", "region"], scoring="accuracy")
    assert found.slices is not None
    names = found.slices["slice"].tolist()
    assert names[4:] == ["region=0", "region=1", "region=2"]
    assert all(name.startswith("age ") and " to " in name for name in names[:4])
    assert found.slices["rows"][:4].between(100, 200).all()
    assert found.slices["rows"][:4].sum() == found.slices["rows"][4:].sum() == 600


def test_nulls_and_rare_values_are_slices_of_their_own() -> None:
    X, y, _ = people()
    street = pd.Series([f"street {i % 60}" for i in range(600)]).where(np.arange(600) % 9 != 0)
    found = cross_validate(MODEL, X, y, by=street, scoring="accuracy")
    assert found.slices is not None
    assert len(found.slices) == 31
    assert found.slices["slice"].tolist()[-1] == "by is null"
    assert "rarer values" in found.slices["slice"].tolist()[-2]


def test_a_slice_of_few_rows_is_said_to_be_too_small() -> None:
    X, y, region = people()
    region[:10] = "island"
    found = cross_validate(MODEL, X, y, by=region, scoring="accuracy")
    assert any(
        note == "1 slice is too small to compare, with fewer than 30 rows: region=island (10)"
        for note in found.notes()
    )
    assert found.slices is not None
    assert np.isnan(found.slices.set_index("slice")["p"]["region=island"])


def test_errors_of_numbers_are_sliced_and_the_largest_is_the_worst() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    rough = np.arange(len(y)) % 4 == 0
    target = y + rough * np.random.default_rng(0).normal(scale=300, size=len(y))
    found = cross_validate(
        Ridge(), X, target, by=np.where(rough, "rough", "fine"), scoring=["mae", "r2", "median_ae"]
    )
    assert found.slice_notes[0].startswith("the worst slice is by=rough: mae")
    assert "above the whole" in found.slice_notes[0]


def test_repeats_count_each_row_once() -> None:
    X, y, region = people()
    found = cross_validate(MODEL, X, y, by=region, scoring="accuracy", repeats=3)
    assert found.slices is not None
    assert found.slices["rows"].sum() == 600


def test_a_scorer_is_not_measured_by_slice_and_that_is_said() -> None:
    X, y, region = people()
    found = cross_validate(MODEL, X, y, by=region, scoring=["accuracy", "jaccard"])
    assert any("jaccard cannot be measured by slice" in note for note in found.notes())


def test_the_magic_takes_columns_and_completes_them(shell: InteractiveShell) -> None:
    X, y, region = people()
    shell.user_ns.update(X=X.assign(region=region == "south"), y=y, model=MODEL)
    found = shell.run_line_magic("cv", "model X y --by region --by age --score accuracy")
    assert {name.split("=")[0].split(" ")[0] for name in found.slices["slice"]} == {"region", "age"}
    for typed, offered in (
        ("--by re", "region"),
        ("--cv group:re", "region"),
        ("--cv ti", "time"),
        ("--score quan", "quantile:0.9"),
    ):
        line = f"%cv model X y {typed}"
        token = typed.rpartition(" ")[2].rpartition(":")[2]
        context = CompletionContext(
            token=token, full_text=line, cursor_position=len(line), cursor_line=0, limit=None
        )
        texts = [each.text for each in make_matcher(shell)(context)["completions"]]
        assert any(text.endswith(offered) for text in texts), (typed, texts)


BAD: list[tuple[Any, type[ModelyardError], str]] = [
    ("regoin", UsageError, "no column 'regoin' for by='regoin'.*did you mean 'region'"),
    ([1, 2], UsageError, "by has 2 values and X 600 rows"),
    (pd.Series([1, 2]), InvalidInputError, "differ in length: 2 and 600"),
    (3, UsageError, "found int; type by='region'"),
]


@pytest.mark.parametrize(("by", "kind", "said"), BAD, ids=[said[:30] for _, _, said in BAD])
def test_bad_slices_are_one_line_before_anything_is_fitted(by: Any, kind: Any, said: str) -> None:
    X, y, region = people()
    with pytest.raises(kind, match=said):
        cross_validate(MODEL, X.assign(region=region == "south"), y, by=by)
