"""Permutation importance: how much worse a model is where one column is shuffled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.inspection import permutation_importance

from modelyard.errors import InvalidInputError, UsageError
from modelyard.evaluation.intervals import student_interval
from modelyard.explanation.question import Question
from modelyard.explanation.standing_in import chosen_metric, figure, judged_samples
from modelyard.explanation.used_rows import table_places
from modelyard.presentation import Result, Table, number
from modelyard.progress import track

_MOST_ROWS = 20_000
_REPEATS = 10
_STRONG = 0.9
_RANKED = 5_000  # rows that correlations are looked for in
_MOST_NAMED = 5


@dataclass(frozen=True, repr=False, eq=False)
class Importance(Result):
    """What each column is worth to a model.

    Attributes
    ----------
    model : str
        What was explained, in words.
    metric : str
        What is measured.
    baseline : float
        Its value with no column shuffled.
    importance : Series
        Indexed by column, the largest first: by how much the metric gets worse, on the average of the repeats.
    intervals : DataFrame
        Indexed like `importance`: ``mean``, ``std`` (n - 1), ``ci_low`` and ``ci_high``, Student's 95 % interval of
        the mean over the repeats. It holds the chance of shuffling, not that of drawing other rows.
    rows, repeats : int
        How many rows were measured, and how often each column was shuffled.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "importance"

    model: str
    metric: str
    baseline: float
    importance: pd.Series[Any]
    intervals: pd.DataFrame
    rows: int
    repeats: int
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        first = str(self.importance.index[0])
        counted = f"{self.metric} of {number(self.baseline)} on {self.rows} rows"
        sure = self.intervals["ci_low"] > 0
        if not sure.any():
            return f"no column is surely worth anything to {self.model} ({counted}; {self.repeats} shuffles)"
        worth = f"{int(sure.sum())} of {len(sure)} columns {'is' if sure.sum() == 1 else 'are'}"
        return (
            f"{self.model} relies most on {first}: shuffled, it costs {number(float(self.importance.iloc[0]))} of the "
            f"{counted}; {worth} surely worth something"
        )

    def notes(self) -> Sequence[str]:
        return (
            *self.remarks,
            f"intervals are Student's over {self.repeats} shuffles of the same rows; other rows would scatter more",
        )

    def table(self) -> Table:
        rows = [
            (str(column), number(mean), number(std), f"{number(low)} to {number(high)}")
            for column, (mean, std, low, high) in zip(
                self.intervals.index, self.intervals.to_numpy().tolist(), strict=True
            )
        ]
        return Table(("column", f"loss of {self.metric}", "std", "95 % interval"), rows)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "metric": self.metric,
            "baseline": _plain(self.baseline),
            "rows": self.rows,
            "repeats": self.repeats,
            "columns": [str(column) for column in self.intervals.index],
            "intervals": [
                {str(name): _plain(value) for name, value in line.items()}
                for line in self.intervals.to_dict("records")
            ],
        }


class PermutationMethod:
    """Shuffles one original column at a time, with scikit-learn's ``permutation_importance``.

    Source: L. Breiman, "Random forests", Machine Learning 45, 2001, section 10; for any model as in A. Fisher, C. Rudin
    and F. Dominici, "All models are wrong, but many are useful", JMLR 20, 2019.
    """

    options: ClassVar[Mapping[str, str]] = {
        "scoring": "the metric that gets worse, by its name in cross_validate (roc_auc, accuracy, or r2)",
        "repeats": "how often each column is shuffled (10)",
    }

    def explain(self, question: Question) -> Importance:
        """Measure the worth of each column on the rows with targets.

        Raises
        ------
        UsageError
            There are no targets, or an option makes no sense.
        InvalidInputError
            The metric is undefined on these rows.
        """
        repeats = _repeats(question.options.get("repeats"))
        judged, samples = judged_samples(question, "permutation")
        metric = chosen_metric(question.options.get("scoring"), judged, samples)
        places, notes = table_places(question, _MOST_ROWS)
        frame, y = question.frame.iloc[places], samples.y[places]
        names = list(frame.columns)
        with track("permutation importance", len(names) * repeats + 2, "shuffle") as tracker:
            scorer = figure(metric, samples, tracker.advance)
            found = permutation_importance(
                judged, frame, y, scoring=scorer, n_repeats=repeats, random_state=question.seed
            )
            baseline = scorer(judged, frame, y)
        if math.isnan(baseline):
            raise InvalidInputError(
                f"{metric.name} is undefined on these {len(frame)} rows; give rows of every class, or another scoring="
            )
        intervals = _intervals(names, found.importances)
        return Importance(
            model=question.explained.name,
            metric=metric.name,
            baseline=baseline if metric.greater_is_better else -baseline,
            importance=intervals["mean"].rename("importance"),
            intervals=intervals,
            rows=len(frame),
            repeats=repeats,
            remarks=(*notes, *_shared(frame, list(intervals.index))),
        )


def _intervals(names: list[Any], losses: NDArray[np.float64]) -> pd.DataFrame:
    repeats = losses.shape[1]
    lines = []
    for each in losses:
        mean, std = float(each.mean()), float(np.std(each, ddof=1))
        lines.append((mean, std, *student_interval(mean, std / math.sqrt(repeats), repeats)))
    table = pd.DataFrame(
        lines, columns=["mean", "std", "ci_low", "ci_high"], index=pd.Index(names, name="column")
    )
    return table.sort_values("mean", ascending=False, kind="stable")


def _shared(frame: pd.DataFrame, ranked: list[Any]) -> list[str]:
    """Say which numbers go together so closely that a model may read one for the other."""
    numbers = [name for name in ranked if pd.api.types.is_numeric_dtype(frame[name].dtype)]
    some = frame[numbers].iloc[:: max(1, len(frame) // _RANKED)]
    table = some.to_numpy(dtype=float, na_value=np.nan)
    ranks = (
        np.apply_along_axis(rankdata, 0, table, nan_policy="omit")
        if len(some) > 2 and numbers
        else table[:, :0]
    )
    ranks = ranks - np.nanmean(np.where(np.isfinite(ranks), ranks, np.nan), axis=0) if ranks.size else ranks
    ranks = np.nan_to_num(ranks)
    lengths = np.sqrt((ranks**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = (ranks.T @ ranks) / np.outer(lengths, lengths)
    pairs = [
        (abs(rho[i, j]), numbers[i], numbers[j])
        for i in range(rho.shape[0])
        for j in range(i + 1, rho.shape[0])
        if abs(rho[i, j]) > _STRONG
    ]
    if not pairs:
        return []
    named = [f"{one} and {other} ({number(float(size))})" for size, one, other in pairs[:_MOST_NAMED]]
    hidden = len(pairs) - _MOST_NAMED
    more = f" and {hidden} more {'pair' if hidden == 1 else 'pairs'}" if hidden > 0 else ""
    return [
        f"columns that go together share their importance, so each looks smaller than both together: "
        f"{', '.join(named)}{more} (rank correlation above {_STRONG:g})"
    ]


def _repeats(given: Any) -> int:
    if given is None:
        return _REPEATS
    try:
        count = int(given)
    except (TypeError, ValueError):
        count = 0
    if count < 2:
        raise UsageError(
            f"repeats is how often each column is shuffled, at least 2, found {given!r}; type repeats=10"
        )
    return count


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(float(value)) else None
