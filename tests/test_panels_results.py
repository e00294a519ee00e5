"""The panels of evaluations, studies, explanations and compressions: what is sent at first, and what on demand."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ipywidgets import Widget
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from clusters import until
from modelyard.compression import Compression, compress
from modelyard.evaluation import Evaluation, cross_validate
from modelyard.explanation import explain
from modelyard.explanation.attribution import Attribution
from modelyard.tuning import Study, tune
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import panel_mimebundle

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HOSTILE = "<img src=x onerror=alert(1)>"
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(autouse=True)
def no_widget_stays() -> Iterator[None]:
    yield
    Widget.close_all()


@pytest.fixture(scope="module")
def in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("panels")
        (folder / ".modelyard").mkdir()
        patch.chdir(folder)
        yield


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series[Any]]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:, :6], y


@pytest.fixture(scope="module")
def evaluation(in_a_folder: None, data: Any) -> Evaluation:
    X, y = data
    groups = np.where(X.index % 3 == 0, HOSTILE, "north")
    return cross_validate(LOGISTIC, X, y, scoring=["roc_auc", "accuracy"], by=[groups])


@pytest.fixture(scope="module")
def study(in_a_folder: None, data: Any) -> Study:
    space = "max_depth: int 1..12\nmin_samples_leaf: int 1..50 log\ncriterion: gini | entropy"
    tree = DecisionTreeClassifier(random_state=0)
    found = tune(tree, *data, space, method="random", trials=8, cv="stratified:3", prune=False)
    assert isinstance(found, Study)
    return found


@pytest.fixture(scope="module")
def attribution(in_a_folder: None, data: Any) -> Attribution:
    found = explain(LOGISTIC.fit(*data), data[0], rows=range(40))
    assert isinstance(found, Attribution)
    return found


@pytest.fixture(scope="module")
def compression(in_a_folder: None, data: Any) -> Compression:
    tree = DecisionTreeClassifier(random_state=0).fit(*data)
    return compress(tree, *data, techniques=["pruning"], by=["mean radius"])


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


def test_an_evaluation_shows_its_overview_and_sends_the_rest_when_it_is_opened(
    evaluation: Evaluation,
) -> None:
    reader = Reader(evaluation)
    assert reader.tabs[:4] == ["Overview", "Folds", "Slices", "Curves"]
    assert len(reader.block("table")["rows"]) == 2
    assert not reader.has("further-0")
    reader.use("views", "Folds")
    assert reader.block("folds")["columns"] == ["fold", "roc_auc", "accuracy", "fit"]
    assert len(reader.block("folds")["rows"]) == 5
    reader.use("views", "Curves")
    assert [block["title"] for block in every([reader.block("further")]) if block["type"] == "picture"]
    assert reader.use("views", "Curves") < 50, "it is there already"


def test_slices_are_shown_by_the_metric_that_is_chosen_and_their_names_are_text(
    evaluation: Evaluation,
) -> None:
    reader = Reader(evaluation)
    reader.use("views", "Slices")
    assert reader.block("slices-table")["columns"][2] == "roc_auc"
    reader.use("slices-metric", "accuracy")
    assert reader.block("slices-table")["columns"][2] == "accuracy"
    assert any(HOSTILE in cell for row in reader.block("slices-table")["rows"] for cell in row)
    svg = reader.block("slices-picture")["svg"]
    assert "<img" not in svg
    assert "onerror" in svg


def test_all_pictures_stand_in_where_there_is_no_kernel(evaluation: Evaluation) -> None:
    markup = Reader(evaluation).bundle["text/html"]
    assert markup.count('<img src="data:image/svg+xml') == 5
    assert HOSTILE not in markup


def many_trials(study: Study, count: int = 2000) -> Study:
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {
            "number": range(count),
            "state": "COMPLETE",
            "value": rng.normal(0.9, 0.02, count),
            "seconds": 0.1,
            "reason": "",
            "folds": 3,
            "params_max_depth": rng.integers(1, 13, count),
            "params_min_samples_leaf": rng.integers(1, 51, count),
            "params_criterion": pd.Series(rng.choice(["gini", "entropy"], count), dtype=object),
        }
    )
    return dataclasses.replace(study, trials=trials)


def test_a_study_of_2000_trials_stays_small_on_the_wire(study: Study) -> None:
    reader = Reader(many_trials(study))
    assert reader.bytes_at_first < 2_000_000
    for label in ("Parallel coordinates", "Slices", "Trials"):
        assert reader.use("views", label) < 300_000, label
    for name in ("max_depth", "min_samples_leaf", "criterion"):
        reader.use("parameter", name)
        assert len(reader.block("slice-picture")["svg"]) < 300_000, name
    assert "The last 300 of 2000" in reader.block("trials-told")["text"]


def test_the_importance_of_parameters_is_measured_when_it_is_asked_for(study: Study) -> None:
    reader = Reader(study)
    reader.use("views", "Importance")
    until(lambda: reader.has("importance-told"), what="PED-ANOVA")
    assert "PED-ANOVA on 8 trials" in reader.block("importance-told")["text"]
    until(lambda: not reader.panel.busy, what="the end of it")
    reader.use("fanova", True)
    until(lambda: "fANOVA on 8 trials: the" in reader.block("importance-told")["text"], what="fANOVA")
    assert "max_depth" in reader.block("importance-picture")["alt"]


def test_trials_that_are_all_alike_are_refused_in_words(study: Study) -> None:
    same = study.trials.assign(value=0.9)
    reader = Reader(dataclasses.replace(study, trials=same))
    reader.use("fanova", True)
    until(lambda: not reader.panel.busy, what="the end of it")
    assert reader.block("told")["tone"] in ("good", "error")  # an evaluator may find an even share
    assert "Traceback" not in reader.block("told")["text"]


def test_a_study_that_runs_is_steered_from_its_panel_and_ends_as_a_study(
    in_a_folder: None, data: Any
) -> None:
    tree = DecisionTreeClassifier(random_state=0)
    run = tune(tree, *data, "max_depth: int 1..200", method="random", trials=180, cv="stratified:3", bg=True)
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


def test_an_explanation_follows_the_column_the_row_and_the_answer(attribution: Attribution) -> None:
    reader = Reader(attribution)
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


def test_an_explanation_of_100000_rows_stays_small_and_says_what_is_drawn(attribution: Attribution) -> None:
    count, rng = 100_000, np.random.default_rng(0)
    columns = list(attribution.columns)
    large = dataclasses.replace(
        attribution,
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


def test_a_candidate_that_is_picked_says_what_changes_and_for_whom(compression: Compression) -> None:
    reader = Reader(compression)
    rows = reader.block("table")["rows"]
    chosen = reader.block("table")["chosen"]
    assert rows[chosen][0] == "chosen"
    original = next(place for place, row in enumerate(rows) if row[1] == "original")
    if chosen != original:
        assert len(reader.block("change-slices")["rows"]) == len(compression.slices)
    reader.use("pick", original)
    assert "nothing changes" in reader.block("change-same")["text"]
    other = next(place for place in range(len(rows)) if place not in (chosen, original))
    reader.use("pick", other)
    assert rows[other][3] in [figure["value"] for figure in reader.block("change-figures")["figures"]]
    assert "square: picked" in reader.block("picture")["svg"]


def test_counterfactuals_and_dependence_show_one_at_a_time(in_a_folder: None, data: Any) -> None:
    model = LOGISTIC.fit(*data)
    changed = Reader(explain(model, data[0], method="counterfactual", rows=[0, 1]))
    changed.use("row", "1")
    assert changed.block("change-1")["columns"] == ["column", "from", "to"]
    curves = Reader(explain(model, data[0], method="pdp", columns="mean area,mean radius"))
    curves.use("column", "mean area")
    assert curves.block("picture")["title"] == "Dependence on mean area"


def test_a_result_of_another_version_is_told_of_in_one_line(evaluation: Evaluation) -> None:
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
