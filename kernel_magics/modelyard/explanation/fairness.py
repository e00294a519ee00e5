"""Fairness: how much a model's figures differ between groups of rows, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from modelyard.errors import UsageError, did_you_mean, listing
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric, chosen_metrics
from modelyard.evaluation.responses import answers
from modelyard.explanation.group_figures import LEAST_ROWS, group_figures, group_values, named_columns
from modelyard.explanation.question import Question
from modelyard.explanation.standing_in import Judged, judged_samples
from modelyard.explanation.used_rows import table_places
from modelyard.presentation import Result, Table, number

_MOST_ROWS = 100_000


@dataclass(frozen=True, repr=False, eq=False)
class Fairness(Result):
    """A model's figures by group, and how far they are apart.

    Attributes
    ----------
    model : str
        What was measured, in words.
    groups : DataFrame
        One line per group and metric: ``by, group, rows, metric, value, ci_low, ci_high``. The interval is Wilson's of
        a share of rows, and else the percentiles of the draws.
    disparities : DataFrame
        One line per column and metric: ``by, metric, lowest, highest`` (the groups), ``difference`` (the highest less
        the lowest) and ``ratio`` (the lowest over the highest), each with its ends ``_low`` and ``_high``: 95 %
        percentiles of 200 bootstrap draws within the groups. NaN where fewer than two groups have
        30 rows, or a value.
    positive : str
        The class that counts as being selected; empty for a regression, and where there are more than two classes.
    rows : int
        How many rows were measured.
    remarks : tuple of str
        What the result says besides.
    """

    kind: ClassVar[str] = "fairness"

    model: str
    groups: pd.DataFrame
    disparities: pd.DataFrame
    positive: str
    rows: int
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        known = self.disparities.dropna(subset=["difference"])
        if known.empty:
            return f"no two groups of {self.model} have {LEAST_ROWS} rows each, so nothing can be compared"
        first = known.iloc[int(np.argmax(known["difference_low"].fillna(-1).to_numpy()))]
        return (
            f"{self.model} differs most in {first['metric']} by {first['by']}: {number(first['difference'])} "
            f"(95 % {number(first['difference_low'])} to {number(first['difference_high'])}) between "
            f"{first['lowest']} and {first['highest']}, over {self.rows} rows"
        )

    def notes(self) -> Sequence[str]:
        return (
            *self.remarks,
            "a difference between the ends of several groups is above 0 by chance alone: look at the intervals of the "
            "groups too",
        )

    def table(self) -> Table:
        rows = []
        for line in self.disparities.to_dict("records"):
            cells = [
                f"{number(line[name])} ({number(line[f'{name}_low'])} to {number(line[f'{name}_high'])})"
                for name in ("difference", "ratio")
            ]
            rows.append((line["by"], line["metric"], line["lowest"], line["highest"], *cells))
        return Table(("by", "metric", "lowest", "highest", "difference (95 %)", "ratio (95 %)"), rows)

    def payload(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "positive": self.positive,
            "rows": self.rows,
            "groups": records(self.groups),
            "disparities": records(self.disparities),
        }


class FairnessMethod:
    """Measures groups with fairlearn's ``MetricFrame``, of anything that answers rows.

    Source of the measures: the difference and the ratio between groups of selection rates (demographic parity) and of
    true and false positive rates (equalized odds) of M. Hardt, E. Price and N. Srebro, "Equality of opportunity in
    supervised learning", NeurIPS 2016.
    """

    options: ClassVar[Mapping[str, str]] = {
        "by": "the columns whose groups are compared: sex,region; numbers are cut into quarters",
        "scoring": "the metric to compare, by its name in cross_validate (accuracy or mae)",
        "positive": "the class that counts as being selected (the second of two)",
    }

    def explain(self, question: Question) -> Fairness:
        """Measure each group of the rows with targets.

        Raises
        ------
        UsageError
            There are no targets, no columns to group by, or an option makes no sense.
        """
        options = question.options
        judged, samples = judged_samples(question, "fairness")
        metrics = _metrics(options.get("scoring"), judged, samples)
        positive = positive_class(options.get("positive"), samples)
        if options.get("by") is None:
            raise UsageError("fairness compares groups; name the columns that hold them, type by='sex'")
        columns = [
            by if isinstance(by, str) else group_values(by, len(question.frame))
            for by in named_columns(options["by"], list(question.frame.columns))
        ]
        places, notes = table_places(question, _MOST_ROWS)
        part = Samples(
            samples.take(places), samples.y[places], len(places), samples.features, samples.classes
        )
        wanted = {metric.response for metric in metrics} | {"labels"}
        found = answers(judged, part.X, part, wanted, part.rows)
        chosen = [by if isinstance(by, str) else by.iloc[places] for by in columns]
        measured = group_figures(found, part, metrics, positive, chosen, question.seed)
        return Fairness(
            model=question.explained.name,
            groups=measured.groups,
            disparities=measured.disparities,
            positive="" if positive is None else str(positive),
            rows=len(places),
            remarks=(*notes, *measured.notes),
        )


def _metrics(scoring: Any, judged: Judged, samples: Samples) -> tuple[Metric, ...]:
    usual = "mae" if samples.regression else "accuracy"
    metrics, _ = chosen_metrics(usual if scoring is None else scoring, judged, samples)
    for metric in metrics:
        if metric.response == "model":
            raise UsageError(f"{metric.name} takes the whole model, and no groups; type scoring={usual!r}")
    return metrics


def positive_class(given: Any, samples: Samples) -> Any:
    """Return the class that counts as being selected: by default the second of two.

    Raises
    ------
    UsageError
        There is no such class.
    """
    if samples.classes is None:
        if given is not None:
            raise UsageError("positive is a class, and the model predicts numbers; leave it out")
        return None
    known = {str(each): each for each in samples.classes.tolist()}
    if given is None:
        return samples.classes.tolist()[1] if len(known) == 2 else None
    if str(given) not in known:
        raise UsageError(
            f"positive is a class of the model, found {given!r}; there are {listing(known)}"
            f"{did_you_mean(str(given), known)}"
        )
    return known[str(given)]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a frame as JSON has them, ``None`` for what is not known."""
    return [
        {
            str(key): (value if math.isfinite(value) else None) if isinstance(value, float) else value
            for key, value in line.items()
        }
        for line in frame.to_dict("records")
    ]
