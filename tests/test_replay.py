"""What was asked of a deployment is played against another bundle: what it answers otherwise, where, and why."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import psutil
import pytest
from sklearn.linear_model import LinearRegression

import modelyard
from modelyard import progress
from modelyard.catalog import open_yard
from modelyard.errors import (
    BundleError,
    ContractError,
    InterruptedRunError,
    InvalidInputError,
    MissingExtraError,
    UnknownNameError,
    UsageError,
)
from modelyard.packaging import Bundle
from modelyard.routing.disagreement import drivers, segments
from modelyard.routing.replay import Crossing, replay
from modelyard_runtime.contract import Column, Contract
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, NUMBERS, TARGET, UNCONVERTED, a_place_of_its_own

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")

#: In Basel, unlike before, everybody buys: what the second version learns otherwise.
OTHERWISE = TARGET.where(FRAME["town"] != "Basel", "yes")
VALUES = pd.Series(np.where(FRAME["age"] > 50, 2000.0, 0.0) + 10 * FRAME["age"], name="spent")


def regression(target: pd.Series) -> Any:
    return LinearRegression().fit(FRAME[["age"]], target)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with two versions of each bundle that the tests below ask, packaged once."""
    with a_place_of_its_own(tmp_path_factory) as place:
        from sklearn.base import clone

        modelyard.package(MODEL, FRAME, TARGET, name="people")
        modelyard.package(clone(MODEL).fit(FRAME, OTHERWISE), FRAME, OTHERWISE, name="people")
        modelyard.package(UNCONVERTED, FRAME, TARGET, name="python")
        modelyard.package(clone(UNCONVERTED).fit(FRAME, OTHERWISE), FRAME, OTHERWISE, name="python")
        modelyard.package(regression(VALUES), FRAME[["age"]], VALUES, name="values")
        more = VALUES + FRAME["age"]
        modelyard.package(regression(more), FRAME[["age"]], more, name="values")
        strict = {"age": "reject", "town": "reject"}
        bern = FRAME["town"] != "Basel"
        young = FRAME[bern & (FRAME["age"] < 70)]
        modelyard.package(MODEL, young, TARGET[young.index], name="strict", policy=strict)
        yield place


@pytest.fixture(autouse=True)
def at_the_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(store / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(store / "config"))


def rows_of(frame: pd.DataFrame = FRAME) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return found


def endpoint(tag: str) -> Path:
    """Note in the catalog that a bundle is deployed, under its own name; return the folder of the endpoint's state."""
    bundle, yard = modelyard.bundle(tag), open_yard()
    payload = {
        "target": "local", "bundle": tag, "url": "http://127.0.0.1:1", "columns": list(bundle.contract.names),
        "classes": bundle.manifest["model"]["classes"], "desired": "stopped", "state": {},
    }  # fmt: skip
    yard.record("deployment", bundle.name, payload)
    return yard.deployment_folder(bundle.name) / "state"


def answer(tag: str, bodies: list[dict[str, Any]], state: Path) -> list[str]:
    """Let a bundle answer bodies as its endpoint does, into the log of an endpoint; return the answers' ids."""
    bundle = modelyard.bundle(tag)
    predictor = Predictor(bundle.model_folder, f"v{bundle.version}", state=state)
    assert predictor.recorder.log is not None
    ids = []
    for body in bodies:
        raw = msgspec.json.encode(body)
        answered = predictor.answer(raw)
        predictor.recorder.log.add(raw, msgspec.json.encode(answered))
        ids.append(answered.id)
    predictor.recorder.flush()
    predictor.close()
    return ids


def requests(rows: list[dict[str, Any]], sizes: tuple[int, ...] = (1, 2, 7)) -> list[dict[str, Any]]:
    """Return rows as bodies of both forms and several sizes."""
    bodies: list[dict[str, Any]] = []
    start = 0
    while start < len(rows):
        part = rows[start : start + sizes[len(bodies) % len(sizes)]]
        start += len(part)
        names = list(part[0])
        by_column = {"columns": names, "data": [[row[name] for name in names] for row in part]}
        bodies.append({"rows": part} if len(bodies) % 2 else by_column)
    return bodies


