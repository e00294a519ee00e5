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
