"""The function that a rehearsal calls: the body of a request in, what is answered out."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from modelyard_device.opening import FOLDER, opened
from modelyard_runtime.predictor import Predictor


@cache
def _predictor() -> Predictor:
    return opened(Path(os.environ[FOLDER]))


def handler(event: Any, context: Any) -> Any:
    """Answer the rows of an event as ``POST /predict`` does."""
    return msgspec.to_builtins(_predictor().answer(msgspec.json.encode(event)))


if FOLDER in os.environ:
    _predictor()  # a start that fails is one of the place, not of the first row
