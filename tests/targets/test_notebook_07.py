"""The notebook of plans: it needs a Python that Lambda has, as all tests here do."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelyard
from kernels import executed, payloads


@pytest.mark.thorough
def test_notebook_07_fits_rehearses_plans_deploys_and_takes_back(project: Path) -> None:
    notebook = executed("07_deploy_plans.ipynb", project)
    shown = payloads(notebook)
    assert {"fit", "rehearsal", "plan", "deployment"} <= set(shown)
    assert shown["rehearsal"]["target"] == "container"
    assert shown["plan"]["cost"]["monthly"] > 0
    assert modelyard.yard().deployments == ()
