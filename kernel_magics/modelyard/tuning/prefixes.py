"""The first steps of a pipeline, fitted once for each fold and used again by every trial that shares them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
import pandas as pd
import psutil
import scipy.sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from modelyard.evaluation.inputs import Samples
from modelyard.evaluation.metrics import Metric
from modelyard.evaluation.splitters import Split
from modelyard.tuning.parameter import Parameter

_MOST_BYTES = 512 * 2**20
_SHARE_OF_FREE_MEMORY = 0.125
_EXACT = ("full", "covariance_eigh")

Key = tuple[int, tuple[tuple[str, str], ...]]


def prefix_cache(
    model: Any, space: Mapping[str, Parameter], metric: Metric, folds: int, most_bytes: int | None = None
) -> PrefixCache | None:
    """Return a cache for the trials of one run, or ``None`` where there is nothing to share.

    That is any model but scikit-learn's own ``Pipeline`` of two steps or more without a `memory`, and a metric of
    the user's own, which may look at the columns that the pipeline was given.
    """
    shares = type(model) is Pipeline and len(model.steps) > 1 and model.memory is None
    scores_alone = metric.response != "model" or hasattr(metric.measure, "_score_func")
    if not (shares and scores_alone):
        return None
    if most_bytes is None:
        most_bytes = int(min(_MOST_BYTES, psutil.virtual_memory().available * _SHARE_OF_FREE_MEMORY))
    return PrefixCache(space, most_bytes // folds)


class PrefixCache:
    """What the first steps made of the rows of each fold.

    Only steps that give the same result whenever they are fitted are shared: those with a random state have a
    fixed one, and a class that is not scikit-learn's is fitted twice, once in a run, to see it. What is held
    is never handed out: `Samples.take` copies.

    Parameters
    ----------
    space : dict
        The parameters that differ between trials; everything else in the model is the same in all of them.
    bytes_per_fold : int
        The oldest results of a fold make room for new ones.
    """

    def __init__(self, space: Mapping[str, Parameter], bytes_per_fold: int) -> None:
        self._varied = {name.partition("__")[0] for name in space}
        self._never_again = {name.partition("__")[0] for name, part in space.items() if part.size == np.inf}
        self._room = bytes_per_fold
        self._held: dict[int, OrderedDict[Key, Samples]] = {}
        self._proved: set[str] = set()
        self._barred: set[str] = set()
        self.hits = 0

    def shortened(
        self, pipeline: Pipeline, params: Mapping[str, Any], samples: Samples, place: int, split: Split
    ) -> tuple[Any, Samples, Split]:
        """Return what is left to fit on a fold: the later steps, and the rows that the first ones make.

        Parameters
        ----------
        pipeline : Pipeline
            Unfitted, with the parameters of the trial.
        params : dict
            The parameters of the trial, in full names.
        samples, place, split
            The rows, the fold's number from 0, its train and test rows.
        """
        length = self._shared_steps(pipeline)
        if length == 0:
            return pipeline, samples, split
        held = self._held.setdefault(place, OrderedDict())
        keys = {count: self._key(pipeline, params, count) for count in range(1, length + 1)}
        known = max((count for count, key in keys.items() if key in held), default=0)
        if known:
            held.move_to_end(keys[known])
            self.hits += 1
            found = held[keys[known]]
        else:
            found = _joined(samples, samples.take(split[0]), samples.take(split[1]), split) or samples
        if known < length:
            known, found = self._fitted(pipeline, keys, known, length, found, samples, place, split)
        if known == 0 or found is samples:
            return pipeline, samples, split
        rest = pipeline.steps[known:]
        model = rest[0][1] if len(rest) == 1 else Pipeline(rest)
        return model, found, _in_order(split)

    def _fitted(
        self,
        pipeline: Pipeline,
        keys: Mapping[int, Key],
        known: int,
        length: int,
        found: Samples,
        samples: Samples,
        place: int,
        split: Split,
    ) -> tuple[int, Samples]:
        """Fit the steps from `known` to `length`, and hold what came where the next step differs between trials."""
        if found is samples:  # the rows cannot be put one below the other
            return 0, samples
        train, test = _in_order(split)
        y = found.y[train]
        for count in range(known, length):
            name, step = pipeline.steps[count]
            if step not in (None, "passthrough"):
                learned, told = self._through(name, step, found.take(train), found.take(test), y)
                joined = None if learned is None else _joined(samples, learned, told, split)
                if joined is None:
                    self._barred.add(name)
                    return count, found
                found = joined
            if count + 1 == length or pipeline.steps[count + 1][0] in self._varied:
                self._hold(place, keys[count + 1], found)
        return length, found

    def _through(self, name: str, step: Any, train: Any, test: Any, y: Any) -> tuple[Any, Any]:
        """Return the rows behind a step, or None twice if it gives something else when it is fitted again."""
        if name not in self._proved and not _ours_to_trust(step):
            once, again = (_learned(clone(step), part, y)[0] for part in (train.copy(), train.copy()))
            if joblib.hash(once) != joblib.hash(again):
                return None, None
            self._proved.add(name)
        learned, fitted = _learned(clone(step), train, y)
        return learned, fitted.transform(test)

    def _shared_steps(self, pipeline: Pipeline) -> int:
        """Return how many of the first steps can be shared, never the last one."""
        for count, (name, step) in enumerate(pipeline.steps[:-1]):
            if name in self._never_again or name in self._barred or not _repeatable(step):
                return count
        return len(pipeline.steps) - 1

    def _key(self, pipeline: Pipeline, params: Mapping[str, Any], count: int) -> Key:
        inside = {name for name, _ in pipeline.steps[:count]}
        return count, tuple(
            (name, repr(value)) for name, value in sorted(params.items()) if name.partition("__")[0] in inside
        )

    def _hold(self, place: int, key: Key, found: Samples) -> None:
        held = self._held[place]
        size = _bytes_of(found.X)
        if size > self._room:
            return
        held[key] = found
        while sum(_bytes_of(each.X) for each in held.values()) > self._room:
            held.popitem(last=False)


def _learned(step: Any, rows: Any, y: Any) -> tuple[Any, Any]:
    """Fit a transformer as scikit-learn's pipeline does; return the rows it makes, and itself."""
    if hasattr(step, "fit_transform"):
        return step.fit_transform(rows, y), step
    return step.fit(rows, y).transform(rows), step


