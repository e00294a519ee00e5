"""Panels of what runs, as their pages drive them: a real bundle and a real endpoint behind each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ipywidgets import Widget
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modelyard
from endpoints import eventually
from modelyard.catalog import open_yard
from modelyard.packaging import Bundle
from modelyard.presentation import Result
from modelyard.targets import Deployment
from modelyard.targets.asking import planned
from modelyard.targets.protocol import make_target
from modelyard_widgets.deploy_panel import deploy_panel
from modelyard_widgets.endpoint_panel import watching_panel
from modelyard_widgets.endpoint_reading import counted, quantile
from modelyard_widgets.panel import Panel
from modelyard_widgets.showing import panel_mimebundle
from modelyard_widgets.what_if_panel import what_if_panel
from people import FRAME, MODEL, NUMBERS, ROW, TARGET, a_place_of_its_own, pipeline

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")

HOSTILE = "<img src=x onerror=alert(1)>"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the module's place; no panel outlives its test."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))
    yield
    Widget.close_all()


@pytest.fixture(scope="module")
def bundles(place: Path) -> tuple[Bundle, Bundle]:
    doubtful = pipeline(StandardScaler())
    doubtful[-1].set_params(C=0.01)
    second = doubtful.fit(FRAME, TARGET)
    evaluation = modelyard.cross_validate(MODEL, FRAME, TARGET, cv="stratified:3", scoring=["accuracy"])
    return (
        modelyard.package(MODEL, FRAME, TARGET, name="people", evaluation=evaluation),
        modelyard.package(second, FRAME, TARGET, name="people"),
    )


@pytest.fixture(scope="module")
def deployed(bundles: tuple[Bundle, Bundle]) -> Iterator[Deployment]:
    made = modelyard.deploy(bundles[0], to="local", name="people")
    assert isinstance(made, Deployment)
    yield made
    made.remove()


class Page:
    """A panel's page: what it was sent, what stands in it, and somebody who uses its controls."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.sent: list[Any] = []
        panel.send = lambda content, buffers=None: self.sent.append(content)  # type: ignore[method-assign]

    def use(self, key: str, value: Any = True) -> None:
        self.panel._handle_custom_msg({"do": key, "value": value, "turn": 1}, [])

    def block(self, key: str) -> dict[str, Any]:
        [found] = [block for block in _all(self.panel.blocks) if block["key"] == key]
        return found

    def has(self, key: str) -> bool:
        return any(block["key"] == key for block in _all(self.panel.blocks))

    @property
    def told(self) -> str:
        return str(self.block("told")["text"])

    def figure(self, key: str, label: str) -> str:
        [found] = [each["value"] for each in self.block(key)["figures"] if each["label"] == label]
        return str(found)

    def controls(self) -> dict[str, dict[str, Any]]:
        return {
            control["key"]: control
            for block in _all(self.panel.blocks)
            for control in block.get("controls", ())
        }

    def control(self, label: str) -> dict[str, Any]:
        [found] = [each for each in self.controls().values() if each["label"] == label]
        return found

    def waits(self, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
        assert eventually(is_so, seconds), (self.panel.busy, self.told)


def _all(shown: Any) -> Iterator[dict[str, Any]]:
    for block in shown:
        yield block
        yield from _all(block.get("blocks", ()))
        for tab in block.get("tabs", ()):
            yield from _all(tab["blocks"])


def shown(result: Result) -> Page:
    from ipywidgets.widgets.widget import _instances

    return Page(_instances[panel_mimebundle(result)[WIDGET_VIEW]["model_id"]])


# -- what if ------------------------------------------------------------------------------------------------------


def test_each_column_has_the_control_that_the_contract_says(bundles: tuple[Bundle, Bundle]) -> None:
    page = Page(what_if_panel(bundles[0]))

    age, income, town = page.control("age"), page.control("income"), page.control("town")
    assert (age["type"], age["min"], age["max"], age["step"]) == ("range", 18, 79, 1)
    assert income["type"] == "range"
    assert income["min"] == pytest.approx(FRAME["income"].min(), abs=income["step"])
    assert income["max"] == pytest.approx(FRAME["income"].max(), abs=income["step"])
    assert [option["label"] for option in town["options"]] == ["Basel", "Bern", "(missing)"]
    assert page.control("member")["type"] == "check"
    assert page.control("income is missing")["type"] == "check"
    assert json.loads(json.dumps(page.panel.blocks)) == page.panel.blocks


def test_it_begins_with_usual_values_and_not_with_a_row_of_the_training_table(
    bundles: tuple[Bundle, Bundle],
) -> None:
    page = Page(what_if_panel(bundles[0]))

    assert abs(page.control("age")["value"] - FRAME["age"].median()) <= 2
    assert abs(page.control("income")["value"] - FRAME["income"].median()) <= 25


def test_what_is_changed_is_answered_as_the_estimator_does(bundles: tuple[Bundle, Bundle]) -> None:
    page = Page(what_if_panel(bundles[0]))

    page.use(page.control("age")["key"], ROW["age"])
    page.use(page.control("town")["key"], "1")
    page.use(page.control("member")["key"], True)
    page.use(page.control("income is missing")["key"], True)

    row = pd.DataFrame([{**ROW, "income": None}]).astype({"income": float})
    assert page.figure("what-if-prediction", "Prediction") == MODEL.predict(row)[0]
    likely = dict(zip(MODEL.classes_, MODEL.predict_proba(row)[0], strict=True))
    for bar in page.block("what-if-probabilities")["bars"]:
        assert bar["share"] == pytest.approx(likely[bar["label"]], abs=1e-6)
    assert page.control("income")["disabled"]
    page.use("what-if-reset")
    assert abs(page.control("age")["value"] - FRAME["age"].median()) <= 2
    assert "disabled" not in page.control("income")


def test_one_change_sends_the_answer_and_the_column_and_nothing_else(bundles: tuple[Bundle, Bundle]) -> None:
    page = Page(what_if_panel(bundles[0]))

    page.use(page.control("age")["key"], 30)

    [patch, done] = page.sent
    assert {block["key"] for block in patch["patch"]} == {
        "what-if-prediction", "what-if-probabilities", "column-0-controls",
    }  # fmt: skip
    assert done == {"done": 1}


def test_what_training_never_saw_is_flagged_and_what_breaks_the_contract_refused_in_the_endpoints_words(
    bundles: tuple[Bundle, Bundle], deployed: Deployment
) -> None:
    for page in (Page(what_if_panel(bundles[0])), Page(what_if_panel(deployed))):
        age = page.control("age")["key"]

        page.use(age, 200)
        assert page.block("what-if-said") | {"key": ""} == {
            "key": "", "type": "told", "text": "'age': 200 is outside 18 to 79", "tone": "warning",
        }  # fmt: skip
        page.use(age, 1.5)
        assert page.block("what-if-said")["text"] == (
            "column 'age': 1.5 where a whole number belongs; learned: a whole number from 18 to 79"
        )
        page.use(age, HOSTILE)
        assert "takes another kind of value" in page.told
        page.use(page.control("town")["key"], "17")
        assert page.told == "'town' has no option '17'; choose one of those that are there"
        page.use(age, 30)
        assert page.block("what-if-said")["text"] == page.told == ""


def test_of_many_columns_the_most_telling_come_first_and_those_beyond_24_open_on_demand(place: Path) -> None:
    random = np.random.default_rng(0)
    wide = pd.DataFrame(random.normal(size=(80, 27)), columns=[f"c{n}" for n in range(27)])
    target = 5 * wide["c20"] + 2 * wide["c3"]
    bundle = modelyard.package(Ridge().fit(wide, target), wide, target, name="wide", explain=True)
    page = Page(what_if_panel(bundle))

    first = [block["controls"][0]["label"] for block in page.block("what-if-first")["blocks"]]
    assert first[:2] == ["c20", "c3"]
    assert len(first) == 24
    assert page.block("what-if-more")["title"] == "3 more columns"
    assert len(page.block("what-if-rest")["blocks"]) == 3
    assert page.block("what-if-probabilities")["bars"] == []
    assert abs(float(page.figure("what-if-prediction", "Prediction"))) < 2
    assert shown(bundle).block("weights")["bars"][0]["label"] == "c20"


def test_names_and_categories_are_text_wherever_they_stand(place: Path) -> None:
    frame = FRAME.rename(columns={"town": HOSTILE}).replace({HOSTILE: {"Bern": "<b>Bern</b>"}})
    frame = frame.fillna({HOSTILE: "Basel", "income": 3000.0})
    columns = ColumnTransformer([("n", "passthrough", NUMBERS), ("t", OneHotEncoder(), [HOSTILE])])
    model = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(frame, TARGET)
    page = Page(what_if_panel(modelyard.package(model, frame, TARGET, name="hostile")))

    control = page.control(HOSTILE)
    assert "<b>Bern</b>" in [option["label"] for option in control["options"]]
    assert HOSTILE not in "".join(page.controls())  # keys are made of places


# -- a bundle -----------------------------------------------------------------------------------------------------


def test_a_bundle_loads_its_model_when_the_what_if_is_opened_and_not_before(
    bundles: tuple[Bundle, Bundle],
) -> None:
    page = shown(bundles[0])

    assert not page.has("what-if-prediction")
    assert page.figure("figures", "accuracy")
    assert [row[0] for row in page.block("columns")["rows"]] == list(FRAME.columns)
    page.use("views", "What if")
    page.waits(lambda: page.has("what-if-prediction"))
    page.use(page.control("age")["key"], 20)
    assert page.figure("what-if-prediction", "Prediction") == "no"


def test_a_bundle_that_is_deleted_says_so_in_one_line(place: Path) -> None:
    bundle = modelyard.package(MODEL, FRAME, TARGET, name="fleeting")
    page = shown(bundle)
    shutil.rmtree(bundle.path)

    page.use("views", "What if")

    gone = f"bundle fleeting:1 is gone from {bundle.path}; package the model again"
    page.waits(lambda: page.told == gone)


# -- an endpoint --------------------------------------------------------------------------------------------------


def test_a_deployment_is_seen_before_it_is_asked_and_then_live(deployed: Deployment) -> None:
    page = shown(deployed)
    assert page.panel.blocks[0]["text"] == deployed.sentence()

    deployed.predict(FRAME.iloc[:60].assign(age=200))

    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready")
    page.waits(lambda: page.has("endpoint-table") and int(page.block("endpoint-table")["rows"][0][1]) >= 60)
    age, income = page.block("endpoint-table")["rows"][:2]
    assert age[4] != "0.0 %"
    assert income[2] != "0.0 %"
    page.waits(lambda: page.has("endpoint-picture"))
    assert "requests a second" in page.block("endpoint-picture")["alt"]
    assert deployed.token not in json.dumps(page.panel.blocks)


def test_an_endpoint_is_stopped_and_started_and_says_what_to_type(deployed: Deployment) -> None:
    page = shown(deployed)
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready")

    page.use("endpoint-stop")
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "stopped" and not page.panel.busy)
    assert page.block("endpoint-line")["text"] == (
        "'people' is stopped; type modelyard.deployment('people').start()"
    )
    assert not page.controls()["endpoint-start"]["disabled"]
    page.use("views", "What if")  # of an endpoint that is down: there, with one line instead of an answer
    page.waits(lambda: page.has("what-if-said"))
    assert "does not answer" in page.block("what-if-said")["text"]
    page.use("endpoint-start")
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready" and not page.panel.busy)


