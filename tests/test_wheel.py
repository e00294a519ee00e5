"""A wheel from a clean clone: what is in it, and that it runs notebook 01 where nothing else is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import modelyard
from kernels import executed, payloads

REPOSITORY = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(REPOSITORY), str(clone)], check=True)
    built = subprocess.run(
        [UV, "build", "-q", "--wheel", "--out-dir", str(folder / "dist"), str(clone)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    (found,) = (folder / "dist").glob("modelyard-*.whl")
    return found


def test_the_wheel_holds_every_package_and_the_lab_extension_and_nothing_of_the_workshop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in (
        "modelyard",
        "modelyard_widgets",
        "modelyard_lab",
        "modelyard_runtime",
        "modelyard_templates",
    ):
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    for data in (
        "modelyard_widgets/page/panel.js",
        "modelyard_widgets/panel.css",
        "modelyard_templates/bundle/service.py.j2",
        "modelyard_templates/bundle/card.md.j2",
    ):
        assert data in names
    lab = [name for name in names if "/share/jupyter/labextensions/modelyard-lab/" in name]
    assert any(name.endswith("package.json") for name in lab)
    assert any(name.endswith("/static/style.js") for name in lab)
    assert any(name.endswith("jupyter_server_config.d/modelyard_lab.json") for name in names)
    assert [
        name for name in names if name.endswith((".map", ".ts", ".ipynb")) or "node_modules" in name
    ] == []
    assert [name for name in names if name.startswith(("tests/", "benchmarks/", "extension/"))] == []


def test_the_wheel_in_an_empty_environment_runs_notebook_01(
    wheel: Path, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "environment"
    python = environment / "bin" / "python"
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, str(environment)], check=True, env=clean)
    subprocess.run(
        [
            UV,
            "pip",
            "install",
            "-q",
            "--python",
            str(python),
            "-c",
            str(REPOSITORY / "requirements.lock"),
            str(wheel),
        ],
        check=True,
        env=clean,
    )
    spec = tmp_path / "jupyter" / "kernels" / "wheel"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "wheel", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    notebook = executed("01_from_cell_to_endpoint.ipynb", project, kernel_name="wheel")
    endpoint = modelyard.deployment("breast-cancer")
    try:
        record = modelyard.yard().deployments[0].payload["state"]
        assert record["argv"][0] == str(python)  # served by the wheel's own environment, not by this one
        assert payloads(notebook)["yard"]["deployments"][0]["health"] == "ready"
    finally:
        endpoint.remove()
