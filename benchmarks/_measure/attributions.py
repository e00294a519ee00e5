"""SHAP values by each side: modelyard's from the table, shap's own from the matrix that the pipeline makes of it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shap
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modelyard

ROWS, BACKGROUND = 200, 100
NUMBERS = [f"n{place}" for place in range(8)]
TEXTS = [f"t{place}" for place in range(4)]
_COLUMNS = [*NUMBERS, *TEXTS]


@dataclass(frozen=True)
class Case:
    """A model behind the usual steps."""

    name: str
    model: Any
    explainer: str = "tree"
    nulls: float = 0.0


def table(rows: int, nulls: float = 0.0) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Return numbers with a share of nulls, texts of ten values, and two classes that depend on some of each."""
    drawn = np.random.default_rng(0)
    numbers = drawn.normal(size=(rows, len(NUMBERS)))
    numbers[drawn.random(numbers.shape) < nulls] = np.nan
    frame = pd.DataFrame(numbers, columns=NUMBERS)
    for name in TEXTS:
        frame[name] = pd.Categorical.from_codes(
            drawn.integers(0, 10, rows), [f"value {place}" for place in range(10)]
        ).astype(object)
    score = np.nan_to_num(numbers[:, 0]) + np.nan_to_num(numbers[:, 1] * numbers[:, 2])
    score += (frame["t0"] == "value 3") * 2.0 - (frame["t1"] == "value 7")
    return frame, (score + drawn.normal(size=rows) > 0).to_numpy().astype(int)


def fitted(model: Any, X: pd.DataFrame, y: Any) -> Pipeline:
    """Return the model behind an imputer, a scaler and one-hot columns, fitted."""
    steps = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
        ]
    )
    return make_pipeline(steps, model).fit(X, y)


def ours(pipeline: Pipeline, X: pd.DataFrame, case: Case) -> tuple[float, Any]:
    """Return the seconds of modelyard's values, as a user asks for them, and the result."""
    began = time.perf_counter()
    found = modelyard.explain(
        pipeline, X, rows=slice(BACKGROUND, BACKGROUND + ROWS), background=X.iloc[:BACKGROUND]
    )
    return time.perf_counter() - began, found


def theirs(pipeline: Pipeline, X: pd.DataFrame, case: Case) -> tuple[float, Any]:
    """Return the seconds of shap itself on the transformed matrix, which is made before the clock runs."""
    steps, model = pipeline[:-1], pipeline[-1]
    behind, rows = (
        steps.transform(X.iloc[:BACKGROUND]),
        steps.transform(X.iloc[BACKGROUND : BACKGROUND + ROWS]),
    )
    began = time.perf_counter()
    masker = shap.maskers.Independent(behind, max_samples=BACKGROUND)
    if case.explainer == "linear":
        found = shap.LinearExplainer(model, masker).shap_values(rows)
    else:
        explainer = shap.TreeExplainer(
            model, masker, feature_perturbation="interventional", model_output="probability"
        )
        found = explainer.shap_values(rows)
    return time.perf_counter() - began, np.asarray(found)


def compared(case: Case, rows: int, rounds: int) -> dict[str, Any]:
    """Measure both in turn; the ratio is that of the fastest rounds, since what disturbs a round only adds to it."""
    X, y = table(rows, case.nulls)
    pipeline = fitted(case.model, X, y)
    mine, other = ours(pipeline, X, case)[1], theirs(pipeline, X, case)[1]  # warm up, and compare
    spans: dict[str, list[float]] = {"modelyard": [], "shap": []}
    sides: list[tuple[str, Callable[..., tuple[float, Any]]]] = [("modelyard", ours), ("shap", theirs)]
    for turn in range(rounds):
        for name, side in sides if turn % 2 == 0 else sides[::-1]:
            spans[name].append(side(pipeline, X, case)[0])
    return {
        "seconds": {name: statistics.median(each) for name, each in spans.items()},
        "ratio": min(spans["modelyard"]) / min(spans["shap"]),
        "median_ratio": statistics.median(
            a / b for a, b in zip(spans["modelyard"], spans["shap"], strict=True)
        ),
        **_differences(pipeline, X, mine, other),
        "additivity": mine.additivity,
        "explainer": mine.explainer,
    }


def _differences(
    pipeline: Pipeline, X: pd.DataFrame, mine: Any, other: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Compare with shap's own values, summed by the names that scikit-learn gives the columns.

    shap 0.51 keeps thresholds in float32, so that a value within the rounding of one takes the wrong branch, and what
    shap says of that row does not add up to the model's answer. Both can only be equal on rows where it does.
    """
    positive = other[:, :, 1] if other.ndim == 3 else other
    names = [name.split("__", 1)[1].split("_")[0] for name in pipeline[:-1].get_feature_names_out()]
    by_hand = np.stack(
        [positive[:, [name == column for name in names]].sum(axis=1) for column in _COLUMNS], axis=1
    )
    apart = np.abs(mine.values[:, :, 1] - by_hand).max(axis=1)
    missed = np.abs(mine.base_values[1] + by_hand.sum(axis=1) - mine.answers[:, 1])
    adds_up = missed < 1e-6
    return {
        "rows_that_shap_adds_up": int(adds_up.sum()),
        "difference": float(apart[adds_up].max(initial=0.0)),
        "difference_elsewhere": float(apart[~adds_up].max(initial=0.0)),
        "additivity_of_shap": float(missed.max()),
    }


_ALONE = r"""
import re, sys
sys.path.insert(0, {folder!r})
import shap
from sklearn.ensemble import RandomForestClassifier
import modelyard
from _measure.attributions import fitted, table
X, y = table({rows})
pipeline = fitted(RandomForestClassifier(50, max_depth=8, random_state=0), X.iloc[:2000], y[:2000])
modelyard.explain(pipeline, X.iloc[:300], rows=[0, 1], background=5)
def used():
    return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/self/status").read())[1])
open("/proc/self/clear_refs", "w").write("5")
before = used()
modelyard.explain(pipeline, X{how})
peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
print(before, peak)
"""


def beyond_the_table(rows: int, how: str, folder: str) -> dict[str, float]:
    """Return the megabytes that the process held with the table, and the peak of explaining it beyond that.

    The peak is reset (``clear_refs``) when the table, the model and shap are there, so that making them is not counted.
    """
    script = _ALONE.format(folder=folder, rows=rows, how=how)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, peak = (int(word) / 1000 for word in done.stdout.split()[-2:])
    return {"before_mb": before, "beyond_mb": peak - before}
