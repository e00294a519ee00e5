"""A project of a benchmark's own, with a store and keys beside it, gone when the block ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_project() -> Iterator[Path]:
    """Make it the working directory; yield its folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        (folder / ".modelyard").mkdir()
        os.environ |= {
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "MODELYARD_CONFIG_DIR": str(folder / "config"),
        }
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir("/")
