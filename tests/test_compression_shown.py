"""What a compression shows of itself: notes, table, payload and picture; and the magic over it."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from compressions import breast_cancer, fitted_forest, pruned_forest
from modelyard.compression import Compression
from modelyard.errors import UsageError
from modelyard_widgets.charts import chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[Any]]:
    return breast_cancer()


@pytest.fixture(scope="module")
def forest() -> Any:
    return fitted_forest()


@pytest.fixture(scope="module")
def pruned() -> Compression:
    return pruned_forest()


def test_slices_say_for_whom_the_score_fell(pruned: Compression) -> None:
    assert [part.drop for part in pruned.slices] == sorted(
        (part.drop for part in pruned.slices), reverse=True
    )
    assert sum(part.rows for part in pruned.slices) == pruned.held_out
    assert any("mean radius" in note or "fell in none" in note for note in pruned.notes())


def test_the_notes_tell_agreement_and_the_interval_of_the_drop(pruned: Compression) -> None:
    notes = "\n".join(pruned.notes())
    assert "agrees with the original" in notes
    assert "95 % interval" in notes


def test_the_payload_is_json_with_every_candidate(pruned: Compression) -> None:
    data = pruned._repr_mimebundle_()["application/vnd.modelyard.compression+json"]
    json.dumps(data, allow_nan=False)
    assert len(data["candidates"]) == len(pruned.candidates)
    assert sum(each["chosen"] for each in data["candidates"]) == 1
    assert data["best"]["size_bytes"] < data["original"]["size_bytes"]


def test_the_table_shows_the_front_and_brackets_what_is_beaten(pruned: Compression) -> None:
    rows = pruned.table().rows
    plain = [row for row in rows if not row[1].startswith("(")]
    assert len(plain) >= int(pruned.candidates["on_front"].sum())
    assert [row[0] for row in rows].count("chosen") == 1
    assert rows[-1][1].startswith("(")


def test_the_picture_names_what_was_chosen(pruned: Compression) -> None:
    data = pruned._repr_mimebundle_()["application/vnd.modelyard.compression+json"]
    picture = chart("compression", data)
    assert picture is not None
    root = ElementTree.fromstring(picture.svg)
    texts = {node.text for node in root.iter(f"{SVG}text")}
    assert {"accuracy", "size of the ONNX file (kB), log scale", "original", "pruning"} <= texts
    assert "currentColor" in picture.svg
    assert not re.findall(r"https?://(?!www\.w3\.org)", picture.svg)
    assert picture.alt.startswith(f"accuracy of {len(pruned.candidates)} models")
    assert str(pruned.chosen["settings"]) in picture.alt


def test_the_magic_is_the_same_call(shell: InteractiveShell, cancer: Any, forest: Any) -> None:
    shell.user_ns.update(X=cancer[0], y=cancer[1], model=forest)
    line = "%compress model X y --max-drop 1% --technique pruning --score accuracy --budget 90s --seed 2"
    line += " --by 'mean area' --caution 2 --name mine --resume"
    shown = shell.run_cell(f"{line} --target-size 2MB --show-code").result
    assert repr(shown) == (
        "modelyard.compress(model, X, y, max_drop=0.01, techniques=['pruning'], scoring='accuracy', seed=2, "
        "target_size='2MB', timeout=90.0, by=['mean area'], caution=2.0, "
        "name='mine', resume=True)"
    )
    outcome = shell.run_cell(f"{line.removesuffix(' --resume')} -o small")
    outcome.raise_error()
    assert isinstance(shell.user_ns["small"], Compression)
    assert "usage: %compress" in repr(shell.run_cell("%compress -h").result)
    for wrong, words in (
        ("--budget 3trials", "a budget of time"),
        ("--max-drop much", "--max-drop is a number"),
    ):
        with pytest.raises(UsageError, match=words):
            shell.run_cell(f"%compress model X y {wrong}").raise_error()
