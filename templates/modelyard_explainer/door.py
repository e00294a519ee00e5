"""``POST /explain``: the SHAP values of rows, computed in a process of its own that starts with the first request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelyard_explainer.found import Found
from modelyard_runtime import child
from modelyard_runtime.bundle_format import BundleError
from modelyard_runtime.doors.exchange import Answered, Asked, Refused
from modelyard_runtime.models import Model
from modelyard_runtime.predictor import Predictor, PredictRequest

_log = logging.getLogger("modelyard_runtime")
_HOME = str(Path(__file__).resolve().parents[1])


class _Child(child.ChildModel):
    """An explainer in a child process."""

    program = (
        f"import sys; sys.path[:0] = [*sys.argv[1:3], {_HOME!r}]; "
        "from modelyard_runtime.child import main; from modelyard_explainer.carried import ExplainingModel; "
        "main(ExplainingModel)"
    )


def answering(predictor: Predictor) -> Callable[[Asked], Answered]:
    """Return who answers ``POST /explain`` for a bundle that was packaged with an explainer."""
    described = predictor.manifest["explainer"]
    decode = msgspec.json.Decoder(PredictRequest).decode
    explaining = _Started(predictor)
    columns, most = list(predictor.contract.names), described["most_rows"]

    def answer(asked: Asked) -> Answered:
        table, rows = decode(asked.body).table()
        if rows > most:
            raise Refused(
                413, f"{rows} rows, of which this explainer takes {most} at once; send them in parts"
            )
        checked, flags = predictor.contract.check(table, rows)
        found = Found.unpacked(explaining()(checked, rows), described)
        single = found.values.shape[2] == 1 and not described["classes"]
        named = predictor.put([], None, flags)
        return Answered(
            msgspec.json.encode(
                {
                    "id": named.id,
                    "variant": named.variant,
                    "columns": columns,
                    "outputs": described["outputs"],
                    "base_values": found.base.tolist(),
                    "values": (found.values[:, :, 0] if single else found.values).tolist(),
                    "scale": found.scale,
                    "explainer": found.explainer,
                    "additivity": found.additivity,
                    "flags": flags,
                }
            )
        )

    return answer


class _Started:
    """The explainer of a bundle, which starts when it is first wanted: shap takes seconds and memory."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._lock = threading.Lock()
        self._model: Model | None = None

    def __call__(self) -> Model:
        with self._lock:
            if self._model is None:
                try:
                    self._model = self._start()
                except (BundleError, ImportError) as error:
                    _log.error("the explainer does not start: %s", error)
                    raise Refused(503, "the explainer does not start; the server's log says why") from None
            return self._model

    def _start(self) -> Model:
        predictor = self._predictor
        named = os.environ.get(child.SITE)
        site = predictor.site or (Path(named) if named else None)
        if site is None:  # whoever serves it has installed what both locks name
            from modelyard_explainer.carried import ExplainingModel  # shap comes with it

            return _InTurn(ExplainingModel(predictor.folder, predictor.manifest, predictor.contract))
        return _Child(predictor.folder, site)


class _InTurn:
    """A model for one thread at a time: the permutation explainer draws from numpy's global generator."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._turn = threading.Lock()

    def __call__(self, table: dict[str, list[Any]], rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        with self._turn:
            return self._model(table, rows)
