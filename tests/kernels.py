"""Real kernels for tests: run notebooks and cells, restart, kill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "example_notebooks"


class Kernel:
    """A running kernel that cells are sent to."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    @property
    def pid(self) -> int:
        return int(self._client.km.provisioner.pid)

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run one cell; return its outputs, or raise what it raised."""
        cell = nbformat.v4.new_code_cell(code)
        self._client.nb.cells.append(cell)
        self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        return list(cell.outputs)

    def text(self, code: str) -> str:
        """Run one cell; return what it showed as plain text."""
        return "\n".join(
            output["text"] if output["output_type"] == "stream" else output["data"].get("text/plain", "")
            for output in self.run(code)
        )


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """Start a kernel in `folder`; it is shut down at the end."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        yield Kernel(client)


def executed(name: str, folder: Path, **options: Any) -> nbformat.NotebookNode:
    """Execute an example notebook with `folder` as its working directory; raise on the first error."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    options = {
        "kernel_name": "python3",
        "timeout": 300,
        "resources": {"metadata": {"path": str(folder)}},
        **options,
    }
    NotebookClient(notebook, **options).execute()
    return notebook


def payloads(notebook: nbformat.NotebookNode) -> dict[str, dict[str, Any]]:
    """Return the last payload of each kind of result that the notebook shows, by kind."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for mime, value in output.get("data", {}).items():
                if mime.startswith("application/vnd.modelyard."):
                    found[mime.removeprefix("application/vnd.modelyard.").removesuffix("+json")] = value
    return found
