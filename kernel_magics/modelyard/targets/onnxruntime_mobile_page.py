"""The page in one file, the modules that it is made of, and the sample for Node; and a proof that they answer."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelyard_templates
from modelyard.errors import DeploymentError
from modelyard.packaging import Bundle
from modelyard.targets.onnxruntime_mobile_format import MODEL
from modelyard.targets.onnxruntime_mobile_npm import NODE_PIN, WEB, compressed, fetched
from modelyard_runtime.bundle_format import read_golden
from modelyard_runtime.contract import Column, Contract
from modelyard_runtime.predictor import class_key
from modelyard_templates import render

PAGE = "index.html"
WEB_FOLDER = "web"
NODE_FOLDER = "node"

_SOURCES = Path(modelyard_templates.__file__).parent / "onnxruntime_mobile"
#: What others may use of the page: each imports those before it.
_MODULES = ("python_text.js", "contract.js", "predict.js")
_OF_PAGE = (*_MODULES, "form.js", "shown.js", "picture.js", "page.js")
_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async function|function|class|const)", re.MULTILINE)
_JS, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_MOST_S = 300


@dataclass(frozen=True)
class Checked:
    """What Node made of the golden rows, by the page's own code.

    Attributes
    ----------
    runtime : str
    rows, matched : int
    largest : float
        The largest difference of a probability or value.
    """

    runtime: str
    rows: int
    matched: int
    largest: float


def write_page(bundle: Bundle, content: bytes, folder: Path) -> None:
    """Write ``web/`` and ``node/`` into `folder`; the same files from the same bundle.

    Parameters
    ----------
    bundle : Bundle
    content : bytes
        The ``.ort`` file.
    folder : Path

    Raises
    ------
    DeploymentError
        As of `fetched`.
    """
    ort = fetched(WEB)
    web, node = folder / WEB_FOLDER, folder / NODE_FOLDER
    (web / "ort").mkdir(parents=True)
    node.mkdir()
    for file in ort.values():
        shutil.copyfile(file, web / "ort" / file.name)
    for name in _MODULES:
        shutil.copyfile(_SOURCES / name, web / name)
    written = {
        "contract.json": contract_json(bundle.contract),
        "model.json": model_json(bundle, content),
        "golden.json": golden_json(bundle),
    }
    for name, value in written.items():
        (web / name).write_text(as_json(value) + "\n", encoding="utf-8")
    (web / MODEL).write_bytes(content)
    (web / "package.json").write_text(as_json({"private": True, "type": "module"}) + "\n", encoding="utf-8")
    page = render(
        "onnxruntime_mobile/index.html.j2",
        name=bundle.name,
        estimator=bundle.manifest["estimator"],
        task=bundle.manifest["model"]["task"],
        columns=len(bundle.contract.columns),
        style=(_SOURCES / "style.css").read_text(encoding="utf-8").rstrip(),
        contract=_inert(written["contract.json"]),
        model=_inert(written["model.json"]),
        golden=_inert(written["golden.json"]),
        ort_model=_base64(content),
        ort=_base64(ort[_JS].read_bytes()),
        wasm=_base64(compressed(ort[_WASM]).read_bytes()),
        script=joined(),
    )
    (web / PAGE).write_text(page, encoding="utf-8")
    shutil.copyfile(_SOURCES / "predict.mjs", node / "predict.mjs")
    pin = dict([NODE_PIN])
    said = {"private": True, "type": "module", "scripts": {"start": "node predict.mjs"}, "dependencies": pin}
    (node / "package.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def checked(bundle: Bundle, folder: Path) -> Checked | None:
    """Let Node answer the golden rows on ONNX Runtime Web, by the page's own code; ``None`` where there is no Node.

    Raises
    ------
    DeploymentError
        The build for browsers lacks an operator, or answers otherwise.
    """
    node = shutil.which("node")
    if node is None:
        return None
    asked = [node, str(folder / NODE_FOLDER / "predict.mjs")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_MOST_S)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if "rror" in line]
        said = " ".join((lines or [done.stderr.strip() or "it said nothing"])[0].split())[:300]
        raise DeploymentError(
            f"{bundle.tag} cannot run in a browser: {WEB.pin} says: {said}; leave the page out: --page none"
        )
    found = Checked(**json.loads(done.stdout))
    if found.matched != found.rows:
        raise DeploymentError(
            f"{bundle.tag} answers otherwise in a browser: {found.rows - found.matched} of {found.rows} golden rows "
            f"differ, by {found.largest:.2g} at most; leave the page out: --page none"
        )
    return found


def joined() -> str:
    """Return the page's modules as one: a page that is opened as a file may import none."""
    parts = [(_SOURCES / name).read_text(encoding="utf-8") for name in _OF_PAGE]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts).rstrip()


def contract_json(contract: Contract) -> dict[str, Any]:
    """Return the contract, with the words of its messages, which are then the same in every language."""
    columns = contract.to_json()["columns"]
    return {
        "columns": [
            {**plain, **_words(column)} for plain, column in zip(columns, contract.columns, strict=True)
        ]
    }


def _words(column: Column) -> dict[str, Any]:
    words: dict[str, Any] = {"learned": column.learned}
    for name, end in (("low", column.minimum), ("high", column.maximum)):
        if end is not None:
            clipped = (int if column.type == "integer" else float)(end)
            words[name] = {"text": f"{end:g}", "clipped": clipped, "clipped_text": f"{clipped:g}"}
    return words


def model_json(bundle: Bundle, content: bytes) -> dict[str, Any]:
    """Return how the graph is fed, what its outputs are, and what people may read of it."""
    known = bundle.manifest["model"]
    names = ("inputs", "label_output", "probability_output", "classes", "null_string", "task")
    classes = known["classes"]
    return {
        "tag": bundle.tag,
        "digest": bundle.digest,
        **{name: known[name] for name in names},
        "class_names": None if classes is None else [class_key(label) for label in classes],
        "facts": [
            ["bundle", f"{bundle.tag}, {bundle.digest[:12]}"],
            ["model", f"{bundle.manifest['estimator']}, {len(content) / 1e3:,.0f} kB"],
            ["trained on", f"{bundle.manifest['rows']:,} rows"],
            ["runs on", f"{WEB.name} {WEB.version}, which the page has in it"],
        ],
    }


def golden_json(bundle: Bundle) -> dict[str, Any]:
    """Return the golden rows and their answers."""
    lines = read_golden(bundle.model_folder)
    probabilities = [line["probabilities"] for line in lines]
    return {
        "rows": [line["row"] for line in lines],
        "predictions": [line["prediction"] for line in lines],
        "probabilities": None if None in probabilities else probabilities,
    }


def as_json(value: Mapping[str, Any]) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _inert(value: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the element that it stands in."""
    return as_json(value).replace("<", "\\u003c")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