@pytest.fixture
def people(project: Path) -> Path:
    """A deployment of the first version that has answered all rows; its state folder."""
    state = endpoint("people:1")
    answer("people:1", requests(rows_of()), state)
    return state


# --- what is answered otherwise


@pytest.mark.parametrize(
    "tag", ["people:1", pytest.param("python:1", marks=pytest.mark.thorough), "values:1"]
)
def test_a_bundle_answers_its_own_log_as_before(project: Path, tag: str) -> None:
    frame = FRAME[["age"]] if tag == "values:1" else FRAME
    bodies = requests(rows_of(frame.head(60) if tag == "python:1" else frame))
    answer(tag, bodies, endpoint(tag))
    name = tag.partition(":")[0]
    found = replay(name, "v1")
    assert (found.deployment, found.bundle, found.requests) == (name, tag, len(bodies))
    assert (found.differing, found.refused, found.unreadable, found.moved) == (0, 0, 0, ())
    assert found.rows == sum(len(body.get("rows") or body["data"]) for body in bodies)
    assert found.max_absolute is not None
    assert found.max_absolute < 1e-6
    assert "answered as before" in repr(found)
    assert list(found.segments()) == ["column", "segment", "rows", "disagreeing", "rate", "lower"]
    assert found.segments().empty
    with pytest.raises(InvalidInputError, match="no row differs"):
        found.drivers()


@pytest.mark.parametrize(
    ("name", "count"), [("people", 200), pytest.param("python", 40, marks=pytest.mark.thorough)]
)
def test_the_rows_that_another_version_answers_otherwise_are_told(
    project: Path, name: str, count: int
) -> None:
    rows = rows_of()[:count]
    ids = answer(f"{name}:1", [{"rows": rows[:5]}, {"rows": rows[5:]}], endpoint(f"{name}:1"))
    found = replay(name, "v2")
    models = [Predictor(modelyard.bundle(f"{name}:{version}").model_folder) for version in (1, 2)]
    table = {key: [row[key] for row in rows] for key in rows[0]}
    (before, p, _), (after, q, _) = (model.outputs(table, count) for model in models)
    wrong = [row for row in range(count) if before[row] != after[row]]
    assert found.differing == len(wrong) > 3
    assert found.disagreement == pytest.approx(len(wrong) / count)
    assert found.max_absolute == pytest.approx(np.abs(p - q).max(), abs=1e-6)
    expected = [(ids[row >= 5], row - 5 * (row >= 5), before[row], after[row]) for row in wrong]
    assert [(m.request, m.row, m.logged, m.replayed) for m in found.moved] == expected[:100]
    assert sum(crossing.rows for crossing in found.by_class) == count
    assert found.by_class[0] == Crossing("no", "yes", len(wrong))
    assert found.frame["age"].tolist() == [row["age"] for row in rows]
    assert found.answers["differs"].sum() == len(wrong)
    assert f"{len(wrong)} of {count} rows in 2 requests answered otherwise" in repr(found)


def test_a_replay_shows_itself_as_text_markup_and_json(people: Path) -> None:
    found = replay("people", "v2")
    shown = found._repr_mimebundle_()
    payload = shown["application/vnd.modelyard.replay+json"]
    json.dumps(payload, allow_nan=False)
    assert payload["table"]["columns"] == ["logged", "people:2", "rows"]
    assert payload["table"]["rows"][0][:2] == ["no", "yes"]
    assert payload["moved"][0].keys() == {"request", "row", "logged", "replayed"}
    assert payload["disagreement"] == found.disagreement
    assert repr(found) in shown["text/plain"]
    assert ".segments()" in shown["text/plain"]


