"""What all tests share: a project of their own, a store of their own, a shell of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

# what runs a test that is a coroutine; the fixtures of that plugin stay with the one module that wants them
from pytest_jupyter.jupyter_core import pytest_pycollect_makeitem, pytest_pyfunc_call  # noqa: F401

#: Modules of few tests that take minutes each: several workers begin with them, and nobody waits for one at the end.
_LONG = (
    "test_notebooks", "test_lab_notebook", "test_explaining_endpoint", "test_packaging", "test_hybrid", "test_identity",
    "test_wheel", "test_second_python", "test_lab_browser", "test_panels_browser", "test_running_browser",
    "test_voila_browser", "test_saved_browser", "test_postgres", "test_replay", "test_mlflow", "test_targets",
    # of test-targets
    "test_sagemaker", "test_lambda_traffic", "test_raspberry_pi", "test_notebook_08", "test_notebook_07",
    "test_container", "test_lambda_image", "test_onnxruntime_mobile",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(_LONG)))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project as the working directory, with BentoML's store and the user's secrets beside it."""
    root = tmp_path / "project"
    (root / ".modelyard").mkdir(parents=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(tmp_path / "config"))
    return root


@pytest.fixture(scope="module")
def store_of_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def shared_store(project: Path, store_of_module: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and the user's secrets, that the whole module shares: packaging the same model again is quick."""
    monkeypatch.setenv("BENTOML_HOME", str(store_of_module))
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(store_of_module / "config"))
    return store_of_module


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    """A fresh IPython with modelyard loaded, its cells being ``__main__`` as in a notebook."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    main = sys.modules["__main__"]
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "modelyard")
    yield shell
    shell.run_line_magic("unload_ext", "modelyard")
    shell.history_manager.end_session()
    sys.modules["__main__"] = main
