"""Published apps: what is written, what is not, and what an app says when it cannot be shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets import Widget

import modelyard
from modelyard.errors import BundleError, NameTakenError, UnknownNameError, UsageError
from modelyard.packaging import Bundle
from modelyard.publishing import App
from modelyard_widgets import apps
from modelyard_widgets.panel import Panel
from people import FRAME, MODEL, TARGET, a_place_of_its_own

pytestmark = pytest.mark.filterwarnings("ignore::modelyard.errors.PackagingWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_place_of_its_own(tmp_path_factory) as folder:
        (folder / ".modelyard").mkdir()
        yield folder


@pytest.fixture(autouse=True)
def here(place: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(place)
    monkeypatch.setenv("BENTOML_HOME", str(place / "bentoml"))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(place / "config"))
    yield
    Widget.close_all()


@pytest.fixture(scope="module")
def bundle(place: Path) -> Bundle:
    return modelyard.package(MODEL, FRAME, TARGET, name="people")


def source(app: App) -> str:
    [cell] = nbformat.read(app.folder / "app.ipynb", as_version=4).cells
    return str(cell.source)


def said(panel: Panel) -> tuple[str, str]:
    shown: dict[str, Any] = panel.blocks[0]
    return shown["text"], shown["tone"]


def test_an_app_is_a_notebook_of_one_cell_and_what_serves_it(bundle: Bundle, place: Path) -> None:
    app = modelyard.publish("people")

    assert app.folder == place / "people-what-if"
    assert {
        path.relative_to(app.folder).as_posix() for path in app.folder.rglob("*") if path.is_file()
    } == set(app.files)
    assert source(app) == (
        f"from modelyard_widgets import apps\n\napps.what_if(bundle='people:1', digest='{bundle.digest}')"
    )
    notebook = nbformat.read(app.folder / "app.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].outputs == []
    compile((app.folder / "voila.py").read_text(encoding="utf-8"), "voila.py", "exec")
    assert app.command == f"cd {app.folder} && voila app.ipynb --no-browser"
    assert "MODELYARD_APP_TOKEN" in " ".join(app.notes())


def test_nothing_of_the_training_table_and_no_token_is_in_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "sesame-sesame-sesame")
    app = modelyard.publish(bundle, "report", token="env:SECRET_OF_MINE")

    written = "".join((app.folder / name).read_text(encoding="utf-8") for name in app.files)
    assert "SECRET_OF_MINE" in written
    assert "sesame" not in written
    assert "Bern" not in written
    assert str(FRAME["income"].iloc[1]) not in written


def test_the_line_is_the_call(shell: InteractiveShell, bundle: Bundle) -> None:
    shell.user_ns["found"] = bundle
    code = shell.run_line_magic("publish", "people --as report --to there --token env:T --show-code")
    assert repr(code) == "modelyard.publish('people', as_='report', to='there', token='env:T')"
    assert repr(shell.run_line_magic("publish", "found --show-code")) == "modelyard.publish(found)"
    app = shell.run_line_magic("publish", "found --as report")
    assert isinstance(app, App)
    assert app.app == "report"


def test_publishing_again_replaces_the_app_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    first = modelyard.publish(bundle, to=tmp_path / "app")
    assert modelyard.publish(bundle, "report", to=tmp_path / "app").folder == first.folder
    assert "apps.report(" in source(first)

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(
        NameTakenError, match=r"other is there and no app; choose another folder: --to FOLDER"
    ):
        modelyard.publish(bundle, to=other)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"as_": "what_if"}, UsageError, "no app 'what_if'; there are: monitor, report, what-if"),
        ({"token": "hunter2"}, UsageError, "a token is given by reference, as env:NAME"),
        ({"source": "nobody"}, UnknownNameError, "neither a bundle nor a deployment is named 'nobody'"),
        ({"source": FRAME}, UsageError, "publish takes a bundle, a deployment or a name, found DataFrame"),
        ({"as_": "monitor"}, UnknownNameError, "people"),
    ],
)
def test_what_cannot_be_published_is_said_in_one_line(
    bundle: Bundle, place: Path, given: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as found:
        modelyard.publish(**{"source": "people", "to": place / "never", **given})
    assert told in str(found.value)
    assert "\n" not in str(found.value)
    assert "hunter2" not in str(found.value)
    assert not (place / "never").exists()


def test_a_bundle_is_no_endpoint_to_watch(bundle: Bundle) -> None:
    with pytest.raises(
        UsageError, match=r"a monitor watches an endpoint; deploy people:1 first: %deploy people:1"
    ):
        modelyard.publish(bundle, "monitor")


def test_an_app_says_in_one_line_what_became_of_its_bundle(bundle: Bundle) -> None:
    assert said(apps.what_if(bundle="people:1", digest="0" * 64)) == (
        "bundle people:1 is another one than was published; publish it again", "error",
    )  # fmt: skip
    fleeting = modelyard.package(MODEL, FRAME, TARGET, name="fleeting")
    digest = fleeting.digest
    modelyard.publish(fleeting)
    shutil.rmtree(fleeting.path)
    with pytest.raises(BundleError, match="fleeting:1 is gone"):
        modelyard.publish(fleeting, to="elsewhere")
    words, tone = said(apps.report(bundle="fleeting:1", digest=digest))
    assert "fleeting" in words
    assert "\n" not in words
    assert tone == "error"
    words, tone = said(apps.monitor(deployment="gone"))
    assert words.startswith("no deployment named 'gone'")


def test_an_app_that_is_served_without_its_settings_shows_nothing(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOILA_REQUEST_URL", "http://127.0.0.1/")
    words, tone = said(apps.what_if(bundle="people:1", digest=bundle.digest))
    assert (
        words
        == "this app is served without its settings; start voila in the app's own folder, as its README says"
    )
    assert tone == "error"


def test_what_goes_wrong_without_a_word_of_ours_tells_a_viewer_nothing(
    bundle: Bundle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("the salary of Ms. Meier is 3000")

    monkeypatch.setattr(apps, "overview", fail)
    words, _ = said(apps.report(bundle="people:1", digest=bundle.digest))
    assert "Meier" not in words + caplog.text
    assert "ValueError" in caplog.text


def test_voila_does_not_start_without_a_token(bundle: Bundle) -> None:
    app = modelyard.publish(bundle)
    environment = {name: value for name, value in os.environ.items() if name != "MODELYARD_APP_TOKEN"}
    voila = Path(sys.executable).with_name("voila")
    done = subprocess.run(
        [voila, "app.ipynb", "--no-browser", "--port=0"], cwd=app.folder, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no token of at least 16 characters in MODELYARD_APP_TOKEN; type: export" in done.stderr


def test_a_report_shows_what_the_bundle_says(bundle: Bundle) -> None:
    shown = apps.report(bundle="people:1", digest=bundle.digest)

    assert "controls" not in json.dumps(shown.blocks)
    assert shown._does == {}
    told = json.dumps(shown.blocks)
    assert "Pipeline(ColumnTransformer, LogisticRegression)" in told
    assert bundle.digest in told
