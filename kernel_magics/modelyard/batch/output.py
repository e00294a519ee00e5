"""Where scored rows go: a Parquet or CSV file that grows by row groups, or a table in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.batch.chunks import Answers, Chunk

_ROWS_A_GROUP = 32_768


class Output:
    """Puts the kept columns beside the answers.

    Parameters
    ----------
    kept : sequence of str
        The columns of the source that are kept, in this order.
    path : Path, optional
        The Parquet file; without one, all rows are held in memory.
    """

    def __init__(self, kept: list[str], schema: pa.Schema, path: Path | None) -> None:
        self._kept = kept
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_dictionary(f.type)]
        self._writer = (
            None
            if path is None
            else pq.ParquetWriter(path, schema, use_dictionary=texts or False, write_statistics=False)
        )

    def write(self, chunk: Chunk, answers: Answers) -> None:
        columns = [chunk.batch.column(name) for name in self._kept]
        self._batches.append(
            pa.RecordBatch.from_arrays([*columns, *answers.batch.columns], schema=self._schema)
        )
        self._rows += chunk.rows
        if self._writer is not None and self._rows >= _ROWS_A_GROUP:
            self._put(self._writer)

    def _put(self, writer: pq.ParquetWriter) -> None:
        if self._batches:
            writer.write_table(pa.Table.from_batches(self._batches), row_group_size=self._rows)
        self._batches, self._rows = [], 0

    def finish(self) -> None:
        """Write what is left, and the end of the file."""
        if self._writer is not None:
            self._put(self._writer)
            self._writer.close()

    def frame(self) -> pd.DataFrame:
        """Return the rows that are held in memory."""
        found: pd.DataFrame = pa.Table.from_batches(self._batches, self._schema).to_pandas()
        return found

    def close(self) -> None:
        """Let go of an unfinished file."""
        if self._writer is not None and self._writer.is_open:
            self._writer.close()
