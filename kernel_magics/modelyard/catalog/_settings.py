"""Defaults of a project: ``[tool.modelyard.VERB]`` in the root's pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from modelyard.errors import UsageError


def project_settings(root: Path, verb: str) -> dict[str, Any]:
    """Return the project's defaults for the flags of `verb`, by flag name without dashes in front.

    Raises
    ------
    UsageError
        The file is not TOML, or the table is not a table.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        found = (
            tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("modelyard", {}).get(verb, {})
        )
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML ({error}); mend it, or move it away") from error
    if not isinstance(found, dict):
        raise UsageError(f"[tool.modelyard.{verb}] in {path} must be a table of flags, found {found!r}")
    return {key.replace("-", "_"): value for key, value in found.items()}
