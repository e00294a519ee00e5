"""A pipeline in two: the leading steps, which run in Python, and the rest, which is to become ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline, make_pipeline

from modelyard.errors import ConversionError

_WIDEST = 1024  # a sparse matrix is made dense, and this many columns of 8192 rows are 64 MB
_ROWS_OF_SPARSE = 8


@dataclass(frozen=True)
class Split:
    """One way to take a fitted pipeline apart.

    Attributes
    ----------
    before, after : tuple
        The fitted steps in Python, and those that are left, the final estimator the last of them.
    made : object
        What `before` makes of some rows: an array, a frame, a sparse matrix, a sequence of texts.
    """

    before: tuple[Any, ...]
    after: tuple[Any, ...]
    made: Any

    @cached_property
    def steps(self) -> Any:
        """What runs in Python: a transformer, or a pipeline of several."""
        return self.before[0] if len(self.before) == 1 else make_pipeline(*self.before)

    @cached_property
    def rest(self) -> Any:
        """What is to become ONNX: an estimator, or a pipeline that ends with one."""
        return self.after[0] if len(self.after) == 1 else make_pipeline(*self.after)

    def sample(self) -> pd.DataFrame:
        """Return `made` as a table from which the rest's inputs are declared; whole numbers are float64.

        Raises
        ------
        ConversionError
            It is none, two of its columns have one name, or it is a sparse matrix that is too wide, or goes to
            an estimator that takes what is not stored for missing.
        """
        made, step = self.made, type(self.before[-1]).__name__
        if issparse(made):
            made = self._dense(made, step)
        if isinstance(made, pd.DataFrame):
            frame = made.set_axis([str(name) for name in made.columns], axis=1).reset_index(drop=True)
        else:
            frame = self._named(np.asarray(made), step)
        if not frame.columns.is_unique:
            raise ConversionError(f"{step} makes two columns of one name")
        whole = [name for name in frame.columns if frame[name].dtype.kind in "iub"]
        return frame.astype(dict.fromkeys(whole, "float64"))

    def _dense(self, made: Any, step: str) -> Any:
        if made.shape[1] > _WIDEST:
            raise ConversionError(f"{step} makes a sparse matrix of {made.shape[1]} columns")
        held = [self.rest, *self.rest.get_params(deep=True).values()]
        foreign = [p for p in held if hasattr(p, "fit") and not type(p).__module__.startswith("sklearn.")]
        if foreign:
            raise ConversionError(f"{step} makes a sparse matrix for {type(foreign[0]).__name__}")
        return made.tocsr()[:_ROWS_OF_SPARSE].toarray()

    def _named(self, array: np.ndarray, step: str) -> pd.DataFrame:
        array = array.reshape(-1, 1) if array.ndim == 1 else array
        if array.ndim != 2:
            raise ConversionError(f"{step} makes an array of shape {array.shape}")
        names = [str(name) for name in getattr(self.rest, "feature_names_in_", ())]
        if len(names) != array.shape[1]:
            names = [f"x{position}" for position in range(array.shape[1])]
        return pd.DataFrame(array, columns=pd.Index(names)).infer_objects()


def splits(model: Any, rows: Any) -> Iterator[Split]:
    """Yield the ways to take a fitted pipeline apart, the fewest steps in Python first; none for anything else.

    Parameters
    ----------
    model : estimator
    rows : DataFrame or array
        Rows in the form that it takes; each step is given them once, when its turn comes.
    """
    steps = tuple(_flat(model))
    for count in range(1, len(steps)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of unknown categories and of names: both are meant
            rows = steps[count - 1].transform(rows)
        yield Split(steps[:count], steps[count:], rows)


def _flat(model: Any) -> Iterator[Any]:
    """Yield the steps of a pipeline, those of a pipeline in it one by one, without those that do nothing."""
    if type(model) is not Pipeline:
        yield model
        return
    for _, step in model.steps:
        if step is not None and not isinstance(step, str):
            yield from _flat(step)
