"""Samples for apps: Kotlin for Android, Swift for iOS; what both read lies beside them, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelyard.packaging import Bundle
from modelyard.targets.onnxruntime_mobile_npm import WEB
from modelyard.targets.onnxruntime_mobile_page import as_json, contract_json, model_json
from modelyard_runtime.schema import example_row
from modelyard_templates import render

ANDROID_FOLDER = "android"
IOS_FOLDER = "ios"
ASSETS_FOLDER = "assets"

_SHOWN = 4  # columns of an example


def write_samples(bundle: Bundle, content: bytes, folder: Path) -> None:
    """Write ``android/``, ``ios/`` and the ``assets/`` that both read; the same files from the same bundle.

    Parameters
    ----------
    bundle : Bundle
    content : bytes
        The ``.ort`` file.
    folder : Path
    """
    row = example_row(bundle.contract)
    for path, written in {
        f"{ANDROID_FOLDER}/Predictor.kt": _sample("kt", bundle, _pairs(row, " to ", "null", "$")),
        f"{IOS_FOLDER}/Predictor.swift": _sample("swift", bundle, _pairs(row, ": ", "nil", "")),
        f"{ASSETS_FOLDER}/contract.json": as_json(contract_json(bundle.contract)) + "\n",
        f"{ASSETS_FOLDER}/model.json": as_json(model_json(bundle, content)) + "\n",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(written, encoding="utf-8")


def _sample(kind: str, bundle: Bundle, example: str) -> str:
    return render(
        f"onnxruntime_mobile/Predictor.{kind}.j2", tag=bundle.tag, digest=bundle.digest, version=WEB.version,
        example=example,
    )  # fmt: skip


def _pairs(row: dict[str, Any], between: str, null: str, escaped: str) -> str:
    """Return the beginning of a row as a literal; it stands in a comment, on one line."""

    def literal(value: Any) -> str:
        written = null if value is None else json.dumps(value, ensure_ascii=False)
        return written.replace(escaped, f"\\{escaped}") if escaped else written

    shown = [f"{literal(name)}{between}{literal(value)}" for name, value in list(row.items())[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(row) > _SHOWN else "")
