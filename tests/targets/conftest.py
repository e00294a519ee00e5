"""The interpreter of the environment of targets is one that the target finds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulators import ENVIRONMENT


def pytest_configure(config: pytest.Config) -> None:
    if not (ENVIRONMENT / "bin" / "python").exists():
        raise pytest.UsageError(f"{ENVIRONMENT} is not there; type: make env-targets")
    interpreter = (ENVIRONMENT / "bin" / "python").resolve()
    os.environ["PATH"] = os.pathsep.join((str(Path(interpreter).parent), os.environ.get("PATH", os.defpath)))