def test_values_of_a_regression_differ_beyond_the_tolerance_of_the_bundle(project: Path) -> None:
    answer("values:1", requests(rows_of(FRAME[["age"]])), endpoint("values:1"))
    found = replay("values", "values:2")
    assert found.differing == found.rows == 200
    assert found.max_absolute == pytest.approx(FRAME["age"].max(), rel=1e-3)
    assert "largest difference of a value 79" in repr(found)
    assert found.by_class == ()
    assert len(found.moved) == 100
    assert list(found.table().columns) == ["request", "row", "logged", "values:2"]
    where = found.segments()  # where all rows differ, it is asked where they differ most
    assert where["column"].tolist() == ["age"]
    assert where["rate"][0] > 0.9
    assert where["segment"][0].endswith(f" to {FRAME['age'].max()}")
    assert found.segments(beyond=1000).empty


def test_a_bundle_may_be_given_as_itself_its_tag_or_a_variant(people: Path) -> None:
    whole = replay("people", "v2")
    for on in ("people:2", "people", modelyard.bundle("people:2")):
        found = replay(modelyard.deployment("people"), on)
        assert found == whole
    assert replay("people", "python:1").bundle == "python:1"


def test_a_real_endpoint_is_replayed(project: Path) -> None:
    made = modelyard.deploy("people:1", to="local")
    try:
        labels = made.predict(FRAME)
        deadline = time.monotonic() + 10
        while True:
            try:
                found = replay(made, "v1")
                break
            except UsageError:  # what was answered is in the log a moment later
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert (found.rows, found.differing) == (len(FRAME), 0)
        assert found.answers["logged"].tolist() == labels.tolist()
        assert replay(made, "v2").differing > 5
    finally:
        made.remove()


# --- which requests


def test_only_what_a_variant_answered_is_played(people: Path) -> None:
    answer("people:2", requests(rows_of()[:50]), people)
    assert replay("people", "v2").rows == 250
    assert replay("people", "v2", variant="v2").differing == 0
    assert replay("people", "v2", variant="v2").rows == 50
    assert replay("people", "v1", variant="v1").rows == 200
    with pytest.raises(UsageError, match=r"v3 answered nothing of 'people'; who did: v1, v2"):
        replay("people", "v1", variant="v3")


def test_the_newest_rows_are_played_whatever_process_logged_them(project: Path) -> None:
    state, rows = endpoint("people:1"), rows_of()
    predictors = [Predictor(modelyard.bundle("people:1").model_folder, state=state) for _ in range(2)]
    for start in range(0, 40, 4):
        for predictor in predictors:
            raw = msgspec.json.encode({"rows": rows[start : start + 2]})
            assert predictor.recorder.log is not None
            predictor.recorder.log.add(raw, msgspec.json.encode(predictor.answer(raw)))
            predictor.recorder.flush()
            start += 2
            time.sleep(0.002)
    found = replay("people", "v1", rows=7)
    assert (found.requests, found.rows) == (3, 6)
    assert found.frame["age"].tolist() == [row["age"] for row in rows[34:40]]
    assert replay("people", "v1", rows=1).rows == 2  # the newest request is played in any case
    assert replay("people", "v1", rows=10**6).rows == 40


def test_only_the_last_seconds_are_played(people: Path) -> None:
    for path in (people / "predictions").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines[:-3]:
            line["time"] -= 3600
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert replay("people", "v1", since=600).requests == 3
    assert replay("people", "v1", since=7200).rows == 200
    with pytest.raises(UsageError, match=r"has no request in the last 1e-06 s; choose a longer time"):
        replay("people", "v1", since=1e-6)


def test_a_huge_request_is_played_as_far_as_it_is_in_the_log(project: Path) -> None:
    state = endpoint("values:1")
    predictor = Predictor(modelyard.bundle("values:1").model_folder, state=state)
    predictor.answer_table({"age": [20 + n % 50 for n in range(10_500)]}, 10_500)
    predictor.recorder.flush()
    found = replay("values", "v1")
    assert (found.requests, found.rows, found.differing) == (1, 10_000, 0)


