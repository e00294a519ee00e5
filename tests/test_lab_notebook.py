"""Notebook 01 as a new user meets it: in JupyterLab, in a browser, run from top to bottom."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import modelyard
from browser import LABEXTENSION, chromium, jupyter_lab, open_notebook
from kernels import NOTEBOOKS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCREENSHOT = Path(__file__).parent / "screenshots" / "notebook-01.png"
NOTEBOOK = "01_from_cell_to_endpoint.ipynb"


def test_notebook_01_in_jupyterlab_shows_every_result_and_leaves_an_endpoint(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (LABEXTENSION / "package.json").is_file():
        pytest.fail(f"no labextension in {LABEXTENSION}; type: make extension", pytrace=False)
    scratch = tmp_path / "jupyter"
    scratch.mkdir()
    shutil.copy(NOTEBOOKS / NOTEBOOK, project)
    with (
        jupyter_lab(project, scratch, labextension=LABEXTENSION) as lab,
        chromium() as browser,
        open_notebook(browser, lab, NOTEBOOK) as notebook,
    ):
        seen = notebook.run_all(timeout=300)
        notebook.execute("modelyard:show-yard")
        notebook.page.get_by_role("region", name="Yard").get_by_text("breast-cancer:1").first.wait_for()
        notebook.screenshot(SCREENSHOT)
        regions = {
            kind: notebook.page.get_by_role("region", name=kind, exact=True)
            for kind in ("Evaluation", "Study", "Bundle", "Verification", "Deployment")
        }
        shown = {kind: region.first.inner_text() for kind, region in regions.items()}
        pictures = [regions[kind].get_by_role("img").count() for kind in ("Evaluation", "Study")]
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(scratch / "modelyard"))
    endpoint = modelyard.deployment("breast-cancer")
    try:
        assert seen.errors == []
        assert seen.elsewhere == []
        assert seen.complaints == []
        assert "roc_auc" in shown["Evaluation"]
        assert "20 finished trials" in shown["Study"]
        assert "breast-cancer:1" in shown["Bundle"]
        assert endpoint.url in shown["Deployment"]
        assert pictures == [5, 1]  # the folds, confusion, ROC, precision-recall, calibration; the study
        assert "569 rows: every label the same" in seen.text
        assert "ready: breast-cancer:1" in seen.text
        assert endpoint.status().health == "ready"  # Lab and its kernels are gone by now
    finally:
        endpoint.remove()
