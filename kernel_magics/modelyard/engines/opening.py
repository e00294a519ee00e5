"""An engine by its address: ``local``, ``local:4``, ``dask``, ``dask://host:port``, ``ray://host:port``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from modelyard.engines.protocol import Engine, engines
from modelyard.errors import UsageError

_ADDRESS = re.compile(
    r"(?P<kind>[a-z][a-z0-9_-]*)"
    r"(?:://(?P<address>[^/\s:]+:\d+|\[[0-9a-fA-F:]+\]:\d+)/?|:(?P<count>[1-9]\d*))?"
)


@dataclass(frozen=True)
class Named:
    """An engine that was asked for, taken apart."""

    kind: str
    address: str | None
    count: int | None

    @property
    def in_process(self) -> bool:
        """Whether the work stays in this process."""
        return self.kind == "local" and self.count is None


def checked_engine(engine: Any) -> Named:
    """Take the name of an engine apart; nothing is imported, started or reached.

    >>> checked_engine("dask://10.0.0.7:8786")
    Named(kind='dask', address='10.0.0.7:8786', count=None)
    >>> checked_engine("local:4").count
    4

    Raises
    ------
    UsageError
        It cannot be read.
    UnknownNameError
        No such engine is installed.
    """
    if engine == "local":
        return Named("local", None, None)
    found = _ADDRESS.fullmatch(engine.strip()) if isinstance(engine, str) else None
    if found is None or (found["kind"] == "local" and found["address"]):
        raise UsageError(
            f"engine {engine!r} cannot be read; type 'local', 'local:4' (processes), 'dask' or 'ray' (workers on "
            "this machine), 'dask://host:port' or 'ray://host:port'"
        )
    if found["kind"] not in engines:
        engines[found["kind"]]  # says which there are
    return Named(found["kind"], found["address"], int(found["count"]) if found["count"] else None)


def processes_here(engine: Any) -> int | None:
    """Return N of ``local:N``, and ``None`` for every other engine."""
    named = checked_engine(engine)
    return named.count if named.kind == "local" else None


@contextmanager
def open_engine(engine: Any) -> Iterator[Engine | None]:
    """Open an engine; ``None`` where the work stays in this process.

    Raises
    ------
    UsageError, UnknownNameError, MissingExtraError
        The name of the engine makes no sense, or its libraries are not installed.
    EngineError
        It cannot be reached.
    """
    named = checked_engine(engine)
    if named.in_process:
        yield None
        return
    made: Engine = engines[named.kind](named.address, named.count)
    with closing(made):
        yield made