def test_who_only_looks_can_act_on_nothing_and_reads_no_log(deployed: Deployment) -> None:
    page = Page(watching_panel(deployed))
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready")

    assert page.controls() == {}
    assert page.panel._does == {}
    page.use("endpoint-stop")
    assert deployed.status().health == "ready"
    assert not page.has("endpoint-log")


def test_a_page_that_comes_late_is_given_what_was_shown_meanwhile(deployed: Deployment) -> None:
    page = Page(watching_panel(deployed))
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready")
    page.sent.clear()

    page.panel._handle_custom_msg({"here": True}, [])

    assert {"patch": page.panel.blocks} in page.sent


def test_counters_are_added_over_variants_and_quantiles_are_within_a_bin() -> None:
    text = "\n".join(
        [
            "# TYPE modelyard_requests counter",
            'modelyard_requests_total{bundle="b",path="/predict",status="200",variant="v1"} 7',
            'modelyard_requests_total{bundle="b",path="/predict",status="500",variant="v2"} 2',
            'modelyard_requests_total{bundle="b",path="/predict",status="422",variant="v2"} 1',
            'modelyard_requests_total{bundle="b",path="/metrics",status="200",variant="v1"} 50',
            "",
        ]
    )
    found = counted(text, 0.0)
    assert (found.requests, found.errors, found.refused) == (10, 2, 1)
    assert quantile({0.1: 5.0, 0.2: 10.0, float("inf"): 10.0}, 0.75) == pytest.approx(0.15)
    assert quantile({}, 0.5) is None


