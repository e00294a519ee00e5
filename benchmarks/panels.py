"""How soon a result is seen, how soon a panel answers, and how much goes to the page.

``python benchmarks/panels.py --json``: an evaluation with five pictures, a study of 2,000 trials, an explanation of
100,000 rows, partial dependence of eight columns. Each is shown as often as there are rounds, in a process that has
drawn before, as one is after the work that made the result. Each time every tab is opened and every choice is made, as
its page does it. What the browser adds is in the tests that drive it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _measure.bounds import PANELS
from _measure.run import parser, run
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

_WIDGET = "application/vnd.jupyter.widget-view+json"
_TRIALS, _ROWS = 2_000, 100_000


def _made() -> dict[str, Any]:
    import modelyard

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:, :8]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    space = "max_depth: int 1..12\nmin_samples_leaf: int 1..50 log\ncriterion: gini | entropy"
    tree = DecisionTreeClassifier(random_state=0)
    small = modelyard.tune(tree, X, y, space, trials=6, method="random", cv="stratified:3")
    rng = np.random.default_rng(0)
    many = X.sample(_ROWS, replace=True, random_state=0, ignore_index=True)
    return {
        "evaluation": modelyard.cross_validate(
            model, X, y, scoring=["roc_auc", "f1", "accuracy"], by=["mean area"]
        ),
        # what six trials were, as often as a long study has them: what is measured is the panel, not the search
        "study": replace(small, trials=_repeated(small.trials, rng)),
        "explanation": modelyard.explain(model, many),
        "dependence": modelyard.explain(model, X, method="pdp"),
    }


def _repeated(trials: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    grown = trials.iloc[np.arange(_TRIALS) % len(trials)].reset_index(drop=True)
    value = grown["value"].astype(float) + rng.normal(0, 0.01, _TRIALS)
    return grown.assign(number=range(_TRIALS), value=value)


def _blocks(blocks: Any) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield block
        yield from _blocks(block.get("blocks", ()))
        for tab in block.get("tabs", ()):
            yield from _blocks(tab["blocks"])


def _uses(panel: Any) -> Iterator[tuple[str, Any]]:
    """Yield what somebody can do who opens every tab and makes every choice: the key, and the value."""
    for block in list(_blocks(panel.blocks)):
        for tab in block.get("tabs", ())[1:]:
            yield block["key"], tab["key"]
    for block in list(_blocks(panel.blocks)):
        for control in block.get("controls", ()):
            if control["type"] == "select":
                yield control["key"], control["options"][-1]["value"]


def _shown(result: Any, rounds: int) -> dict[str, Any]:
    from modelyard_widgets.showing import panel_mimebundle

    paints: list[float] = []
    answers: dict[str, list[float]] = {}
    sent: list[Any] = []
    for _ in range(rounds):
        Widget.close_all()
        started = time.perf_counter()
        bundle = panel_mimebundle(result)
        paints.append(time.perf_counter() - started)
        panel: Any = _instances[bundle[_WIDGET]["model_id"]]
        first = len(json.dumps(bundle)) + len(json.dumps(panel.get_state(["title", "blocks"])))
        sent.clear()
        panel.send = lambda content, buffers=None: sent.append(content)
        for key, value in _uses(panel):
            answers.setdefault(f"{key}={value}", []).append(_answered(panel, key, value))
        while panel.busy:  # what it measures in the background would slow the next round down
            time.sleep(0.05)
    return {"paints_s": paints, "answers_s": answers, "bytes": first + len(json.dumps(sent))}


def _answered(panel: Any, key: str, value: Any) -> float:
    """Return the seconds in which a panel answers what somebody does."""
    started = time.perf_counter()
    panel._handle_custom_msg({"do": key, "value": value, "turn": 1}, [])
    return time.perf_counter() - started


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return every paint, every answer, and what went to the page, by the kind of result."""
    from modelyard_widgets.warming import warm_up

    warming = warm_up()
    results = _made()
    if warming is not None:
        warming.join()
    return {kind: _shown(result, wanted.rounds) for kind, result in results.items()}


def _values(found: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for kind in ("evaluation", "study", "explanation", "dependence"):
        known = found[kind]
        values[f"{kind}_paint_ms"] = 1000 * statistics.median(known["paints_s"])
        values[f"{kind}_answer_ms"] = 1000 * max(
            map(statistics.median, known["answers_s"].values()), default=0.0
        )
        values[f"{kind}_mb"] = known["bytes"] / 1e6
    return values


def main() -> None:
    """Measure."""
    run(parser(__doc__).parse_args(), measured, _values, PANELS)


if __name__ == "__main__":
    main()
