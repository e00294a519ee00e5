"""The model card: what the data were, how good the model is, how faithful the bundle, and its limits."""

from __future__ import annotations

import pandas as pd
import pytest

import modelyard
from modelyard.errors import InvalidInputError, UsageError
from modelyard.golden import synthetic_rows
from modelyard.packaging import Bundle
from people import FRAME, MODEL, TARGET


def card(bundle: Bundle) -> str:
    return (bundle.model_folder / "card.md").read_text(encoding="utf-8")


def golden_rows(bundle: Bundle) -> list[dict[str, object]]:
    return bundle.golden()[0]


def test_the_card_has_data_metrics_parity_columns_and_limits() -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="buyers")
    text = card(bundle)
    assert [line for line in text.splitlines() if line.startswith("## ")][:5] == [
        "## Data", "## Metrics", "## Parity", "## Columns", "## Limits",
    ]  # fmt: skip
    accuracy = round((MODEL.predict(FRAME) == TARGET).mean(), 6)
    assert bundle.manifest["metrics"]["training"]["accuracy"] == pytest.approx(accuracy)
    assert "income (12)" in text
    assert "No evaluation on rows it has not seen came with it" in text
    assert "| the model's answers to them: no |" in text


def test_an_evaluation_that_is_given_stands_in_the_card_and_anything_else_is_refused() -> None:
    found = modelyard.cross_validate(MODEL, FRAME, TARGET, cv="stratified:3")
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="buyers", evaluation=found)
    said = bundle.manifest["metrics"]["evaluation"]
    assert said["cv"] == "stratified:3"
    assert said["summary"]["accuracy"]["mean"] == pytest.approx(
        found.summary.loc["accuracy", "mean"], rel=1e-5
    )
    assert "In cross-validation (stratified:3, 200 rows)" in card(bundle)
    again = modelyard.cross_validate(MODEL, FRAME, TARGET, cv="stratified:3")
    assert modelyard.package(MODEL, FRAME, TARGET, name="buyers", evaluation=again).tag == bundle.tag
    with pytest.raises(InvalidInputError, match="evaluation takes what cross_validate gives, found float"):
        modelyard.package(MODEL, FRAME, TARGET, name="buyers", evaluation=0.9)  # type: ignore[arg-type]


def test_no_synthetic_golden_row_is_a_row_of_the_training_table() -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="buyers", golden="synthetic")
    plain = FRAME.astype(object).where(FRAME.notna(), None)
    real = {tuple(row) for row in plain.itertuples(index=False)}
    rows = golden_rows(bundle)
    assert len(rows) >= 40
    assert not real & {tuple(row[name] for name in FRAME.columns) for row in rows}
    assert bundle.manifest["golden"] == {"rows": len(rows), "source": "synthetic"}
    assert bundle.verify().rows == len(rows)
    assert {row["member"] for row in rows} == {True, False}
    assert any(row["town"] is None for row in rows)
    assert "none of the training table" in card(bundle)


def test_no_value_of_a_free_text_column_gets_into_a_bundle_with_synthetic_rows() -> None:
    frame = pd.DataFrame(
        {"age": range(60), "note": [f"confidential note {i} of Ms {i * 7}" for i in range(60)]}
    )
    drawn = synthetic_rows(frame, {"note"}, rows=200, seed=1)
    assert not drawn["note"].str.contains("confidential").any()
    assert drawn["age"].between(0, 59).all()
    assert drawn.dtypes.tolist() == frame.dtypes.tolist()
    assert drawn.equals(synthetic_rows(frame, {"note"}, rows=200, seed=1))


def test_an_unknown_source_of_golden_rows_is_one_line() -> None:
    with pytest.raises(
        UsageError, match=r"golden rows are training or synthetic, found 'syntetic' \(did you mean"
    ):
        modelyard.package(MODEL, FRAME, TARGET, name="buyers", golden="syntetic")


def test_the_card_compares_groups_on_rows_that_the_model_had_not_learned_from() -> None:
    pytest.importorskip("fairlearn")
    found = modelyard.cross_validate(MODEL, FRAME, TARGET, cv="stratified:3")
    bundle = modelyard.package(
        MODEL, FRAME, TARGET, name="groups", evaluation=found, card_groups=["member", "town"]
    )
    said = bundle.manifest["metrics"]["groups"]
    assert said["held_out"]
    assert said["positive"] == "yes"
    out_of_fold = found.predictions.drop_duplicates("row").set_index("row").sort_index()
    right = (out_of_fold["prediction"] == out_of_fold["target"]).to_numpy()
    lines = {(line["group"], line["metric"]): line for line in said["groups"]}
    for value in (True, False):
        held = (FRAME["member"] == value).to_numpy()
        line = lines[f"member={value}", "accuracy"]
        assert line["rows"] == held.sum()
        assert line["value"] == pytest.approx(right[held].mean(), rel=1e-5)
        assert line["ci_low"] <= line["value"] <= line["ci_high"]
        selected = lines[f"member={value}", "selection rate"]["value"]
        assert selected == pytest.approx((out_of_fold["prediction"][held] == "yes").mean(), rel=1e-5)
    apart = {(line["by"], line["metric"]): line for line in said["disparities"]}
    rates = [lines[f"member={value}", "selection rate"]["value"] for value in (True, False)]
    assert apart["member", "selection rate"]["difference"] == pytest.approx(max(rates) - min(rates), abs=1e-5)
    text = card(bundle)
    assert "Measured on 200 rows: the rows of the cross-validation (stratified:3)" in text
    assert "| member | selection rate |" in text
    assert "| town | town=Bern |" in text
    again = modelyard.package(
        MODEL, FRAME, TARGET, name="groups", evaluation=found, card_groups="member,town"
    )
    assert again.tag == bundle.tag


def test_the_card_says_so_where_groups_are_compared_on_training_rows() -> None:
    pytest.importorskip("fairlearn")
    sex = pd.Series(["f", "m"] * 100, name="sex")  # a column that the model does not see
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="groups", card_groups=sex)
    assert not bundle.manifest["metrics"]["groups"]["held_out"]
    text = card(bundle)
    assert "the rows that it was trained on, which says what it remembers" in text
    assert "| sex | sex=f | 100 | accuracy |" in text
    changed = modelyard.contract(bundle, policy={"age": "reject"}).bundle
    assert "| sex | sex=f | 100 | accuracy |" in card(changed)


def test_groups_that_are_not_there_and_evaluations_of_other_rows_are_refused() -> None:
    pytest.importorskip("fairlearn")
    with pytest.raises(UsageError, match="sexe"):
        modelyard.package(MODEL, FRAME, TARGET, name="groups", card_groups="sexe")
    with pytest.raises(InvalidInputError, match="one for each row"):
        modelyard.package(MODEL, FRAME, TARGET, name="groups", card_groups=pd.Series(["f", "m"], name="sex"))
    half = modelyard.cross_validate(MODEL, FRAME[:100], TARGET[:100], cv="stratified:3")
    with pytest.raises(InvalidInputError, match="evaluation is of 100 rows"):
        modelyard.package(MODEL, FRAME, TARGET, name="groups", evaluation=half, card_groups="member")
