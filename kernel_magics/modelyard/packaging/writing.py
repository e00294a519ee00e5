"""The bundle on disk: exactly the files that are listed here, and a manifest with the digest of each."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

import modelyard_explainer
import modelyard_runtime
from modelyard.capture import Captured
from modelyard.golden import Outputs, Parity, Tolerance, as_table
from modelyard.packaging import locking
from modelyard.packaging.bill import BILL, bill_of_materials
from modelyard.packaging.card import CARD, card
from modelyard.packaging.forms import Form, captured_file, trust_in
from modelyard.packaging.signing import sign
from modelyard.packaging.sites import EXPLAIN_LOCK
from modelyard.packaging.travelling import BACKGROUND, Travelling
from modelyard_runtime import bundle_format
from modelyard_runtime.bundle_format import SIGNATURE, digest
from modelyard_runtime.contract import Contract
from modelyard_templates import render

#: Where golden rows may come from, and how the manifest says it.
GOLDEN_SOURCES = {"training": "rows of the training table", "synthetic": "rows drawn column by column"}
_EXPLAINED = "the explainer: the estimator, and rows answered by it in the notebook"
_TOOLS = ("bentoml", "modelyard", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx")


@dataclass(frozen=True)
class Draft:
    """Everything that a bundle says, before it is written."""

    name: str
    estimator: str
    parameters: dict[str, Any]
    rows: int
    form: Form
    contract: Contract
    profile: dict[str, Any]
    metrics: dict[str, Any]
    golden: pd.DataFrame
    golden_source: str
    expected: Outputs
    parity: Parity
    compared: int
    tolerance: Tolerance
    notes: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    explainer: Travelling | None = None


def drafted_files(draft: Draft) -> dict[str, bytes]:
    """Return what the notebook puts into a bundle, by name: what the gates look at before anything is written."""
    contents = {name: content for name, (content, _) in _files(draft).items()}
    return contents | {
        bundle_format.MANIFEST: bundle_format.canonical(_said(draft)),
        bundle_format.GOLDEN: _golden_lines(draft, named=True),  # so that what is found has a column's name
        **({} if draft.explainer is None else {BACKGROUND: draft.explainer.named_rows}),
    }


def write_source(draft: Draft, source: Path) -> dict[str, Any]:
    """Write the Bento's source into the empty folder `source`; return the manifest."""
    model_folder = source / bundle_format.MODEL_FOLDER
    model_folder.mkdir(parents=True)
    runtime = _copy(modelyard_runtime, source / bundle_format.RUNTIME_FOLDER)
    service = render("bundle/service.py.j2", name=draft.name).encode()
    (source / bundle_format.SERVICE).write_bytes(service)
    files = _files(draft)
    for name, (content, _) in files.items():
        (model_folder / name).parent.mkdir(exist_ok=True)
        (model_folder / name).write_bytes(content)
    manifest = _said(draft) | {
        "runtime": {"sha256": runtime},
        "service": {"sha256": digest(service)},
        "files": {
            name: {"sha256": digest(content), "source": made} for name, (content, made) in files.items()
        },
    }
    if draft.explainer is not None:
        code = _copy(modelyard_explainer, source / bundle_format.RUNTIME_FOLDER)
        manifest["explainer"] = draft.explainer.described | {"sha256": code}
    (model_folder / bundle_format.MANIFEST).write_bytes(bundle_format.canonical(manifest))
    (model_folder / SIGNATURE).write_bytes(sign(manifest))  # of the digest, so outside of it
    return manifest


def _files(draft: Draft) -> dict[str, tuple[bytes, str]]:
    """Return the content of every file of ``model/`` but the manifest, and who made it."""
    rows = draft.golden_source
    files: dict[str, tuple[bytes, str]] = {
        **{name: (content, _maker(name)) for name, content in draft.form.files.items()},
        bundle_format.CONTRACT: (
            contract_text(draft.contract.to_json()).encode(),
            "learned from the training table",
        ),
        bundle_format.GOLDEN: (_golden_lines(draft), f"{GOLDEN_SOURCES[rows]}, answered by the estimator"),
        bundle_format.PROFILE: (
            _lines([bundle_format.canonical(draft.profile).decode()]),
            "learned from the training table",
        ),
        "parity.json": (_pretty(_parity(draft)), "the runtime's answers beside the estimator's"),
        "lock.txt": (_lines(draft.lock), "installed distributions, closed over what they require"),
        "lock-asgi.txt": (_lines(locking.asgi_lock()), "what the plain ASGI door adds"),
        "lock-bento.txt": (_lines(locking.bento_lock()), "what the BentoML door adds"),
        BILL: (_bill(draft), "the model and the lines of lock.txt"),
        CARD: (card(_said(draft), draft.contract, draft.profile).encode(), "this bundle's own facts"),
    }
    for door, lines in (
        ("api", locking.api_lock()),
        ("arrow", locking.arrow_lock()),
        ("wsgi", locking.wsgi_lock()),
    ):
        if lines:  # what is installed here can be pinned, and nothing else
            files[f"lock-{door}.txt"] = (_lines(lines), f"what the {door} door adds")
    if (explainer := draft.explainer) is not None:
        files |= {name: (content, _EXPLAINED) for name, content in explainer.files.items()}
        more = [line for line in explainer.lock if line not in draft.lock]
        files[EXPLAIN_LOCK] = (_lines(more), "what the explain door adds")
    for captured in captured_by(draft):
        files[captured_file(captured)] = (captured.source.encode(), "captured from the notebook")
    return files


