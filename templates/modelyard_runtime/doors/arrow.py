"""Arrow and Parquet as bodies of ``POST /predict``, and as its answers where ``Accept`` asks for them.

The columns of an answer are ``prediction``, ``probability_CLASS`` for each class, and ``flags``: JSON, or null. The
schema's metadata has ``id`` and ``variant``. Without pyarrow, which this door alone needs, it answers 415.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard_runtime.contract import ColumnType
from modelyard_runtime.doors.exchange import Answered, Asked, Refused
from modelyard_runtime.doors.signature import Signature, signature
from modelyard_runtime.predictor import Answer, Predictor, RequestError

if TYPE_CHECKING:
    import pyarrow as pa

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"

#: What a body may hold once it is unpacked: a few compressed bytes can stand for very many rows.
MAX_VALUES = 20_000_000


def bodies(predictor: Predictor) -> dict[str, Callable[[Asked], Answered]]:
    """Return who answers a body of ``POST /predict``, by content type."""
    model = signature(predictor)

    def answer(asked: Asked) -> Answered:
        table, rows = _table(asked.kind, asked.body, model)
        found = predictor.answer_table(table, rows)
        kind = _wanted(asked.headers.get(b"accept", b""))
        if kind is None:
            return Answered(msgspec.json.encode(found))
        return Answered(_encoded(found, kind, model), kind)

    return dict.fromkeys((STREAM, FILE, PARQUET), answer)


def _wanted(accept: bytes) -> str | None:
    """Return the first kind of ours in an ``Accept`` header, unless JSON comes before it."""
    for part in accept.decode("latin-1").lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind in (STREAM, FILE, PARQUET):
            return kind
        if kind == "application/json":
            return None
    return None


def _table(kind: str, body: bytes, model: Signature) -> tuple[dict[str, list[Any]], int]:
    """Return the values by column, and the number of rows."""
    try:
        import pyarrow as pa
    except ImportError:
        raise Refused(
            415, f"{kind} needs pyarrow, which is not installed here; lock-arrow.txt adds it"
        ) from None
    try:
        schema, batches = _opened(kind, body)
        names = _columns(schema, model)
        read, rows = [], 0
        for batch in batches:
            rows += batch.num_rows
            if rows * max(len(names), 1) > MAX_VALUES:
                raise Refused(413, f"a body may hold {MAX_VALUES} values; send the rows in parts")
            batch.validate(full=True)
            read.append(batch)
        whole = pa.Table.from_batches(read, schema)
        table = {name: _values(whole.column(name)) for name in names}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestError(f"the body is not a table of {kind} ({told[:200]})") from None
    if not rows:
        raise RequestError("no rows; send at least one")
    return table, rows


def _opened(kind: str, body: bytes) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    if kind == STREAM:
        stream = pa.ipc.open_stream(body)
        return stream.schema, stream
    if kind == FILE:
        file = pa.ipc.open_file(pa.BufferReader(body))
        return file.schema, map(file.get_batch, range(file.num_record_batches))
    from pyarrow.parquet import ParquetFile

    parquet = ParquetFile(pa.BufferReader(body))
    return parquet.schema_arrow, parquet.iter_batches()


def _columns(schema: pa.Schema, model: Signature) -> list[str]:
    """Return the names to read: without the index that pandas writes along, unless the model knows it."""
    names = [name for name in schema.names if name in model.columns or not name.startswith("__index_level_")]
    if len(set(names)) != len(names):
        raise RequestError("a column is named twice")
    for name in names:
        _check_type(name, schema.field(name).type)
    return names


def _check_type(name: str, found: pa.DataType) -> None:
    from pyarrow import types

    if types.is_dictionary(found):
        found = found.value_type
    known = (
        types.is_boolean, types.is_integer, types.is_floating, types.is_null,
        types.is_string, types.is_large_string, types.is_string_view,
    )  # fmt: skip
    if not any(is_known(found) for is_known in known):
        raise RequestError(f"column {name!r} is of {found}; numbers, texts and booleans are taken, cast it")


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as Python's own; a missing one, and NaN, is None."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value != value else value for value in values]
    return values


def _encoded(answer: Answer, kind: str, model: Signature) -> bytes:
    import pyarrow as pa

    types: dict[ColumnType, pa.DataType] = {
        "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string(),
    }  # fmt: skip
    flags: dict[int, list[Any]] = {}
    for flag in answer.flags:
        flags.setdefault(flag.row, []).append(flag)
    columns = {"prediction": pa.array(model.predictions(answer), types[model.label])}
    for name, values in zip(model.classes or (), zip(*model.probabilities(answer), strict=True), strict=True):
        columns[f"probability_{name}"] = pa.array(values, pa.float64())
    texts = [
        msgspec.json.encode(flags[row]).decode() if row in flags else None
        for row in range(len(answer.predictions))
    ]
    columns["flags"] = pa.array(texts, pa.string())
    table = pa.table(columns).replace_schema_metadata({"id": answer.id, "variant": answer.variant})
    sink = pa.BufferOutputStream()
    if kind == PARQUET:
        from pyarrow.parquet import write_table

        write_table(table, sink)
    else:
        open_writer = pa.ipc.new_stream if kind == STREAM else pa.ipc.new_file
        with open_writer(sink, table.schema) as writer:
            writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
