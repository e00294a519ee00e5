"""Run notebook 01 in a real kernel, show what it served, and say how to stop it (``make demo``)."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOTEBOOK = HERE / "01_from_cell_to_endpoint.ipynb"
OUTPUT = ROOT / ".demo"
NAME = "breast-cancer"


def shown(output: dict[str, Any]) -> str:
    """Return what a terminal can show of one cell output."""
    if output["output_type"] == "stream":
        return str(output["text"]) if output["name"] == "stdout" else ""
    if output["output_type"] == "error":
        return "\n".join(output["traceback"])
    data = output.get("data", {})
    is_ours = any(mime.startswith("application/vnd.modelyard.") for mime in data)
    is_bar = "application/vnd.jupyter.widget-view+json" in data and not is_ours
    return "" if is_bar else str(data.get("text/plain", ""))


def run_notebook() -> None:
    """Execute every cell, echo it, and keep the executed notebook in ``.demo/``."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)

    def echo(cell: Any, cell_index: int, execute_reply: Any) -> None:
        print(textwrap.indent(cell.source, "  | "))
        for output in cell.outputs:
            if text := shown(output).strip():
                print(textwrap.indent(text, "    "))
        print(flush=True)

    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    )
    client.on_cell_executed = echo
    try:
        client.execute()
    finally:
        OUTPUT.mkdir(exist_ok=True)
        nbformat.write(notebook, OUTPUT / NOTEBOOK.name)


def run() -> int:
    """Run the main job and show one prediction by curl."""
    import modelyard

    os.chdir(HERE)
    print(f"running {NOTEBOOK.relative_to(ROOT)} in a kernel of its own\n", flush=True)
    run_notebook()
    deployment = modelyard.deployment(NAME)
    rows, _ = modelyard.bundle(deployment.bundle).golden()
    row = rows[0]
    body = OUTPUT / "row.json"
    body.write_text(json.dumps({"rows": [row]}), encoding="utf-8")
    json_type = "Content-Type: application/json"
    curl = [
        "curl",
        "-s",
        "-H",
        f"@{deployment.header_file}",
        "-H",
        json_type,
        "-d",
        f"@{body}",
        f"{deployment.url}/predict",
    ]
    print(
        f"{NAME} is served at {deployment.url}, and stays there when this command ends.\n\n$ {shlex.join(curl)}"
    )
    if shutil.which("curl"):
        answer = subprocess.run(curl, capture_output=True, text=True, check=True).stdout
        print(answer)
        if '"predictions"' not in answer:
            return 1
    else:
        print(json.dumps(deployment.answers(row)[0]), "\n(asked from Python: there is no curl here)")
    print("\nopen the notebook in JupyterLab:  make lab\nstop the endpoint:                make stop")
    return 0


def stop() -> int:
    """Remove the endpoint that `run` left; say so where there is none."""
    import modelyard
    from modelyard.errors import UnknownNameError

    os.chdir(HERE)
    try:
        deployment = modelyard.deployment(NAME)
    except UnknownNameError:
        print(f"{NAME} is not deployed; nothing to stop")
        return 0
    deployment.remove()
    print(f"stopped {NAME} at {deployment.url}")
    return 0


if __name__ == "__main__":
    sys.exit({"run": run, "stop": stop}[sys.argv[1]]())
