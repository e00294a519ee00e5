"""A small table with whole numbers, numbers, texts, booleans and gaps, its model, and rows to fuzz it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler


@contextmanager
def a_place_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a fixture of a whole module a project, a store and keys of its own; yield the project's folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("place")
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        patch.setenv("MODELYARD_CONFIG_DIR", str(folder / "config"))
        patch.chdir(folder)
        yield folder


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


def pipeline(*numeric_steps: Any) -> Any:
    """Return the fitted model, its numbers imputed and then put through `numeric_steps`."""
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), *numeric_steps), NUMBERS),
            ("t", texts, TEXTS),
            ("b", "passthrough", ["member"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(FRAME, TARGET)


MODEL = pipeline(StandardScaler())
#: The same with a step for which there is no converter, so that the bundle holds Python.
UNCONVERTED = pipeline(StandardScaler(), SplineTransformer(extrapolation="linear"))
ROW = {"age": 30, "income": 2500.5, "town": "Bern", "member": True}

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip

#: A good row, of which any value may be replaced by anything that JSON holds, and which may have a column more.
rows = st.fixed_dictionaries({}, optional={name: values for name in (*ROW, "other")}).map(
    lambda row: {**ROW, **row}
)


def answered_as_the_notebook_does(
    row: dict[str, Any], status: int, body: dict[str, Any], model: Any = MODEL
) -> None:
    """Assert that `row` got the own answer of `model`, or a refusal that says where and why."""
    if status == 200:
        frame = pd.DataFrame([row])[list(ROW)].astype({"age": float, "income": float})
        assert body["predictions"] == model.predict(frame).tolist()
        return
    assert status in (400, 422)
    assert "\n" not in body["error"]
    if status == 422:
        for violation in body["violations"]:
            assert violation["row"] == 0
            assert violation["column"] in row
            assert violation["problem"]
            assert violation["learned"]
