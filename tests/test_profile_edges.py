"""The bins of the reference profile: edges of few digits, between which lies what lay between the quantiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modelyard.packaging.learning import learn_contract, learn_profile


def profile_of(values: np.ndarray) -> tuple[list[float], list[int]]:
    frame = pd.DataFrame({"x": values})
    contract = learn_contract(frame, None, (), ())
    column = learn_profile(frame, contract, values)["columns"]["x"]
    return column["edges"], column["counts"]


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=1000),
        np.random.default_rng(0).lognormal(0, 4, size=1000),  # the last bin is 1e4 times as wide as the first
        np.random.default_rng(0).normal(1e9, 1e-3, size=1000),
        np.random.default_rng(0).uniform(0, 1e-290, size=1000),
    ],
    ids=["normal", "skewed", "far from 0", "tiny"],
)
def test_short_edges_keep_ten_bins_of_nearly_equal_counts(values: np.ndarray) -> None:
    edges, counts = profile_of(values)
    assert len(counts) == 10
    assert sum(counts) == 1000
    assert max(counts) - min(counts) <= 8
    assert (edges[0], edges[-1]) == (values.min(), values.max())
    exact = np.quantile(values, np.linspace(0, 1, 11))
    assert sum(map(len, map(repr, edges))) < sum(map(len, map(repr, exact.tolist())))


def test_whole_numbers_and_constants_stay_as_they_are() -> None:
    assert profile_of(np.repeat(np.arange(11.0), 10))[0] == list(range(11))
    assert profile_of(np.full(20, 3.5)) == ([3.5], [20])
