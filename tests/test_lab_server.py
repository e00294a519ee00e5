"""The server's side of the Lab extension, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import onnx
import pytest
from onnx import TensorProto, helper

# not as a plugin: its event loop and its server would go around every other test too
from pytest_jupyter.jupyter_core import *  # noqa: F403
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tornado.httpclient import HTTPClientError

from modelyard.catalog import Yard

KINDS = ("evaluations", "studies", "compressions", "bundles", "deployments")

#: Every route with the one verb that it takes.
ROUTES = (
    ("GET", "modelyard/yard"),
    ("GET", "modelyard/yard/bundles/churn%3A1"),
    ("GET", "modelyard/deployments/churn/metrics"),
    ("POST", "modelyard/deployments/churn/stop"),
    ("POST", "modelyard/deployments/churn/start"),
    ("POST", "modelyard/deployments/churn/roll-back"),
    ("GET", "modelyard/card?path=model.onnx"),
    ("GET", "modelyard/bundles?folder="),
)
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

RECORDED = {
    "target": "local",
    "bundle": "churn:1",
    "digest": "d" * 64,
    "options": {},
    "url": "http://127.0.0.1:9",
    "columns": ["age"],
    "classes": None,
    "desired": "stopped",
    "state": {"folder": "/secret/folder", "argv": ["/secret/python"], "env": {"KEY": "s3cret"}, "pid": 4711},
    "before": None,
}


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"modelyard_lab": True}}}


async def got(jp_fetch: Any, *parts: str, **options: Any) -> Any:
    return json.loads((await jp_fetch("modelyard", *parts, **options)).body)


async def refused(jp_fetch: Any, *parts: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(HTTPClientError) as refusal:
        await jp_fetch("modelyard", *parts, **options)
    assert refusal.value.response is not None
    return refusal.value.code, json.loads(refusal.value.response.body)["message"]


async def test_lists_what_is_in_the_yard(jp_fetch: Any, jp_root_dir: Path) -> None:
    yard = Yard(jp_root_dir)
    yard.add_numbered("evaluation", "evaluation", {"model": "<b>Ridge</b>", "cv": "kfold:5", "scores": {}})
    yard.record("study", "depth", {"state": "running"})
    yard.record("compression", "small", {"model": "Ridge", "state": "running", "candidates": []})
    yard.record("compression", "tree", {"model": "Ridge", "chosen": "pruning (50 trees)", "candidates": []})
    yard.record("bundle", "churn:1", {"task": "binary", "form": "onnx", "path": "/secret/store"})
    yard.record("deployment", "churn", RECORDED)

    found = await got(jp_fetch, "yard")

    assert found["schema"] == 2
    assert found["root"] == ""
    assert found["counts"] == {
        "evaluations": 1, "studies": 1, "compressions": 2, "bundles": 1, "deployments": 1
    }  # fmt: skip
    assert [entry["name"] for entry in found["evaluations"]] == ["evaluation-1"]
    assert found["evaluations"][0]["summary"] == "<b>Ridge</b>, kfold:5"
    assert found["evaluations"][0]["created"].endswith("+00:00")
    assert found["evaluations"][0]["notebook"] is None
    assert [(entry["name"], entry["state"]) for entry in found["studies"]] == [("depth", "running")]
    assert [(entry["name"], entry["summary"]) for entry in found["compressions"]] == [
        ("small", "Ridge"),
        ("tree", "Ridge, pruning (50 trees)"),
    ]
    assert [(entry["name"], entry["gone"]) for entry in found["bundles"]] == [("churn:1", True)]
    (deployment,) = found["deployments"]
    assert deployment["summary"] == "churn:1, local"
    assert deployment["health"] in ("checking", "stopped")
    assert deployment["variants"] == {}
    assert not deployment["can_roll_back"]
    assert deployment["supervision"] == {"restarts": 0, "failure": None, "next_try_s": None}


async def test_tells_the_page_no_path_process_or_secret_of_the_host(jp_fetch: Any, jp_root_dir: Path) -> None:
    yard = Yard(jp_root_dir)
    yard.record("deployment", "churn", RECORDED)
    yard.record(
        "bundle", "churn:1", {"task": "binary", "path": "/secret/store", "parity": {"why": "/secret/x"}}
    )
    yard.record(
        "study", "depth", {"storage": "postgresql://me:s3cret@host/db", "model": f"{jp_root_dir}/m.onnx"}
    )

    for place in ("", "deployments/churn", "bundles/churn:1", "studies/depth"):
        answer = await jp_fetch("modelyard", "yard", *filter(None, place.split("/")))

        for secret in (b"secret", b"s3cret", b"4711", b"argv", str(jp_root_dir).encode()):
            assert secret not in answer.body, place
    assert json.loads(answer.body)["facts"]["model"] == "m.onnx"


async def test_shows_one_of_each_kind_in_full_and_what_to_type(jp_fetch: Any, jp_root_dir: Path) -> None:
    yard = Yard(jp_root_dir)
    summary = {"roc_auc": {"mean": 0.9, "std": 0.1}, "f1": {"mean": None}}
    yard.record(
        "evaluation", "ridge-1", {"cv": "kfold:5", "summary": summary, "warnings": ["<i>one</i> class"]}
    )
    yard.record("study", "depth", {"best_params": {"max_depth": 3}, "best_score": 0.5, "state": "finished"})
    candidate = {"name": "pruned", "size_bytes": 10, "verdict": {"score": 0.9, "drop": 0.01}}
    yard.record("compression", "small", {"candidates": [candidate], "failed": {"int8": "no"}})
    yard.record("deployment", "churn", RECORDED)

    evaluation = await got(jp_fetch, "yard", "evaluations", "ridge-1")
    study = await got(jp_fetch, "yard", "studies", "depth")
    compression = await got(jp_fetch, "yard", "compressions", "small")
    deployment = await got(jp_fetch, "yard", "deployments", "churn")

    assert evaluation["tables"][0]["columns"] == ["metric", "mean", "std"]
    assert evaluation["tables"][0]["rows"] == [["roc_auc", 0.9, 0.1], ["f1", None, None]]
    assert evaluation["texts"] == [{"key": "findings", "text": "<i>one</i> class"}]
    assert evaluation["calls"]["magic"] == "%cv model X y --cv kfold:5"
    assert study["facts"] == {"state": "finished", "best_score": 0.5}
    assert study["tables"][0]["rows"] == [["max_depth", 3]]
    assert [table["key"] for table in compression["tables"]] == ["candidates", "failed"]
    assert deployment["calls"] == {"python": 'modelyard.deployment("churn")', "magic": "%traffic churn"}
    assert deployment["deployment"]["desired"] == "stopped"


async def test_a_result_of_another_version_is_shown_as_far_as_it_is_understood(
    jp_fetch: Any, jp_root_dir: Path
) -> None:
    yard = Yard(jp_root_dir)
    yard.record("evaluation", "old", {"summary": [1, 2], "warnings": "none", "rows": None})
    yard.record("compression", "old", {"candidates": {"a": 1}})
    yard.record("bundle", "old:1", {})
    yard.record("deployment", "old", {"endpoint": "somewhere"})

    for plural, name in (
        ("evaluations", "old"),
        ("compressions", "old"),
        ("bundles", "old:1"),
        ("deployments", "old"),
    ):
        assert (await got(jp_fetch, "yard", plural, name))["tables"] == []
    assert await within(2, lambda: _health(jp_fetch, "old"), "unknown")
    assert "another version" in (await got(jp_fetch, "yard"))["deployments"][0]["detail"]
    code, message = await refused(jp_fetch, "deployments", "old", "stop", method="POST", body="")
    assert (code, "another version" in message) == (409, True)


async def _health(jp_fetch: Any, name: str) -> str:
    found = await got(jp_fetch, "yard")
    return next(str(entry["health"]) for entry in found["deployments"] if entry["name"] == name)


async def within(seconds: float, ask: Any, expected: Any) -> bool:
    """Whether an answer comes about in time."""
    deadline = time.monotonic() + seconds + 20  # what reaches endpoints is imported first
    while time.monotonic() < deadline:
        if await ask() == expected:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_an_empty_yard_is_empty_lists_and_makes_nothing(jp_fetch: Any, jp_root_dir: Path) -> None:
    found = await got(jp_fetch, "yard")

    assert {kind: found[kind] for kind in KINDS} == {kind: [] for kind in KINDS}
    assert not (jp_root_dir / ".modelyard").exists()


async def test_of_very_many_the_newest_are_listed_and_all_are_counted(
    jp_fetch: Any, jp_root_dir: Path
) -> None:
    yard = Yard(jp_root_dir)
    yard.record("bundle", "first:1", {})
    for number in range(205):
        yard.record("bundle", f"churn:{number}", {})

    found = await got(jp_fetch, "yard")

    assert found["counts"]["bundles"] == 206
    assert len(found["bundles"]) == 200
    assert found["bundles"][-1]["name"] == "churn:204"


async def test_names_the_root_relative_to_the_server_when_the_project_begins_above(
    jp_fetch: Any, jp_root_dir: Path
) -> None:
    yard = Yard(jp_root_dir.parent)
    yard.record("bundle", "churn:1", {})

    found = await got(jp_fetch, "yard")

    assert found["root"] == ".."
    assert [entry["name"] for entry in found["bundles"]] == ["churn:1"]


async def test_tells_which_notebook_made_a_thing_as_long_as_it_is_there(
    jp_fetch: Any, jp_root_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(jp_root_dir)
    (jp_root_dir / "notes").mkdir()
    (jp_root_dir / "notes" / "churn.ipynb").write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(jp_root_dir / "notes" / "churn.ipynb"))
    yard.record("bundle", "churn:1", {})
    monkeypatch.setenv("JPY_SESSION_NAME", str(jp_root_dir / "other.ipynb"))
    yard.record("bundle", "churn:1", {"again": True})  # the first one made it
    yard.record("bundle", "churn:2", {})  # that notebook is gone
    monkeypatch.setenv("JPY_SESSION_NAME", str(jp_root_dir / "console-1"))
    yard.record("bundle", "churn:3", {})

    found = await got(jp_fetch, "yard")

    assert [entry["notebook"] for entry in found["bundles"]] == ["notes/churn.ipynb", None, None]


async def test_a_catalog_that_cannot_be_read_is_a_503_that_says_so(jp_fetch: Any, jp_root_dir: Path) -> None:
    folder = jp_root_dir / ".modelyard"
    folder.mkdir()
    (folder / "yard.sqlite").write_bytes(b"this is no database, this is a text of some length" * 20)

    code, message = await refused(jp_fetch, "yard")

    assert code == 503
    assert "catalog" in message


async def test_what_is_not_there_is_a_404_that_names_what_is(jp_fetch: Any, jp_root_dir: Path) -> None:
    Yard(jp_root_dir).record("bundle", "churn:1", {})

    for parts, options in (
        (("yard", "bundles", "chum:1"), {}),
        (("deployments", "nobody", "metrics"), {}),
        (("deployments", "nobody", "stop"), {"method": "POST", "body": ""}),
    ):
        code, message = await refused(jp_fetch, *parts, **options)
        assert code == 404
        assert message.startswith("no ")
        assert "this project" in message
        assert str(jp_root_dir) not in message


async def test_figures_are_only_of_this_machine_and_say_why_not(
    jp_fetch: Any, jp_root_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(jp_root_dir)
    yard.record(
        "deployment", "cloud", RECORDED | {"url": "http://127.0.0.1.evil.example/x", "desired": "running"}
    )
    yard.record("deployment", "gone", RECORDED)
    yard.record("deployment", "theirs", RECORDED)
    from modelyard.targets.tokens import make_token

    make_token(yard.root, "cloud")
    make_token(yard.root, "gone")

    assert await refused(jp_fetch, "deployments", "cloud", "metrics") == (
        502, "'cloud' does not answer on this machine; its figures are where it runs"
    )  # fmt: skip
    assert await refused(jp_fetch, "deployments", "gone", "metrics") == (502, "'gone' does not answer")
    assert (await refused(jp_fetch, "deployments", "theirs", "metrics"))[1].startswith("you have no token")


async def test_stopping_what_is_stopped_says_so(jp_fetch: Any, jp_root_dir: Path) -> None:
    Yard(jp_root_dir).record("deployment", "churn", RECORDED)

    done = await got(jp_fetch, "deployments", "churn", "stop", method="POST", body="")

    assert (done["changed"], done["message"]) == (False, "churn is already stopped")


async def test_tells_on_the_servers_own_socket_what_has_changed_and_what_has_ended(
    jp_fetch: Any, jp_ws_fetch: Any, jp_root_dir: Path
) -> None:
    yard = Yard(jp_root_dir)
    yard.record("study", "depth", {"state": "running"})
    socket = await jp_ws_fetch("api", "events", "subscribe")
    try:
        await got(jp_fetch, "yard")
        await _heard(socket, "changed")
        began = time.monotonic()
        yard.record("deployment", "churn", RECORDED)
        await _heard(socket, "changed")
        assert time.monotonic() - began < 2
        assert [each["name"] for each in (await got(jp_fetch, "yard"))["deployments"]] == ["churn"]
        yard.record(
            "study", "depth", {"state": "finished", "finished": 60, "best_score": 0.912, "metric": "f1"}
        )
        ended = await _heard(socket, "study-ended")
    finally:
        socket.close()

    assert (ended["name"], ended["detail"]) == ("depth", "finished, 60 trials, best f1 0.912")


async def _heard(socket: Any, what: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.read_message(), 10))
        if event["schema_id"] == "urn:modelyard:yard" and event["what"] == what:
            return event


def write_onnx(path: Path, **options: Any) -> Path:
    inputs = [helper.make_tensor_value_info("<b>x</b>", TensorProto.FLOAT, ["N", 3])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])]
    graph = helper.make_graph([helper.make_node("Relu", ["<b>x</b>"], ["y"])], "g", inputs, outputs)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="tests"), path
    )
    return path


async def test_the_card_of_an_onnx_file_says_what_goes_in_and_out(jp_fetch: Any, jp_root_dir: Path) -> None:
    write_onnx(jp_root_dir / "model.onnx")

    found = await got(jp_fetch, "card", params={"path": "model.onnx"})

    assert found["kind"] == "onnx"
    assert found["facts"]["opset"] == "ai.onnx 18"
    assert found["facts"]["size_bytes"] == (jp_root_dir / "model.onnx").stat().st_size
    tables = {table["key"]: table["rows"] for table in found["tables"]}
    assert tables["inputs"] == [["<b>x</b>", "float", "N × 3"]]
    assert tables["operators"] == [["ai.onnx::Relu", 1]]


async def test_the_card_of_a_bundle_is_its_manifest_and_its_model_card(
    jp_fetch: Any, jp_root_dir: Path
) -> None:
    model = jp_root_dir / "bundles" / "3" / "src" / "model"
    model.mkdir(parents=True)
    (jp_root_dir / "bundles" / "empty").mkdir()
    manifest = {
        "format": 1,
        "name": "churn",
        "model": {"kind": "onnx", "task": "binary"},
        "trust": None,
        "rows": 9,
    }
    (model / "manifest.json").write_text(json.dumps(manifest))
    (model / "card.md").write_text("# churn\n<script>alert(1)</script>")

    assert (await got(jp_fetch, "bundles", params={"folder": "bundles"}))["names"] == ["3"]
    found = await got(jp_fetch, "card", params={"path": "bundles/3"})

    assert found["facts"] == {"bundle": "churn", "format": 1, "task": "binary", "form": "onnx", "rows": 9}
    assert found["texts"] == [{"key": "card", "text": "# churn\n<script>alert(1)</script>"}]


async def test_a_card_is_of_nothing_beyond_the_root_and_of_no_damaged_file(
    jp_fetch: Any, jp_root_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_onnx(tmp_path / "outside.onnx")
    (jp_root_dir / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    (jp_root_dir / "bad.onnx").write_bytes(b"\xff\xfe no model")
    (jp_root_dir / "empty.onnx").write_bytes(b"")
    (jp_root_dir / "notes.txt").write_text("text")
    (jp_root_dir / "folder").mkdir()
    (jp_root_dir / "broken").mkdir()
    (jp_root_dir / "broken" / "manifest.json").write_text("[]")

    async def code_of(path: str) -> int:
        return (await refused(jp_fetch, "card", params={"path": path}))[0]

    assert await code_of("../outside.onnx") == 403
    assert await code_of("link.onnx") == 403
    assert await code_of("nothing.onnx") == 404
    assert [await code_of(p) for p in ("bad.onnx", "empty.onnx", "notes.txt", "folder", "broken")] == [
        422
    ] * 5

    monkeypatch.setattr("modelyard_lab.cards.MOST_ONNX_BYTES", 10)
    write_onnx(jp_root_dir / "large.onnx")
    assert (await got(jp_fetch, "card", params={"path": "large.onnx"}))["texts"][0]["key"] == "too-large"


async def test_every_verb_of_every_route_refuses_who_is_not_known(
    http_server_client: Any, jp_base_url: str, jp_serverapp: Any
) -> None:
    for _, route in ROUTES:
        for verb in VERBS:
            with pytest.raises(HTTPClientError) as refusal:
                await http_server_client.fetch(
                    f"{jp_base_url}{route}", method=verb, allow_nonstandard_methods=True, raise_error=True
                )
            # a verb that a route does not take is refused before anybody is asked for a name
            expected = (403,) if (verb, route) in ROUTES else (403, 405)
            assert refusal.value.code in expected, (verb, route)


async def test_no_route_takes_a_verb_but_its_own(jp_fetch: Any) -> None:
    for own, route in ROUTES:
        for verb in VERBS:
            if verb == own:
                continue
            with pytest.raises(HTTPClientError) as refusal:
                await jp_fetch(route.partition("?")[0], method=verb, allow_nonstandard_methods=True)
            assert refusal.value.code in (403, 404, 405), (verb, route)


async def test_who_is_known_by_a_cookie_alone_cannot_be_made_to_act(
    http_server_client: Any, jp_base_url: str, jp_serverapp: Any, jp_root_dir: Path
) -> None:
    Yard(jp_root_dir).record("deployment", "churn", RECORDED)
    token = jp_serverapp.identity_provider.token
    entered = await http_server_client.fetch(f"{jp_base_url}api/status?{urlencode({'token': token})}")
    page = await http_server_client.fetch(f"{jp_base_url}login")
    given = [cookie for answer in (entered, page) for cookie in answer.headers.get_list("Set-Cookie")]
    cookies = "; ".join(cookie.partition(";")[0] for cookie in given)
    url = f"{jp_base_url}modelyard/deployments/churn/stop"
    listed = await http_server_client.fetch(f"{jp_base_url}modelyard/yard", headers={"Cookie": cookies})
    assert listed.code == 200

    with pytest.raises(HTTPClientError) as refusal:
        await http_server_client.fetch(url, method="POST", body="", headers={"Cookie": cookies})
    assert refusal.value.code == 403
    xsrf = re.search(r"_xsrf=([^;]+)", cookies)
    assert xsrf is not None
    headers = {"Cookie": cookies, "X-XSRFToken": xsrf[1]}
    done = await http_server_client.fetch(url, method="POST", body="", headers=headers)
    assert done.code == 200


def test_importing_the_extension_brings_in_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "sklearn", "optuna", "onnxruntime", "bentoml", "altair", "tornado"}
    script = "import sys, modelyard_lab; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not heavy & set(done.stdout.split())


def test_a_server_without_deployments_loads_no_library_of_models() -> None:
    heavy = {"numpy", "pandas", "scipy", "sklearn", "onnx", "onnxruntime", "bentoml", "optuna"}
    script = "import sys, modelyard_lab.serving; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not heavy & set(done.stdout.split())


def test_names_the_places_that_jupyter_looks_for() -> None:
    import modelyard_lab

    assert modelyard_lab._jupyter_labextension_paths() == [{"src": "labextension", "dest": "modelyard-lab"}]
    assert modelyard_lab._jupyter_server_extension_points() == [{"module": "modelyard_lab"}]