# -- traffic ------------------------------------------------------------------------------------------------------


def test_a_canary_is_set_and_rolled_back_and_who_acted_on_an_older_policy_is_told(
    deployed: Deployment, bundles: tuple[Bundle, Bundle]
) -> None:
    first, second = shown(deployed.traffic()), shown(deployed.traffic())
    assert [each["value"] for each in first.controls()["traffic-variant"]["options"]] == ["v2"]
    first.use("traffic-share", 25)
    first.use("traffic-set")
    first.waits(lambda: not first.panel.busy and "canary v2=25%" in first.told)
    assert deployed.traffic().policy.weights == {"v1": 0.75, "v2": 0.25}
    bars = {bar["label"]: bar["value"] for bar in first.block("traffic-shares")["bars"]}
    assert bars == {"v1 (people:1)": "75 %", "v2 (people:2)": "25 %"}

    first.use("traffic-back")
    second.use("traffic-promote")
    first.waits(lambda: not first.panel.busy and not second.panel.busy)
    told = [first.told, second.told]
    assert [line for line in told if "the policy was changed meanwhile: number" in line], told
    assert all("\n" not in line for line in told)
    if "v2" in deployed.traffic().policy.answering:
        deployed.traffic(rollback=True)


def test_a_rollout_is_followed_step_by_step(deployed: Deployment, bundles: tuple[Bundle, Bundle]) -> None:
    page = shown(deployed.traffic())

    page.use("traffic-steps", "40%, 100%")
    page.use("traffic-every", 3600)
    page.use("traffic-roll-out")

    page.waits(lambda: page.has("traffic-step"))
    assert page.block("traffic-step")["text"].startswith("Rolling out v2: step 1 of 2, 40 %")
    page.waits(lambda: page.has("traffic-guards"))
    assert any(line.startswith("errors") for line in page.block("traffic-guards")["items"])
    page.waits(lambda: not page.panel.busy)
    page.use("traffic-back")
    page.waits(lambda: page.block("traffic-step")["text"] == "v2 was rolled back at 40 %")
    page.waits(lambda: not page.panel.busy)


