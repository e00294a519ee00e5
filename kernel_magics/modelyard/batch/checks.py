"""What is said before the first row is read: columns that cannot be, and files that must not be written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.batch.chunks import Scorer
from modelyard.batch.columnar import fits
from modelyard.batch.sources import Source
from modelyard.errors import InvalidInputError, UnknownNameError, UsageError, did_you_mean, listing


def kept_columns(source: Source, keep: str | Sequence[str]) -> list[str]:
    names: list[str] = source.schema.names
    if keep in ("all", "none"):
        return list(names) if keep == "all" else []
    asked = [name.strip() for name in keep.split(",")] if isinstance(keep, str) else list(keep)
    for name in asked:
        if name not in names:
            raise UnknownNameError(
                f"{source.what} has no column {name!r} to keep{did_you_mean(str(name), names)}; "
                f"it has: {listing(names)}"
            )
    return list(dict.fromkeys(asked))


def check_columns(source: Source, scorer: Scorer, kept: list[str]) -> None:
    """Make sure that all rows can be asked about and written."""
    names = source.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"{source.what} has two columns named {twice[0]!r}; rename one")
    for column in scorer.contract.columns:
        if column.name not in names:
            raise InvalidInputError(
                f"{source.what} lacks the column {column.name!r}, which {scorer.what} wants ({column.learned}); "
                f"it has: {listing(names)}"
            )
        kind = source.schema.field(column.name).type
        if not fits(column, kind):
            raise InvalidInputError(
                f"column {column.name!r} of {source.what} is {kind} throughout; {scorer.what} wants {column.learned}"
            )
    if both := [name for name in kept if name in scorer.layout.schema.names]:
        raise UsageError(
            f"the output would have two columns named {both[0]!r}; say which columns of {source.what} to keep, "
            "such as --keep id, or --keep none"
        )


def target(out: str | Path, rows: Any) -> Path:
    path = Path(out).expanduser()
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --out names the Parquet file to write")
    if not path.parent.is_dir():
        raise UsageError(f"no folder {path.parent} to write {path.name} into; make it first")
    if path.suffix.lower() == ".csv":
        raise UsageError(f"the output is Parquet; type --out {path.with_suffix('.parquet')}")
    if isinstance(rows, str | Path):
        source = Path(rows).expanduser().resolve()
        if path.resolve() == source or path.parent.resolve() == source:
            raise UsageError(f"{path} would be written over what is read; choose another --out")
    return path
