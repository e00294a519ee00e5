"""Notebooks as a new user meets them: in JupyterLab, in a browser, run from top to bottom."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

import modelyard
from browser import LABEXTENSION, chromium, jupyter_lab, open_notebook
from kernels import NOTEBOOKS, payloads

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCREENSHOTS = Path(__file__).parent / "screenshots"
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
        notebook.screenshot(SCREENSHOTS / "notebook-01.png")
        regions = {
            # not those of the side panel
            kind: notebook.page.locator("#jp-main-dock-panel").get_by_role(
                "region", name=re.compile(f"^{kind}")
            )
            for kind in ("Evaluation", "Study", "Bundle", "Verification", "Deployment")
        }
        shown = {kind: region.first.inner_text() for kind, region in regions.items()}
        overviews = [regions[kind].get_by_role("img").count() for kind in ("Evaluation", "Study")]
        regions["Evaluation"].get_by_role("tab", name="Curves").click()
        curves = regions["Evaluation"].get_by_role("img")
        curves.nth(3).wait_for()
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(scratch / "modelyard"))
    endpoint = modelyard.deployment("breast-cancer")
    try:
        assert seen.errors == []
        assert seen.elsewhere == []
        assert seen.complaints == []
        assert "roc_auc" in shown["Evaluation"]
        assert "20 finished trials" in shown["Study"]
        assert "breast-cancer:1" in shown["Bundle"]
        assert "ready" in shown["Deployment"]
        assert overviews == [1, 1]  # the folds; the study
        assert "569 rows: every label the same" in seen.text
        assert "ready: breast-cancer:1" in seen.text
        assert endpoint.status().health == "ready"  # Lab and its kernels are gone by now
    finally:
        endpoint.remove()


def explains(notebook: nbformat.NotebookNode, project: Path) -> None:
    shown = payloads(notebook)
    kinds = {"attribution", "partial_dependence", "importance", "interactions", "counterfactuals", "fairness"}
    assert kinds <= set(shown)
    assert shown["attribution"]["columns"] == 16  # size is one of them, and not three
    assert shown["counterfactuals"]["missing"] == []
    assert len({found["row"] for found in shown["counterfactuals"]["found"]}) == 8
    groups = {group["group"] for group in shown["fairness"]["groups"]}
    assert groups == {"size=small", "size=medium", "size=large"}
    assert "values for malignant</h2>" in (project / "why.html").read_text(encoding="utf-8")


def compresses(notebook: nbformat.NotebookNode, project: Path) -> None:
    assert modelyard.yard().deployments == ()
    shown = payloads(notebook)
    assert shown["compression"]["best"]["size_bytes"] <= 5_000
    assert shown["compression"]["original"]["size_bytes"] > 500_000
    assert shown["bundle"]["form"] == "onnx"
    words = "\n".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "1000 digits: every label the same" in words


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "theme", "panels", "says"),
    [
        (
            "06_explain.ipynb",
            "Light",
            # counterfactuals begin with one row, which is a table
            ("Explanation", "Dependence", "Importance", "Interactions", "Fairness"),
            explains,
        ),
        ("06b_compress_for_the_edge.ipynb", "Dark", ("Compression",), compresses),
    ],
)
def test_a_notebook_says_what_it_should_and_every_picture_is_drawn_and_has_words(
    name: str,
    theme: str,
    panels: tuple[str, ...],
    says: Callable[[nbformat.NotebookNode, Path], None],
    project: Path,
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "jupyter"
    scratch.mkdir()
    shutil.copy(NOTEBOOKS / name, project)
    with (
        jupyter_lab(project, scratch, theme=f"JupyterLab {theme}") as lab,
        chromium() as browser,
        open_notebook(browser, lab, name) as notebook,
    ):
        seen = notebook.run_all(timeout=500)
        notebook.screenshot(SCREENSHOTS / f"{Path(name).stem}-{theme.lower()}.png")
        notebook.execute("docmanager:save")
        drawn = {
            kind: notebook.page.get_by_role("region", name=kind, exact=True).get_by_role("img").all()
            for kind in panels
        }
        words = [image.get_attribute("alt") for images in drawn.values() for image in images]
        widths = [
            image.evaluate("image => image.naturalWidth") for images in drawn.values() for image in images
        ]
    assert (seen.errors, seen.elsewhere, seen.complaints) == ([], [], [])
    assert [kind for kind, images in drawn.items() if not images] == []
    assert all(words)
    assert min(widths) > 300
    says(nbformat.read(project / name, as_version=4), project)
