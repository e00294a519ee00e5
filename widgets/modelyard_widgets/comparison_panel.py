"""The panel of a comparison: who is best and by how much, each pair, other metrics, slices, and folds side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.evaluation.comparison import CANNOT_TELL, Comparison, p_text, rounded_up
from modelyard.presentation import Table
from modelyard_widgets.blocks import (
    Block,
    choice,
    controls,
    figure,
    figures,
    heading,
    notes,
    picture,
    sentence,
    stack,
    table,
    text,
)
from modelyard_widgets.comparison_chart import comparison_chart
from modelyard_widgets.pair_chart import pair_chart
from modelyard_widgets.panel import Act, Panel
from modelyard_widgets.showing import Showing, plain_blocks
from modelyard_widgets.views import Make, Views
from modelyard_widgets.wording import ends_text, interval_text, number_text

_MOST_FOLDS = 200

Pair = Mapping[str, Any]
#: What is known of the evaluation of each model, by the name of the model.
Models = Mapping[str, Mapping[str, Any]]


def comparison_panel(shown: Showing) -> Panel:
    """Return the panel; all but the overview is made when its tab is opened."""
    result, payload = shown.result, shown.payload
    if not isinstance(result, Comparison):
        return Panel(shown.title, plain_blocks(shown))
    models = {name: each.facts() for name, each in result.evaluations.items()}
    first = next(iter(models.values()))
    metrics = list(first["scores"])
    by_metric: dict[str, Callable[[str], Block]] = {}
    if len(metrics) > 1:
        by_metric["Metrics"] = lambda metric: _metric(payload, models, metric)
    by_metric["Folds"] = lambda metric: _folds(models, metric)
    if first["slices"]:
        by_metric["Slices"] = lambda metric: _slices(models, metric)
    made: dict[str, Make] = {"Overview": lambda: _overview(shown)}
    if len(payload["pairs"]) > 1:
        made["Pairs"] = lambda: [_pairs(payload, 0), _pair(payload, 0)]
    for label, make in by_metric.items():
        # the overview shows the first metric already
        made[label] = _chosen_by(metrics, metrics[label == "Metrics"], label, make)
    views = Views(made, title="Views of the comparison")
    panel = Panel(shown.title, [sentence(payload["sentence"]), views.block])

    def pick(place: Any) -> None:
        panel.show(_pairs(payload, int(place)), _pair(payload, int(place)))

    panel.does("pick", pick)
    for label, make in by_metric.items():
        panel.does(f"metric:{label}", _showing(panel, make))
    return views.fill(panel)


def _chosen_by(metrics: Sequence[str], first: str, label: str, make: Callable[[str], Block]) -> Make:
    """Return what makes a view of one metric, with a control that chooses which where there are several."""
    chosen = controls(f"{label}-of", choice(f"metric:{label}", "Metric", metrics, first))
    return lambda: [*([chosen] if len(metrics) > 1 else []), make(first)]


def _showing(panel: Panel, make: Callable[[str], Block]) -> Act:
    return lambda metric: panel.show(make(str(metric)))


def _overview(shown: Showing) -> list[Block]:
    payload = shown.payload
    best = payload["best"]
    mean = payload["summary"][best]
    found = [
        figure(
            f"{payload['metric']} of {best}",
            number_text(mean["mean"]),
            interval_text(mean["ci_low"], mean["ci_high"]),
        )
    ]
    if (nearest := _nearest(payload)) is not None:
        pair, other = nearest
        found.append(_difference(f"Less {other}, the next", pair))
        found.append(figure("p", p_text(pair["p"]), _verdict(pair)))
    blocks: list[Block] = [figures("figures", found)]
    if shown.picture:
        blocks.append(picture("picture", shown.picture))
    if shown.table:
        blocks.append(table("table", shown.table, "The models against the best"))
    if len(payload["pairs"]) == 1:
        blocks += _drawn(payload, payload["pairs"][0])
    return [*blocks, *([notes(payload["notes"])] if payload["notes"] else [])]


def _nearest(payload: Mapping[str, Any]) -> tuple[Pair, str] | None:
    """Return the pair of the best model and of the one whose mean comes next, as the best less it."""
    best = payload["best"]
    means = {name: each["mean"] for name, each in payload["summary"].items()}
    known = {name: mean for name, mean in means.items() if mean is not None and name != best}
    if not known or means[best] is None:
        return None
    other = (max if payload["greater_is_better"] else min)(known, key=lambda name: known[name])
    pair = next(each for each in payload["pairs"] if {each["a"], each["b"]} == {best, other})
    return (pair if pair["a"] == best else _turned(pair)), other


def _turned(pair: Pair) -> Pair:
    low, mean, high = (
        None if pair[key] is None else -pair[key] for key in ("ci_high", "difference", "ci_low")
    )
    return {**pair, "a": pair["b"], "b": pair["a"], "difference": mean, "ci_low": low, "ci_high": high}


def _pairs(payload: Mapping[str, Any], chosen: int) -> Block:
    rows = [
        (
            pair["a"],
            pair["b"],
            number_text(pair["difference"]),
            ends_text(pair["ci_low"], pair["ci_high"]),
            p_text(pair["p"]),
            pair["verdict"],
        )
        for pair in payload["pairs"]
    ]
    columns = ("model", "less", "difference", "95 % interval", "p", "better")
    return table("pairs", Table(columns, rows), "Pairs of models", choose="pick", chosen=chosen)


def _pair(payload: Mapping[str, Any], place: int) -> Block:
    pair = payload["pairs"][place]
    found = [
        _difference(f"{pair['a']} less {pair['b']}", pair),
        figure("p", p_text(pair["p"]), _verdict(pair)),
    ]
    found += [
        figure("Would show with", f"{rounded_up(pair[key])} {what}", "about, if the difference is real")
        for key, what in (("rows_needed", "rows"), ("folds_needed", "folds"))
        if pair[key] is not None
    ]
    title = heading("pair-title", f"{pair['a']} and {pair['b']}")
    return stack("pair", [title, figures("pair-figures", found), *_drawn(payload, pair)])


def _drawn(payload: Mapping[str, Any], pair: Pair) -> list[Block]:
    drawing = pair_chart(payload, pair)
    return [picture("pair-picture", drawing)] if drawing else []


def _metric(payload: Mapping[str, Any], models: Models, metric: str) -> Block:
    """Return all models by one metric, of which only the first was tested."""
    seen = _by(payload, models, metric)
    blocks: list[Block] = []
    if drawing := comparison_chart(seen):
        blocks.append(picture("metric-picture", drawing))
    rows = [
        (
            name,
            number_text(each["mean"]),
            number_text(each["std"]),
            ends_text(each["ci_low"], each["ci_high"]),
        )
        for name, each in seen["summary"].items()
    ]
    shown = Table(("model", metric, "std", "95 % interval"), rows)
    blocks.append(table("metric-table", shown, f"{metric} of each model"))
    blocks.append(text("metric-told", f"The pairs were tested by {payload['metric']}."))
    return stack("metric-shown", blocks)


def _by(payload: Mapping[str, Any], models: Models, metric: str) -> dict[str, Any]:
    """Return what the picture of a comparison takes, for another metric than the first."""
    return {
        **payload,
        "metric": metric,
        "greater_is_better": metric not in next(iter(models.values()))["smaller_is_better"],
        "scores": {name: each["scores"][metric] for name, each in models.items()},
        "summary": {name: each["summary"][metric] for name, each in models.items()},
    }


def _folds(models: Models, metric: str) -> Block:
    scores = {name: each["scores"][metric] for name, each in models.items()}
    count = max(map(len, scores.values()), default=0)
    rows = [
        (str(place + 1), *(number_text(values[place]) for values in scores.values()))
        for place in range(min(count, _MOST_FOLDS))
    ]
    blocks = [table("folds", Table(("fold", *scores), rows), f"{metric} of each model in each fold")]
    if count > _MOST_FOLDS:
        told = f"The first {_MOST_FOLDS} of {count} folds; .evaluations[name].scores has them all."
        blocks.append(text("folds-told", told))
    return stack("folds-shown", blocks)


def _slices(models: Models, metric: str) -> Block:
    """Return the models side by side in each slice."""
    values: dict[tuple[str, int], dict[str, str]] = {}
    for name, each in models.items():
        for part in each["slices"]:
            if part["metric"] == metric:
                values.setdefault((part["slice"], part["rows"]), {})[name] = number_text(part["value"])
    rows = [
        (part, str(count), *(found.get(name, "–") for name in models))
        for (part, count), found in values.items()
    ]
    shown = Table(("slice", "rows", *models), rows)
    return stack("slices-shown", [table("slices", shown, f"{metric} of each model in each slice")])


def _difference(label: str, pair: Pair) -> dict[str, Any]:
    return figure(label, number_text(pair["difference"]), interval_text(pair["ci_low"], pair["ci_high"]))


def _verdict(pair: Pair) -> str:
    return "the data cannot tell" if pair["verdict"] == CANNOT_TELL else f"{pair['verdict']} is better"
