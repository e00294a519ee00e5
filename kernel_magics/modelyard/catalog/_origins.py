"""Which notebook made what: the name that a Jupyter server gives each kernel's session."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_SESSION = "JPY_SESSION_NAME"


def session_notebook(root: Path) -> str | None:
    """Return the notebook whose kernel this is, from the project's root; ``None`` outside of one, or of the project."""
    named = os.environ.get(_SESSION, "")
    if PurePosixPath(named).suffix != ".ipynb":
        return None  # a console, or a kernel of something else
    try:
        return Path(root, named).resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return None
