"""The server's side of the Lab extension, asked over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# not as a plugin: its event loop and its server would go around every other test too
from pytest_jupyter.jupyter_core import *  # noqa: F403
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tornado.httpclient import HTTPClientError

from modelyard.catalog import Yard

KINDS = ("evaluations", "studies", "compressions", "bundles", "deployments")


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"modelyard_lab": True}}}


async def test_lists_what_is_in_the_yard(jp_fetch: Any, jp_root_dir: Path) -> None:
    yard = Yard(jp_root_dir)
    yard.add_numbered("evaluation", "evaluation", {"model": "<b>Ridge</b>", "cv": "kfold:5", "scores": {}})
    yard.record("study", "depth", {})
    yard.record("compression", "small", {"model": "Ridge", "state": "running", "candidates": []})
    yard.record("compression", "tree", {"model": "Ridge", "chosen": "pruning (50 trees)", "candidates": []})
    yard.record("bundle", "churn:1", {"task": "binary", "form": "onnx", "path": "/secret/store"})
    yard.record("deployment", "churn", {"bundle": "churn:1", "target": "local", "pid": 4711})

    answer = await jp_fetch("modelyard", "yard")

    found = json.loads(answer.body)
    assert found["schema"] == 1
    assert found["root"] == ""
    assert [entry["name"] for entry in found["evaluations"]] == ["evaluation-1"]
    assert found["evaluations"][0]["summary"] == "<b>Ridge</b>, kfold:5"
    assert found["evaluations"][0]["created"].endswith("+00:00")
    assert [(entry["name"], entry["summary"]) for entry in found["studies"]] == [("depth", "")]
    assert [(entry["name"], entry["summary"]) for entry in found["compressions"]] == [
        ("small", "Ridge"),
        ("tree", "Ridge, pruning (50 trees)"),
    ]
    assert [(entry["name"], entry["summary"]) for entry in found["bundles"]] == [("churn:1", "binary, onnx")]
    assert [(entry["name"], entry["summary"]) for entry in found["deployments"]] == [
        ("churn", "churn:1, local")
    ]


async def test_tells_the_page_no_path_of_the_host(jp_fetch: Any, jp_root_dir: Path) -> None:
    Yard(jp_root_dir).record("deployment", "churn", {"argv": ["/secret/python"], "folder": str(jp_root_dir)})

    answer = await jp_fetch("modelyard", "yard")

    assert b"/secret" not in answer.body
    assert str(jp_root_dir).encode() not in answer.body


async def test_an_empty_yard_is_empty_lists_and_makes_nothing(jp_fetch: Any, jp_root_dir: Path) -> None:
    answer = await jp_fetch("modelyard", "yard")

    found = json.loads(answer.body)
    assert {kind: found[kind] for kind in KINDS} == {kind: [] for kind in KINDS}
    assert not (jp_root_dir / ".modelyard").exists()


async def test_names_the_root_relative_to_the_server_when_the_project_begins_above(
    jp_fetch: Any, jp_root_dir: Path
) -> None:
    yard = Yard(jp_root_dir.parent)
    yard.record("bundle", "churn:1", {})

    found = json.loads((await jp_fetch("modelyard", "yard")).body)

    assert found["root"] == ".."
    assert [entry["name"] for entry in found["bundles"]] == ["churn:1"]


async def test_a_catalog_that_cannot_be_read_is_a_503_that_says_so(jp_fetch: Any, jp_root_dir: Path) -> None:
    folder = jp_root_dir / ".modelyard"
    folder.mkdir()
    (folder / "yard.sqlite").write_bytes(b"this is no database, this is a text of some length" * 20)

    with pytest.raises(HTTPClientError) as refusal:
        await jp_fetch("modelyard", "yard")

    assert refusal.value.code == 503
    assert refusal.value.response is not None
    assert "catalog" in json.loads(refusal.value.response.body)["message"]


async def test_refuses_who_has_no_token(http_server_client: Any, jp_base_url: str, jp_serverapp: Any) -> None:
    with pytest.raises(HTTPClientError) as refusal:
        await http_server_client.fetch(f"{jp_base_url}modelyard/yard")

    assert refusal.value.code == 403


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_takes_no_other_verb(jp_fetch: Any, method: str) -> None:
    with pytest.raises(HTTPClientError) as refusal:
        await jp_fetch("modelyard", "yard", method=method, allow_nonstandard_methods=True)

    assert refusal.value.code in (403, 404, 405)


def test_importing_the_extension_brings_in_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "sklearn", "optuna", "onnxruntime", "bentoml", "altair", "tornado"}
    script = "import sys, modelyard_lab; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert not heavy & set(done.stdout.split())


def test_names_the_places_that_jupyter_looks_for() -> None:
    import modelyard_lab

    assert modelyard_lab._jupyter_labextension_paths() == [{"src": "labextension", "dest": "modelyard-lab"}]
    assert modelyard_lab._jupyter_server_extension_points() == [{"module": "modelyard_lab"}]
