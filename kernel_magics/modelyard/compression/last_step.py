"""The last step of a pipeline, which is what is compressed; the steps before it stay as they are."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def last_step(model: Any) -> Any:
    """Return a model, or the last step of a pipeline, also of one inside another."""
    while isinstance(model, Pipeline):
        model = model.steps[-1][1]
    return model


def with_last(model: Any, last: Any) -> Any:
    """Return a pipeline with the same fitted steps and another last one; the pipeline given is not changed."""
    if not isinstance(model, Pipeline):
        return last
    name, inner = model.steps[-1]
    return Pipeline([*model.steps[:-1], (name, with_last(inner, last))])


def fed_to_last(model: Any, X: Any) -> Any:
    """Return what the last step is given for rows."""
    while isinstance(model, Pipeline):
        if len(model.steps) > 1:
            X = model[:-1].transform(X)
        model = model.steps[-1][1]
    return X
