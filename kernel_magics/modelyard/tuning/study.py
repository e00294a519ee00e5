"""A study: every trial of a search, and the best model it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pandas as pd

from modelyard.evaluation.result import Evaluation
from modelyard.presentation import Result, Table, number
from modelyard.tuning.cost import Cost
from modelyard.tuning.finalists import Finalist
from modelyard.tuning.front import chosen, front_table
from modelyard.tuning.objectives import Objective
from modelyard.tuning.parameter import Parameter
from modelyard.units import size_text, time_text

_SHOWN = 5
_SHOWN_OF_FRONT = 12


@dataclass(frozen=True, repr=False, eq=False)
class Study(Result):
    """What a search found.

    Attributes
    ----------
    name : str
        The study in the yard and in the storage.
    method : {'bayes', 'gp', 'random', 'sobol', 'grid'}
    metric : str
        What the value of a trial is: the mean over folds of this metric.
    direction : {'maximize', 'minimize'}
    best_params : dict
        Under the model's full parameter names, as Python values.
    best_score : float
    best_estimator : estimator
        A clone of the model with the best parameters, fitted on all rows. Of several objectives the first one
        decides, among the models that keep to the budget.
    trials : DataFrame
        One row per trial: ``number``, ``state`` (COMPLETE, PRUNED, FAIL, RUNNING), ``value`` (NaN unless complete),
        ``seconds``, ``reason`` (why it failed or was stopped, or empty), ``folds`` (how many were done), and
        ``params_NAME`` for every parameter, None where it does not exist. Of several
        objectives ``value`` is the first, and each has a column: ``roc_auc``, ``latency_us``, ``size_bytes``. With
        a budget the last two are there too; they are of the model of one fold, NaN where it was not measured.
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
    objectives : tuple of Objective
        What was improved, where it was more than one score or there is a budget.
    finalists : tuple of Finalist
        The models that were fitted on all rows, converted and measured: the front, or, of one objective with a
        budget, those that were tried until one kept to it.
    budget : str
        What the served model had to keep to, in words.
    cost : Cost or None
        What the best model costs once served.
    outer : Evaluation or None
        Of nested folds: how well the search itself does on rows that it has not seen. `best_score` is what the
        search chose by, and so somewhat too good.
    space : dict of str to Parameter
        What was searched.
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
    objectives: tuple[Objective, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    budget: str = ""
    cost: Cost | None = None
    outer: Evaluation | None = None
    space: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def best_number(self) -> int | None:
        """The number of the best trial among the finalists; ``None`` where none were measured."""
        return next((f.number for f in self.finalists if f.estimator is self.best_estimator), None)

    @property
    def front(self) -> pd.DataFrame:
        """The finalists of which none is better in every objective, the best by the first objective first.

        Columns: ``trial``, the metrics, ``latency_us``, ``latency_noise_us``, ``size_bytes``, ``form`` (``onnx`` or
        ``python``) and ``params_NAME``; of one objective with a budget, all finalists. Each was fitted on all rows,
        converted and measured.
        """
        return front_table(self.finalists)

    def pick(
        self,
        best: str | None = None,
        *,
        latency: str | float | None = None,
        size: str | float | None = None,
        score: float | None = None,
    ) -> Any:
        """Return the finalist that is best by one objective within limits: an estimator, fitted on all rows.

        Parameters
        ----------
        best : str, optional
            What to be best in: a metric, ``latency`` or ``size``. By default the first objective.
        latency : str or float, optional
            The longest time for one row: ``"1ms"``, or microseconds.
        size : str or float, optional
            The largest file: ``"200kB"``, or bytes.
        score : float, optional
            The worst value of the first metric.

        Raises
        ------
        BudgetError
            No finalist keeps to the limits; the message says how near the nearest comes.
        UsageError
            The study measured no finalists, or `best` is none of its objectives.
        """
        return chosen(self.finalists, self.objectives, best, latency, size, score, self.name).estimator

    def sentence(self) -> str:
        params = ", ".join(f"{key}={_short(value)}" for key, value in self.best_params.items())
        resumed = f" ({self.resumed_from} from before)" if self.resumed_from else ""
        done = int(self.trials["state"].isin(["COMPLETE", "PRUNED"]).sum())
        within = f" within {self.budget}" if self.budget else ""
        served = f": {self.cost.text()}" if self.cost else ""
        return (
            f"{self.model}: best {self.metric} {number(self.best_score)}{within} in {done} finished trials{resumed} "
            f"({self.method}, {self.cv}) with {params}{served}{self._said_of_front()}; kept as {self.name}"
        )

    def _said_of_front(self) -> str:
        if len(self.objectives) < 2:
            return ""
        count = len(self.finalists)
        models = "model is" if count == 1 else "models are"
        return f"; {count} {models} on the front of {', '.join(o.name for o in self.objectives)}"

    def notes(self) -> Sequence[str]:
        return (
            self.remarks
            if self.outer is None
            else (f"the search itself: {self.outer.sentence()}", *self.remarks)
        )

    def table(self) -> Table:
        return self._front_as_text() if self.finalists else self._best_trials()

    def _best_trials(self) -> Table:
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

    def _front_as_text(self) -> Table:
        shown = self.finalists[:_SHOWN_OF_FRONT]
        metrics, names = list(shown[0].scores), list(self.best_params)
        rows = tuple(
            (
                str(finalist.number),
                *(number(finalist.scores[name]) for name in metrics),
                time_text(finalist.cost.latency_us),
                time_text(finalist.cost.noise_us),
                size_text(finalist.cost.size_bytes),
                finalist.cost.form,
                *(_short(finalist.params.get(name, "")) for name in names),
            )
            for finalist in shown
        )
        return Table(("trial", *metrics, "one row", "±", "size", "form", *names), rows)

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
            **({"serving": self._served()} if self.objectives else {}),
            **({"outer": self.outer.payload()} if self.outer is not None else {}),
        }

    def _served(self) -> dict[str, Any]:
        """Return the points of the chart, and what the best model costs."""
        finalists = {finalist.number: finalist for finalist in self.finalists}
        measured = [
            {
                "number": int(row["number"]),
                "score": _figure(row.get(self.metric, row["value"])),
                "latency_us": _figure(row["latency_us"]),
                "size_bytes": _figure(row["size_bytes"]),
            }
            for row in self.trials.to_dict("records")
            if row["state"] == "COMPLETE" and int(row["number"]) not in finalists
        ]
        return {
            "objectives": [o.name for o in self.objectives],
            "budget": self.budget,
            "best": None if self.cost is None else _cost(self.cost),
            "trials": [point for point in measured if None not in point.values()],
            "finalists": [
                {"number": n, "score": _figure(f.scores[self.metric]), **_cost(f.cost)}
                for n, f in finalists.items()
            ],
            "best_number": self.best_number,
        }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "form": cost.form,
        "latency_us": _figure(cost.latency_us),
        "latency_noise_us": _figure(cost.noise_us),
        "size_bytes": _figure(cost.size_bytes),
        "why": cost.why,
    }


def _short(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _figure(value: Any) -> float | None:
    figure = float(value)
    return figure if figure == figure and abs(figure) != float("inf") else None


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return _figure(value)
    return value if value is None or isinstance(value, bool | int | str) else repr(value)