def _in_order(split: Split) -> Split:
    """Return the rows of a fold where the training rows stand before the test rows."""
    train, test = split
    return np.arange(len(train)), np.arange(len(train), len(train) + len(test))


def _joined(samples: Samples, train: Any, test: Any, split: Split) -> Samples | None:
    """Return the training rows above the test rows, or None where that would change them."""
    if type(train) is not type(test):
        return None
    if isinstance(train, pd.DataFrame):
        if not train.dtypes.equals(test.dtypes) or not train.columns.equals(test.columns):
            return None
        rows: Any = pd.concat([train, test])
    elif scipy.sparse.issparse(train):
        rows = scipy.sparse.vstack([train, test]).tocsr()
    elif isinstance(train, np.ndarray) and train.dtype == test.dtype and train.shape[1:] == test.shape[1:]:
        rows = np.concatenate([train, test])
    else:
        return None
    features = rows.shape[1] if len(rows.shape) == 2 else 1
    return dataclasses.replace(
        samples, X=rows, y=samples.y[np.concatenate(split)], rows=rows.shape[0], features=features
    )


def _repeatable(step: Any) -> bool:
    """Whether a step has no random state, or only fixed ones."""
    if step in (None, "passthrough"):
        return True
    if not hasattr(step, "get_params") or not hasattr(step, "transform"):
        return False
    if isinstance(step, PCA) and step.svd_solver in _EXACT:
        return True
    return all(
        isinstance(value, int | np.integer)
        for name, value in step.get_params(deep=True).items()
        if name.split("__")[-1] == "random_state"
    )


def _ours_to_trust(step: Any) -> bool:
    """Whether a step and all in it are scikit-learn's, and call no function of the user's."""
    parts = [step, *(part for part in step.get_params(deep=True).values() if hasattr(part, "get_params"))]
    return all(
        type(part).__module__.partition(".")[0] == "sklearn"
        and not (isinstance(part, FunctionTransformer) and part.func is not None)
        for part in parts
    )


def _bytes_of(rows: Any) -> int:
    if isinstance(rows, pd.DataFrame):
        return int(rows.memory_usage(index=True, deep=False).sum())
    if scipy.sparse.issparse(rows):
        return int(rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes)
    return int(rows.nbytes)
