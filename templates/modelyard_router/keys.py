"""The value that keeps a caller on one variant: a header, or a column of the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from modelyard_runtime.doors.exchange import Refused


def header_names(sticky: str) -> frozenset[bytes]:
    """Return the headers that may hold it: of ``user_id``, ``user_id``, ``user-id`` and ``x-user-id``."""
    name = sticky.lower()
    dashed = name.replace("_", "-")
    return frozenset(each.encode() for each in (name, dashed, f"x-{dashed}"))


def in_headers(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> str | None:
    """Return the first value of one of these headers; ``None`` where it is empty too: then nobody says who it is."""
    return next((value.decode("latin-1") for name, value in headers if name in names), None) or None


def in_body(body: bytes, sticky: str, *, strip: bool) -> tuple[str | None, bytes]:
    """Return the value that all rows of a JSON body have in the column `sticky`, ``None`` for null, and the body.

    Parameters
    ----------
    strip : bool
        Take the column out of the body: the model does not know it.

    Raises
    ------
    Refused
        The rows have several values: they cannot all be answered by their own variant.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, body  # whoever answers says what is wrong with it
    if not isinstance(request, dict):
        return None, body
    found = _values(request, sticky)
    if not found:
        return None, body
    if any(value != found[0] for value in found[1:]):
        raise Refused(
            400,
            f"rows of several {sticky!r} in one request, such as {found[0]!r} and "
            f"{next(value for value in found if value != found[0])!r}; send the rows of each one by themselves",
        )
    if strip:
        body = msgspec.json.encode(_without(request, sticky))
    return None if found[0] is None else str(found[0]), body


def _values(request: dict[str, Any], sticky: str) -> list[Any]:
    rows, columns, data = request.get("rows"), request.get("columns"), request.get("data")
    if isinstance(rows, list):
        return [row[sticky] for row in rows if isinstance(row, dict) and sticky in row]
    if isinstance(columns, list) and isinstance(data, list) and sticky in columns:
        place = columns.index(sticky)
        return [row[place] for row in data if isinstance(row, list) and len(row) == len(columns)]
    return []


def _without(request: dict[str, Any], sticky: str) -> dict[str, Any]:
    if isinstance(request.get("rows"), list):
        rows = [
            {name: value for name, value in row.items() if name != sticky} if isinstance(row, dict) else row
            for row in request["rows"]
        ]
        return {**request, "rows": rows}
    place = request["columns"].index(sticky)

    def cut(row: Any) -> Any:
        whole = isinstance(row, list) and len(row) == len(request["columns"])
        return row[:place] + row[place + 1 :] if whole else row

    return {**request, "columns": cut(request["columns"]), "data": [cut(row) for row in request["data"]]}
