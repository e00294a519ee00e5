"""Labels that come later: ``POST /feedback`` writes them into the prediction log, beside the answers they belong to."""

from __future__ import annotations

import msgspec

from modelyard_runtime.doors.exchange import Answered, Asked, Refused, Route, Routes
from modelyard_runtime.predictor import Predictor

_LONGEST_ID = 200


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """A body of ``POST /feedback``: the id of an answer, and the true label of each of its rows."""

    id: str
    labels: list[str | int | float | bool | None]


def routes(predictor: Predictor) -> Routes:
    """Return the path that takes labels."""
    decode = msgspec.json.Decoder(Feedback).decode

    def noted(asked: Asked) -> Answered:
        found = decode(asked.body)
        if not found.labels or not 0 < len(found.id) <= _LONGEST_ID:
            raise Refused(400, 'send {"id": the id of an answer, "labels": one label for each of its rows}')
        log = predictor.recorder.log
        if log is None:
            raise Refused(409, "this endpoint keeps no prediction log; start it with MODELYARD_STATE=FOLDER")
        log.feedback(msgspec.json.encode(found))
        return Answered(msgspec.json.encode({"id": found.id, "labels": len(found.labels)}), status=202)

    return {"/feedback": Route(("POST",), noted)}
