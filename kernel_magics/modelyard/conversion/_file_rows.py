"""An ONNX model from elsewhere, freed of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd

from modelyard.conversion._answers import same
from modelyard.conversion._file_session import opened, outputs_of
from modelyard.conversion._rewiring import Slot
from modelyard.errors import ConversionError, InvalidInputError, listing

#: On how many rows a changed model is tried.
TRIED_ROWS = 8


def _freed(proto: Any, size: int) -> Any:
    """Return a copy that takes any number of rows where it took `size`, if nothing in it says otherwise."""
    free = onnx.ModelProto()
    free.CopyFrom(proto)
    del free.graph.value_info[:]
    for value in [*free.graph.input, *free.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value == size:
            dims[0].dim_param = "rows"
    return free


def _padded(
    name: str, session: Any, slots: Sequence[Slot], names: Sequence[str], size: int, frame: pd.DataFrame
) -> list[Any]:
    """Return the answers to rows of a model that takes `size` rows at once, the last of them repeated."""
    found: list[list[Any]] = [[] for _ in names]
    for start in range(0, len(frame), size):
        rows = frame.iloc[start : start + size]
        full = rows.iloc[[min(place, len(rows) - 1) for place in range(size)]]
        for kept, values in zip(found, outputs_of(name, session, slots, full, names).values(), strict=True):
            kept.extend(list(values)[: len(rows)])
    return found


def any_number_of_rows(
    name: str, proto: Any, session: Any, slots: Sequence[Slot], names: Sequence[str], frame: pd.DataFrame
) -> tuple[Any, Any]:
    """Return the model and its session, freed of a fixed number of rows where that changes no answer."""
    sizes = {value.shape[0] for value in session.get_inputs() if isinstance(value.shape[0], int)}
    if not sizes:
        return proto, session
    refused = ConversionError(
        f"{name} takes {listing(map(str, sizes))} rows at once, no more and no less; "
        "export it with a dynamic batch axis"
    )
    if len(sizes) > 1 or 0 in sizes:
        raise refused
    size, rows = sizes.pop(), frame.head(TRIED_ROWS)
    wanted = _padded(name, session, slots, names, size, rows)
    free = _freed(proto, size)
    try:
        freely = opened(name, free.SerializeToString(deterministic=True))
        for part in (rows, rows.head(1), rows.head(2)):
            found = list(outputs_of(name, freely, slots, part, names).values())
            for ours, theirs in zip(found, wanted, strict=True):
                if not _alike(list(ours), theirs[: len(part)]):
                    raise refused
    except (ConversionError, InvalidInputError) as error:
        raise refused from error
    return free, freely


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Return whether rows are the same: arrays, or the dictionaries of a ``ZipMap``."""
    if one and isinstance(one[0], dict):
        return len(one) == len(other) and all(
            same(np.array(list(a.values())), np.array(list(b.values())))
            for a, b in zip(one, other, strict=True)
        )
    return same(np.array(one), np.array(other))
