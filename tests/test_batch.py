"""Whole files are scored: as the bundle answers row by row, without losing or doubling a row, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from IPython.core.completer import CompletionContext
from IPython.core.interactiveshell import InteractiveShell

import modelyard
from modelyard import progress
from modelyard.batch import Scoring, ledger
from modelyard.catalog import open_yard
from modelyard.errors import (
    BundleError,
    DeploymentError,
    InterruptedRunError,
    InvalidInputError,
    MissingExtraError,
    ModelyardError,
    NameTakenError,
    UnknownNameError,
    UsageError,
)
from modelyard.packaging import Bundle
from modelyard.targets import Deployment, tokens
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.predictor import Predictor
from people import FRAME, MODEL, TARGET, UNCONVERTED

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")

ANSWERS = ["prediction", "probability_no", "probability_yes", "flags", "error"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with what the tests below ask, packaged once."""
    home = tmp_path_factory.mktemp("batch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home / "bentoml"))
        patch.setenv("MODELYARD_CONFIG_DIR", str(home / "config"))
        (home / "project" / ".modelyard").mkdir(parents=True)
        patch.chdir(home / "project")
        modelyard.package(MODEL, FRAME, TARGET, name="people")
        modelyard.package(UNCONVERTED, FRAME, TARGET, name="python")
        modelyard.contract("people", policy={"age": "clip", "income": "reject"})
    return home


@pytest.fixture
def people(store: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("BENTOML_HOME", str(store / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(store / "config"))
    return modelyard.bundle("people:1")


def table(rows: int = 1000) -> pd.DataFrame:
    """Return rows with everything that may be wrong with one, and a number of their own."""
    frame = pd.concat([FRAME] * (rows // len(FRAME) + 1), ignore_index=True).head(rows)
    frame = frame.astype({"age": "float64", "member": "object"})
    frame.insert(0, "id", range(rows))
    frame.loc[3::97, "age"] = 200
    frame.loc[5::101, "age"] = np.nan
    frame.loc[7::103, "age"] = 30.5
    frame.loc[11::107, "income"] = 1e9
    frame.loc[13::109, "town"] = "Zug"
    frame.loc[17::113, "member"] = None
    frame.loc[17::226, "age"] = np.inf
    return frame


@pytest.fixture
def rows(project: Path) -> pd.DataFrame:
    frame = table()
    frame.to_parquet("rows.parquet")
    return frame


def one_by_one(bundle: Bundle, frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return for each row what the runtime answers to a request with that row alone."""
    predictor = Predictor(bundle.model_folder)
    found: list[tuple[Any, ...]] = []
    plain = frame.astype(object).where(frame.notna(), None)
    for row in plain[list(FRAME.columns)].to_dict("records"):
        try:
            (label,), probabilities, flags = predictor.outputs({k: [v] for k, v in row.items()}, 1)
        except ContractBroken as broken:
            first, more = broken.violations[0], len(broken.violations) - 1
            said = f"column {first.column!r}: {first.problem}; learned: {first.learned}"
            found.append((None, None, None, None, said + (f" (and {more} more)" if more else "")))
        else:
            assert probabilities is not None
            told = "; ".join(f"{flag.column}: {flag.flag}" for flag in flags) or None
            found.append((label, *probabilities[0].tolist(), told, None))
    return found


def answers(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    plain = frame[ANSWERS].astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


def assert_same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    assert len(found) == len(expected)
    for row, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert (ours[0], *ours[3:]) == (theirs[0], *theirs[3:]), row
        assert ours[1:3] == pytest.approx(theirs[1:3], abs=1e-6) or ours[1:3] == theirs[1:3]


# --- what is answered


@pytest.mark.parametrize(
    ("tag", "count"),
    [("people:1", 1000), pytest.param("people:2", 1000, marks=pytest.mark.thorough), ("python", 250)],
)
def test_every_row_of_a_file_gets_what_a_request_of_its_own_gets(
    people: Bundle, tag: str, count: int
) -> None:
    rows = table(count)
    rows.to_parquet("rows.parquet")
    found = modelyard.predict(tag, "rows.parquet", "scored.parquet", batch=64)
    scored = pd.read_parquet("scored.parquet")
    assert list(scored.columns) == [*rows.columns, *ANSWERS]
    assert scored["id"].tolist() == rows["id"].tolist()
    expected = one_by_one(modelyard.bundle(tag), rows)
    assert_same(answers(scored), expected)
    assert found.rows == len(rows)
    assert found.refused == sum(row[4] is not None for row in expected) > 5
    assert sum(found.flagged.values()) == sum(row[3].count(": ") for row in expected if row[3])
    assert not Path("scored.parquet.parts").exists()
    assert "refused" in repr(found)
    payload = found._repr_mimebundle_()["application/vnd.modelyard.scoring+json"]
    assert payload["path"] == "scored.parquet"
    json.dumps(payload, allow_nan=False)


@pytest.mark.thorough
def test_csv_folders_of_parquet_frames_and_mappings_are_answered_alike(
    people: Bundle, rows: pd.DataFrame
) -> None:
    whole = modelyard.predict(people, "rows.parquet")
    assert whole.frame is not None
    assert whole.path is None
    Path("parts").mkdir()
    for number in range(4):
        rows.iloc[number * 250 : (number + 1) * 250].to_parquet(f"parts/{number}.parquet", index=False)
    rows.to_csv("rows.csv", index=False)
    moved = rows.set_index(rows["id"] + 5000)
    for source in ("parts", "rows.csv", moved):
        found = modelyard.predict(people, source, batch=100)
        assert found.frame is not None
        assert_same(answers(found.frame), answers(whole.frame))
        assert found.flagged == whole.flagged
    assert found.frame.index.tolist() == moved.index.tolist()
    row = {"age": 30, "income": None, "town": "Bern", "member": True}
    (prediction,) = modelyard.predict(people, [row]).frame["prediction"]  # type: ignore[index]
    assert prediction == MODEL.predict(pd.DataFrame([row]).astype({"income": float}))[0]


def test_a_text_among_the_numbers_of_a_csv_file_costs_that_row_only(
    people: Bundle, rows: pd.DataFrame
) -> None:
    rows.astype({"age": object, "member": object}).assign(
        age=["many", "1e3", "30.0", *rows["age"][3:]], member=["TRUE", "maybe", *rows["member"][2:]]
    ).to_csv("rows.csv", index=False)
    frame = modelyard.predict(people, "rows.csv", keep="id,age").frame
    assert frame is not None
    assert list(frame.columns[:2]) == ["id", "age"]
    assert frame["error"][0].startswith("column 'age': text 'many' where a whole number belongs; learned: ")
    assert frame["error"][1].startswith("column 'member': text 'maybe' where true or false belongs")
    assert frame["error"].isna()[2]
    assert frame["age"][2] == 30


def test_only_what_is_kept_is_written(people: Bundle, rows: pd.DataFrame) -> None:
    modelyard.predict(people, "rows.parquet", "scored.parquet", keep=["id"])
    assert pq.read_schema("scored.parquet").names == ["id", *ANSWERS]
    modelyard.predict(people, "rows.parquet", "scored.parquet", keep="none", restart=True)
    assert pq.read_schema("scored.parquet").names == ANSWERS


def test_progress_counts_the_rows(people: Bundle, rows: pd.DataFrame) -> None:
    seen: list[int] = []

    class Counting:
        def advance(self, steps: int = 1, note: str = "") -> None:
            seen.append(steps)

        def close(self) -> None:
            seen.append(0)

    def factory(title: str, total: int | None, unit: str) -> Counting:
        assert (title, total, unit) == ("scoring rows.parquet", 1000, "row")
        return Counting()

    progress.install(factory)
    try:
        modelyard.predict(people, "rows.parquet", "scored.parquet", batch=300)
    finally:
        progress.install(None)
    assert sum(seen) == 1000
    assert seen[-1] == 0


# --- what is kept


SCORED = """
import sys, time
from modelyard.batch import in_process, ledger
import modelyard
ledger._ROWS = 2000
whole = in_process.BundleScorer.__call__
def slow(self, chunk):
    time.sleep(0.01)
    return whole(self, chunk)
in_process.BundleScorer.__call__ = slow
print(repr(modelyard.predict("people:1", "rows.parquet", "scored.parquet", batch=500)))
"""


def test_a_run_that_is_killed_goes_on_and_neither_loses_nor_doubles_a_row(
    people: Bundle, project: Path
) -> None:
    frame = table(100_000)
    frame.to_parquet("rows.parquet")
    parts = project / "scored.parquet.parts"
    kept: list[int] = []
    for _ in range(2):
        run = subprocess.Popen([sys.executable, "-c", SCORED], env=os.environ)
        wanted = len(kept) * 6 + 4
        deadline = time.monotonic() + 60
        while len(list(parts.glob("part-*.parquet"))) < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        assert not (project / "scored.parquet").exists()
        kept.append(sum(pq.read_metadata(path).num_rows for path in parts.glob("part-*.parquet")))
    found = modelyard.predict("people:1", "rows.parquet", "scored.parquet", batch=700)
    assert 0 < kept[0] < kept[1] <= found.resumed_from < len(frame)
    assert "answered by an earlier run" in found.notes()[0]
    whole = modelyard.predict("people:1", "rows.parquet", "whole.parquet")
    assert (found.rows, found.refused, found.flagged) == (whole.rows, whole.refused, whole.flagged)
    assert pq.read_table("scored.parquet").equals(pq.read_table("whole.parquet"))
    assert not parts.exists()


class Interrupted:
    """A display during which work is stopped with Ctrl-C after some chunks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def close(self) -> None: ...


@pytest.fixture
def stopped(people: Bundle, rows: pd.DataFrame) -> str:
    """What was said when a run was stopped with Ctrl-C after 300 rows."""
    progress.install(lambda *_: Interrupted(3))
    try:
        with pytest.raises(InterruptedRunError) as told:
            modelyard.predict(people, "rows.parquet", "scored.parquet", batch=100)
    finally:
        progress.install(None)
    return str(told.value)


def test_ctrl_c_keeps_what_was_answered_and_the_same_call_goes_on(stopped: str, people: Bundle) -> None:
    assert stopped == (
        "the answers to 300 of 1,000 rows are kept: the same line, without --restart, goes on from there"
    )
    assert not Path("scored.parquet").exists()
    assert modelyard.predict(people, "rows.parquet", "scored.parquet").resumed_from == 300
    assert pd.read_parquet("scored.parquet")["id"].tolist() == list(range(1000))


def test_what_is_kept_is_not_mixed_with_another_input_bundle_or_choice_of_columns(
    stopped: str, people: Bundle
) -> None:
    with pytest.raises(UsageError, match=r"unfinished run with another model; type --restart"):
        modelyard.predict("people:2", "rows.parquet", "scored.parquet")
    with pytest.raises(UsageError, match=r"another columns kept; type --restart"):
        modelyard.predict(people, "rows.parquet", "scored.parquet", keep="id")
    table(900).to_parquet("rows.parquet")
    with pytest.raises(UsageError, match=r"unfinished run with another input; type --restart"):
        modelyard.predict(people, "rows.parquet", "scored.parquet")
    found = modelyard.predict(people, "rows.parquet", "scored.parquet", restart=True)
    assert (found.rows, found.resumed_from) == (900, 0)


def test_an_output_that_exists_is_replaced_only_when_that_is_said(people: Bundle, rows: pd.DataFrame) -> None:
    Path("scored.parquet").write_text("mine")
    with pytest.raises(
        NameTakenError, match=r"scored.parquet exists already; choose another --out, or type --restart"
    ):
        modelyard.predict(people, "rows.parquet", "scored.parquet")
    assert Path("scored.parquet").read_text() == "mine"
    assert modelyard.predict(people, "rows.parquet", "scored.parquet", restart=True).rows == 1000


def test_two_runs_do_not_write_one_output(people: Bundle, rows: pd.DataFrame) -> None:
    held = ledger.Ledger(Path("scored.parquet"), {}, restart=False)
    try:
        with pytest.raises(UsageError, match=r"another run is writing scored.parquet now"):
            modelyard.predict(people, "rows.parquet", "scored.parquet")
    finally:
        held.leave()


# --- endpoints


class Door(BaseHTTPRequestHandler):
    """An endpoint that answers as the runtime does, busy at first."""

    predictor: Predictor
    busy = 0
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = type(self)
        kind.asked += 1
        if kind.busy:
            kind.busy -= 1
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            status, answer = 200, msgspec.to_builtins(self.predictor.answer(body))
        except ContractBroken as broken:
            status, answer = 422, {"error": str(broken), "violations": [asdict(v) for v in broken.violations]}
        content = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def endpoint(people: Bundle) -> Iterator[Deployment]:
    """A deployment of this project that a server inside of the test answers for."""
    Door.predictor, Door.busy, Door.asked = Predictor(people.model_folder), 0, 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yard = open_yard()
    tokens.make_token(yard.root, "served")
    yard.record(
        "deployment",
        "served",
        {
            "target": "local", "bundle": people.tag, "digest": people.digest, "columns": list(people.contract.names),
            "url": f"http://127.0.0.1:{server.server_address[1]}", "classes": ["no", "yes"], "desired": "running",
            "state": {},
        },
    )  # fmt: skip
    yield modelyard.deployment("served")
    server.shutdown()
    server.server_close()


def test_an_endpoint_gives_the_same_as_its_bundle_and_is_asked_again_when_it_is_busy(
    endpoint: Deployment, people: Bundle, rows: pd.DataFrame
) -> None:
    whole = modelyard.predict(people, "rows.parquet")
    Door.busy = 3
    found = modelyard.predict("served", "rows.parquet", "scored.parquet", batch=150)
    assert found.model == "deployment 'served'"
    assert whole.frame is not None
    assert_same(answers(pd.read_parquet("scored.parquet")), answers(whole.frame))
    assert found.flagged == whole.flagged
    assert Door.asked < 200


def test_a_name_that_both_have_is_the_bundle_unless_the_endpoint_is_asked_for(
    endpoint: Deployment, rows: pd.DataFrame
) -> None:
    yard = open_yard()
    yard.record("deployment", "people", yard.get("deployment", "served").payload)
    tokens.make_token(yard.root, "people")
    assert modelyard.predict("people", "rows.parquet").model == "people:2"
    assert Door.asked == 0
    assert modelyard.predict("people", "rows.parquet", endpoint=True).model == "deployment 'people'"
    assert modelyard.predict(endpoint, "rows.parquet", keep="id").model == "deployment 'served'"


def test_an_endpoint_that_falls_silent_is_one_line_and_keeps_what_it_answered(
    endpoint: Deployment, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.batch.over_http._TRIES", 2)
    answer, asked = Door.predictor.answer, []

    def fails_later(body: bytes) -> Any:
        asked.append(body)
        if len(asked) > 60:
            raise BrokenPipeError
        return answer(body)

    monkeypatch.setattr(Door.predictor, "answer", fails_later)
    monkeypatch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)
    with pytest.raises(
        DeploymentError, match=r"'served' does not answer at .*; the answers to \d+ of 1,000 rows are"
    ):
        modelyard.predict(endpoint, "rows.parquet", "scored.parquet", batch=20)
    monkeypatch.setattr(Door.predictor, "answer", answer)
    assert modelyard.predict(endpoint, "rows.parquet", "scored.parquet").resumed_from > 0
    assert pd.read_parquet("scored.parquet")["id"].tolist() == list(range(1000))


# --- the magic


def ran(shell: InteractiveShell, code: str) -> Any:
    outcome = shell.run_cell(code)
    outcome.raise_error()
    return outcome.result


def test_the_magic_is_the_call(people: Bundle, rows: pd.DataFrame, shell: InteractiveShell) -> None:
    line = "%predict people:1 --in rows.parquet --out scored.parquet --keep id --batch 256rows"
    assert repr(ran(shell, f"{line} --show-code")) == (
        "modelyard.predict('people:1', 'rows.parquet', out='scored.parquet', keep='id', batch=256)"
    )
    found = ran(shell, f"{line} -o kept")
    assert isinstance(found, Scoring)
    assert shell.user_ns["kept"] is found
    assert found.path == Path("scored.parquet")
    shell.user_ns.update(mine=people, held=rows)
    assert ran(shell, "%predict mine --in held --quiet -o inside") is None
    assert len(shell.user_ns["inside"].frame) == 1000
    assert json.loads(repr(ran(shell, "%predict mine --in held --json")))["rows"] == 1000
    text = repr(ran(shell, "%predict -h"))
    assert all(
        flag in text for flag in ("--in", "--out FILE", "-o NAME", "--keep", "--endpoint", "--restart")
    )


def test_tab_completes_bundles_deployments_files_and_flags(
    endpoint: Deployment, rows: pd.DataFrame, shell: InteractiveShell
) -> None:
    def completions(line: str) -> set[str]:
        context = CompletionContext(line.rpartition(" ")[2], line, len(line), 0, 500)
        found = shell.Completer.custom_matchers[-1](context)["completions"]
        return {completion.text for completion in found}

    assert {"people", "python", "served"} <= completions("%predict ")
    assert completions("%predict people --in row") == {"rows.parquet"}
    assert {"--in", "--keep", "--restart"} <= completions("%predict people --")


# --- what cannot be


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("%predict people", UsageError, r"required: --in"),
        ("%predict poeple --in rows.parquet", UnknownNameError, r"no bundle named 'poeple'.*did you mean 'people'"),
        ("%predict people --endpoint --in rows.parquet", UnknownNameError, r"no deployment named 'people'"),
        ("%predict people --in row.parquet", InvalidInputError, r"no file row.parquet; give a Parquet or CSV file"),
        ("%predict people --in text.parquet", InvalidInputError, r"text.parquet is not a Parquet file"),
        ("%predict people --in empty.parquet", InvalidInputError, r"empty.parquet has no rows"),
        ("%predict people --in header.csv", InvalidInputError, r"header.csv has no rows"),
        ("%predict people --in empty.csv", InvalidInputError, r"empty.csv is not a CSV file with a header"),
        ("%predict people --in folder", InvalidInputError, r"the folder folder holds no \*.parquet file"),
        ("%predict people --in less.parquet", InvalidInputError, r"less.parquet lacks the column 'town', which people"),
        ("%predict people --in texts.parquet", InvalidInputError, r"column 'age' of texts.parquet is .*string"),
        ("%predict people --in rows.parquet --keep ids", UnknownNameError, r"no column 'ids' to keep \(did you"),
        ("%predict people --in rows.parquet --out rows.parquet", UsageError, r"would be written over what"),
        ("%predict people --in rows.parquet --out no/a.parquet", UsageError, r"no folder no to write a.parquet into"),
        ("%predict people --in rows.parquet --out folder", UsageError, r"folder is a folder; --out names the Parquet"),
        ("%predict people --in rows.parquet --out a.csv", UsageError, r"the output is Parquet; type --out a.parquet"),
        ("%predict people --in again.parquet", UsageError, r"two columns named 'prediction'; say which columns"),
        ("%predict people --in rows.parquet --batch many", UsageError, r"--batch wants a number of rows"),
        ("%predict people --in rows.parquet --batch 0rows", UsageError, r"batch is a number of rows such as 8192"),
        ("%predict rows --in rows.parquet --out a.parquet --restrat", UsageError, r"unknown flag '--restrat'"),
    ],
)  # fmt: skip
def test_bad_lines_are_one_line_and_leave_nothing(
    people: Bundle,
    rows: pd.DataFrame,
    shell: InteractiveShell,
    line: str,
    kind: type[ModelyardError],
    words: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("folder").mkdir()
    Path("text.parquet").write_text("age,income")
    Path("empty.csv").write_text("")
    Path("header.csv").write_text(",".join(rows.columns) + "\n")
    rows.head(0).to_parquet("empty.parquet")
    rows.drop(columns="town").to_parquet("less.parquet")
    rows.assign(age="many").to_parquet("texts.parquet")
    rows.assign(prediction=1).to_parquet("again.parquet")
    before = sorted(project.rglob("*.parquet*"))
    outcome = shell.run_cell(line)
    with pytest.raises(kind, match=words):
        outcome.raise_error()
    shown = capsys.readouterr().out.strip()
    assert shown.startswith(f"{kind.__name__}: ")
    assert "\n" not in shown
    assert sorted(project.rglob("*.parquet*")) == before


def test_without_pyarrow_the_extra_is_named(people: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modelyard\[arrow\]'"):
        modelyard.predict(people, "rows.parquet")


def test_a_bundle_that_was_changed_is_not_asked(
    people: Bundle, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(os.environ["BENTOML_HOME"], tmp_path / "changed", symlinks=True)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "changed"))
    bundle = modelyard.bundle("people:1")
    with (bundle.model_folder / "contract.json").open("a") as file:
        file.write(" ")
    with pytest.raises(BundleError, match=r"'contract.json' was changed after packaging"):
        modelyard.predict(bundle, "rows.parquet", "scored.parquet")
    assert not Path("scored.parquet.parts").exists()
