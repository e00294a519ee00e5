"""The panel of a study: its history, the importance of its parameters, and how each of them did."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from typing import Any

from modelyard.errors import UsageError
from modelyard.presentation import Table, number
from modelyard_widgets.blocks import (
    Block,
    button,
    choice,
    controls,
    figure,
    figures,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.panel import Panel
from modelyard_widgets.parameter_charts import Trials, importance_picture, parallel_picture, slice_picture
from modelyard_widgets.showing import Showing
from modelyard_widgets.study_charts import history_chart
from modelyard_widgets.views import Make, Views

#: fANOVA's forest takes a second for so many trials, and five minutes for ten times as many.
_MOST_IN_FOREST = 200
_MOST_LISTED = 300
_LEAST_TRIALS = 4


def study_panel(shown: Showing) -> Panel:
    """Return the panel; all but the overview is made when its tab is opened."""
    views = StudyViews(shown)
    panel = Panel(shown.title, [sentence(shown.payload["sentence"]), views.block])
    return views.fill(panel)


class StudyViews:
    """What a panel shows of a finished study."""

    def __init__(self, shown: Showing) -> None:
        self._shown = shown
        payload = shown.payload
        space = getattr(shown.result, "space", {})
        self._trials = Trials.of(payload, frozenset(name for name, each in space.items() if each.log))
        made: dict[str, Make] = {"Overview": self._overview}
        if payload.get("serving"):
            made["History"] = self._history
        if self._trials.names:
            if len(self._trials.values) >= _LEAST_TRIALS and space:
                made["Importance"] = lambda: [self._importance_controls(), stack("importance", [])]
            made["Parallel coordinates"] = self._parallel
            made["Slices"] = self._slices
        made["Trials"] = self._listed
        self._views = Views(made, title="Views of the study")

    @property
    def block(self) -> Block:
        return self._views.block

    def fill(self, panel: Panel) -> Panel:
        """Let `panel`, which holds the block, show what is asked for; returns it."""
        self._views.fill(panel, {"Importance": lambda: self._measure(panel, forest=False)})
        panel.does("fanova", lambda _: self._measure(panel, forest=True))
        panel.does("parameter", lambda name: panel.show(self._slice(name)))
        return panel

    def _overview(self) -> list[Block]:
        shown, payload = self._shown, self._shown.payload
        states = [trial.get("state") for trial in payload["history"]]
        counted = [(state, states.count(state)) for state in ("PRUNED", "FAIL")]
        left = ", ".join(
            f"{count} {state.lower().replace('fail', 'failed')}" for state, count in counted if count
        )
        found = [figure("Trials", str(len(states)), left)]
        if payload.get("best_score") is not None:
            found.insert(0, figure(f"Best {payload['metric']}", number(payload["best_score"])))
        if payload.get("seconds"):
            found.append(figure("Time", _time(payload["seconds"])))
        blocks = [figures("figures", found)]
        if shown.picture:
            blocks.append(picture("picture", shown.picture))
        if shown.table:
            blocks.append(table("table", shown.table, "The best trials"))
        if payload["notes"]:
            blocks.append(notes(payload["notes"]))
        return blocks

    def _history(self) -> list[Block]:
        payload = self._shown.payload
        drawing = history_chart(payload["metric"], payload["direction"], payload["history"])
        return [picture("history", drawing)] if drawing else [text("history", "No trial is complete.")]

    def _parallel(self) -> list[Block]:
        drawing = parallel_picture(self._trials)
        return [picture("parallel", drawing)] if drawing else []

    def _slices(self) -> list[Block]:
        names = self._trials.names
        return [controls("slices", choice("parameter", "Parameter", names, names[0])), self._slice(names[0])]

    def _slice(self, name: str) -> Block:
        drawing = slice_picture(self._trials, name)
        return stack("slice", [picture("slice-picture", drawing)] if drawing else [])

    def _listed(self) -> list[Block]:
        history = self._shown.payload["history"]
        names = list(dict.fromkeys(name for trial in history for name in trial.get("params", ())))
        shown = history[-_MOST_LISTED:]
        rows = [
            (
                str(trial["number"]),
                str(trial.get("state", "")).lower(),
                "–" if trial["value"] is None else number(trial["value"]),
                *(_value(trial.get("params", {}).get(name)) for name in names),
            )
            for trial in reversed(shown)
        ]
        listed = table(
            "trials", Table(("trial", "state", self._trials.metric, *names), rows), "Trials, the last first"
        )
        if len(shown) == len(history):
            return [listed]
        return [
            text("trials-told", f"The last {len(shown)} of {len(history)} trials; .trials has them all."),
            listed,
        ]

    def _importance_controls(self) -> Block:
        return controls(
            "importance-by",
            button("fanova", "Measure by fANOVA", help="A forest on up to 200 trials; takes some seconds"),
        )

    def _measure(self, panel: Panel, forest: bool) -> None:
        def work() -> None:
            shares, count = _importances(self._shown.result, self._shown.payload["history"], forest)
            panel.show(stack("importance", _told_importance(shares, count, self._trials.metric, forest)))

        panel.background("Measuring the importance of the parameters", work)


def _importances(result: Any, history: Any, forest: bool) -> tuple[Mapping[str, float], int]:
    """Return the share of each parameter by one of Optuna's evaluators, and of how many trials.

    Raises
    ------
    UsageError
        The trials do not tell: too few, or all alike.
    """
    import optuna
    from optuna.importance import (
        FanovaImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    from modelyard.tuning.storage import quiet_optuna

    columns = {name: f"params_{name}" for name in result.space}
    complete = result.trials[result.trials["state"] == "COMPLETE"]
    rows = complete.to_dict("records")
    if forest and len(rows) > _MOST_IN_FOREST:
        rows = random.Random(0).sample(rows, _MOST_IN_FOREST)  # nothing secret
    distributions = {name: each.distribution() for name, each in result.space.items()}
    trials = []
    for row in rows:
        labels = {
            name: result.space[name].label_of(row[column])
            for name, column in columns.items()
            if result.space[name].condition is None
        }
        trials.append(
            optuna.trial.create_trial(
                params=labels,
                distributions={name: distributions[name] for name in labels},
                value=row["value"],
            )
        )
    evaluator = FanovaImportanceEvaluator(seed=0) if forest else PedAnovaImportanceEvaluator()
    try:
        with quiet_optuna(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an evaluator tells that it is experimental
            study = optuna.create_study(direction=result.direction)
            study.add_trials(trials)
            return get_param_importances(study, evaluator=evaluator), len(trials)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"the importance cannot be measured: {error}") from error


def _told_importance(shares: Mapping[str, float], count: int, metric: str, forest: bool) -> list[Block]:
    if forest:
        way = f"fANOVA on {count} trials: the share of the variance of {metric} over the whole space."
        what = metric
    else:
        way = f"PED-ANOVA on {count} trials: what tells the best tenth of the trials from all of them."
        what = f"being among the best tenth by {metric}"
    drawing = importance_picture(shares, what)
    always = "Parameters that exist only with some values of others are left out."
    return [
        *([picture("importance-picture", drawing)] if drawing else []),
        text("importance-told", f"{way} {always}"),
    ]


def _value(value: Any) -> str:
    return "–" if value is None else number(value) if isinstance(value, float) else str(value)


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds / 60:.3g} min"
