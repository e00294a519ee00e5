"""Bundles of every format that was ever written are read, and their golden rows reproduced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard_runtime.__main__ import replay
from modelyard_runtime.bundle_format import FORMAT, read_manifest

BUNDLES = sorted((Path(__file__).parent / "bundles").iterdir())


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: str(folder.name))
def test_a_committed_bundle_is_read_and_reproduces_its_golden_rows(folder: Path) -> None:
    found = replay(folder)
    assert found["rows"] == len((folder / "golden.jsonl").read_text().splitlines())
    assert found["mismatches"] == 0


def test_there_is_a_committed_bundle_of_every_format() -> None:
    formats = {json.loads((folder / "manifest.json").read_text())["format"] for folder in BUNDLES}
    assert formats == set(range(FORMAT + 1))
    assert all(read_manifest(folder) for folder in BUNDLES)
