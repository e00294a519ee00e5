"""How the model does by group of rows, for its card: on rows that were held out, where an evaluation has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modelyard.errors import InvalidInputError
from modelyard.evaluation import Evaluation
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import default_metrics
from modelyard.explanation.fairness import positive_class, records
from modelyard.explanation.group_figures import group_figures, group_values, named_columns
from modelyard.golden import Outputs
from modelyard.packaging.figures import rounded
from modelyard.packaging.training_table import TrainingTable

_LEARNED_FROM = "the rows that it was trained on, which says what it remembers and not what it will do"


@dataclass(frozen=True)
class _Answered:
    """Rows by their places, what they are, and what was said of them."""

    which: str
    held_out: bool
    places: np.ndarray
    target: np.ndarray
    labels: np.ndarray


def by_group(
    wanted: Any,
    table: TrainingTable,
    found: Outputs,
    evaluation: Evaluation | None,
    seed: int,
    *,
    classifies: bool,
) -> dict[str, Any]:
    """Return what the manifest says of groups: their figures, and how far they are apart, with 95 % intervals.

    Parameters
    ----------
    wanted : str, list of str, Series or DataFrame
        Columns of the table by name, or values for each of its rows: a column that the model does not see.
    found : Outputs
        The estimator's answers to the first rows of the table, for want of an evaluation.

    Raises
    ------
    InvalidInputError
        The evaluation is of other rows; there is one group only.
    UsageError
        There is no such column.
    """
    rows = _held_out(evaluation, table) or _trained_on(table, found)
    classes = np.unique(np.concatenate([rows.target, rows.labels])) if classifies else None
    frame = table.frame.iloc[rows.places].reset_index(drop=True)
    samples = Samples(frame, rows.target, len(frame), frame.shape[1], classes)
    columns = [_chosen(by, rows, len(table.frame)) for by in named_columns(wanted, list(frame.columns))]
    metrics, positive = default_metrics(regression=not classifies)[:1], positive_class(None, samples)
    measured = group_figures({"labels": rows.labels}, samples, metrics, positive, columns, seed)
    return {
        "rows": len(frame),
        "which": rows.which,
        "held_out": rows.held_out,
        "positive": None if positive is None else str(positive),
        "groups": _lines(measured.groups),
        "disparities": _lines(measured.disparities),
        "notes": list(measured.notes),
    }


def _held_out(evaluation: Evaluation | None, table: TrainingTable) -> _Answered | None:
    """Return the rows of a cross-validation, each with what was said of it first; ``None`` if they were not kept."""
    said = None if evaluation is None else evaluation.predictions
    if evaluation is None or said is None:
        return None
    first = said.drop_duplicates("row").sort_values("row")
    places, total = first["row"].to_numpy(), len(table.target)
    if evaluation.rows != total or not np.array_equal(table.target[places], first["target"].to_numpy()):
        raise InvalidInputError(
            f"the evaluation is of {evaluation.rows} rows, and not of the {total} that are packaged; "
            "evaluate the model on this X and y"
        )
    which = f"the rows of the cross-validation ({evaluation.cv}), each answered by a model that had not learned from it"
    return _Answered(which, True, places, first["target"].to_numpy(), first["prediction"].to_numpy())


def _trained_on(table: TrainingTable, found: Outputs) -> _Answered:
    rows = len(found.predictions)
    return _Answered(
        _LEARNED_FROM, False, np.arange(rows), table.target[:rows], np.asarray(found.predictions)
    )


def _chosen(by: Any, rows: _Answered, total: int) -> Any:
    if isinstance(by, str):
        return by
    return group_values(by, total).iloc[rows.places].reset_index(drop=True)


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return lines whose figures do not depend on the order of a sum."""
    return [
        {key: rounded(value) if isinstance(value, float) else value for key, value in line.items()}
        for line in records(frame)
    ]
