"""A bundle asked in this process, through the runtime's own model."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from modelyard.batch.chunks import Answers, Chunk, Layout
from modelyard.batch.columnar import Screen, Screened, told
from modelyard.errors import BundleError
from modelyard.packaging import Bundle
from modelyard_runtime import bundle_format
from modelyard_runtime.models import OnnxModel, Outputs, load_model
from modelyard_runtime.predictor import class_key

_MODEL_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)
_MOST_WORKERS = 4


class BundleScorer:
    """Answers chunks with a bundle whose digests and signature were checked.

    A graph answers on several threads, since it holds no lock of Python; what runs in Python on one.

    Raises
    ------
    BundleError
        It is gone, damaged, or cannot be loaded here.
    """

    def __init__(self, bundle: Bundle, rows: int) -> None:
        bundle.check()
        self.what = bundle.tag
        self.identity: dict[str, Any] = {"bundle": bundle.tag, "digest": bundle.digest}
        self.contract = bundle.contract
        self.rows = rows
        try:
            self._model = load_model(bundle.model_folder, bundle.manifest, bundle.contract)
        except (bundle_format.BundleError, ImportError) as error:
            raise BundleError(f"bundle {bundle.tag} cannot be loaded here: {error}") from None
        is_graph = isinstance(self._model, OnnxModel)
        self.workers = min(os.cpu_count() or 1, _MOST_WORKERS) if is_graph else 1
        self._screen = Screen(bundle.contract)
        self._described = bundle.manifest["model"]
        rows_known, sample = bundle.golden()
        self.layout = Layout(sample, self._classes(rows_known[0]))

    def _classes(self, row: dict[str, Any]) -> tuple[str, ...] | None:
        """Return the names of the classes, if the model gives a probability for each of them."""
        classes = self._described["classes"]
        if classes is None:
            return None
        checked, _ = self.contract.check({name: [value] for name, value in row.items()}, 1)
        _, probabilities = self._model(checked, 1)
        return None if probabilities is None else tuple(class_key(label) for label in classes)

    def __call__(self, chunk: Chunk) -> Answers:
        screened = self._screen(chunk.batch, chunk.strays)
        answered = screened.answered()
        errors = {row: told(violations) for row, violations in screened.problems.items()}
        labels, probabilities = self._ask(screened, len(answered), chunk)
        flags = [(flag.row, flag.column, flag.flag) for flag in screened.flags]
        return self.layout.answers(chunk.rows, answered, labels, probabilities, flags, errors)

    def _ask(self, screened: Screened, rows: int, chunk: Chunk) -> Outputs:
        if not rows:
            return np.empty(0), None
        if isinstance(self._model, OnnxModel):
            feed = screened.feed(self._described["inputs"], self._described["null_string"])
            return self._model.run(feed, rows)
        try:
            return self._model(screened.table(), rows)
        except _MODEL_ERRORS as error:
            last = chunk.start + chunk.rows - 1
            said = str(error).partition("\n")[0]
            raise BundleError(
                f"the model of {self.what} fails on rows {chunk.start} to {last}, which keep the contract: "
                f"{type(error).__name__}: {said}"
            ) from error

    def close(self) -> None:
        """Nothing is open."""
