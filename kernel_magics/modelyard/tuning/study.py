"""A study: every trial of a search, and the best model it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import optuna
import pandas as pd
from optuna.trial import TrialState

from modelyard.presentation import Result, Table, number
from modelyard.tuning.parameter import Parameter
from modelyard.tuning.takeover import REASON

_SHOWN = 5
_ABSENT = object()


@dataclass(frozen=True, repr=False, eq=False)
class Study(Result):
    """What a search found.

    Attributes
    ----------
    name : str
        The study in the yard and in the storage.
    method : {'grid', 'random', 'bayes'}
    metric : str
        What the value of a trial is: the mean over folds of this metric.
    direction : {'maximize', 'minimize'}
    best_params : dict
        Under the model's full parameter names, as Python values.
    best_score : float
    best_estimator : estimator
        A clone of the model with the best parameters, fitted on all rows.
    trials : DataFrame
        One row per trial: ``number``, ``state`` (COMPLETE, FAIL, RUNNING), ``value`` (NaN unless complete),
        ``seconds``, ``reason`` (why it failed, or empty), and ``params_NAME`` for every parameter.
    storage : str
        The Optuna URL, without a password.
    seconds : float
        Wall time of this run.
    resumed_from : int
        How many finished trials existed when this run began; 0 for a new study.
    model : str
        What was tuned, in words.
    cv : str
        The folds of every trial.
    remarks : tuple of str
        What the reader should know of the run.
    """

    kind: ClassVar[str] = "study"

    name: str
    method: str
    metric: str
    direction: Literal["maximize", "minimize"]
    best_params: dict[str, Any]
    best_score: float
    best_estimator: Any
    trials: pd.DataFrame
    storage: str
    seconds: float
    resumed_from: int = 0
    model: str = ""
    cv: str = ""
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        chosen = ", ".join(f"{key}={_short(value)}" for key, value in self.best_params.items())
        resumed = f" ({self.resumed_from} from before)" if self.resumed_from else ""
        done = int((self.trials["state"] == "COMPLETE").sum())
        return (
            f"{self.model}: best {self.metric} {number(self.best_score)} in {done} finished trials{resumed} "
            f"({self.method}, {self.cv}) with {chosen}; kept as {self.name}"
        )

    def notes(self) -> Sequence[str]:
        return self.remarks

    def table(self) -> Table:
        complete = self.trials[self.trials["state"] == "COMPLETE"]
        top = complete.sort_values("value", ascending=self.direction == "minimize", kind="stable").head(
            _SHOWN
        )
        names = [str(column) for column in top.columns if str(column).startswith("params_")]
        rows = tuple(
            (str(row["number"]), number(float(row["value"])), *(_short(row[name]) for name in names))
            for row in top.to_dict("records")
        )
        return Table(("trial", self.metric, *(name.removeprefix("params_") for name in names)), rows)

    def payload(self) -> dict[str, Any]:
        history = [
            {
                "number": int(row["number"]),
                "state": str(row["state"]),
                "value": _figure(row["value"]),
                "seconds": _figure(row["seconds"]),
                "params": {
                    str(key).removeprefix("params_"): _json(value)
                    for key, value in row.items()
                    if str(key).startswith("params_")
                },
            }
            for row in self.trials.to_dict("records")
        ]
        return {
            "name": self.name,
            "model": self.model,
            "method": self.method,
            "metric": self.metric,
            "direction": self.direction,
            "cv": self.cv,
            "best_params": {name: _json(value) for name, value in self.best_params.items()},
            "best_score": _figure(self.best_score),
            "history": history,
            "storage": self.storage,
            "seconds": round(self.seconds, 3),
            "resumed_from": self.resumed_from,
        }


def trials_table(study: optuna.Study, space: Mapping[str, Parameter]) -> pd.DataFrame:
    """Return the trials of an Optuna study in the form of `Study.trials`, without those that only wait."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.WAITING:
            continue
        row: dict[str, Any] = {
            "number": trial.number,
            "state": trial.state.name,
            "value": float("nan") if trial.value is None else trial.value,
            "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
            "reason": trial.user_attrs.get(REASON, ""),
        }
        for name, parameter in space.items():
            label = trial.params.get(name, _ABSENT)
            row[f"params_{name}"] = None if label is _ABSENT else parameter.value(label)
        rows.append(row)
    columns = ["number", "state", "value", "seconds", "reason", *(f"params_{name}" for name in space)]
    table = pd.DataFrame(rows, columns=columns)
    for name, parameter in space.items():
        if parameter.kind == "choice":  # pandas would turn None into NaN, and 1 beside it into 1.0
            values = [row[f"params_{name}"] for row in rows]
            table[f"params_{name}"] = pd.Series(values, index=table.index, dtype=object)
    return table


def _short(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _figure(value: Any) -> float | None:
    figure = float(value)
    return figure if figure == figure and abs(figure) != float("inf") else None


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return _figure(value)
    return value if value is None or isinstance(value, bool | int | str) else repr(value)
