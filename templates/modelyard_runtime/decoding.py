"""Requests decoded and checked at C speed: msgspec types made from the contract, arrays as the graph is fed.

This is a short cut and never a second opinion: it takes the rows that keep the contract in every respect, which is
nearly all of them, and hands back everything else to `Contract.check`, which says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from modelyard_runtime.contract import EXACT, Column, Contract

Feed = dict[str, "np.ndarray"]
_Rows = list[Any]


class Decoder:
    """Turns the body of ``POST /predict`` into the arrays that a graph is fed.

    Parameters
    ----------
    contract : Contract
        What a row must look like.
    inputs : sequence of mapping
        The graph's inputs, as the manifest has them: ``name``, ``dtype``, ``columns``.
    null_string : str
        What a missing text is fed as.
    """

    def __init__(self, contract: Contract, inputs: Sequence[dict[str, Any]], null_string: str) -> None:
        kinds: list[Any] = [_type_of(column) for column in contract.columns]
        fields = [f"c{position}" for position in range(len(kinds))]
        row: Any = msgspec.defstruct(
            "Row",
            [
                (field, kind, msgspec.field(name=column.name))
                for field, kind, column in zip(fields, kinds, contract.columns, strict=True)
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        request: Any = msgspec.defstruct(
            "Request",
            [
                ("rows", list[row] | msgspec.UnsetType, msgspec.UNSET),
                ("columns", list[str] | msgspec.UnsetType, msgspec.UNSET),
                ("data", list[tuple[tuple(kinds)]] | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[misc]
            ],
            forbid_unknown_fields=True,
        )
        self._decode = msgspec.json.Decoder(request).decode
        self._names = list(contract.names)
        place = {name: position for position, name in enumerate(contract.names)}
        self._blocks = [
            (
                entry["name"],
                _filler(entry["dtype"], null_string),
                _getter(attrgetter, [fields[place[name]] for name in entry["columns"]]),
                _getter(itemgetter, [place[name] for name in entry["columns"]]),
            )
            for entry in inputs
        ]

    def __call__(self, body: bytes) -> tuple[Feed, int] | None:
        """Return the feed and the number of rows; ``None`` where the thorough way must look at the body."""
        try:
            request = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        by_name = request.rows is not msgspec.UNSET
        if by_name != (request.columns is msgspec.UNSET and request.data is msgspec.UNSET):
            return None
        if not by_name and (request.columns != self._names or request.data is msgspec.UNSET):
            return None
        rows: _Rows = request.rows if by_name else request.data
        if not rows:
            return None
        feed = {}
        for name, fill, named, placed in self._blocks:
            take = named if by_name else placed
            feed[name] = fill([take(row) for row in rows] if len(rows) == 1 else list(map(take, rows)))
        return feed, len(rows)


def _type_of(column: Column) -> Any:
    """Return the msgspec type of the values that need neither a word nor a flag."""
    kind: Any
    low, high = column.minimum, column.maximum
    if column.type == "number":
        bounded = low is not None and high is not None
        kind = Annotated[float, msgspec.Meta(ge=low, le=high)] if bounded else float
    elif column.type == "integer":
        least = -EXACT if low is None else max(-EXACT, math.ceil(low))
        most = EXACT if high is None else min(EXACT, math.floor(high))
        kind = Annotated[int, msgspec.Meta(ge=least, le=most)]
    elif column.type == "boolean":
        kind = bool
    else:
        kind = Literal[column.categories] if column.categories else str
    return kind | None if column.nullable else kind


def _getter(make: Callable[..., Any], keys: list[Any]) -> Callable[[Any], Any]:
    """Return a function from a row to the tuple of its values at `keys`."""
    get = make(*keys)
    return get if len(keys) > 1 else lambda row: (get(row),)


def _filler(dtype: str, null_string: str) -> Callable[[_Rows], np.ndarray]:
    """Return a function from rows of values to an array of shape (rows, columns)."""
    if dtype != "string":
        wanted = np.dtype(dtype)
        return lambda rows: np.array(rows, dtype=wanted)  # of floats, a missing one is NaN
    return lambda rows: np.array(
        [[null_string if v is None else v for v in row] for row in rows], dtype=object
    )
