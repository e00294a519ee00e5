"""The trials of a study as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

from modelyard.tuning.beliefs import FOLDS
from modelyard.tuning.cost import cost_of
from modelyard.tuning.objectives import Objective
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.takeover import REASON

_ABSENT = object()


def trials_table(
    study: optuna.Study, space: Mapping[str, Parameter], objectives: Sequence[Objective] = ()
) -> pd.DataFrame:
    """Return the trials of an Optuna study in the form of `Study.trials`, without those that only wait."""
    rows = []
    figures = [o.figure for o in objectives if len(objectives) > 1 and not o.of_serving]
    figures += ["latency_us", "size_bytes"] if objectives else []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.WAITING:
            continue
        row: dict[str, Any] = {
            "number": trial.number,
            "state": trial.state.name,
            "value": trial.values[0] if trial.values else float("nan"),
            "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
            "reason": trial.user_attrs.get(REASON, ""),
            "folds": len(trial.user_attrs.get(FOLDS, ())),
            **(_figures_of(trial, objectives) if objectives else {}),
        }
        for name, parameter in space.items():
            label = trial.params.get(name, _ABSENT)
            row[f"params_{name}"] = None if label is _ABSENT else parameter.value(label)
        rows.append(row)
    params = [f"params_{name}" for name in space]
    columns = ["number", "state", "value", "seconds", "reason", "folds", *figures, *params]
    table = pd.DataFrame(rows, columns=columns)
    for name, parameter in space.items():
        if parameter.kind == "choice":  # pandas would turn None into NaN, and 1 beside it into 1.0
            values = [row[f"params_{name}"] for row in rows]
            table[f"params_{name}"] = pd.Series(values, index=table.index, dtype=object)
    return table


def _figures_of(trial: optuna.trial.FrozenTrial, objectives: Sequence[Objective]) -> dict[str, float]:
    cost = cost_of(trial)
    values = trial.values or [float("nan")] * len(objectives)
    return {
        "latency_us": cost.latency_us if cost else float("nan"),
        "size_bytes": cost.size_bytes if cost else float("nan"),
        **{o.figure: value for o, value in zip(objectives, values, strict=True)},
    }
