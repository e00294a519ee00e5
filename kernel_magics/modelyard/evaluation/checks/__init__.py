"""Cheap findings that make a score untrustworthy.

Each is one sentence: what, which columns and rows, what to type instead. One file per kind. Each asks for what could
not be by chance: clean data raises none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.evaluation.checks.columns import Columns, columns_of
from modelyard.evaluation.checks.copies import exact_copies
from modelyard.evaluation.checks.encoding import encoded_targets
from modelyard.evaluation.checks.entities import entities_apart, groups_ignored
from modelyard.evaluation.checks.fitted_outside import fitted_outside
from modelyard.evaluation.checks.giveaways import equal_columns, telling_columns
from modelyard.evaluation.checks.imbalance import rare_classes
from modelyard.evaluation.checks.near_copies import near_copies
from modelyard.evaluation.checks.order import backward_time, time_columns
from modelyard.evaluation.checks.projections import projected
from modelyard.evaluation.checks.scaling import scaled_outside
from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples

__all__ = ["Columns", "findings"]


def findings(samples: Samples, folds: Folds, fitted: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Return what is suspicious about these samples under these folds, at most one sentence of a kind.

    Sparse matrices are not looked into, nor are columns whose values cannot be hashed. Of more than 100,000 rows a
    sample is looked at.

    Parameters
    ----------
    fitted : mapping of str to object, optional
        Fitted transformers and tables by name, such as a notebook's variables: a transformer that makes `X` out of one
        of the tables was fitted outside of the folds.
    """
    found = [*rare_classes(samples, folds), *groups_ignored(samples, folds)]
    columns = columns_of(samples)
    if columns is not None:
        times, seen = time_columns(columns), projected(columns)
        exact = equal_columns(columns, samples)
        found += [
            *exact_copies(columns, seen, folds),
            *near_copies(columns, seen, folds),
            *entities_apart(columns, samples, folds),
            *backward_time(columns, times, folds),
            *telling_columns(columns, samples, exact, times),
            *encoded_targets(columns, samples, exact),
            *scaled_outside(columns),
        ]
    found += fitted_outside(samples, fitted or {})
    return tuple(found)
