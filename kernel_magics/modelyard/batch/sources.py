"""Where rows come from: a Parquet file, a folder of them, a CSV file, or a table in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from modelyard.batch.chunks import Chunk
from modelyard.batch.texts import ArrowColumn, read_texts
from modelyard.errors import InvalidInputError
from modelyard.targets import client
from modelyard_runtime.contract import Contract

_BUFFER = 256 * 1024  # of each column; a whole column of a row group is far more
_BLOCK = 4 * 1024 * 1024


class Source(Protocol):
    """Rows that can be read again and again, always in the same order.

    Attributes
    ----------
    what : str
        Its name in messages.
    schema : pyarrow.Schema
        All columns, as they are kept.
    total : int or None
        How many rows; ``None`` where only reading them tells.
    identity : dict
        What changes when the rows may have changed.
    """

    what: str
    schema: pa.Schema
    total: int | None
    identity: dict[str, Any]

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield these columns, `rows` rows at a time at most."""


def open_source(rows: Any, contract: Contract) -> Source:
    """Return what reads `rows`: a path, a frame, a matrix, or mappings.

    Raises
    ------
    InvalidInputError
        There is nothing, it is not what its name says, or it has no rows.
    """
    if not isinstance(rows, str | Path):
        return Frame(rows, contract)
    path = Path(rows).expanduser()
    if path.is_dir():
        files = sorted(path.glob("*.parquet"))
        if not files:
            raise InvalidInputError(f"the folder {path} holds no *.parquet file")
        return ParquetFiles(path, files)
    if not path.is_file():
        raise InvalidInputError(f"no file {path}; give a Parquet or CSV file, or a folder of Parquet files")
    return CsvFile(path, contract) if path.suffix.lower() in (".csv", ".tsv") else ParquetFiles(path, [path])


class ParquetFiles:
    """One Parquet file, or all of a folder in the order of their names."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self.what = path.name
        self._files = files
        schemas = []
        self.total: int | None = 0
        for file in files:
            with _opened(file) as parquet:
                schemas.append(parquet.schema_arrow.remove_metadata())
                self.total += parquet.metadata.num_rows
        self.schema: pa.Schema = schemas[0]
        for file, schema in zip(files, schemas, strict=True):
            if not schema.equals(self.schema):
                raise InvalidInputError(
                    f"{file.name} has other columns or types than {files[0].name} in {path}"
                )
        if not self.total:
            raise InvalidInputError(f"{self.what} has no rows")
        self.identity = _identity(path, files, self.schema) | {"rows": self.total}

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        start = 0
        for file in self._files:
            with _opened(file) as parquet:
                try:
                    for batch in parquet.iter_batches(batch_size=rows, columns=list(columns)):
                        if batch.num_rows:
                            yield Chunk(start, batch)
                            start += batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    raise InvalidInputError(
                        f"{file} cannot be read past row {start}: {_first_line(error)}"
                    ) from None


class CsvFile:
    """A CSV file with a header; the columns of the contract get its types, the others stay texts."""

    def __init__(self, path: Path, contract: Contract) -> None:
        self.what = path.name
        self.total: int | None = None
        self._path = path
        self._delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        self._columns = {column.name: ArrowColumn(column) for column in contract.columns}
        self._names: list[str] = []
        with self._reader() as reader:
            self._names = reader.schema.names
        if next(self.chunks(self._names[:1], 1), None) is None:
            raise InvalidInputError(f"{self.what} has no rows")
        self.schema = pa.schema(
            [
                (name, self._columns[name].kind if name in self._columns else pa.string())
                for name in self._names
            ]
        )
        self.identity = _identity(path, [path], self.schema)

    def _reader(self) -> pc.CSVStreamingReader:
        """Open the file; every column of `_names` is text, and an empty field is null unless it is quoted."""
        converted = pc.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()), null_values=[""], strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )  # fmt: skip
        parsed = pc.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)
        try:
            return pc.open_csv(self._path, pc.ReadOptions(block_size=_BLOCK), parsed, converted)
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidInputError(
                f"{self._path} is not a CSV file with a header: {_first_line(error)}"
            ) from None

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        start = 0
        with self._reader() as reader:
            try:
                for block in reader:
                    for first in range(0, block.num_rows, rows):
                        part = block.slice(first, rows).select(list(columns))
                        yield Chunk(start, *read_texts(part, self._columns))
                        start += part.num_rows
            except pa.ArrowInvalid as error:
                raise InvalidInputError(
                    f"{self._path} cannot be read past row {start}: {_first_line(error)}"
                ) from None


class Frame:
    """A table in memory: a frame, a matrix in the order of the contract, or mappings."""

    def __init__(self, rows: Any, contract: Contract) -> None:
        frame = client.as_frame(rows, contract.names)
        self.what = "the table"
        self.index = frame.index
        self.total: int | None = len(frame)
        if not len(frame):
            raise InvalidInputError("the table has no rows")
        self._table = _as_arrow(frame)
        self.schema = self._table.schema
        self.identity = {"table": _digest(self._table)}

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
        start = 0
        for batch in self._table.select(list(columns)).to_batches(max_chunksize=rows):
            yield Chunk(start, batch)
            start += batch.num_rows


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    columns = {}
    for name, series in frame.items():
        try:
            columns[str(name)] = pa.array(series, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise InvalidInputError(f"column {str(name)!r} mixes types: {_first_line(error)}") from None
    if len(columns) != frame.shape[1]:
        raise InvalidInputError("the table has two columns of one name; rename one")
    return pa.table(columns).combine_chunks()


def _digest(table: pa.Table) -> str:
    sink = hashlib.sha256(table.schema.serialize())
    for batch in table.to_batches():
        sink.update(batch.serialize())
    return sink.hexdigest()


@dataclass
class _opened:  # noqa: N801  # read as a word: with _opened(file)
    """A Parquet file that is read through small buffers, column by column."""

    file: Path

    def __enter__(self) -> pq.ParquetFile:
        try:
            self._parquet = pq.ParquetFile(self.file, buffer_size=_BUFFER, pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidInputError(
                f"{self.file} is not a Parquet file ({_first_line(error)}); a CSV file is called *.csv"
            ) from None
        return self._parquet

    def __exit__(self, *_: object) -> None:
        self._parquet.close()


def _identity(path: Path, files: Sequence[Path], schema: pa.Schema) -> dict[str, Any]:
    stats = [(file.name, file.stat()) for file in files]
    return {
        "path": str(path.resolve()),
        "files": [[name, found.st_size, found.st_mtime_ns] for name, found in stats],
        "schema": hashlib.sha256(schema.serialize()).hexdigest(),
    }


def _first_line(error: Exception) -> str:
    return " ".join(str(error).partition("\n")[0].split())[:160]
