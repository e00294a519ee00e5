"""A small table with whole numbers, numbers, texts, booleans and gaps, its model, and rows to fuzz it with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS, TEXTS = ["age", "income"], ["town"]


def people() -> tuple[pd.DataFrame, pd.Series]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, 200),
            "income": random.normal(3000, 500, 200).round(2),
            "town": random.choice(["Bern", "Basel", None], 200),
            "member": random.random(200) < 0.5,
        }
    )
    frame.loc[::17, "income"] = np.nan
    return frame, pd.Series(np.where(frame["age"] > 45, "yes", "no"), name="buys")


FRAME, TARGET = people()
MODEL = make_pipeline(
    ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            (
                "t",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
                ),
                TEXTS,
            ),
            ("b", "passthrough", ["member"]),
        ]
    ),
    LogisticRegression(max_iter=1000),
).fit(FRAME, TARGET)
ROW = {"age": 30, "income": 2500.5, "town": "Bern", "member": True}

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip

#: A good row, of which any value may be replaced by anything that JSON holds, and which may have a column more.
rows = st.fixed_dictionaries({}, optional={name: values for name in (*ROW, "other")}).map(
    lambda row: {**ROW, **row}
)


def answered_as_the_notebook_does(row: dict[str, Any], status: int, body: dict[str, Any]) -> None:
    """Assert that `row` got the estimator's own answer, or a refusal that says where and why."""
    if status == 200:
        frame = pd.DataFrame([row])[list(ROW)].astype({"age": float, "income": float})
        assert body["predictions"] == MODEL.predict(frame).tolist()
        return
    assert status in (400, 422)
    assert "\n" not in body["error"]
    if status == 422:
        for violation in body["violations"]:
            assert violation["row"] == 0
            assert violation["column"] in row
            assert violation["problem"]
            assert violation["learned"]
