"""The explainer that travels in a bundle: what the manifest says of it, its rows of background, and its estimator.

The manifest's ``explainer`` holds

==============  ========================================================================================
estimator       ``file``, ``trusted_types`` and ``captured`` of the estimator as skops; null where the model
                of the bundle is all there is, which is then asked for its answers only
array_dtype     the dtype of the array that the estimator takes; null where it takes a frame
background      the file with the rows that stand for what is not known, in the order of the contract's columns
seed, shuffles  what the permutation explainer draws from, and how often it walks each row
explainer       ``tree``, ``linear`` or ``permutation`` where one was asked for, else null
response        which method of the model is explained
outputs         the classes, or ``prediction``
classes         how many; 0 of a regression
words, scale    which explainer it is, and what its values add up to
most_rows       how many rows one request may have
==============  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from modelyard_explainer.found import Found, otherwise
from modelyard_explainer.inside import Inside, nowhere, read
from modelyard_explainer.readings import UnfaithfulReadingError, Values
from modelyard_explainer.responses import figures, plain
from modelyard_explainer.shuffling import shuffled
from modelyard_runtime.contract import Contract
from modelyard_runtime.models import Model, Outputs, frame_of, load_model, loaded


class Explainer:
    """An explainer that is ready: rows in, what accounts for their answers out.

    Parameters
    ----------
    described : dict
        The manifest's ``explainer``.
    background : DataFrame
    estimator : object, optional
        The fitted estimator; without one, `answer` is all there is.
    answer : callable
        A frame to answers of shape (rows, outputs).
    shaped : callable
        A frame to what the estimator takes.
    """

    def __init__(
        self,
        described: dict[str, Any],
        background: pd.DataFrame,
        estimator: Any,
        answer: Callable[[pd.DataFrame], Values],
        shaped: Callable[[pd.DataFrame], Any],
    ) -> None:
        self._described = described
        self._background = background
        self._answer = answer
        self._shaped = shaped
        wanted = described["explainer"]
        by_answers = estimator is None or wanted == "permutation"
        inside = None if by_answers else read(estimator, shaped(background), described["classes"], wanted)
        self._inside = inside if isinstance(inside, Inside) else None

    @property
    def usual(self) -> tuple[str, str]:
        """Which explainer it is, in words, and what its values add up to."""
        if self._inside is None:
            return otherwise(self._described)
        return self._inside.reading.words, self._inside.reading.scale

    def explain(self, frame: pd.DataFrame, advance: Callable[[int], None] = nowhere) -> Found:
        """Explain rows of the original columns."""
        said, inside = self._described, self._inside
        if inside is not None:
            try:
                values, additivity = inside.values(self._shaped(frame), frame.shape[1], advance)
            except UnfaithfulReadingError:  # of these rows; it was right of the background
                pass
            else:
                return Found(
                    values, inside.reading.base, additivity, inside.reading.words, inside.reading.scale
                )
        values, base = shuffled(
            self._answer, len(said["outputs"]), frame, self._background, shuffles=said["shuffles"],
            seed=said["seed"], advance=advance,
        )  # fmt: skip
        additivity = float(np.max(np.abs(base + values.sum(axis=1) - self._answer(frame)), initial=0.0))
        return Found(values, base, additivity, *otherwise(said))


def load(folder: Path, manifest: dict[str, Any], contract: Contract) -> Explainer:
    """Load the explainer of the bundle whose ``model/`` is `folder` and whose `manifest` was checked.

    Raises
    ------
    BundleError
        It holds a type that the manifest does not name.
    """
    described = manifest["explainer"]
    background = frame_of(contract, table_of(folder / described["background"]["file"], contract.names))
    if (travels := described["estimator"]) is None:
        model = load_model(folder, manifest, contract)
        return Explainer(described, background, None, _answers(model, contract), _as_it_is)
    captured = travels["captured"]
    estimator = loaded(folder, travels, {"captured": captured and {"module": captured}})
    dtype, response = described["array_dtype"], described["response"]

    def shaped(frame: pd.DataFrame) -> Any:
        return frame if dtype is None else frame.to_numpy(dtype=dtype)

    def answer(frame: pd.DataFrame) -> Values:
        return np.asarray(figures(estimator, response, shaped(frame)), dtype=float)

    return Explainer(described, background, estimator, answer, shaped)


class ExplainingModel:
    """An explainer as a child process has its model: checked columns in, two arrays out."""

    def __init__(self, folder: Path, manifest: dict[str, Any], contract: Contract) -> None:
        self._described = manifest["explainer"]
        self._contract = contract
        self._explainer = load(folder, manifest, contract)

    def __call__(self, table: dict[str, list[Any]], rows: int) -> Outputs:
        found = self._explainer.explain(frame_of(self._contract, table))
        return found.packed(self._described)


def table_of(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return rows that are written a line each, by column."""
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    return dict(zip(names, map(list, zip(*lines, strict=True)), strict=True))


def _answers(model: Model, contract: Contract) -> Callable[[pd.DataFrame], Values]:
    """Return what asks the bundle's own model, which takes values and no frames."""

    def answer(frame: pd.DataFrame) -> Values:
        table = {name: plain(frame[name]) for name in contract.names}
        labels, chances = model(table, len(frame))
        return np.asarray(labels if chances is None else chances, dtype=float).reshape(len(frame), -1)

    return answer


def _as_it_is(frame: pd.DataFrame) -> Any:
    return frame
