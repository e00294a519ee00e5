"""The panels of results: what is sent at first, and what on demand."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ipywidgets import Widget

import shown_results as made
from clusters import until
from modelyard.evaluation import Evaluation
from modelyard.tuning import tune
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import panel_mimebundle

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    yield
    Widget.close_all()


@pytest.fixture(scope="module", autouse=True)
def in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with made.in_a_folder_of_its_own(tmp_path_factory):
        yield


class Reader:
    """Somebody who looks at a result and uses its panel."""

    def __init__(self, result: Any) -> None:
        from ipywidgets.widgets.widget import _instances

        self.bundle = panel_mimebundle(result)
        found = _instances[self.bundle[WIDGET_VIEW]["model_id"]]
        assert isinstance(found, Panel)
        self.panel = found
        self.sent: list[Any] = []
        self.panel.send = lambda content, buffers=None: self.sent.append(content)  # type: ignore[method-assign]

    @property
    def bytes_at_first(self) -> int:
        return len(json.dumps(self.panel.get_state())) + len(json.dumps(self.bundle))

    def use(self, key: str, value: Any) -> int:
        """Use a control; return the bytes that are sent back."""
        self.sent.clear()
        self.panel._handle_custom_msg({"do": key, "value": value, "turn": 1}, [])
        return len(json.dumps(self.sent))

    @property
    def tabs(self) -> list[str]:
        [found] = [block for block in self.panel.blocks if block["type"] == "tabs"]
        return [tab["label"] for tab in found["tabs"]]

    def block(self, key: str) -> dict[str, Any]:
        return next(block for block in every(self.panel.blocks) if block["key"] == key)

    def has(self, key: str) -> bool:
        return any(block["key"] == key for block in every(self.panel.blocks))


def every(blocks: Any) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield block
        yield from every(block.get("blocks", ()))
        for tab in block.get("tabs", ()):
            yield from every(tab["blocks"])


def test_an_evaluation_shows_its_overview_and_sends_the_rest_when_it_is_opened() -> None:
    reader = Reader(made.evaluation())
    assert reader.tabs[:4] == ["Overview", "Folds", "Slices", "Curves"]
    assert len(reader.block("table")["rows"]) == 2
    assert not reader.has("further-0")
    reader.use("views", "Folds")
    assert reader.block("folds")["columns"] == ["fold", "roc_auc", "accuracy", "fit"]
    assert len(reader.block("folds")["rows"]) == 5
    reader.use("views", "Curves")
    assert [block["title"] for block in every([reader.block("further")]) if block["type"] == "picture"]
    assert reader.use("views", "Curves") < 50, "it is there already"


def test_slices_are_shown_by_the_metric_that_is_chosen_and_their_names_are_text() -> None:
    reader = Reader(made.evaluation())
    reader.use("views", "Slices")
    assert reader.block("slices-table")["columns"][2] == "roc_auc"
    reader.use("slices-metric", "accuracy")
    assert reader.block("slices-table")["columns"][2] == "accuracy"
    assert any(made.HOSTILE in cell for row in reader.block("slices-table")["rows"] for cell in row)
    svg = reader.block("slices-picture")["svg"]
    assert "<img" not in svg
    assert "onerror" in svg


def test_all_pictures_stand_in_where_there_is_no_kernel() -> None:
    markup = Reader(made.evaluation()).bundle["text/html"]
    assert markup.count('<img src="data:image/svg+xml') == 5
    assert made.HOSTILE not in markup


def test_a_study_of_2000_trials_stays_small_on_the_wire() -> None:
    reader = Reader(made.study_of_many_trials())
    assert reader.bytes_at_first < 2_000_000
    for label in ("Parallel coordinates", "Slices", "Trials"):
        assert reader.use("views", label) < 300_000, label
    for name in ("max_depth", "min_samples_leaf", "criterion"):
        reader.use("parameter", name)
        assert len(reader.block("slice-picture")["svg"]) < 300_000, name
    assert "The last 300 of 2000" in reader.block("trials-told")["text"]


def test_the_importance_of_parameters_is_measured_when_it_is_asked_for() -> None:
    reader = Reader(made.study())
    reader.use("views", "Importance")
    until(lambda: reader.has("importance-told"), what="PED-ANOVA")
    assert "PED-ANOVA on 8 trials" in reader.block("importance-told")["text"]
    until(lambda: not reader.panel.busy, what="the end of it")
    reader.use("fanova", True)
    until(lambda: "fANOVA on 8 trials: the" in reader.block("importance-told")["text"], what="fANOVA")
    assert "max_depth" in reader.block("importance-picture")["alt"]


def test_trials_that_are_all_alike_are_refused_in_words() -> None:
    same = made.study().trials.assign(value=0.9)
    reader = Reader(dataclasses.replace(made.study(), trials=same))
    reader.use("fanova", True)
    until(lambda: not reader.panel.busy, what="the end of it")
    assert reader.block("told")["tone"] in ("good", "error")  # an evaluator may find an even share
    assert "Traceback" not in reader.block("told")["text"]


def test_a_study_that_runs_is_steered_from_its_panel_and_ends_as_a_study() -> None:
    run = tune(
        made.TREE,
        *made.data(),
        "max_depth: int 1..200",
        method="random",
        trials=180,
        cv="stratified:3",
        bg=True,
    )
    reader = Reader(run)
    try:
        reader.use("pause", True)
        assert run.state == "paused"
        assert reader.block("steer")["controls"][0]["label"] == "Go on"
        reader.use("more", 2.5)
        reader.use("add", True)
        assert "whole number from 1 up, found 2.5" in reader.block("told")["text"]
        reader.use("more", 5)
        reader.use("add", True)
        assert run.wanted == 185
        reader.use("pause", True)
        until(lambda: len(run.history) > 1, what="two trials", seconds=60)
        assert run.history[0].keys() == {"number", "state", "value"}
        reader.use("stop", True)
        assert run.wait(60)
        until(lambda: reader.has("outcome-told"), what="the study")
        reader.use("views", "Trials")
        assert len(reader.block("trials")["rows"]) == run.done
    finally:
        if not run.wait(0):
            run.stop(now=True)


def test_an_explanation_follows_the_column_the_row_and_the_answer() -> None:
    reader = Reader(made.attribution())
    assert reader.tabs == ["Importance", "All rows", "One column", "One row"]
    for label in reader.tabs[1:]:
        reader.use("views", label)
    reader.use("column", "mean area")
    assert "What mean area adds" in reader.block("column-picture")["alt"]
    reader.use("row", "7")
    assert reader.block("row-picture")["alt"].startswith("Row 7 for 1: ")
    reader.use("row-of", "0")
    assert reader.block("row-picture")["alt"].startswith("Row 7 for 0: ")
    reader.use("row", "99")
    assert "row 99 was not explained; the nearest that was is 39" in reader.block("told")["text"]
    assert reader.block("row-picture")["alt"].startswith("Row 7 for 0: ")


def test_an_explanation_of_100000_rows_stays_small_and_says_what_is_drawn() -> None:
    count, rng = 100_000, np.random.default_rng(0)
    columns = list(made.attribution().columns)
    large = dataclasses.replace(
        made.attribution(),
        values=rng.normal(size=(count, len(columns), 2)),
        answers=np.zeros((count, 2)),
        data=pd.DataFrame(rng.normal(size=(count, len(columns))), columns=columns),
        rows=np.arange(count),
    )
    reader = Reader(large)
    assert reader.bytes_at_first < 2_000_000
    for label in reader.tabs[1:]:
        assert reader.use("views", label) < 500_000, label
    assert "Every 500th of 100,000 rows is drawn" in reader.block("column-told")["text"]
    reader.use("row", 54_321)
    assert reader.block("row-picture")["alt"].startswith("Row 54321 ")


def test_a_candidate_that_is_picked_says_what_changes_and_for_whom() -> None:
    reader = Reader(made.compression())
    rows = reader.block("table")["rows"]
    chosen = reader.block("table")["chosen"]
    assert rows[chosen][0] == "chosen"
    original = next(place for place, row in enumerate(rows) if row[1] == "original")
    if chosen != original:
        assert len(reader.block("change-slices")["rows"]) == len(made.compression().slices)
    reader.use("pick", original)
    assert "nothing changes" in reader.block("change-same")["text"]
    other = next(place for place in range(len(rows)) if place not in (chosen, original))
    reader.use("pick", other)
    assert rows[other][3] in [figure["value"] for figure in reader.block("change-figures")["figures"]]
    assert "square: picked" in reader.block("picture")["svg"]


def test_counterfactuals_and_dependence_show_one_at_a_time() -> None:
    changed = Reader(made.counterfactuals())
    changed.use("row", "1")
    assert changed.block("change-1")["columns"] == ["column", "from", "to"]
    curves = Reader(made.dependence())
    curves.use("column", "mean area")
    assert curves.block("picture")["title"] == "Dependence on mean area"


def test_a_comparison_shows_the_best_its_pairs_and_the_models_side_by_side() -> None:
    reader = Reader(made.comparison())
    assert reader.tabs == ["Overview", "Pairs", "Metrics", "Folds", "Slices"]
    best, ahead, p = reader.block("figures")["figures"]
    [nearest] = made.comparison().pairs.query("a == 'logistic' and b == 'neighbours'").itertuples()
    assert best["label"] == "roc_auc of logistic"
    assert (ahead["label"], ahead["value"]) == ("Less neighbours, the next", f"{nearest.difference:.4g}")
    assert ahead["note"] == f"95 %: {nearest.ci_low:.4g} to {nearest.ci_high:.4g}"
    assert p["note"] == ("the data cannot tell" if nearest.verdict == "cannot tell" else "logistic is better")
    assert not reader.has("pair-picture")
    for label in reader.tabs[1:]:
        assert reader.use("views", label) < 100_000, label
    assert reader.block("metric-picture")["alt"].startswith("Scores of each model in each fold")
    assert reader.block("metric-table")["columns"][1] == "accuracy"
    reader.use("pick", 1)
    assert "roc_auc of logistic less that of neighbours" in reader.block("pair-picture")["alt"]
    reader.use("metric:Folds", "accuracy")
    assert reader.block("folds")["columns"] == ["fold", "logistic", made.HOSTILE, "neighbours"]
    scores = made.comparison().evaluations["neighbours"].scores["accuracy"]
    assert [row[3] for row in reader.block("folds")["rows"]] == [f"{score:.4g}" for score in scores]
    assert len(reader.block("slices")["rows"]) == 4


def test_two_models_are_one_pair_which_the_overview_draws() -> None:
    whole = made.comparison()
    two = {name: whole.evaluations[name] for name in ("logistic", "neighbours")}
    pairs = whole.pairs.query("a == 'logistic' and b == 'neighbours'")
    reader = Reader(dataclasses.replace(whole, evaluations=two, pairs=pairs))
    assert "Pairs" not in reader.tabs
    assert "roc_auc of logistic less that of neighbours" in reader.block("pair-picture")["alt"]


def test_interactions_are_those_of_the_column_that_is_chosen_and_say_how_a_pair_is_drawn() -> None:
    reader = Reader(made.interactions())
    assert len(reader.block("table")["rows"]) == 3
    reader.use("column", "mean texture")
    rows = reader.block("table")["rows"]
    assert [("mean texture" in row) for row in rows] == [True, True]
    reader.use("pick", 1)
    one, other = rows[1][:2]
    assert reader.block("table")["chosen"] == 1
    assert reader.block("pair-title")["text"] == f"{one} and {other}"
    called: dict[str, Any] = {}
    modelyard = SimpleNamespace(explain=lambda *given, **how: called.update(how))
    eval(reader.block("pair-call")["text"], {"modelyard": modelyard, "model": 0, "X": 0})  # ours, of above
    curves = made.explained(**called)
    assert "Mean probability" in Reader(curves).block("picture")["alt"]


def test_fairness_shows_one_measure_of_one_column_and_says_who_is_at_which_end() -> None:
    fairness = made.fairness()
    reader = Reader(fairness)
    assert reader.tabs == ["Groups", "All measures"]
    assert sum(block["type"] == "picture" for block in every(reader.panel.blocks)) == 1
    reader.use("by", "clinic")
    reader.use("measure", "true positive rate")
    [line] = fairness.disparities.query("by == 'clinic' and metric == 'true positive rate'").itertuples()
    words = reader.block("measure-words")["text"]
    assert words.startswith(f"Of those that are 1 it finds the fewest in {line.lowest} (")
    assert f"the most in {line.highest} (" in words
    assert "depends on whether 1 is what one wishes for" in words
    assert reader.block("measure-figures")["figures"][0]["value"] == f"{line.difference:.4g}"
    assert made.HOSTILE in words
    svg = reader.block("measure-picture")["svg"]
    assert "<img" not in svg
    assert "onerror" in svg
    groups = reader.block("measure-groups")["rows"]
    assert {row[0] for row in groups} == {line.lowest, line.highest}
    reader.use("views", "All measures")
    assert len(reader.block("table")["rows"]) == len(fairness.disparities)


def test_groups_that_cannot_be_compared_are_told_of_in_words() -> None:
    fairness = made.fairness()
    few = fairness.disparities.copy()
    unknown = (few["by"] == "clinic") & (few["metric"] == "accuracy")
    few.loc[unknown, few.columns[4:]] = np.nan
    few.loc[unknown, ["lowest", "highest"]] = "–"
    reader = Reader(dataclasses.replace(fairness, disparities=few))
    reader.use("by", "clinic")
    reader.use("measure", "accuracy")
    assert "they are not compared" in reader.block("measure-words")["text"]
    assert not reader.has("measure-picture")
    assert len(reader.block("measure-groups")["rows"]) == 2


def test_a_result_of_another_version_is_told_of_in_one_line() -> None:
    evaluation = made.evaluation()
    older = pickle.loads(pickle.dumps(evaluation))
    del older.__dict__["pictures"]
    assert panel_mimebundle(older)["text/plain"].startswith(
        "This Evaluation is of another version of modelyard"
    )

    class Newer(Evaluation):
        def payload(self) -> dict[str, Any]:
            return {**super().payload(), "schema": 7}

    newer = Newer(**{each.name: getattr(evaluation, each.name) for each in dataclasses.fields(evaluation)})
    assert "its schema is 7, and this one reads 1" in panel_mimebundle(newer)["text/plain"]
