"""Arrow streams, Arrow files and Parquet at /predict, and as its answers."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modelyard
from modelyard.packaging.locking import arrow_lock, pinned
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.doors import arrow
from modelyard_runtime.doors.arrow import FILE, PARQUET, STREAM, bodies
from modelyard_runtime.doors.exchange import Answered, Asked, Refused
from modelyard_runtime.predictor import Predictor, RequestError
from people import FRAME, MODEL, ROW, TARGET, a_place_of_its_own

KINDS = (STREAM, FILE, PARQUET)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    with a_place_of_its_own(tmp_path_factory):
        bundle = modelyard.package(MODEL, FRAME, TARGET, name="people")
    return Predictor(bundle.model_folder, "v3")


def written(table: pa.Table, kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == PARQUET:
        pq.write_table(table, sink)
    else:
        with (pa.ipc.new_stream if kind == STREAM else pa.ipc.new_file)(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=64)
    return sink.getvalue()


def read(content: bytes, kind: str) -> pa.Table:
    if kind == PARQUET:
        return pq.read_table(io.BytesIO(content))
    return (pa.ipc.open_stream if kind == STREAM else pa.ipc.open_file)(io.BytesIO(content)).read_all()


def sent(predictor: Predictor, body: bytes, kind: str, accept: str = "*/*") -> Answered:
    return bodies(predictor)[kind](Asked("POST", "/predict", kind, body, {b"accept": accept.encode()}))


def predicted(predictor: Predictor, table: pa.Table, kind: str = STREAM) -> Any:
    return json.loads(sent(predictor, written(table, kind), kind).body)


def as_the_notebook(answer: dict[str, Any], frame: pd.DataFrame = FRAME) -> None:
    assert answer["predictions"] == MODEL.predict(frame).tolist()
    expected = MODEL.predict_proba(frame).tolist()
    assert [list(row.values()) for row in answer["probabilities"]] == [
        pytest.approx(row, abs=1e-5) for row in expected
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_with_nulls_texts_and_booleans_is_answered_as_the_notebook_answers(
    predictor: Predictor, kind: str
) -> None:
    answer = predicted(predictor, pa.Table.from_pandas(FRAME), kind)
    assert list(answer) == ["id", "variant", "predictions", "probabilities", "flags"]
    as_the_notebook(answer)


@pytest.mark.parametrize(
    ("column", "cast"),
    [
        ("town", lambda column: column.cast(pa.string()).dictionary_encode()),
        ("town", lambda column: column.cast(pa.large_string())),
        ("town", lambda column: column.cast(pa.string_view())),
        ("age", lambda column: column.cast(pa.uint8())),
        ("age", lambda column: column.cast(pa.float64())),
        ("age", lambda column: column.cast(pa.float32())),
        ("age", lambda column: column.dictionary_encode()),
        ("income", lambda column: pa.chunked_array([column.to_pandas().to_numpy()])),  # NaN, where a null was
    ],
)
def test_other_types_of_the_same_values_answer_the_same(
    predictor: Predictor, column: str, cast: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> None:
    table = pa.Table.from_pandas(FRAME)
    place = table.schema.get_field_index(column)
    for kind in KINDS:
        as_the_notebook(predicted(predictor, table.set_column(place, column, cast(table[column])), kind))


def test_half_floats_and_columns_of_nulls_alone_are_taken(predictor: Predictor) -> None:
    frame = pd.DataFrame([{**ROW, "town": None, "income": 2500.0}]).astype(FRAME.dtypes.to_dict())
    halves = pa.array(frame["income"].to_numpy("float16"))
    table = pa.table({"age": [30], "income": halves, "town": pa.nulls(1), "member": [True]})
    as_the_notebook(predicted(predictor, table), frame)


def test_the_index_that_pandas_writes_along_is_no_column(predictor: Predictor) -> None:
    some = FRAME.sample(frac=0.5, random_state=0)
    table = pa.Table.from_pandas(some)
    assert "__index_level_0__" in table.column_names
    as_the_notebook(predicted(predictor, table), some)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_comes_as_a_table_where_accept_asks_for_it(predictor: Predictor, kind: str) -> None:
    frame = pd.DataFrame([ROW, {**ROW, "town": "Zug"}])
    body = written(pa.Table.from_pandas(frame), STREAM)
    answered = sent(predictor, body, STREAM, f"text/plain;q=0.1, {kind}; q=0.9, application/json")
    assert answered.kind == kind
    table = read(answered.body, kind)
    assert table.column_names == ["prediction", "probability_no", "probability_yes", "flags"]
    assert table["prediction"].to_pylist() == MODEL.predict(frame).tolist()
    assert table["probability_yes"].to_pylist() == pytest.approx(
        MODEL.predict_proba(frame)[:, 1].tolist(), abs=1e-5
    )
    first, second = table["flags"].to_pylist()
    assert first is None
    assert json.loads(second) == [{"row": 1, "column": "town", "value": "Zug", "flag": "unknown category"}]
    assert table.schema.metadata[b"variant"] == b"v3"
    assert table.schema.metadata[b"id"]


def test_an_answer_is_json_where_accept_names_it_first(predictor: Predictor) -> None:
    body = written(pa.Table.from_pandas(FRAME), STREAM)
    assert sent(predictor, body, STREAM, f"application/json, {STREAM}").kind == "application/json"


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("age", [Decimal("30.0")], r"'age' is of decimal128\(3, 1\); numbers, texts and booleans are taken"),
        (
            "age",
            [datetime(2026, 1, 1)],
            r"'age' is of timestamp\[us\]; numbers, texts and booleans are taken",
        ),
        ("town", [b"Bern"], "'town' is of binary"),
        ("town", [["Bern"]], r"'town' is of list<"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_type_that_no_model_is_fed_is_refused_by_its_column(
    predictor: Predictor, kind: str, name: str, values: list[Any], words: str
) -> None:
    table = pa.table({**{column: [value] for column, value in ROW.items()}, name: values})
    with pytest.raises(RequestError, match=words):
        predicted(predictor, table, kind)


def test_rows_that_break_the_contract_are_refused_as_in_json(predictor: Predictor) -> None:
    with pytest.raises(ContractBroken, match=r"row 1, column 'age': 40.5 where a whole number belongs"):
        predicted(predictor, pa.Table.from_pylist([ROW, {**ROW, "age": 40.5}]))
    with pytest.raises(ContractBroken, match="column 'other': a column the model never saw"):
        predicted(predictor, pa.Table.from_pylist([{**ROW, "other": 1}]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_table_is_refused_in_one_line(predictor: Predictor, kind: str) -> None:
    whole = written(pa.Table.from_pandas(FRAME), kind)
    for body in (b"", b"{}", whole[: len(whole) // 2], whole[7:], bytes(len(whole))):
        with pytest.raises(RequestError, match=r"the body is not a table of|no rows") as raised:
            sent(predictor, body, kind)
        assert "\n" not in str(raised.value)
    with pytest.raises(RequestError, match="no rows; send at least one"):
        sent(predictor, written(pa.Table.from_pandas(FRAME).slice(0, 0), kind), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_is_answered_or_refused_and_never_an_error_of_ours(
    predictor: Predictor, kind: str
) -> None:
    whole = bytearray(written(pa.Table.from_pandas(FRAME.head(5)), kind))
    for place in range(0, len(whole)):
        changed = bytes(whole[:place]) + bytes([whole[place] ^ 0xFF]) + bytes(whole[place + 1 :])
        with contextlib.suppress(RequestError, ContractBroken, Refused):
            sent(predictor, changed, kind)


def test_a_column_named_twice_is_refused(predictor: Predictor) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"])
    with pytest.raises(RequestError, match="a column is named twice"):
        predicted(predictor, table)


def test_few_bytes_that_stand_for_too_many_rows_are_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow, "MAX_VALUES", 100)
    for kind in KINDS:
        with pytest.raises(Refused, match="a body may hold 100 values; send the rows in parts") as raised:
            predicted(predictor, pa.Table.from_pandas(FRAME), kind)
        assert raised.value.status == 413


def test_without_pyarrow_the_answer_says_which_lock_adds_it(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = written(pa.Table.from_pandas(FRAME), STREAM)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        Refused, match=r"needs pyarrow, which is not installed here; lock-arrow\.txt"
    ) as raised:
        sent(predictor, body, STREAM)
    assert raised.value.status == 415


def test_no_door_imports_more_than_the_core_has() -> None:
    doors = "arrow, open_inference, tensorflow_serving"
    found = f"import sys; from modelyard_runtime.doors import {doors}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True)
    assert not {"pyarrow", "pandas", "fastapi", "a2wsgi", "modelyard"} & set(ran.stdout.split())


def test_the_doors_lock_is_pyarrow() -> None:
    assert set(pinned(arrow_lock())) == {"pyarrow"}