def test_feedback_and_lines_that_are_broken_are_passed_over(people: Path) -> None:
    (path,) = (people / "predictions").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"time":1.5,"feedback":{"id":"1","labels":["no"]}}\n{"time":1.5,"requ\n')
        file.write(
            b'{"time":1.5,"request":{"rows":[]},"answer":{"id":"a","variant":"v1","predictions":[]}}\n'
        )
        row = json.dumps(rows_of()[0]).encode()
        for found in (b"[]", b'["no"],"probabilities":[]'):
            file.write(b'{"time":2,"request":{"rows":[%s]},"answer":{"id":"b","variant":"v1",' % row)
            file.write(b'"predictions":%s}}\n' % found)
        file.write(b'{"time":3,"request":{"rows":[%s' % row)
    found = replay("people", "v1")
    assert (found.requests, found.rows, found.differing, found.unreadable) == (
        len(requests(rows_of())),
        200,
        0,
        3,
    )
    assert "3 requests of the log cannot be read" in found.notes()


# --- what cannot be played


def test_rows_that_the_bundle_refuses_are_told_with_the_first_reason(people: Path) -> None:
    found = replay("people", "strict:1")
    refused = ((FRAME["age"] >= 70) | (FRAME["town"] == "Basel")).to_numpy()
    assert found.refused == refused.sum() > 50
    assert found.rows == 200 - found.refused
    assert found.frame["age"].tolist() == FRAME["age"][~refused].tolist()
    assert found.differing == 0
    assert 0 < found.refused_requests <= found.requests
    assert len(found.refusals) == min(100, found.refused)
    first = int(np.flatnonzero(refused)[0])
    words = "an unknown category" if FRAME["town"][first] == "Basel" else "out of the learned range"
    assert words in found.refusals[0].reason
    assert "learned: " in found.refusals[0].reason
    assert f"{found.refused} rows refused" in repr(found)
    assert found.notes()[0].startswith(f"{found.refused_requests} requests would be refused, first request ")
    json.dumps(found.payload(), allow_nan=False)


def test_a_log_of_which_every_row_is_refused_is_no_error(project: Path) -> None:
    row = {"age": 75, "income": 1.0, "town": "Basel", "member": True}
    answer("people:1", [{"rows": [row]}], endpoint("people:1"))
    found = replay("people", "strict:1")
    assert (found.rows, found.refused, found.disagreement, found.max_absolute) == (0, 1, 0.0, None)
    json.dumps(found._repr_mimebundle_(), allow_nan=False)


def test_columns_that_the_bundle_does_not_take_or_needs_are_told(people: Path) -> None:
    with pytest.raises(ContractError) as told:
        replay("people", "values:1")
    assert str(told.value) == (
        "requests that v1 of 'people' answered have the columns 'income', 'member', 'town', which values:1 does not "
        "take; replay them on a bundle of the same columns, or choose others with variant or since"
    )
    answer("values:1", [{"rows": [{"age": 30}]}], endpoint("values:1"))
    with pytest.raises(
        ContractError, match=r"lack the columns 'income', 'member', 'town', which people:1 needs"
    ):
        replay("values", "people:1")


def test_an_empty_log_says_what_to_do(project: Path) -> None:
    state = endpoint("people:1")
    said = r"the prediction log of 'people' is empty.*type: modelyard.deployment\('people'\).predict\(X\)"
    with pytest.raises(UsageError, match=said):
        replay("people", "v1")
    (state / "predictions").mkdir(parents=True)
    (state / "predictions" / "1.jsonl").touch()
    with pytest.raises(UsageError, match=said):
        replay("people", "v1")


def test_unknown_names_and_options_that_make_no_sense_are_told(people: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no version '9' of 'people'; there: people:1, people:2"):
        replay("people", "v9")
    with pytest.raises(UnknownNameError, match=r"no deployment named 'peopel'.*did you mean 'people'"):
        replay("peopel", "v1")
    for options in ({"rows": 0}, {"rows": 1.5}, {"rows": True}, {"since": 0}, {"since": float("nan")}):
        with pytest.raises(UsageError, match=r"(rows|since) is a number of"):
            replay("people", "v1", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes a bundle, its tag or a variant, found int"):
        replay("people", 2)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes a deployment or its name, found Bundle"):
        replay(modelyard.bundle("people:1"), "v1")  # type: ignore[arg-type]


def test_a_bundle_that_was_changed_is_not_played(people: Path, tmp_path: Path) -> None:
    import shutil

    bundle = modelyard.bundle("people:2")
    shutil.copytree(bundle.path, tmp_path / "copy")
    with (tmp_path / "copy" / "src" / "model" / "model.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(BundleError, match="was changed after packaging"):
        replay("people", Bundle("people", 2, tmp_path / "copy"))


# --- progress and Ctrl-C


class Watching:
    """A display that counts, and stops the work with Ctrl-C after some steps."""

    def __init__(self, after: int | None = None) -> None:
        self.after, self.seen = after, 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.seen += steps
        if self.after is not None and self.seen >= self.after:
            raise KeyboardInterrupt

    def close(self) -> None: ...


@pytest.fixture
def unwatched() -> Iterator[None]:
    yield
    progress.install(None)


def test_progress_counts_the_rows(people: Path, unwatched: None) -> None:
    opened: list[tuple[str, int | None, str]] = []
    display = Watching()
    progress.install(lambda *told: opened.append(told) or display)  # type: ignore[func-returns-value]
    replay("people", "v2")
    assert opened == [("replaying on people:2", 200, "row")]
    assert display.seen == 200


def test_ctrl_c_leaves_neither_a_process_nor_a_file(
    project: Path, tmp_path: Path, unwatched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    answer("python:1", requests(rows_of()[:40]), endpoint("python:1"))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    progress.install(lambda *_: Watching(after=10))
    with pytest.raises(InterruptedRunError, match="the replay stopped; nothing of it is kept"):
        replay("python", "v2")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert list((tmp_path / "scratch").iterdir()) == []


# --- where, and why


def test_a_planted_disagreement_is_found_in_its_segment(people: Path) -> None:
    found = replay("people", "v2").segments()
    assert (found["column"][0], found["segment"][0]) == ("town", "Basel")
    assert found["lower"].is_monotonic_decreasing
    assert set(found["column"]) <= {"town", "age"}  # who is older bought before
    basel = FRAME["town"] == "Basel"
    assert found["rows"][0] == basel.sum()
    assert found["rate"][0] == pytest.approx(found["disagreeing"][0] / basel.sum())


@pytest.mark.parametrize("name", ["people", pytest.param("python", marks=pytest.mark.thorough)])
def test_the_column_that_makes_two_versions_disagree_comes_first(project: Path, name: str) -> None:
    answer(f"{name}:1", requests(rows_of()), endpoint(f"{name}:1"))
    found = replay(name, "v2").drivers(rows=10)
    assert sorted(found.index) == sorted(FRAME.columns)
    assert found.index[0] == "town"
    assert found["town"] > 5 * max(found["income"], found["member"])
    assert found.is_monotonic_decreasing


def test_the_notebooks_random_numbers_are_spared_and_the_same_seed_explains_alike(people: Path) -> None:
    found = replay("people", "v2")
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = found.drivers(rows=5, seed=3)
    assert np.random.random() == expected
    pd.testing.assert_series_equal(first, found.drivers(rows=5, seed=3))


def test_contributions_add_up_to_the_difference_of_a_linear_model(project: Path) -> None:
    """Of a linear model, a SHAP value is the slope times the distance from the background's mean."""
    frame, behind = FRAME[["age"]].head(10), FRAME[["age"]].tail(20)
    found = drivers(frame, modelyard.bundle("values:1"), modelyard.bundle("values:2"), behind, rows=10)
    assert found["age"] == pytest.approx((frame["age"] - behind["age"].mean()).abs().mean(), rel=1e-3)


def test_rows_and_bundles_that_cannot_be_compared_are_told(people: Path) -> None:
    one, values, strict = (modelyard.bundle(tag) for tag in ("people:1", "values:1", "strict:1"))
    with pytest.raises(
        ContractError, match=r"values v1 does not take the columns 'income', 'member', 'town'"
    ):
        drivers(FRAME, one, values)
    with pytest.raises(ContractError, match="the rows to explain lack the columns 'age', 'income'"):
        drivers(FRAME.drop(columns=NUMBERS), one, one)
    with pytest.raises(
        ContractError, match="none of the rows to explain keeps the contracts of both bundles"
    ):
        drivers(FRAME[FRAME["age"] > 75], one, strict)
    with pytest.raises(InvalidInputError, match="no rows to explain"):
        drivers(FRAME.head(0), one, one)
    with pytest.raises(UsageError, match="rows is a number of rows"):
        drivers(FRAME, one, one, rows=0)


def test_without_shap_the_extra_is_named(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modelyard\[shap\]'$"):
        replay("people", "v2").drivers()


def test_neither_shap_nor_a_front_end_is_imported_by_a_replay() -> None:
    import subprocess

    code = (
        "import sys, modelyard.routing.replay; print({'shap', 'numba', 'IPython', 'tqdm'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert ran.stdout == "set()\n"


COLUMNS = Contract(
    (
        Column("size", "number", "float64", True, "flag", 0.0, 1.0),
        Column("kind", "string", "object", True, "flag", categories=("a", "b")),
        Column("big", "boolean", "bool", False, "flag"),
        Column("count", "integer", "int64", False, "flag", 0.0, 3.0),
    )
)


def some(rows: int = 4000) -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.random(rows),
            "kind": random.choice(["a", "b", None], rows),
            "big": random.random(rows) < 0.5,
            "count": random.integers(0, 4, rows),
        }
    )
    frame.loc[random.random(rows) < 0.1, "size"] = np.nan
    return frame


@pytest.mark.parametrize(
    ("column", "segment"),
    [("size", "null"), ("size", "quarter"), ("kind", "b"), ("kind", "null"), ("big", "true"), ("count", "2")],
)
def test_a_segment_of_every_kind_is_found_alone(column: str, segment: str) -> None:
    frame = some()
    values = frame[column]
    if segment == "null":
        inside = values.isna()
    elif segment == "quarter":
        inside = values > values.quantile(0.75)
    else:
        inside = values.astype(str).str.lower() == segment
    random = np.random.default_rng(1)
    differs = random.random(len(frame)) < np.where(inside, 0.3, 0.02)
    found = segments(frame, differs, COLUMNS)
    assert found["column"].tolist() == [column]
    shown = found["segment"][0]
    assert shown == segment or (segment == "quarter" and shown.startswith("0.7") and " to 0.9" in shown)


def test_where_rows_disagree_alike_everywhere_a_segment_is_hardly_ever_named() -> None:
    frame = some()
    named = [
        not segments(frame, np.random.default_rng(seed).random(len(frame)) < 0.05, COLUMNS).empty
        for seed in range(100, 300)
    ]
    assert np.mean(named) <= 0.05
    assert segments(frame, np.ones(len(frame), dtype=bool), COLUMNS).empty
    assert segments(frame.head(0), [], COLUMNS).empty


def test_a_handful_of_disagreeing_rows_is_never_clear() -> None:
    frame = some(400).assign(kind=[f"text {n}" for n in range(400)])
    differs = np.zeros(400, dtype=bool)
    differs[:4] = True
    assert segments(frame, differs, COLUMNS).empty


def test_of_answers_without_probabilities_only_labels_are_compared(people: Path) -> None:
    whole = replay("people", "v2")
    (path,) = (people / "predictions").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["answer"]["probabilities"] = None
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = replay("people", "v2")
    assert found.max_absolute is None
    assert "probability" not in repr(found)
    assert (found.moved, found.by_class) == (whole.moved, whole.by_class)
    pd.testing.assert_frame_equal(found.segments(beyond=0.5), found.segments())