def captured_by(draft: Draft) -> list[Captured]:
    """Return the modules of the notebook's definitions that travel."""
    explainer = draft.explainer
    found = (draft.form.captured, None if explainer is None else explainer.captured)
    return [each for each in found if each is not None]


def _said(draft: Draft) -> dict[str, Any]:
    """Return what the manifest says of the model, without the digests."""
    captured = draft.form.captured
    return {
        "format": bundle_format.FORMAT,
        "name": draft.name,
        "estimator": draft.estimator,
        "parameters": draft.parameters,
        "rows": draft.rows,
        "metrics": draft.metrics,
        "golden": {"rows": len(draft.golden), "source": draft.golden_source},
        "model": draft.form.described,
        "trust": _trust(draft),
        "captured": None
        if captured is None
        else {"module": captured.module, "names": list(captured.names), "stale": list(captured.stale)},
        "parity": _parity(draft),
        "keeps": [*draft.keeps, *(() if draft.explainer is None else draft.explainer.keeps)],
        "notes": list(draft.notes),
        "tools": {"python": platform.python_version()} | {name: locking.installed(name) for name in _TOOLS},
    }


def _trust(draft: Draft) -> dict[str, Any] | None:
    """Return the trust decision over the model and, where one travels, over its explainer."""
    if draft.explainer is None or not draft.explainer.trusted:
        return draft.form.trust
    return trust_in(sorted({*draft.explainer.trusted, *(draft.form.trust or {"code": ()})["code"]}))


def _copy(package: ModuleType, folder: Path) -> str:
    """Copy a package as it is; return one digest over all its files."""
    installed = Path(str(package.__file__)).parent
    target = folder / installed.name
    shutil.copytree(installed, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return bundle_format.tree_digest(target)


def _maker(file: str) -> str:
    if file.endswith(".onnx"):
        return f"skl2onnx {locking.installed('skl2onnx')}, mended by modelyard"
    return f"skops {locking.installed('skops')}, in canonical form"


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def contract_text(written: dict[str, Any]) -> str:
    """Return ``contract.json``: a line for each column, which people can read and compare, and no more spaces."""

    def plain(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    columns = ",\n".join(plain(column) for column in written["columns"])
    rest = "".join(f",{plain(key)}:{plain(value)}" for key, value in written.items() if key != "columns")
    return f'{{"columns":[\n{columns}\n]{rest}}}\n'


def _lines(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _bill(draft: Draft) -> bytes:
    files = {name: digest(content) for name, content in draft.form.files.items()}
    return bill_of_materials(draft.name, draft.lock, files)


def _parity(draft: Draft) -> dict[str, Any]:
    return {
        "golden_rows": len(draft.golden),
        "rows_compared": draft.compared,
        "label_mismatches": draft.parity.label_mismatches,
        "max_absolute": draft.parity.max_absolute,
        "tolerance": {"absolute": draft.tolerance.absolute, "relative": draft.tolerance.relative},
        **({} if draft.explainer is None else {"explanations": draft.explainer.parity}),
    }


def _golden_lines(draft: Draft, *, named: bool = False) -> bytes:
    """Return the golden rows, a line each; their values in the order of the contract's columns, or `named`."""
    table = as_table(draft.golden)
    names = draft.contract.names
    predictions = draft.expected.predictions.tolist()
    probabilities = draft.expected.probabilities
    lines = []
    for number in range(len(draft.golden)):
        row = {name: table[name][number] for name in names}
        line = {
            "row": row if named else list(row.values()),
            "prediction": predictions[number],
            "probabilities": None if probabilities is None else np.asarray(probabilities[number]).tolist(),
        }
        lines.append(json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return _lines(lines)
