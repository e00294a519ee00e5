"""Where a project begins, and where a user's own secrets lie."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import platformdirs

FOLDER = ".modelyard"


def _marks_root(folder: Path) -> bool:
    if (folder / FOLDER).is_dir():
        return True
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return "modelyard" in settings.get("tool", {})


def find_root(start: Path | None = None) -> Path:
    """Return the nearest ancestor with ``.modelyard/`` or ``[tool.modelyard]``, else `start` itself."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if _marks_root(folder)), here)


def user_config() -> Path:
    """Return the folder for what belongs to the user and never to a project: tokens and keys (mode 0700).

    ``MODELYARD_CONFIG_DIR`` puts it elsewhere.
    """
    chosen = os.environ.get("MODELYARD_CONFIG_DIR")
    folder = Path(chosen) if chosen else platformdirs.user_config_path("modelyard")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
