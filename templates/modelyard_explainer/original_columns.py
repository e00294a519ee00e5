"""Which original column each transformed one came from, where that is certain.

The fitted steps are walked with a few rows at hand, so that the width of everything is seen and not guessed. A
transformer is believed only where its kind is known to work on one column at a time, or where it is given one column
only. Everything else, such as principal components or a transformer written in a cell that is given two columns, is
uncertain: what it makes belongs to several columns at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Transformers of scikit-learn that make exactly one column of each, in the same order, from that one alone.
_ONE_TO_ONE = frozenset(
    (
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "QuantileTransformer", "PowerTransformer",
        "Binarizer", "OrdinalEncoder",
    )
)  # fmt: skip
#: Those that make the same number of columns of each, all of the first one first.
_SAME_EACH = frozenset(("TargetEncoder", "SplineTransformer"))
_FEW = 8  # rows, where no more is looked at than how many columns are made of them


class UncertainOriginError(Exception):
    """Some transformed column may depend on several original ones; the message names the step."""


def part(rows: Any, places: slice) -> Any:
    """Return some of the rows of a frame, an array or a matrix."""
    return rows.iloc[places] if hasattr(rows, "iloc") else rows[places]


def steps_and_model(estimator: Any) -> tuple[list[Any], Any]:
    """Return the fitted transformers in front of the model itself, and that model; a finished search is its best.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> steps_and_model(make_pipeline(StandardScaler(), LogisticRegression()))
    ([StandardScaler()], LogisticRegression())
    """
    best = getattr(estimator, "best_estimator_", None)
    if best is not None and hasattr(best, "predict"):
        return steps_and_model(best)
    steps = getattr(estimator, "steps", None)
    if not isinstance(steps, list) or not _of_scikit_learn(estimator):
        return [], estimator
    front = [step for _, step in steps[:-1] if not _passes(step)]
    further, model = steps_and_model(steps[-1][1])
    return [*front, *further], model


def transformed(steps: Sequence[Any], rows: Any) -> Any:
    """Return what the last step makes of rows, as the model itself sees them."""
    for step in steps:
        rows = step.transform(rows)
    return rows


def traced(steps: Sequence[Any], rows: Any) -> tuple[Any, NDArray[np.intp]]:
    """Return what the last step makes of rows, and for each of its columns the place of the original one it came from.

    Parameters
    ----------
    steps : sequence of fitted transformers
    rows : DataFrame or array
        As the first step takes them.

    Raises
    ------
    UncertainOriginError
        A column may come from several.
    """
    sources = list(range(_width(rows)))
    for step in steps:
        rows, sources = _through(step, rows, sources)
    return rows, np.array(sources, dtype=np.intp)


def _through(step: Any, rows: Any, sources: list[int]) -> tuple[Any, list[int]]:
    """Return what a step makes of rows, and where each column of it came from."""
    if _passes(step):
        return rows, sources
    made = step.transform(rows)
    if len(set(sources)) == 1:
        found = sources[:1] * _width(made)
    else:
        found = _known(step, part(rows, slice(_FEW)), made, sources)
    if len(found) != _width(made):
        raise UncertainOriginError(
            f"{type(step).__name__} makes {_width(made)} columns, of which {len(found)} are known"
        )
    return made, found


def _known(step: Any, rows: Any, made: Any, sources: list[int]) -> list[int]:
    name = type(step).__name__
    if _of_scikit_learn(step):
        if name == "ColumnTransformer":
            return _of_columns(step, rows, made, sources)
        if name == "FeatureUnion":
            kept = [
                part for _, part in step.transformer_list if not (isinstance(part, str) and part == "drop")
            ]
            return [each for part in kept for each in _through(part, rows, sources)[1]]
        if name == "Pipeline":
            for _, part in step.steps:
                rows, sources = _through(part, rows, sources)
            return sources
        if name in _ONE_TO_ONE or (name == "FunctionTransformer" and step.func is None):
            return sources
        if name in _SAME_EACH and _width(made) % len(sources) == 0:
            return _repeated(sources, [_width(made) // len(sources)] * len(sources))
        if name == "OneHotEncoder":
            return _repeated(sources, _categories(step))
        if name == "KBinsDiscretizer":
            bins = [1] * len(sources) if step.encode == "ordinal" else step.n_bins_.tolist()
            return _repeated(sources, bins)
        if name == "SimpleImputer":
            return _imputed(step, sources)
        if name == "MissingIndicator":
            return [sources[place] for place in step.features_]
        if hasattr(step, "get_support"):  # what selects columns
            return [sources[place] for place in step.get_support(indices=True)]
    raise UncertainOriginError(f"{name} may make one column of several")


def _of_columns(step: Any, rows: Any, made: Any, sources: list[int]) -> list[int]:
    found = [-1] * _width(made)
    places = getattr(step, "_transformer_to_input_indices", None)
    if places is None:
        raise UncertainOriginError("ColumnTransformer does not say which columns go where")
    for name, part, columns in step.transformers_:
        where = step.output_indices_.get(name, slice(0, 0))
        if where.stop == where.start:
            continue
        taken = list(places[name])
        one_text = isinstance(
            columns, str | int | np.integer
        )  # what reads texts is given a single column as it is
        _, came_from = _through(part, _taken(rows, taken, one_text), [sources[place] for place in taken])
        if len(came_from) != where.stop - where.start:
            raise UncertainOriginError(f"{name} in ColumnTransformer makes columns that are not known")
        found[where] = came_from
    if -1 in found:
        raise UncertainOriginError("ColumnTransformer makes columns that are not known")
    return found


def _taken(rows: Any, places: list[int], one_text: bool) -> Any:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[:, places[0]] if one_text else rows.iloc[:, places]
    return rows[:, places[0]] if one_text else rows[:, places]


def _categories(step: Any) -> list[int]:
    """Return how many columns a fitted OneHotEncoder makes of each."""
    widths = [len(known) for known in step.categories_]
    rare = getattr(step, "infrequent_categories_", [None] * len(widths))
    widths = [
        width - (len(few) - 1 if few is not None else 0) for width, few in zip(widths, rare, strict=True)
    ]
    if step.drop_idx_ is None:
        return widths
    return [width - (gone is not None) for width, gone in zip(widths, step.drop_idx_, strict=True)]


def _imputed(step: Any, sources: list[int]) -> list[int]:
    """Return the origins of what a fitted SimpleImputer makes: it drops columns that were all null in training."""
    kept = list(sources)
    if not step.keep_empty_features and step.strategy != "constant":
        kept = [source for source, fill in zip(sources, step.statistics_, strict=True) if not pd.isna(fill)]
    if step.indicator_ is not None:
        kept += [sources[place] for place in step.indicator_.features_]
    return kept


def _repeated(sources: list[int], widths: Sequence[int]) -> list[int]:
    return [source for source, width in zip(sources, widths, strict=True) for _ in range(width)]


def _width(rows: Any) -> int:
    shape = rows.shape
    return int(shape[1]) if len(shape) == 2 else 1


def _passes(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _of_scikit_learn(step: Any) -> bool:
    """Whether it is exactly a class of scikit-learn: a subclass may do anything."""
    return type(step).__module__.startswith("sklearn.")
