"""The golden rows as requests, and what came back, beside what had to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.golden.parity import Outputs, Parity, Tolerance, compare
from modelyard.packaging import Bundle
from modelyard_runtime.bundle_format import read_golden
from modelyard_runtime.predictor import class_key


class GoldenReplay:
    """Golden rows, one request each.

    Parameters
    ----------
    bundle : Bundle
    most : int, optional
        So many of them; all by default.
    own : Path, optional
        The ``model/`` of what was made of the bundle, where it is another model with golden rows of its own.
    """

    def __init__(self, bundle: Bundle, most: int | None = None, own: Path | None = None) -> None:
        self._lines = read_golden(own or bundle.model_folder)[:most]
        model, tolerance = bundle.manifest["model"], bundle.manifest["parity"]["tolerance"]
        self._tolerance = Tolerance(tolerance["absolute"], tolerance["relative"])
        self._classes = None if model["classes"] is None else [class_key(label) for label in model["classes"]]

    def bodies(self) -> list[bytes]:
        """Return the body of each request, as every HTTP door takes it."""
        return [json.dumps({"rows": [line["row"]]}).encode() for line in self._lines]

    def compared(self, answers: Sequence[Mapping[str, Any]]) -> Parity:
        """Compare answers, in the order of the rows, with what they must be.

        Raises
        ------
        InvalidInputError, KeyError, TypeError, ValueError
            An answer is none of a predictor's.
        """
        lines = self._lines[: len(answers)]
        wanted = _outputs([line["prediction"] for line in lines], [line["probabilities"] for line in lines])
        given = [self._probabilities(answer) for answer in answers]
        return compare(
            wanted, _outputs([a["predictions"][0] for a in answers], given), tolerance=self._tolerance
        )

    def _probabilities(self, answer: Mapping[str, Any]) -> list[float] | None:
        found = answer.get("probabilities")
        return None if not found or self._classes is None else [found[0][name] for name in self._classes]


def _outputs(predictions: list[Any], probabilities: list[Any]) -> Outputs:
    has_some = bool(probabilities) and probabilities[0] is not None
    return Outputs(np.asarray(predictions), np.asarray(probabilities, dtype=float) if has_some else None)