def test_what_a_shadow_answers_otherwise_is_shown(
    deployed: Deployment, bundles: tuple[Bundle, Bundle]
) -> None:
    page = shown(deployed.traffic(shadow="v2"))
    try:
        deployed.predict(FRAME)
        page.waits(lambda: page.has("traffic-shadow-table"))
        when, row, answered, shadow = page.block("traffic-shadow-table")["rows"][0]
        assert when
        assert row.startswith("age=")
        assert answered.startswith("v1: ")
        assert shadow.startswith("v2: ")
    finally:
        deployed.traffic(shadow=())


# -- a plan -------------------------------------------------------------------------------------------------------


def test_a_target_is_chosen_planned_applied_and_taken_back(bundles: tuple[Bundle, Bundle]) -> None:
    page = Page(deploy_panel(bundles[1]))
    table = page.block("deploy-targets")
    names = [row[0] for row in table["rows"]]
    assert names == sorted(names)

    page.use("deploy-name", "second")
    page.use("deploy-target", names.index("local"))
    page.waits(lambda: page.has("deploy-steps"))
    assert page.block("deploy-targets")["rows"][names.index("local")][1:3] == ["yes", "nothing"]
    page.waits(lambda: not page.panel.busy)
    page.use("deploy-apply")
    page.waits(lambda: page.has("deploy-deployed"), 60)
    assert modelyard.deployment("second").bundle == "people:2"
    page.waits(lambda: page.figure("endpoint-figures", "Health") == "ready")
    page.use("deploy-undo")
    page.waits(lambda: page.told == "nothing is left of 'second'")
    assert open_yard().find("deployment", "second") is None


def test_what_costs_money_is_not_applied_before_the_box_is_ticked(bundles: tuple[Bundle, Bundle]) -> None:
    target = make_target("aws-lambda", {})
    found = planned(bundles[0], "aws-lambda", target, "paid", None)
    page = shown(found)

    page.use("deploy-apply")

    assert page.told == "aws-lambda costs money or is another machine; tick the box above first"
    assert open_yard().find("deployment", "paid") is None
