"""The notebook of devices: a folder for a Raspberry Pi, a page for a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelyard
from kernels import executed, payloads


@pytest.mark.thorough
def test_notebook_08_makes_a_folder_for_a_device_and_a_page_for_a_phone(project: Path) -> None:
    notebook = executed("08_edge_raspberry_and_browser.ipynb", project)
    shown = payloads(notebook)
    assert {"evaluation", "bundle", "fit", "plan", "deployment"} <= set(shown)
    assert "8 bits" in shown["plan"]["steps"][1]
    files = Path(modelyard.deployment("digits").url.removeprefix("folder://localhost"))
    assert (files / "web" / "index.html").is_file()
