"""The candidates: the original and every smaller model, each with what it takes and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modelyard.compression.judging import Judged, Verdict
from modelyard.compression.protocol import Recipe
from modelyard.tuning.cost import Cost
from modelyard.tuning.front import non_dominated

ORIGINAL = "original"
COLUMNS = (
    "technique", "settings", "size_bytes", "latency_us", "latency_1k_us", "score", "ci_low", "ci_high", "drop",
    "drop_low", "drop_high", "drop_se", "agreement", "form", "on_front", "chosen",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Candidate:
    """One model that was made of the training part, and measured.

    Attributes
    ----------
    recipe : Recipe or None
        ``None`` of the original.
    model : Any
        ``None`` where it was measured by an earlier run.
    cost : Cost
        Of one row.
    latency_1k_us : float
        Microseconds for a thousand rows at once.
    judged : Judged or None
        ``None`` where it was measured by an earlier run.
    verdict : Verdict
    """

    recipe: Recipe | None
    model: Any
    cost: Cost
    latency_1k_us: float
    judged: Judged | None
    verdict: Verdict

    @property
    def technique(self) -> str:
        return ORIGINAL if self.recipe is None else self.recipe.technique

    @property
    def settings(self) -> str:
        return "" if self.recipe is None else self.recipe.settings

    @property
    def name(self) -> str:
        return ORIGINAL if self.recipe is None else self.recipe.name


def on_front(found: Sequence[Candidate], greater_is_better: bool) -> list[bool]:
    """Return of which candidates none other is as small, as fast and as good, and better in one of these.

    Times count to two digits: what two runs of the same model differ by beats nobody.
    """
    values = np.array(
        [(each.cost.size_bytes, float(f"{each.cost.latency_us:.2g}"), each.verdict.score) for each in found],
        dtype=np.float64,
    )
    known = ~np.isnan(values).any(axis=1)
    kept = np.zeros(len(found), dtype=bool)
    kept[known] = non_dominated(values[known], [False, False, greater_is_better])
    return [bool(each) for each in kept]


def candidates_table(
    found: Sequence[Candidate], chosen: Candidate | None, greater_is_better: bool
) -> pd.DataFrame:
    """Return one row per candidate in the order in which they were made, the original first; `COLUMNS`."""
    rows = [
        (
            each.technique,
            each.settings,
            each.cost.size_bytes,
            each.cost.latency_us,
            each.latency_1k_us,
            each.verdict.score,
            each.verdict.ci_low,
            each.verdict.ci_high,
            each.verdict.drop,
            each.verdict.drop_low,
            each.verdict.drop_high,
            each.verdict.drop_se,
            each.verdict.agreement,
            each.cost.form,
            front,
            each is chosen,
        )
        for each, front in zip(found, on_front(found, greater_is_better), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
