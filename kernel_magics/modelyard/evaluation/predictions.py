"""What the folds' models said of the rows that they had not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelyard.evaluation.folds import Folds
from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.measuring import Outcome
from modelyard.evaluation.metrics import Metric, Response
from modelyard.evaluation.responses import gives_probabilities, gives_scores, predicts_lazily

_MOST_ROWS = 5_000_000  # judged rows; beyond, 200 MB of predictions would be kept for each evaluation
_MOST_SCORES = 10_000_000  # probabilities, 80 MB: ten classes of a million rows, a thousand of ten thousand


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The answers on all judged rows, fold after fold.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        The place of each row in `X`; with repeats a row comes again.
    folds : ndarray of shape (n,)
        The fold that judged it, from 1.
    y, labels : ndarray of shape (n,) or (n, columns)
        What was true, and what was predicted.
    scores : ndarray or None
        What ranks the rows: (n,) for two classes, (n, k) else.
    probabilities : ndarray of shape (n, k) or None
        In the order of the classes.
    """

    rows: NDArray[np.integer[Any]]
    folds: NDArray[np.integer[Any]]
    y: NDArray[Any]
    labels: NDArray[Any]
    scores: NDArray[Any] | None = None
    probabilities: NDArray[Any] | None = None

    def answer(self, response: Response) -> NDArray[Any] | None:
        """Return what a metric takes; probabilities rank the rows where no scores were kept."""
        if response == "scores" and self.scores is None and self.probabilities is not None:
            return self.probabilities[:, 1] if self.probabilities.shape[1] == 2 else self.probabilities
        kept = {"labels": self.labels, "scores": self.scores, "probabilities": self.probabilities}
        return kept.get(response)

    def once(self) -> OutOfFold:
        """Return each row's first answer: the first of the repeats."""
        first = np.unique(self.rows, return_index=True)[1]
        return self if len(first) == len(self.rows) else self.at(first)

    def at(self, places: NDArray[Any]) -> OutOfFold:
        """Return the answers at those places."""

        def cut(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[places]

        return OutOfFold(
            self.rows[places],
            self.folds[places],
            self.y[places],
            self.labels[places],
            cut(self.scores),
            cut(self.probabilities),
        )

    def frame(self, samples: Samples) -> pd.DataFrame:
        """Return the table that users get: row, fold, target, prediction, and ``p_CLASS`` for each class."""
        columns: dict[str, Any] = {"row": self.rows, "fold": self.folds}
        if samples.columns:
            columns |= {f"target_{name}": self.y[:, i] for i, name in enumerate(samples.columns)}
            columns |= {f"prediction_{name}": self.labels[:, i] for i, name in enumerate(samples.columns)}
        else:
            columns |= {"target": self.y, "prediction": self.labels}
        if self.probabilities is not None and samples.classes is not None:
            names = samples.classes.tolist()
            columns |= {f"p_{name}": self.probabilities[:, i] for i, name in enumerate(names)}
        return pd.DataFrame(columns, copy=False)


def answers_to_keep(
    model: Any, samples: Samples, folds: Folds, metrics: tuple[Metric, ...]
) -> tuple[Response, ...]:
    """Return what each fold should hand back: labels, and probabilities or else scores where they come cheaply.

    A model that does its work when it predicts (neighbours, Gaussian processes) is not asked for more than the
    metrics want; what would not fit into the memory of a small machine is not kept.
    """
    judged = int(folds.sizes[:, 1].sum())
    if judged > _MOST_ROWS:
        return ()
    if samples.regression:
        return ("labels",)
    width = len(samples.columns) if samples.classes is None else len(samples.classes)
    wanted = {metric.response for metric in metrics} & {"scores", "probabilities"}
    if judged * width > _MOST_SCORES or (predicts_lazily(model) and not wanted):
        return ("labels",)
    if gives_probabilities(model, samples):
        return ("labels", "probabilities")
    return ("labels", "scores") if gives_scores(model, samples) else ("labels",)


def out_of_fold(outcomes: list[Outcome], samples: Samples, folds: Folds) -> OutOfFold | None:
    """Put the answers of all folds together; ``None`` where no labels were kept."""
    labels = [outcome.labels for outcome in outcomes if outcome.labels is not None]
    if len(labels) < len(outcomes):
        return None
    small: type[np.integer[Any]] = np.int32 if samples.rows < 2**31 else np.int64
    rows = folds.judged.astype(small)
    numbers = np.arange(1, len(outcomes) + 1, dtype=np.int32)
    scores = [outcome.scores for outcome in outcomes if outcome.scores is not None]
    chances = [outcome.probabilities for outcome in outcomes if outcome.probabilities is not None]
    return OutOfFold(
        rows=rows,
        folds=np.repeat(numbers, folds.sizes[:, 1]),
        y=samples.y[rows],
        labels=np.concatenate(labels),
        scores=np.concatenate(scores) if len(scores) == len(outcomes) else None,
        probabilities=np.concatenate(chances) if len(chances) == len(outcomes) else None,
    )
