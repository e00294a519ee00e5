"""What importing costs, and that no module hides a verb."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import modelyard

HEAVY = (
    "numpy",
    "pandas",
    "sklearn",
    "scipy",
    "optuna",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "bentoml",
    "httpx",
    "vl_convert",
)
PACKAGES = (
    "modelyard",
    "modelyard_widgets",
    "modelyard_lab",
    "modelyard_explainer",
    "modelyard_device",
    "modelyard_lambda",
    "modelyard_router",
    "modelyard_runtime",
    "modelyard_sagemaker",
    "modelyard_templates",
)

#: What has a test environment of its own.
ELSEWHERE = ("ray",)


def loaded_after(code: str) -> list[str]:
    report = "import sys, json; print(json.dumps([name for name in sys.argv[1:] if name in sys.modules]))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}", *HEAVY, "ipywidgets", "anywidget"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_importing_modelyard_imports_nothing_heavy() -> None:
    assert loaded_after("import modelyard; dir(modelyard)") == []


def test_loading_the_extension_imports_nothing_heavy() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "shell.run_line_magic('load_ext', 'modelyard')\n"
        "assert 'deploy' in shell.magics_manager.magics['line']"
    )
    assert loaded_after(code) == []


def test_finding_a_deployment_again_needs_neither_scikit_learn_nor_the_converters() -> None:
    light = loaded_after("import modelyard; modelyard.yard()")
    assert not {"sklearn", "onnx", "onnxruntime", "skl2onnx", "bentoml", "optuna"} & set(light)


def test_no_module_hides_a_verb() -> None:
    for package in PACKAGES:
        module = import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            if found.name.endswith(("__main__", "doors.bento")):
                continue
            try:
                import_module(found.name)
            except ModuleNotFoundError as error:
                if error.name not in ELSEWHERE:
                    raise
    for verb in modelyard.__all__:
        assert callable(getattr(modelyard, verb)), verb
        assert not hasattr(getattr(modelyard, verb), "__path__"), f"{verb} is a package"
    assert set(modelyard.__all__) <= set(dir(modelyard))
