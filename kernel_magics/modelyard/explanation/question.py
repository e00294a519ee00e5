"""What a way to explain is asked: a model that answers, and the rows that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modelyard_explainer.found import Found


@dataclass(frozen=True, eq=False)
class Explained:
    """Something that answers rows: an estimator, a bundle or an endpoint, all alike.

    Attributes
    ----------
    name : str
        What people call it: ``Pipeline of ColumnTransformer, LGBMClassifier``.
    columns : tuple of str
        The original columns that it is asked with.
    outputs : tuple of str
        The classes' names, or ``("prediction",)`` of a regression.
    is_classifier : bool
    scale : str
        What an answer is: ``probability``, ``decision score`` or ``prediction``.
    estimator : object or None
        The fitted estimator; ``None`` for something that only answers, such as an endpoint.
    shaped : callable
        Turns a frame of the original columns into what the estimator takes: the frame itself, or an array.
    answering, labelling : callable
        What `answer` and `labels` do.
    carried : callable or None
        Explains rows by the explainer that travels with it, and tells a function how many more are done; ``None``
        where none travels.
    """

    name: str
    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    is_classifier: bool
    scale: str
    estimator: Any | None
    shaped: Callable[[pd.DataFrame], Any]
    answering: Callable[[pd.DataFrame], NDArray[Any]]
    labelling: Callable[[pd.DataFrame], NDArray[Any]]
    carried: Callable[[pd.DataFrame, Callable[[int], None]], Found] | None = None

    def answer(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return the answers of shape (rows, outputs): probabilities, decision scores, or predicted values.

        A classifier without probabilities that decides between two classes scores the first as minus the second.
        """
        return np.asarray(self.answering(frame), dtype=float)

    def labels(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Return what is predicted, of shape (rows,): classes, or values."""
        return np.asarray(self.labelling(frame))


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be explained, looked at once, whichever way explains it.

    Attributes
    ----------
    explained : Explained
    frame : DataFrame
        All rows of `X`, with the original columns in the order of ``explained.columns``.
    places : ndarray of int
        The rows of `frame` to explain; never empty.
    background : DataFrame
        The rows that stand for "not known"; at least one.
    targets : ndarray or None
        One per row of `frame`.
    seed : int
    options : mapping
        The further keywords of the call; each is one of the method's ``options``.
    notes : tuple of str
        What was chosen on the way here and the user should know, such as that rows were sampled. A result shows them
        among its own.
    rows_by_default, background_by_default : bool
        Whether `places` and `background` were left to us, so that a costly method may take fewer of them.
    rows_note, background_note : str or None
        Those of the notes that tell how they were drawn; a method that does not use them leaves the note away.
    """

    explained: Explained
    frame: pd.DataFrame
    places: NDArray[np.intp]
    background: pd.DataFrame
    targets: NDArray[Any] | None
    seed: int
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    rows_by_default: bool = False
    background_by_default: bool = False
    rows_note: str | None = None
    background_note: str | None = None

    @property
    def chosen(self) -> pd.DataFrame:
        """The rows to explain."""
        return self.frame.iloc[self.places]
