"""A published app, as it shows itself."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.presentation import Result, Table


@dataclass(frozen=True, repr=False)
class App(Result):
    """A folder that one command serves.

    Attributes
    ----------
    name : str
        The folder's name, such as ``churn-what-if``.
    app : str
        ``what-if``, ``report`` or ``monitor``.
    of : str
        What it reads: ``bundle churn:3`` or ``deployment 'churn'``.
    folder : Path
    files : tuple of str
        What was written there.
    token : str
        Where the token that viewers need comes from when it is served: ``env:NAME``.
    """

    kind = "app"

    name: str
    app: str
    of: str
    folder: Path
    files: tuple[str, ...]
    token: str

    @property
    def command(self) -> str:
        """The command that serves it."""
        return f"cd {shlex.quote(str(self.folder))} && voila app.ipynb --no-browser"

    def sentence(self) -> str:
        return f"app {self.name!r}: {self.app} of {self.of}, in {self.folder}"

    def table(self) -> Table:
        return Table(("app", "of", "folder"), ((self.app, self.of, str(self.folder)),))

    def notes(self) -> tuple[str, ...]:
        variable = self.token.removeprefix("env:")
        return (
            f"serve it: export {variable}=$(openssl rand -hex 24); {self.command}",
            f"who may look opens http://localhost:8866/?token=…, with what {variable} holds; nobody else gets in",
            "it needs voila: pip install 'modelyard[voila]'",
        )

    def payload(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "app": self.app,
            "of": self.of,
            "folder": str(self.folder),
            "files": list(self.files),
            "token": self.token,
            "command": self.command,
        }
