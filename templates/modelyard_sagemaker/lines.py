"""Rows line by line, as a batch transform cuts its files: JSON Lines or CSV in, and the same kind out.

A line of JSON Lines is one row, ``{column: value}``; its answer is ``{"prediction": …, "probabilities": {class: p}}``.
A line of CSV has the columns in the contract's order and no header, since no part but the first would have it; its
answer is the prediction, then the probability of each class. An empty field is null.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from modelyard_runtime.contract import EXACT, Column
from modelyard_runtime.doors.exchange import Answered, Asked, Refused
from modelyard_runtime.predictor import Answer, Predictor, RequestError

CSV = "text/csv"
JSON_LINES = "application/jsonlines"
#: Every name under which people send one of the two.
KINDS = {
    CSV: CSV, JSON_LINES: JSON_LINES, "application/x-jsonlines": JSON_LINES, "application/x-ndjson": JSON_LINES,
}  # fmt: skip

_BOOLEANS = {"true": True, "false": False}


def answering(predictor: Predictor) -> Callable[[Asked], Answered]:
    """Return who answers a body of lines."""
    columns = predictor.contract.columns

    def answer(asked: Asked) -> Answered:
        kind = KINDS.get(asked.kind)
        if kind is None:
            raise Refused(415, f"lines are of {' or '.join((JSON_LINES, CSV))}, not of {asked.kind[:40]!r}")
        if kind == CSV:
            found = predictor.answer(_of_csv(asked.body.decode(), columns))
            return Answered(_as_csv(found).encode(), CSV)
        return Answered(_as_json_lines(predictor.answer(_of_json_lines(asked.body))), JSON_LINES)

    return answer


def _of_json_lines(body: bytes) -> bytes:
    """Return the body of ``POST /predict`` with the same rows; what is wrong with one is said by what reads that."""
    rows = [msgspec.Raw(line) for line in body.splitlines() if line.strip()]
    for number, row in enumerate(rows):
        try:
            msgspec.json.decode(row, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RequestError(f"line {number} is no JSON object: {error}") from None
    return msgspec.json.encode({"rows": rows})


def _of_csv(text: str, columns: Sequence[Column]) -> bytes:
    names = [column.name for column in columns]
    data = []
    for number, fields in enumerate(line for line in csv.reader(io.StringIO(text)) if line):
        if len(fields) != len(names):
            raise RequestError(
                f"line {number} has {len(fields)} fields; the model takes {len(names)}: {', '.join(names[:6])}"
                f"{', …' if len(names) > 6 else ''}"
            )
        data.append([_value(field, column) for field, column in zip(fields, columns, strict=True)])
    return msgspec.json.encode({"columns": names, "data": data})


def _value(field: str, column: Column) -> Any:
    """Return a field as its column's type has it; one that cannot be so stays a text, which the contract refuses."""
    if not field:
        return None
    if column.type == "boolean":
        return _BOOLEANS.get(field.strip().lower(), field)
    if column.type == "string":
        return field
    if column.type == "number" or not field.strip().lstrip("+-").isdecimal():
        return _number(field)
    return int(field)


def _number(field: str) -> Any:
    try:
        number = float(field)
    except ValueError:
        return field
    if not math.isfinite(number):
        return field
    return int(number) if number.is_integer() and abs(number) <= EXACT else number


def _as_json_lines(answer: Answer) -> bytes:
    lines = []
    for number, prediction in enumerate(answer.predictions):
        line = {"prediction": prediction}
        if answer.probabilities is not None:
            line["probabilities"] = answer.probabilities[number]
        lines.append(msgspec.json.encode(line) + b"\n")
    return b"".join(lines)


def _as_csv(answer: Answer) -> str:
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    for number, prediction in enumerate(answer.predictions):
        shown = json.dumps(prediction) if isinstance(prediction, bool) else prediction
        named = {} if answer.probabilities is None else answer.probabilities[number]
        written.writerow([shown, *named.values()])
    return text.getvalue()
